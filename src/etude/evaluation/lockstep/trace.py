"""What happened in an episode, moment by moment: kept by a wrapper around its environment."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32, Float64
from numpy.typing import NDArray

from etude.core import Environment
from etude.core.se3 import Pose, Poses


@dataclass(frozen=True, kw_only=True)
class Trace:
    """One episode of L actions: moment t is just before action t, and moment L after the last, so T = L + 1.

    Attributes:
        states: Proprioception, (T, S).
        actions: Executed, (L, A).
        poses: Gripper or object -> X_world_thing, (T, 4, 4), grippers first; none where none are told.
        progress: Staged progress so far, (T,).
        stages: The last sub-task reached, "" before the first; T of them.
        reached: Sub-task -> the first moment at which it was reached, None if never.
    """

    states: Float32[NDArray[np.float32], "T S"]
    actions: Float32[NDArray[np.float32], "L A"]
    poses: Mapping[str, Poses]
    progress: Float64[NDArray[np.float64], " T"]
    stages: tuple[str, ...]
    reached: Mapping[str, int | None]


class Tracing:
    """An environment that remembers its last episode.

    Args:
        environment: What it wraps; closing it is left to its owner.
        length: Ends an episode after this many actions if the environment has not; None leaves that to it.
    """

    def __init__(self, environment: Environment, *, length: int | None = None) -> None:
        self._environment, self._length = environment, length
        self.task_text = environment.task_text
        self.action_space = getattr(environment, "action_space", None)  # by which a rollout judges a policy's actions

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Mapping[str, Any], dict[str, Any]]:
        """Start an episode and forget the last."""
        raw, info = self._environment.reset(seed=seed, options=options)
        self._states, self._infos, self._actions = [np.array(raw["agent_pos"], np.float32)], [info], list[Any]()
        return raw, info

    def step(self, action: Any) -> tuple[Mapping[str, Any], float, bool, bool, dict[str, Any]]:
        """Advance one control period."""
        raw, reward, terminated, truncated, info = self._environment.step(action)
        self._states.append(np.array(raw["agent_pos"], np.float32))
        self._infos.append(info)
        self._actions.append(np.array(action, np.float32))
        truncated = truncated or (len(self._actions) == self._length and not terminated)
        return raw, reward, terminated, truncated, info

    def close(self) -> None:
        """Close the environment."""
        self._environment.close()

    @property
    def trace(self) -> Trace:
        """The last episode."""
        things = poses_of(self._infos[0])
        return Trace(
            states=np.stack(self._states),
            actions=np.stack(self._actions) if self._actions else np.zeros((0, 0), np.float32),
            poses={thing: np.stack([poses_of(info)[thing] for info in self._infos]) for thing in things},
            progress=np.array([1.0 if info["is_success"] else float(info["progress"]) for info in self._infos]),
            stages=tuple(str(info["stage"]) for info in self._infos),
            reached={name: self._first(name) for name in self._infos[0]["subtasks"]},
        )

    def _first(self, subtask: str) -> int | None:
        return next((t for t, info in enumerate(self._infos) if info["subtasks"][subtask]), None)


def poses_of(info: Mapping[str, Any]) -> dict[str, Pose]:
    """Gripper or object -> X_world_thing at the moment of an info; grippers first."""
    told: dict[str, Any] = {**info.get("gripper_poses", {}), **info.get("object_poses", {})}
    poses = {thing: np.asarray(pose, np.float64) for thing, pose in told.items()}
    return {thing: pose for thing, pose in poses.items() if pose.shape == (4, 4)}
