"""How far a stack has come: sub-task signals, progress in [0, 1], and the way it failed.

Cubes are numbered bottom to top. Sub-task k (from 1) puts cube k on cube k − 1: `grasp_k`, then `stack_k`.
"""

from collections.abc import Mapping, Sequence
from math import dist, hypot, tanh
from typing import Literal, get_args

from etude.sim.worlds.franka.cubes import HELD_WITHIN_M, RELEASED_M, Point, Scene

type FailureMode = Literal["no_reach", "missed_grasp", "dropped", "misplaced", "knocked_over", "timeout"]
FAILURE_MODES: tuple[str, ...] = get_args(FailureMode.__value__)
"""Never came near the next cube; came near and lifted nothing; lost it on the way; put it down next to its goal;
undid a finished level or tipped a cube; still busy when time was up."""

HELD_STEPS = 4
"""Control steps that the finished stack has to stand, released, to be a success (0.2 s)."""

_HEIGHT_TOLERANCE_M = 0.005  # as Isaac Lab's cubes_stacked
_OFFSET_SHARE = 0.5  # of the edge: beyond it a cube cannot stand (Isaac Lab asks for 0.04 m)
_NEAR_M = 0.03
_LENGTH_SCALE_M = 0.1  # of distances in the progress
_TIPPED = 0.7  # |cos| of the steepest face normal; a cube on its face has 1, one on its edge 0.71


def subtask_names(cubes: int) -> tuple[str, ...]:
    """Names of the sub-tasks in order, e.g. ("grasp_1", "stack_1")."""
    return tuple(f"{verb}_{k}" for k in range(1, cubes) for verb in ("grasp", "stack"))


class StackMonitor:
    """Follows one episode step by step."""

    def __init__(self, cubes: int, edge: float) -> None:
        """Start an episode.

        Args:
            cubes: How many.
            edge: Of every cube, [m].
        """
        self._levels = range(1, cubes)
        self._edge = edge
        self._reached = dict.fromkeys(subtask_names(cubes), False)
        self._progress = 0.0
        self._stood = 0
        self._near = set[int]()
        self._level = 1
        self._holding = self._tipped = self._undone = False
        self._offset = float("inf")

    @property
    def subtasks(self) -> Mapping[str, bool]:
        """Sub-task -> whether it was ever reached (a copy)."""
        return dict(self._reached)

    @property
    def stage(self) -> str:
        """The last sub-task, in order, that was ever reached; "" before the first."""
        return next((name for name in reversed(self._reached) if self._reached[name]), "")

    @property
    def success(self) -> bool:
        """Whether the stack has stood released for HELD_STEPS."""
        return self._stood >= HELD_STEPS

    @property
    def progress(self) -> float:
        """The furthest the episode has come, in [0, 1]; 1 exactly with success."""
        return 1.0 if self.success else min(self._progress, 0.99)

    @property
    def failure_mode(self) -> str:
        """How it fails if the episode ends now; "" with success."""
        if self.success:
            return ""
        k = self._level
        if self._undone or self._tipped:
            return "knocked_over"
        if self._holding:
            return "timeout"
        if self._reached[f"grasp_{k}"]:
            if self._reached[f"stack_{k}"] or self._offset < self._edge * _OFFSET_SHARE:
                return "timeout"  # in place, not yet standing free
            return "misplaced" if self._offset < 2 * self._edge else "dropped"
        return "missed_grasp" if k in self._near else "no_reach"

    def judge(self, scene: Scene) -> None:
        """Judge the next moment."""
        stacked = [self.is_stacked(scene, k) for k in self._levels]
        self._level = next((k for k, done in zip(self._levels, stacked, strict=True) if not done), self._levels[-1])
        self._holding = scene.is_held(self._level, self._edge)
        self._note(scene, stacked)
        self._stood = self._stood + 1 if all(stacked) else 0
        self._progress = max(self._progress, self._progress_of(scene, stacked))

    def is_stacked(self, scene: Scene, k: int) -> bool:
        """Whether cube k stands on cube k − 1 and the fingers do not hold it."""
        upper, lower = scene.cubes[k], scene.cubes[k - 1]
        if abs(upper[2] - lower[2] - self._edge) > _HEIGHT_TOLERANCE_M:
            return False
        if hypot(upper[0] - lower[0], upper[1] - lower[1]) > self._edge * _OFFSET_SHARE:
            return False
        released = scene.opening > self._edge + RELEASED_M
        return released or dist(upper, scene.gripper) > 2 * HELD_WITHIN_M

    def _note(self, scene: Scene, stacked: Sequence[bool]) -> None:
        k, cube = self._level, scene.cubes[self._level]
        if self._holding:
            self._reached[f"grasp_{k}"] = True
        if dist(cube, scene.gripper) < _NEAR_M:
            self._near.add(k)
        self._offset = dist(cube, _above(scene.cubes[k - 1], self._edge))
        self._tipped = min(scene.uprightness) < _TIPPED or min(c[2] for c in scene.cubes) < 0.0
        self._undone = any(
            self._reached[f"stack_{k}"] and not now for k, now in zip(self._levels, stacked, strict=True)
        )
        # A level counts only with its grasp and with all levels below it, so that sub-tasks come in order.
        for k, now in zip(self._levels, stacked, strict=True):
            if not (now and self._reached[f"grasp_{k}"]):
                break
            self._reached[f"stack_{k}"] = True

    def _progress_of(self, scene: Scene, stacked: Sequence[bool]) -> float:
        done = stacked.index(False) if False in stacked else len(stacked)
        share = 0.0 if done == len(stacked) else self._share_of_level(scene, done + 1)
        return (done + share) / len(stacked)

    def _share_of_level(self, scene: Scene, k: int) -> float:
        """Up to 0.3 for approaching the cube, 0.4 when it is lifted, up to 0.9 for carrying it to its place."""
        cube = scene.cubes[k]
        if not self._holding and not self._reached[f"grasp_{k}"]:
            return 0.3 * (1 - tanh(dist(cube, scene.gripper) / _LENGTH_SCALE_M))
        if not self._holding:
            return 0.4
        return 0.4 + 0.5 * (1 - tanh(dist(cube, _above(scene.cubes[k - 1], self._edge)) / _LENGTH_SCALE_M))


def _above(point: Point, height: float) -> tuple[float, float, float]:
    return point[0], point[1], point[2] + height
