"""An attempt played again: for its images, and to see that it can be."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from etude.core import ActionChunk, Environment, EtudeError, Memory, Observation, Observer, Outcome, rollout
from etude.generation.generate import Attempt


@dataclass(frozen=True, eq=False)
class Script:
    """A policy that does what was done before, and then the last of it on and on; also its own factory.

    Attributes:
        actions: (T, A), T at least 1.
    """

    actions: ActionChunk
    object_state: bool = False

    def create(self) -> "Script":
        """Itself: it keeps nothing."""
        return self

    def begin(self, rng: np.random.Generator) -> Memory:
        """Start from the first action."""
        del rng
        return [self.actions]

    def act(self, observations: Sequence[Observation], memories: Sequence[Memory]) -> Sequence[ActionChunk]:
        """All actions at once; after that the last one."""
        del observations
        chunks = [memory[0] for memory in memories]
        for memory, chunk in zip(memories, chunks, strict=True):
            memory[0] = chunk[-1:]
        return chunks


def replay(environment: Environment, attempt: Attempt, observers: Sequence[Observer] = ()) -> Outcome:
    """Play an attempt again from its reset, for observers to see.

    Raises:
        EtudeError: It ended otherwise than before: the environment does not repeat itself.
    """
    until = _Until(environment, len(attempt.actions))
    outcome = rollout(until, Script(attempt.actions), attempt.outcome.case, observers)
    then, now = (o.to_json() | {"failure_mode": ""} for o in (attempt.outcome, outcome))
    if then != now:
        changed = ", ".join(f"{key} was {then[key]} and is {now[key]}" for key in then if then[key] != now[key])
        raise EtudeError(
            f"an attempt at seed {outcome.case.seed} ends otherwise when it is replayed ({changed}): its environment "
            "does not repeat itself, so demonstrations made in it cannot be trusted."
        )
    return outcome


class _Until:
    """An environment whose episodes end after so many steps, if they do not before."""

    def __init__(self, environment: Environment, steps: int) -> None:
        self._environment, self._left, self.task_text = environment, steps, environment.task_text

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> Any:
        return self._environment.reset(seed=seed, options=options)

    def step(self, action: Any) -> Any:
        self._left -= 1
        observation, reward, terminated, truncated, info = self._environment.step(action)
        return observation, reward, terminated, truncated or self._left == 0, info

    def close(self) -> None:
        self._environment.close()
