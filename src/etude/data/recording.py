"""An observer that keeps an episode in memory: what was seen, what was done, and what became of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, UInt8
from numpy.typing import NDArray

from etude.core import Case, EtudeError, Image, Observation, Outcome, ShapeError, Step, Vector


@dataclass(frozen=True, kw_only=True)
class RecordedEpisode:
    """One episode frame by frame: every observation with the action that answered it.

    Attributes:
        images: Camera name -> (T, H, W, 3) uint8.
        state: Proprioception, (T, S) float32.
        action: Executed actions, (T, A) float32.
        subtasks: Sub-task -> whether it was done at each frame, (T,).
        task: The task in words.
        outcome: What became of it, with its (θ, seed); None where that is not known.
        extras: Further numeric columns by LeRobot's names, (T, …).
        frame_tasks: The task at each frame where it changes on the way, T texts; empty where it is `task` throughout.
        generator: Who made it, e.g. "expert".
        source_episode: Index of the demonstration it was made from, or -1.
        origin: Where it was read from, e.g. "demo.hdf5:demo_3" or "data/first:5"; "" where it was made here.
    """

    images: Mapping[str, UInt8[NDArray[np.uint8], "T H W 3"]]
    state: Float32[NDArray[np.float32], "T S"]
    action: Float32[NDArray[np.float32], "T A"]
    task: str
    outcome: Outcome | None = None
    subtasks: Mapping[str, Bool[NDArray[np.bool_], " T"]] = field(default_factory=dict[str, NDArray[np.bool_]])
    extras: Mapping[str, NDArray[Any]] = field(default_factory=dict[str, NDArray[Any]])
    frame_tasks: tuple[str, ...] = ()
    generator: str = "expert"
    source_episode: int = -1
    origin: str = ""

    def __post_init__(self) -> None:
        frames = len(self.state)
        if frames == 0:
            raise ShapeError("recorded episode", "at least one frame", "none")
        for name, array in (("state", self.state), ("action", self.action)):
            if array.ndim != 2 or len(array) != frames:
                raise ShapeError(name, f"({frames}, n)", array.shape)
            if not np.isfinite(array).all():
                raise ShapeError(name, "finite numbers", f"others at frame {np.argwhere(~np.isfinite(array))[0, 0]}")
        for name, rows in {**self.subtasks, **self.extras, "frame_tasks": self.frame_tasks or self.state}.items():
            if len(rows) != frames:
                raise ShapeError(name, f"{frames} frames, as the state has", len(rows))
        for camera, images in self.images.items():
            if images.ndim != 4 or images.dtype != np.uint8 or images.shape[::3] != (frames, 3):
                raise ShapeError(
                    f"images of '{camera}'", f"({frames}, H, W, 3) uint8", f"{images.shape} {images.dtype}"
                )

    @property
    def length(self) -> int:
        """Number of frames."""
        return len(self.state)


class EpisodeRecorder:
    """Records the episode it observes.

    Args:
        cameras: Cameras to keep; others are never drawn.
        generator: Who makes the episode, for the dataset's sidecar.
        source_episode: Index of the demonstration it is made from, or -1.
    """

    def __init__(self, cameras: Sequence[str] = (), *, generator: str = "expert", source_episode: int = -1) -> None:
        self.cameras, self.generator, self.source_episode = tuple(cameras), generator, source_episode
        self._episode: RecordedEpisode | None = None
        self._clear()

    @property
    def episode(self) -> RecordedEpisode:
        """The last episode that ended.

        Raises:
            EtudeError: None has ended yet.
        """
        if self._episode is None:
            raise EtudeError("the recorder has not seen an episode end yet.")
        return self._episode

    def begin(self, case: Case) -> None:
        """Forget the episode before."""
        self._clear()

    def step(self, step: Step) -> None:
        """Keep one observation and its action."""
        seen = step.observation
        for camera in self.cameras:
            self._images[camera].append(np.array(seen.images[camera]))
        self._states.append(np.array(seen.state, np.float32))
        self._actions.append(np.array(step.action, np.float32))
        self._subtasks.append({name: bool(done) for name, done in step.info.get("subtasks", {}).items()})
        self._task = seen.task

    def end(self, observation: Observation, outcome: Outcome) -> None:
        """Put the episode together."""
        if not self._states:
            raise ShapeError("recorded episode", "at least one frame", "none")
        names = self._subtasks[0]
        self._episode = RecordedEpisode(
            images={camera: np.stack(frames) for camera, frames in self._images.items()},
            state=np.stack(self._states),
            action=np.stack(self._actions),
            subtasks={name: np.array([signals[name] for signals in self._subtasks]) for name in names},
            task=self._task,
            outcome=outcome,
            generator=self.generator,
            source_episode=self.source_episode,
        )
        self._clear()

    def _clear(self) -> None:
        self._images: dict[str, list[Image]] = {camera: [] for camera in self.cameras}
        self._states: list[Vector] = []
        self._actions: list[Vector] = []
        self._subtasks: list[dict[str, bool]] = []
        self._task = ""
