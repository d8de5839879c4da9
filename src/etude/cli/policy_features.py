"""`etude policy features`: what a policy's network looks at, drawn over the frames of an episode."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
from tyro.conf import Positional, arg

from etude.cli.output import require_free, whole_folder
from etude.cli.terminal import show, show_json, show_next, watch
from etude.cli.usage import require_at_least
from etude.core import Image, MismatchError, stream

if TYPE_CHECKING:
    from PIL import Image as Pillow

    from etude.data import DatasetMeta
    from etude.policies.attention.looking import CameraLook
    from etude.policies.model import ChunkModel

_BATCH, _FILMED = 8, 200


@dataclass(frozen=True, kw_only=True)
class Options:
    """Draw what a policy looks at: one sheet of pictures per camera, frames from left to right.

    For every policy: the images as its network sees them, and the pixels that move its actions most. Where its parts
    are known (flow, ACT, Diffusion Policy, VINN) also its features as colours, its strongest channels, and what its
    gates, keypoints or attention single out. Each row is scaled to its own maximum over all frames.

    Examples:
        etude policy features runs/first data/first --out pictures/first
        etude policy features runs/first data/first --episode 3 --frames 10 --video --out pictures/third

    Attributes:
        checkpoint: A checkpoint folder, Etude's or LeRobot's, or a training's output.
        dataset: The dataset whose frames it is shown: a folder, or OWNER/NAME on the Hub.
        out: Folder for CAMERA.png, and looks.mp4 with --video.
        episode: Which episode, from 0.
        frames: How many frames of it, evenly spread.
        video: Make a film of it, too: at most 200 frames, all cameras.
        tile: Size of each picture [px].
        seed: Fixes the noise that the policy's chunks start from.
        json: Print one line of JSON, and nothing else.
    """

    checkpoint: Annotated[Positional[Path], arg(metavar="CHECKPOINT")]
    dataset: Annotated[Positional[str], arg(metavar="DATASET")]
    out: Path
    episode: int = 0
    frames: int = 6
    video: bool = False
    tile: int = 144
    seed: int = 0
    json: bool = False

    def __post_init__(self) -> None:
        require_at_least(1, frames=self.frames)
        require_at_least(32, tile=self.tile)
        require_at_least(0, episode=self.episode, seed=self.seed)


def run(options: Options) -> None:
    """Draw."""
    from etude.data import DatasetMeta, require_episode
    from etude.data.finding import find_dataset
    from etude.loop.wiring import find_checkpoint
    from etude.policies.attention.looking import shares
    from etude.policies.checkpoint import load_model

    require_free(options.out, resumable=False)
    checkpoint = find_checkpoint(options.checkpoint)
    meta = DatasetMeta.open(find_dataset(options.dataset))
    require_episode(meta, options.episode)
    model = load_model(checkpoint)
    if not model.features.cameras:
        raise MismatchError(f"policy '{checkpoint}' looks through no camera: there is nothing to draw.")
    length = meta.lengths[options.episode]
    chosen = _spread(length, options.frames)
    looks = _looks(options, meta, model, chosen)
    weights = shares(looks)
    with whole_folder(options.out) as folder:
        for camera, look in looks.items():
            title = f"{_name(options)} through camera '{camera}': {weights[camera]:.0%} of what moves its {look.moved}"
            _sheet(options, meta, title, look, chosen).save(folder / f"{camera}.png")
        if options.video:
            filmed = _spread(length, _FILMED)
            _film(options, meta, _looks(options, meta, model, filmed), filmed, folder / "looks.mp4")
    _tell(options, looks, weights)


def _spread(length: int, count: int) -> list[int]:
    """Frames spread evenly over an episode, the first and the last among them."""
    return sorted({round(float(frame)) for frame in np.linspace(0, length - 1, min(count, length))})


def _looks(
    options: Options, meta: "DatasetMeta", model: "ChunkModel", chosen: Sequence[int]
) -> "dict[str, CameraLook]":
    """What the policy looks at in some frames of the episode."""
    from etude.policies.attention.frames import frames_of
    from etude.policies.attention.looking import action_offsets, join, look_through

    rng, parts = stream(options.seed, "looks"), list["dict[str, CameraLook]"]()
    batch = frames_of(meta, options.episode, chosen, model.features, action_offsets(model))
    with watch()("looking", len(chosen)) as update:
        for start in range(0, len(chosen), _BATCH):
            window = slice(start, start + _BATCH)
            parts.append(look_through(model, {name: values[window] for name, values in batch.items()}, rng))
            update(min(start + _BATCH, len(chosen)), "")
    return join(parts)


def _sheet(
    options: Options, meta: "DatasetMeta", title: str, look: "CameraLook", chosen: Sequence[int]
) -> "Pillow.Image":
    from etude.evaluation.canvas import Sheet, Tile
    from etude.evaluation.looks import rows_of

    rows = rows_of(look, options.tile)
    sheet = Sheet(
        title=title,
        note=f"{meta.root.resolve().name}, episode {options.episode} · bright is much · one scale per row",
        columns=[_time(meta, frame) for frame in chosen],
        rows=list(rows),
        tiles=[[Tile(picture) for picture in row] for row in rows.values()],
    )
    return sheet.draw(options.tile)


def _film(
    options: Options, meta: "DatasetMeta", looks: "Mapping[str, CameraLook]", filmed: Sequence[int], path: Path
) -> None:
    """One sheet per frame: a row per camera, a column per kind of picture."""
    from etude.evaluation import shoot
    from etude.evaluation.canvas import Sheet, Tile
    from etude.evaluation.looks import rows_of

    pictures = {camera: rows_of(look, options.tile) for camera, look in looks.items()}
    columns = list(next(iter(pictures.values())))
    fps = max(1, round(meta.fps * len(filmed) / meta.lengths[options.episode]))
    with shoot(path, fps) as add:
        for index, frame in enumerate(filmed):
            sheet = Sheet(
                title=f"{_name(options)}: what it looks at",
                note=f"{meta.root.resolve().name}, episode {options.episode}, {_time(meta, frame)}",
                columns=columns,
                rows=list(pictures),
                tiles=[[Tile(rows[column][index]) for column in columns] for rows in pictures.values()],
            )
            add(_even(np.asarray(sheet.draw(options.tile))))


def _even(image: Image) -> Image:
    """Without the last row and column where there is an odd one, which H.264 cannot have."""
    height, width = image.shape[:2]
    return np.ascontiguousarray(image[: height // 2 * 2, : width // 2 * 2])


def _name(options: Options) -> str:
    folder = options.checkpoint.resolve()
    return folder.parent.name if folder.name == "checkpoint" else folder.name


def _time(meta: "DatasetMeta", frame: int) -> str:
    return f"{frame / meta.fps:.2f} s"


def _tell(options: Options, looks: "Mapping[str, CameraLook]", weights: Mapping[str, float]) -> None:
    pictures = {camera: str(options.out / f"{camera}.png") for camera in looks}
    video = str(options.out / "looks.mp4") if options.video else None
    if options.json:
        show_json({"pictures": pictures, "shares": dict(weights), "video": video})
        return
    moved = next(iter(looks.values())).moved
    show(*(f"{pictures[camera]}: {weights[camera]:.0%} of what moves its {moved}" for camera in looks))
    show(*([video] if video else []))
    following = f"--episode {options.episode + 1} --out {options.out}-{options.episode + 1}"
    show_next(f"etude policy features {options.checkpoint} {options.dataset} {following}")
