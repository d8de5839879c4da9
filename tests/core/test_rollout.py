"""One loop for one environment and for many: who shares a batch changes nothing."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest
from toys import SPACE, GoToGoal, PlantedPolicy, PointTask

from etude.core import (
    INVALID_ACTION,
    ActionChunk,
    Case,
    Memory,
    Observation,
    Outcome,
    Perturbation,
    ShapeError,
    Step,
    rollout,
    rollout_many,
)

TASK = PointTask()
POLICY = PlantedPolicy()
RNG = np.random.default_rng(1)
CASES = [Case(SPACE.sample(RNG), seed) for seed in range(12)]


def environment(lazy_images: bool = False):
    return TASK.environment(lazy_images=lazy_images, object_state=True)


@pytest.mark.parametrize("slots", [1, 2, 5, 20])
def test_many_at_once_give_the_outcomes_of_one_by_one(slots: int) -> None:
    alone = [rollout(environment(), POLICY, case) for case in CASES]
    together = dict(rollout_many([environment() for _ in range(slots)], POLICY, CASES))
    assert [together[i] for i in range(len(CASES))] == alone
    assert {outcome.success for outcome in alone} == {True, False}


def test_an_episode_can_be_run_again_in_the_same_environment() -> None:
    place = environment()
    first = [rollout(place, POLICY, case) for case in CASES]
    assert [rollout(place, POLICY, case) for case in reversed(CASES)] == first[::-1]


class Watcher:
    """Keeps what it is told, in order."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.steps: list[Step] = []
        self.outcome: Outcome | None = None

    def begin(self, case: Case) -> None:
        self.calls.append("begin")

    def step(self, step: Step) -> None:
        self.calls.append("step")
        self.steps.append(step)

    def end(self, observation: Observation, outcome: Outcome) -> None:
        self.calls.append("end")
        self.outcome = outcome
        self.last = observation


def test_observers_see_every_step_before_its_action() -> None:
    watcher = Watcher()
    outcome = rollout(environment(), GoToGoal(), CASES[0], [watcher])
    assert watcher.calls == ["begin", *["step"] * outcome.length, "end"]
    assert watcher.outcome is outcome
    assert [step.index for step in watcher.steps] == list(range(outcome.length))
    states = [*(step.observation.state for step in watcher.steps), watcher.last.state]
    for step, (before, after) in zip(watcher.steps, itertools.pairwise(states), strict=True):
        assert ((after - before) @ step.action) > 0  # each action moves on from the state it was seen with


def test_lazy_images_show_the_same_pixels() -> None:
    class Eye(Watcher):
        def step(self, step: Step) -> None:
            self.calls.append(str(step.observation.images["front"].tobytes()))

    seen: list[list[str]] = []
    for lazy in (False, True):
        eye = Eye()
        rollout(environment(lazy), POLICY, CASES[0], [eye])
        seen.append(eye.calls)
    assert seen[0] == seen[1]


def test_every_case_has_its_own_observers() -> None:
    watchers = {i: Watcher() for i in range(len(CASES))}
    outcomes = dict(rollout_many([environment() for _ in range(3)], POLICY, CASES, lambda i, _: [watchers[i]]))
    assert {i: w.outcome for i, w in watchers.items()} == outcomes


def test_a_chunk_is_executed_whole_before_the_policy_is_asked_again() -> None:
    class Counting(GoToGoal):
        asked = 0

        def act(self, observations: Sequence[Observation], memories: Sequence[Memory]) -> list[ActionChunk]:
            self.asked += len(observations)
            return super().act(observations, memories)

    policy = Counting()
    outcome = rollout(environment(), policy, CASES[0])
    assert policy.asked == -(-outcome.length // 4)


def test_cases_are_drawn_only_when_an_environment_is_free() -> None:
    drawn: list[Case] = []

    def source():
        for case in CASES:
            drawn.append(case)
            yield case

    next(rollout_many([environment(), environment()], POLICY, source()))
    assert len(drawn) <= 3


def test_progress_is_one_exactly_when_successful() -> None:
    for case in CASES:
        outcome = rollout(environment(), POLICY, case)
        assert (outcome.progress == 1.0) is outcome.success is (outcome.failure_mode == "")


def test_cases_and_outcomes_survive_json() -> None:
    for case in [*CASES, Case(Perturbation(), 3)]:
        outcome = rollout(environment(), POLICY, case)
        assert Case.from_json(case.to_json()) == case
        assert Outcome.from_json(outcome.to_json()) == outcome


class Spoiled(GoToGoal):
    """Goes to the goal, but from the second chunk of every other seed on gives what cannot be executed."""

    def __init__(self, bad: object) -> None:
        self.bad = bad

    def begin(self, rng: np.random.Generator) -> Memory:
        return [rng, 0, bool(rng.integers(2))]

    def act(self, observations: Sequence[Observation], memories: Sequence[Memory]) -> list[ActionChunk]:
        return [self.next(o, memory) for o, memory in zip(observations, memories, strict=True)]

    def next(self, observation: Observation, memory: Memory) -> ActionChunk:
        memory[1] += 1
        rng, looks, spoils = memory
        return self.bad if spoils and looks > 1 else self.chunk(observation, rng)  # type: ignore[return-value]


def with_bounds():
    """An environment that tells the shape of its actions."""
    place = environment()
    place.action_space = np.zeros(2)  # type: ignore[attr-defined]
    return place


@pytest.mark.parametrize(
    "chunk",
    [
        np.full((4, 2), np.nan),
        np.array([[0.1, np.inf]]),
        np.zeros((0, 2)),
        np.zeros(2),
        np.zeros((1, 4, 2)),
        [[0.1, 0.2], [0.3]],
        None,
        "left",
        np.zeros((4, 3)),
    ],
    ids=str,
)
def test_what_cannot_be_executed_ends_its_episode_and_no_other(chunk: object) -> None:
    sound = dict(rollout_many([with_bounds() for _ in range(4)], Spoiled(np.zeros((4, 2))), CASES))
    outcomes = dict(rollout_many([with_bounds() for _ in range(4)], Spoiled(chunk), CASES))
    spoiled = [i for i, outcome in outcomes.items() if outcome.failure_mode == INVALID_ACTION]
    assert 0 < len(spoiled) < len(CASES)
    for i, outcome in outcomes.items():
        if i in spoiled:
            assert (outcome.success, outcome.length, outcome.stage) == (False, 4, sound[i].stage)
            assert 0 < outcome.progress < 1
        else:
            assert outcome == sound[i]


@pytest.mark.parametrize("count", [0, 2, 4])
def test_a_policy_that_gives_more_or_fewer_chunks_than_it_is_asked_for_is_told(count: int) -> None:
    class Confused(GoToGoal):
        def act(self, observations: Sequence[Observation], memories: Sequence[Memory]) -> Sequence[ActionChunk]:
            return (list(super().act(observations, memories)) * 2)[:count]

    with pytest.raises(ShapeError, match=rf"action chunks of Confused: expected one for each of 3 .*, got {count}\.$"):
        list(rollout_many([environment() for _ in range(3)], Confused(), CASES))


def test_observers_see_the_end_of_an_episode_without_a_step() -> None:
    class Nothing(GoToGoal):
        def act(self, observations: Sequence[Observation], memories: Sequence[Memory]) -> list[ActionChunk]:
            return [np.zeros((0, 2)) for _ in observations]

    watcher = Watcher()
    outcome = rollout(environment(), Nothing(), CASES[0], [watcher])
    assert watcher.calls == ["begin", "end"]
    assert (outcome.failure_mode, outcome.length) == (INVALID_ACTION, 0)
