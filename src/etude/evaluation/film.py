"""Films of episodes: what the policy saw, with a caption, as H.264 that every browser plays."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw, ImageFont

from etude.core import Case, ConfigError, Image, Observation, Outcome, PolicyFactory, Step, Task, rollout
from etude.core.files import write_bytes

_CAPTION_PX = 24
_HOLD_S = 1.0
_GOOD, _BAD, _PLAIN = (46, 125, 50), (178, 34, 34), (40, 44, 52)


@dataclass(frozen=True)
class Film:
    """Frames of equal size, (H, W, 3) uint8 with H and W even, and how the episode ended."""

    frames: tuple[Image, ...]
    outcome: Outcome | None = None
    fps: int = 20

    def save(self, path: Path) -> None:
        """Write an mp4 (H.264, yuv420p, index first), whole or not at all."""
        import av

        height, width = self.frames[0].shape[:2]
        with TemporaryDirectory() as folder:  # to put its index first, FFmpeg reads the file again by its name
            draft = Path(folder, "film.mp4")
            with av.open(str(draft), "w", options={"movflags": "faststart"}) as container:
                stream = container.add_stream("libx264", rate=self.fps, options={"crf": "20", "preset": "veryfast"})
                stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
                stream.thread_count = 1
                for frame in self.frames:
                    container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
                container.mux(stream.encode())
            write_bytes(path, draft.read_bytes())

    def save_poster(self, path: Path, fraction: float = 1.0) -> None:
        """Write one frame as an image; `fraction` 0 is the first, 1 the last."""
        buffer = BytesIO()
        index = round(fraction * (len(self.frames) - 1))
        Pillow.fromarray(self.frames[index]).save(buffer, format="PNG", optimize=True)
        write_bytes(path, buffer.getvalue())

    def save_gif(self, path: Path, every: int = 2) -> None:
        """Write an animation for pages that show no video: every `every`-th frame, 128 colours."""
        first, *rest = [Pillow.fromarray(f).quantize(128) for f in self.frames[::every]]
        buffer = BytesIO()
        duration_ms = 1000 * every // self.fps
        first.save(buffer, format="GIF", save_all=True, append_images=rest, duration=duration_ms, loop=0)
        write_bytes(path, buffer.getvalue())


def film(
    task: Task, policy: PolicyFactory, case: Case, *, cameras: Sequence[str] = (), scale: int = 3, title: str = ""
) -> Film:
    """Run one case and film it.

    Args:
        task: Where.
        policy: Who.
        case: What; the episode is the same as without a film.
        cameras: Shown beside each other; by default all.
        scale: Enlargement of the policy's own images.
        title: Put before the caption, e.g. "before".

    Raises:
        ConfigError: The task has no such camera.
    """
    shown = tuple(cameras) or task.cameras
    if not shown or not set(shown) <= set(task.cameras):
        raise ConfigError(f"cannot film {list(cameras)}: {task.name} has the cameras {', '.join(task.cameras)}.")
    recorder = _Recorder(shown, scale, title)
    environment = task.environment(lazy_images=True, object_state=policy.object_state)
    try:
        outcome = rollout(environment, policy.create(), case, [recorder])
    finally:
        environment.close()
    frames = recorder.frames + [recorder.frames[-1]] * round(_HOLD_S * task.fps)
    return Film(tuple(frames), outcome, task.fps)


def record_video(
    task: Task, policy: PolicyFactory, case: Case, path: Path, *, cameras: Sequence[str] = (), scale: int = 3
) -> Outcome:
    """Run one case, write its film as an mp4, and say how it ended."""
    made = film(task, policy, case, cameras=cameras, scale=scale)
    made.save(path)
    assert made.outcome is not None
    return made.outcome


def side_by_side(*films: Film) -> Film:
    """Films beside each other, in step; one that ends early holds its last frame.

    Raises:
        ConfigError: Their heights or frame rates differ.
    """
    heights, rates = {f.frames[0].shape[0] for f in films}, {f.fps for f in films}
    if len(heights) != 1 or len(rates) != 1:
        raise ConfigError(f"films side by side need one height and one rate, got {heights} px and {rates} frames/s.")
    length = max(len(f.frames) for f in films)
    rows = [[f.frames[min(i, len(f.frames) - 1)] for f in films] for i in range(length)]
    return replace(films[0], frames=tuple(np.concatenate(row, axis=1) for row in rows), outcome=None)


@dataclass
class _Recorder:
    """Observer that draws frames; it looks at the images before the action changes the world."""

    cameras: tuple[str, ...]
    scale: int
    title: str
    frames: list[Image] = field(default_factory=list[Image])

    def begin(self, case: Case) -> None:
        del case

    def step(self, step: Step) -> None:
        self._draw(step.observation, f"{step.index:4d}  {step.info['stage']}", _PLAIN)

    def end(self, observation: Observation, outcome: Outcome) -> None:
        verdict = "success" if outcome.success else f"failure: {outcome.failure_mode.replace('_', ' ')}"
        self._draw(observation, f"{outcome.length:4d}  {verdict}", _GOOD if outcome.success else _BAD)

    def _draw(self, observation: Observation, caption: str, colour: tuple[int, int, int]) -> None:
        views = np.concatenate([observation.images[camera] for camera in self.cameras], axis=1)
        height, width = (2 * round(self.scale * side / 2) for side in views.shape[:2])
        canvas = Pillow.new("RGB", (width, height + _CAPTION_PX), colour)
        canvas.paste(Pillow.fromarray(views).resize((width, height), Pillow.Resampling.BICUBIC), (0, 0))
        text = "  ".join(part for part in (self.title, caption) if part)
        font = ImageFont.load_default(size=14)
        ImageDraw.Draw(canvas).text((8, height + 3), text, fill=(255, 255, 255), font=font)
        self.frames.append(np.asarray(canvas))
