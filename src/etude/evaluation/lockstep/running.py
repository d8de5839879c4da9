"""Two worlds from one state: a demonstration goes on in one, a policy in the other."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float32
from numpy.typing import NDArray

from etude.core import (
    ActionChunk,
    Case,
    Memory,
    MismatchError,
    Observation,
    Observer,
    Outcome,
    Policy,
    PolicyFactory,
    Step,
    Task,
    begin_episode,
    rollout,
    stream,
)
from etude.evaluation.lockstep.demonstration import Demonstration, Recorded, Replay
from etude.evaluation.lockstep.divergence import Series
from etude.evaluation.lockstep.trace import Trace, Tracing

type WatchBoth = tuple[Observer | None, Callable[[Trace], Observer] | None]
"""Who watches the demonstration's world, and, made when that is over, who watches the policy's."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """Both episodes.

    Attributes:
        demonstration: What the demonstration did.
        demonstration_outcome: What became of it.
        replay: How that compares with what was recorded.
        policy: What the policy did; up to the step at which it took over, the same.
        policy_outcome: What became of it.
        forced: Mean absolute difference at each step between the demonstration's action and what the policy would
            have done in the demonstration's place, (L,); not a number before it takes over.
    """

    demonstration: Trace
    demonstration_outcome: Outcome
    replay: Replay
    policy: Trace
    policy_outcome: Outcome
    forced: Series


def run_both(
    task: Task,
    demonstration: Demonstration,
    policy: PolicyFactory,
    *,
    start_step: int = 0,
    watch: WatchBoth = (None, None),
) -> Pair:
    """Run a demonstration, and a policy from one of its states.

    Args:
        task: Where; its images are those that the policy looks at.
        demonstration: What was recorded.
        policy: Who takes over.
        start_step: At which step; what came before is the demonstration's.
        watch: Who else looks at them.

    Raises:
        ConfigError: The demonstration has no such step.
        MismatchError: The demonstration cannot be replayed, or the world is not deterministic.
    """
    demonstration.require_start(start_step)
    actor = policy.create()
    forced = _Forced(actor, start_step)
    environment = task.environment(lazy_images=True, object_state=policy.object_state)
    try:
        world = Tracing(environment, length=len(demonstration.actions))
        first = [forced, *([watch[0]] if watch[0] else [])]
        done = rollout(world, Recorded(demonstration.actions), demonstration.case, first)
        kept = world.trace
        replay = Replay.check(demonstration, kept, success=done.success)
        world = Tracing(environment)
        taking_over = _TakingOver(actor, demonstration.case, demonstration.actions[:start_step])
        outcome = rollout(world, taking_over, demonstration.case, [watch[1](kept)] if watch[1] else [])
    finally:
        environment.close()
    _require_equal(kept, world.trace, start_step, task)
    return Pair(
        demonstration=kept,
        demonstration_outcome=done,
        replay=replay,
        policy=world.trace,
        policy_outcome=outcome,
        forced=forced.errors,
    )


class _Forced:
    """Observer of the demonstration that asks the policy what it would have done, chunk by chunk.

    As in a rollout, a chunk's actions are all compared before the policy looks again.
    """

    def __init__(self, policy: Policy, start_step: int) -> None:
        self._policy, self._start = policy, start_step
        self._errors: list[float] = []

    def begin(self, case: Case) -> None:
        """Start the policy's memory of the episode."""
        self._memory, self._left, self._errors = begun(self._policy, case), list[Any](), []

    def step(self, step: Step) -> None:
        """Compare one action."""
        if step.index < self._start:
            self._errors.append(np.nan)
            return
        if not self._left:
            chunk = np.asarray(self._policy.act([step.observation], [self._memory])[0], np.float64)
            fits = chunk.ndim == 2 and len(chunk) > 0 and chunk.shape[1:] == step.action.shape
            self._left = list(chunk) if fits else [np.full(step.action.shape, np.nan)]
        self._errors.append(float(np.abs(self._left.pop(0) - step.action).mean()))

    def end(self, observation: Observation, outcome: Outcome) -> None:
        """Nothing is left to do."""

    @property
    def errors(self) -> Series:
        """One number per action."""
        return np.array(self._errors)


@dataclass
class _Memory:
    inner: Memory
    begun: bool = False


class _TakingOver:
    """A policy that is preceded by recorded actions, as one chunk."""

    def __init__(self, policy: Policy, case: Case, before: Float32[NDArray[np.float32], "T A"]) -> None:
        self._policy, self._case, self._before = policy, case, before

    def begin(self, rng: np.random.Generator) -> _Memory:
        """Start an episode; the policy's stream is the one it has in every rollout of the case."""
        del rng
        return _Memory(begun(self._policy, self._case), begun=len(self._before) == 0)

    def act(self, observations: Sequence[Observation], memories: Sequence[_Memory]) -> Sequence[ActionChunk]:
        """The recorded actions first, then the policy's chunks."""
        return [self._chunk(o, m) for o, m in zip(observations, memories, strict=True)]

    def _chunk(self, observation: Observation, memory: _Memory) -> ActionChunk:
        if memory.begun:
            return self._policy.act([observation], [memory.inner])[0]
        memory.begun = True
        return self._before


def begun(policy: Policy, case: Case) -> Memory:
    """A policy's memory of an episode that starts, as a rollout would start it."""
    return begin_episode(policy, case, stream(case.seed, "policy"))


def _require_equal(a: Trace, b: Trace, start_step: int, task: Task) -> None:
    """Raise unless both worlds were the same up to a step."""
    upto = slice(0, start_step + 1)
    pairs: Mapping[str, tuple[Any, Any]] = {thing: (a.poses[thing], b.poses[thing]) for thing in a.poses}
    for thing, (one, other) in {"state": (a.states, b.states), **pairs}.items():
        if not np.array_equal(one[upto], other[upto]):
            raise MismatchError(
                f"two worlds of '{task.name}' from the same factors, seed and actions differ ({thing}) before step "
                f"{start_step}: lockstep needs an environment that its seed fixes."
            )
