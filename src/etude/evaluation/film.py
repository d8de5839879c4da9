"""Films of episodes: what the policy saw, with a caption."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from math import ceil
from pathlib import Path

import numpy as np
from PIL import Image as Pillow
from PIL import ImageDraw

from etude.core import Case, ConfigError, Image, Observation, Outcome, PolicyFactory, Step, Task, rollout
from etude.core.files import write_bytes
from etude.evaluation.canvas import Colour, fitted, write
from etude.evaluation.video import shoot

TILE_PX = 288
_CAPTION_PX, _BAR_PX, _GAP_PX = 24, 3, 4
_HOLD_S = 1.0
_GOOD, _BAD, _PLAIN, _DONE, _WHITE = (46, 125, 50), (178, 34, 34), (40, 44, 52), (86, 180, 233), (255, 255, 255)


@dataclass(frozen=True)
class Film:
    """Frames of equal size, (H, W, 3) uint8 with H and W even, and how the episode ended."""

    frames: tuple[Image, ...]
    outcome: Outcome | None = None
    fps: int = 20

    def save(self, path: Path) -> None:
        """Write an mp4 (H.264, yuv420p, index first), whole or not at all."""
        with shoot(path, self.fps) as add:
            for frame in self.frames:
                add(frame)

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
    task: Task,
    policy: PolicyFactory,
    case: Case,
    *,
    cameras: Sequence[str] = (),
    tile_px: int = TILE_PX,
    title: str = "",
) -> Film:
    """Run one case and film it.

    Args:
        task: Where.
        policy: Who.
        case: What; the episode is the same as without a film.
        cameras: Shown beside each other; by default all.
        tile_px: Height of each camera's picture.
        title: Put before the caption, e.g. "before".

    Raises:
        ConfigError: The task has no such camera.
    """
    frames: list[Image] = []
    filming = Filming(task, frames.append, cameras=cameras, tile_px=tile_px, title=title)
    outcome = _run(task, policy, case, filming)
    return Film(tuple(frames), outcome, task.fps)


def record_video(
    task: Task, policy: PolicyFactory, case: Case, path: Path, *, cameras: Sequence[str] = (), tile_px: int = TILE_PX
) -> Outcome:
    """Run one case, write its film as an mp4, and say how it ended."""
    with shoot(path, task.fps) as add:
        return _run(task, policy, case, Filming(task, add, cameras=cameras, tile_px=tile_px))


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


class Filming:
    """Observer that draws every moment of an episode and holds the last one for a second.

    It looks at the images before the action changes the world.
    """

    def __init__(
        self,
        task: Task,
        add: Callable[[Image], None],
        *,
        cameras: Sequence[str] = (),
        tile_px: int = TILE_PX,
        title: str = "",
    ) -> None:
        """Film a task's episodes.

        Args:
            task: Where they happen.
            add: Takes the frames, all of one size with even sides.
            cameras: Shown beside each other, four of them two by two; by default all.
            tile_px: Height of each camera's picture.
            title: Put before the caption.

        Raises:
            ConfigError: The task has no such camera.
        """
        self.title, self._add, self._tile_px, self._hold = title, add, tile_px, round(_HOLD_S * task.fps)
        self._seed, self._cameras = 0, tuple(cameras) or task.cameras
        if not self._cameras or not set(self._cameras) <= set(task.cameras):
            has = f"has the cameras {', '.join(task.cameras)}" if task.cameras else "has no cameras"
            raise ConfigError(f"cannot film {list(cameras) or 'it'}: {task.name} {has}.")

    def begin(self, case: Case) -> None:
        """Nothing is drawn before the first step."""
        self._seed = case.seed

    def step(self, step: Step) -> None:
        """Draw the moment before an action."""
        stage = str(step.info["stage"]).replace("_", " ")
        self._draw(step.observation, f"step {step.index}", stage, float(step.info["progress"]), _PLAIN)

    def end(self, observation: Observation, outcome: Outcome) -> None:
        """Draw how it ended."""
        verdict = "success" if outcome.success else f"failure: {outcome.failure_mode.replace('_', ' ')}"
        colour = _GOOD if outcome.success else _BAD
        for _ in range(1 + self._hold):
            self._draw(observation, f"step {outcome.length}", verdict, outcome.progress, colour)

    def _draw(self, observation: Observation, moment: str, state: str, progress: float, colour: Colour) -> None:
        """A frame: the cameras, and below them the caption over a bar as long as the progress."""
        views = {camera: observation.images[camera] for camera in self._cameras}
        columns = len(views) if len(views) <= 3 else ceil(len(views) ** 0.5)
        width = max(round(self._tile_px * view.shape[1] / view.shape[0]) for view in views.values())
        step_x, step_y = width + _GAP_PX, self._tile_px + _GAP_PX
        size = (_even(step_x * columns - _GAP_PX), _even(step_y * ceil(len(views) / columns) - _GAP_PX))
        canvas = Pillow.new("RGB", (size[0], size[1] + _CAPTION_PX), colour)
        for i, (camera, view) in enumerate(views.items()):
            row, column = divmod(i, columns)
            corner = (step_x * column, step_y * row)
            canvas.paste(fitted(view, width, self._tile_px), corner)
            if len(views) > 1:
                write(canvas, (corner[0] + 7, corner[1] + 4), camera, colour=_WHITE, halo=_PLAIN)
        text = " · ".join(part for part in (self.title, f"seed {self._seed}", moment, state) if part)
        write(canvas, (8, size[1] + 3), text, size_px=14, colour=_WHITE, width_px=size[0] - 64)
        write(canvas, (size[0] - 8, size[1] + 3), f"{progress:.0%}", size_px=14, colour=_WHITE, anchor="ra")
        bar = (0, size[1] + _CAPTION_PX - _BAR_PX, round(progress * size[0]), size[1] + _CAPTION_PX)
        ImageDraw.Draw(canvas).rectangle(bar, fill=_DONE)
        self._add(np.asarray(canvas))


def _run(task: Task, policy: PolicyFactory, case: Case, filming: Filming) -> Outcome:
    environment = task.environment(lazy_images=True, object_state=policy.object_state)
    try:
        return rollout(environment, policy.create(), case, [filming])
    finally:
        environment.close()


def _even(side: int) -> int:
    return side + side % 2
