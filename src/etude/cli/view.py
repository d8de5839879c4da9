"""`etude view`: a recorded episode as a video, with what its numbers did."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from etude.cli.output import free_name, require_video_name
from etude.cli.terminal import show, show_next, watch
from etude.cli.usage import require_at_least

if TYPE_CHECKING:
    from etude.data import DatasetMeta
    from etude.evaluation import Plot


@dataclass(frozen=True, kw_only=True)
class Options:
    """Make a video of one episode of a LeRobot dataset: all cameras, beside plots of every state and action.

    Examples:
        etude view data/first --episode 0
        etude view data/first --episode 3 --out third.mp4

    Attributes:
        dataset: Folder of the dataset, Etude's or another's, or its name on the Hugging Face Hub.
        episode: Its number, from 0.
        out: The video (.mp4); by default a new file here.
    """

    dataset: Annotated[Positional[str], arg(metavar="DATASET")]
    episode: int = 0
    out: Annotated[Path | None, arg(metavar="FILE")] = None

    def __post_init__(self) -> None:
        require_at_least(0, episode=self.episode)


def run(options: Options) -> None:
    """View."""
    from etude.data import DatasetMeta, find_dataset, read_images, require_episode
    from etude.evaluation import recorded_frames, shoot

    require_video_name(options.out)
    meta, episode = DatasetMeta.open(find_dataset(options.dataset)), options.episode
    require_episode(meta, episode)
    length = meta.lengths[episode]
    video = options.out or free_name(Path(f"{meta.root.resolve().name}-episode-{episode}.mp4"))
    cameras = {camera: read_images(meta, episode, camera) for camera in meta.cameras}
    frames = recorded_frames(_title(meta, episode), _plots(meta, episode), cameras, length=length, fps=meta.fps)
    with watch()("frames", length) as update, shoot(video, meta.fps) as add:
        for done, frame in enumerate(frames, 1):
            add(frame)
            update(done, "")
    show(f"{_title(meta, episode)}: {length} frames, {length / meta.fps:.1f} s", f"video: {video}")
    following = [f"etude view {options.dataset} --episode {episode + 1}"] if episode + 1 < meta.total_episodes else []
    show_next(
        *following, f"etude train --dataset {options.dataset} --policy flow --out runs/{meta.root.resolve().name}"
    )


def _plots(meta: "DatasetMeta", episode: int) -> "list[Plot]":
    from etude.data import ACTION, STATE, read_numbers
    from etude.evaluation import plots

    features = {kind: name for kind, name in (("state", STATE), ("action", ACTION)) if name in meta.features}
    numbers = read_numbers(meta, episode, list(features.values()))
    names: Mapping[str, tuple[str, ...]] = {kind: meta.features[name].names for kind, name in features.items()}
    return plots(names, {kind: numbers[name] for kind, name in features.items()})


def _title(meta: "DatasetMeta", episode: int) -> str:
    """The dataset, the episode, and what is known of it."""
    tasks = meta.rows[episode].get("tasks") or []
    parts = [f"{meta.root.resolve().name}, episode {episode} ({meta.total_episodes} in all)", *map(str, tasks)]
    for record in (r for r in meta.episodes if r.index == episode):
        parts += [f"from {record.origin}"] if record.origin else []
        if record.case is not None:
            end = "success" if record.success else f"failure: {record.failure_mode.replace('_', ' ')}"
            parts += [f"seed {record.case.seed}", end]
    return " · ".join(parts)
