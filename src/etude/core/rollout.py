"""The one loop between environments and a policy, for one environment and for many.

An episode is a generator that yields an observation and receives an action chunk; the driver advances many of them
around one batched policy call. A chunk that cannot be executed ends its episode, and no other, as failed. Whoever wants
to see more than the outcome is an observer.
"""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from etude.core.episode import INVALID_ACTION, ActionChunk, Case, Observation, Outcome, Step
from etude.core.errors import ShapeError
from etude.core.protocols import Environment, KnowsCase, Memory, Observer, Policy
from etude.core.seeding import stream

type Watch = Callable[[int, Case], Sequence[Observer]]
"""(index of the case, case) -> observers of its episode."""

type _Episode = Generator[Observation, ActionChunk, Outcome]


def rollout(environment: Environment, policy: Policy, case: Case, observers: Sequence[Observer] = ()) -> Outcome:
    """Run one episode from reset to end."""
    ((_, outcome),) = rollout_many([environment], policy, [case], lambda _index, _case: observers)
    return outcome


def rollout_many(
    environments: Sequence[Environment], policy: Policy, cases: Iterable[Case], watch: Watch | None = None
) -> Iterator[tuple[int, Outcome]]:
    """Run one episode per case, as many at a time as there are environments, around one batched policy.

    Args:
        environments: Each runs one episode at a time; as soon as one is free it starts the next case.
        policy: Called with the observations of all running episodes.
        cases: What to run.
        watch: Makes the observers of each episode.

    Raises:
        ShapeError: The policy does not give one chunk per observation.

    Yields:
        (index of the case, outcome), as episodes end: for a given number of environments always in the same order.
    """
    waiting = enumerate(cases)
    running: list[_Running] = []
    free = list(environments)
    while True:
        while free and (item := next(waiting, None)) is not None:
            index, case = item
            running.append(_Running(free.pop(0), policy, index, case, watch(index, case) if watch else ()))
        if not running:
            return
        for episode, chunk in zip(list(running), _ask(policy, running), strict=True):
            outcome = episode.advance(chunk)
            if outcome is not None:
                running.remove(episode)
                free.append(episode.environment)
                yield episode.index, outcome


def begin_episode(policy: Policy, case: Case, rng: np.random.Generator) -> Memory:
    """A policy's memory of an episode that starts; it is told the case only if it has to know it."""
    return policy.begin_at(case, rng) if isinstance(policy, KnowsCase) else policy.begin(rng)


class _Running:
    """An episode under way: its generator, the observation that waits for an action, and the policy's memory of it."""

    def __init__(
        self, environment: Environment, policy: Policy, index: int, case: Case, observers: Sequence[Observer]
    ) -> None:
        self.environment, self.index = environment, index
        self._episode = _episode(environment, case, observers)
        self.observation = next(self._episode)
        self.memory: Memory = begin_episode(policy, case, stream(case.seed, "policy"))

    def advance(self, chunk: ActionChunk) -> Outcome | None:
        """Execute a chunk; the outcome when that ended the episode."""
        try:
            self.observation = self._episode.send(chunk)
        except StopIteration as stop:
            return stop.value
        return None


def _ask(policy: Policy, running: Sequence["_Running"]) -> Sequence[ActionChunk]:
    """One chunk for every episode under way; whose is whose could not be told if there were more or fewer."""
    chunks = policy.act([r.observation for r in running], [r.memory for r in running])
    if len(chunks) != len(running):
        expected = f"one for each of {len(running)} observations"
        raise ShapeError(f"action chunks of {type(policy).__name__}", expected, len(chunks))
    return chunks


def _episode(environment: Environment, case: Case, observers: Sequence[Observer]) -> _Episode:
    raw, info = environment.reset(seed=case.seed, options={"perturbation": case.theta})
    observation = to_observation(raw, environment.task_text)
    for observer in observers:
        observer.begin(case)
    length, total_reward, done, valid = 0, 0.0, False, True
    while not done:
        chunk = yield observation
        if not (valid := _is_valid(chunk, environment)):
            break
        for action in chunk:
            step = Step(index=length, observation=observation, action=action, info=info)
            for observer in observers:
                observer.step(step)
            raw, reward, terminated, truncated, info = environment.step(action)
            observation = to_observation(raw, environment.task_text)
            length, total_reward, done = length + 1, total_reward + float(reward), terminated or truncated
            if done:
                break
    outcome = to_outcome(case, info, length, total_reward)
    if not valid:
        outcome = replace(outcome, success=False, progress=min(outcome.progress, 0.99), failure_mode=INVALID_ACTION)
    for observer in observers:
        observer.end(observation, outcome)
    return outcome


def _is_valid(chunk: ActionChunk, environment: Environment) -> bool:
    """Whether these are actions, one at least, all finite, and of the shape that the environment tells, if it does."""
    try:
        array = np.asarray(chunk, dtype=np.float64)
    except (TypeError, ValueError):  # rows of unequal length, or no numbers at all
        return False
    space = getattr(environment, "action_space", None)
    shape = array.shape[1:] if space is None else space.shape
    return array.ndim == 2 and len(array) > 0 and array.shape[1:] == shape and bool(np.isfinite(array).all())


def to_observation(raw: Mapping[str, Any], task: str) -> Observation:
    """Turn an environment's observation into the record that policies see."""
    return Observation(
        images=raw.get("pixels", {}), state=raw["agent_pos"], task=task, object_state=raw.get("environment_state")
    )


def to_outcome(case: Case, info: Mapping[str, Any], length: int, total_reward: float) -> Outcome:
    """What became of an episode, by its last info."""
    success = bool(info["is_success"])
    return Outcome(
        case=case,
        success=success,
        progress=1.0 if success else float(info["progress"]),
        stage=str(info["stage"]),
        failure_mode="" if success else str(info["failure_mode"]),
        length=length,
        total_reward=total_reward,
        subtasks={name: bool(done) for name, done in info["subtasks"].items()},
    )
