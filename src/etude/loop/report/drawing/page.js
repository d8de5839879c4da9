// Two videos of one case play in step; the shorter waits on its last frame for the longer, then both start again.
const done = (video) => video.ended || video.currentTime >= video.duration - 0.05;
for (const pair of document.querySelectorAll(".pair")) {
  const videos = [...pair.querySelectorAll("video")];
  const button = pair.querySelector("button");
  if (videos.length !== 2 || !button) continue;
  let playing = false;
  const show = () => (button.textContent = playing ? "Pause both" : "Play both");
  const start = () => {
    playing = true;
    const time = videos.every(done) ? 0 : Math.max(...videos.map((video) => video.currentTime));
    for (const video of videos) {
      video.currentTime = Math.min(time, video.duration || time);
      if (!done(video)) video.play().catch(() => {});
    }
    show();
  };
  const stop = () => {
    playing = false;
    videos.forEach((video) => video.pause());
    show();
  };
  const toggle = () => (playing ? stop() : start());
  button.addEventListener("click", toggle);
  for (const video of videos) {
    video.addEventListener("click", toggle);
    video.addEventListener("ended", () => {
      if (playing && videos.every(done)) setTimeout(() => playing && start(), 800);
    });
  }
}
// Paper cannot unfold.
addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((d) => (d.open = true)));
