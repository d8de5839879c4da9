"""How chunks become actions: laws of each wrapper on a policy whose chunks say where they come from."""

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from etude.core import ActionChunk, ConfigError, Observation, Policy
from etude.policies import CheckpointPolicy
from etude.policies.execution.ensembling import TemporalEnsemble, ensemble
from etude.policies.execution.latency import Latency, NetworkCall
from etude.policies.execution.realtime import BackgroundInference
from etude.policies.execution.receding import RecedingHorizon
from etude.policies.execution.smoothing import Smoothing

HORIZON = 12


class Labelled:
    """Chunks whose actions are (which look of the episode, index in the chunk); `seen` are the looks' observations."""

    def __init__(self, work: Callable[[], None] = lambda: None) -> None:
        self.seen: list[int] = []
        self._work = work

    def begin(self, rng: np.random.Generator) -> list[int]:
        del rng
        return [0]

    def act(self, observations: Sequence[Observation], memories: Sequence[list[int]]) -> list[ActionChunk]:
        self._work()
        self.seen += [int(o.state[0]) for o in observations]
        looks = [memory[0] for memory in memories]
        for memory in memories:
            memory[0] += 1
        return [np.stack([np.full(HORIZON, k), np.arange(HORIZON)], axis=1).astype(np.float32) for k in looks]


class Drawn:
    """Random chunks, from the episode's own stream and what is observed."""

    def begin(self, rng: np.random.Generator) -> np.random.Generator:
        return rng

    def act(self, observations: Sequence[Observation], memories: Sequence[np.random.Generator]) -> list[ActionChunk]:
        return [
            (rng.standard_normal((HORIZON, 2)) + o.state[0]).astype(np.float32)
            for o, rng in zip(observations, memories, strict=True)
        ]


def at(step: int) -> Observation:
    return Observation(images={}, state=np.array([step], np.float32))


def run(policy: Policy, steps: int, seed: int = 0) -> np.ndarray:
    """The actions of one episode, (steps, 2), whose observations say which step it is."""
    memory, actions = policy.begin(np.random.default_rng(seed)), list[Any]()
    while len(actions) < steps:
        (chunk,) = policy.act([at(len(actions))], [memory])
        assert chunk.dtype == np.float32
        actions += list(chunk)
    return np.array(actions[:steps])


def wrapped(policy: Policy) -> Policy:
    """All wrappers at once."""
    averaged = TemporalEnsemble(policy, decay=0.1, every=4, first=3)
    return Smoothing(RecedingHorizon(averaged, execute=4, overlap=1), share=0.5)


def test_a_receding_horizon_executes_the_beginning_of_every_chunk() -> None:
    core = Labelled()
    actions = run(RecedingHorizon(core, execute=3), 8)
    assert actions.tolist() == [[0, 0], [0, 1], [0, 2], [1, 0], [1, 1], [1, 2], [2, 0], [2, 1]]
    assert core.seen == [0, 3, 6]


def test_with_an_overlap_the_old_chunk_runs_on_while_the_next_is_computed() -> None:
    core = Labelled()
    actions = run(RecedingHorizon(core, execute=4, overlap=1), 12)
    expected = [(0, 0), (0, 1), (0, 2), (0, 3), (1, 1), (1, 2), (1, 3), (1, 4), (2, 1), (2, 2), (2, 3), (2, 4)]
    assert [tuple(action) for action in actions] == expected
    assert core.seen == [0, 3, 7, 11]  # one control step before the chunk is needed


@pytest.mark.parametrize("overlap", [0, 1, 3])
def test_real_time_gives_the_same_actions_as_simulation(overlap: int) -> None:
    simulated, real = Labelled(), Labelled()
    expected = run(Smoothing(RecedingHorizon(simulated, execute=4, overlap=overlap), share=0.25), 22)
    with BackgroundInference(real, np.random.default_rng(0), execute=4, overlap=overlap, smooth=0.25) as robot:
        actions = [robot.action(lambda step=step: at(step)) for step in range(22)]
    np.testing.assert_array_equal(np.array(actions), expected)
    assert real.seen == simulated.seen[: len(real.seen)]
    assert len(simulated.seen) - len(real.seen) <= 1  # a simulated look gives all actions up to the next at once


def test_in_real_time_actions_flow_while_the_network_computes() -> None:
    computing, go = threading.Event(), threading.Event()

    def work() -> None:
        if threading.current_thread() is not threading.main_thread():
            computing.set()
            assert go.wait(10)

    with BackgroundInference(Labelled(work), np.random.default_rng(0), execute=4, overlap=2) as robot:
        actions = [robot.action(lambda: at(0)) for _ in range(4)]  # the last two beside the network
        assert computing.wait(10)
        go.set()
        assert [tuple(a) for a in actions] == [(0, 0), (0, 1), (0, 2), (0, 3)]
        assert tuple(robot.action(lambda: at(0))) == (1, 2)


def test_a_late_network_is_waited_for_and_told() -> None:
    with BackgroundInference(
        Labelled(lambda: time.sleep(0.05)), np.random.default_rng(0), execute=2, overlap=1
    ) as robot:
        actions = [robot.action(lambda: at(0)) for _ in range(3)]
    assert tuple(actions[-1]) == (1, 1)
    assert robot.late_s > 0


def test_an_ensemble_is_what_was_computed_by_hand() -> None:
    # Three chunks of 4, looked for at steps 0, 1 and 2, of one number each; m = ln 2, so the weights are 1, ½, ¼.
    old, middle, new = (np.array(c, np.float32)[:, None] for c in ([9, 9, 8, 6], [9, 4, 2, 7], [4, 1, 3, 5]))
    averaged = ensemble([old[2:], middle[1:], new], np.log(2))
    # step 2: (8 + 4/2 + 4/4) / 1.75;  step 3: (6 + 2/2 + 1/4) / 1.75;  step 4: (7 + 3/2) / 1.5;  step 5: 5
    np.testing.assert_allclose(averaged[:, 0], [11 / 1.75, 7.25 / 1.75, 8.5 / 1.5, 5], rtol=1e-6)


def test_looking_at_every_step_is_the_papers_ensemble() -> None:
    chunks: list[ActionChunk] = []

    class Kept(Drawn):
        def act(self, observations: Sequence[Observation], memories: Sequence[Any]) -> list[ActionChunk]:
            new = super().act(observations, memories)
            chunks.extend(new)
            return new

    actions = run(RecedingHorizon(TemporalEnsemble(Kept(), decay=0.3, every=1), execute=1), 30)
    for t, action in enumerate(actions):
        told = np.array([chunks[s][t - s] for s in range(max(0, t - HORIZON + 1), t + 1)])
        weights = np.exp(-0.3 * np.arange(len(told)))
        np.testing.assert_allclose(action, weights @ told / weights.sum(), rtol=1e-4, atol=1e-6)


def test_an_ensemble_that_looks_early_averages_the_same_steps() -> None:
    """Where all chunks agree on what happens at a step, averaging them changes nothing, whenever they look."""

    class Clock(Drawn):
        def act(self, observations: Sequence[Observation], memories: Sequence[Any]) -> list[ActionChunk]:
            return [
                np.repeat(o.state[0] + np.arange(HORIZON, dtype=np.float32), 2).reshape(-1, 2) for o in observations
            ]

    averaged = TemporalEnsemble(Clock(), decay=0.01, every=4, first=3)
    actions = run(RecedingHorizon(averaged, execute=4, overlap=1), 30)
    np.testing.assert_allclose(actions[:, 0], np.arange(30), atol=1e-5)


def test_smoothing_is_a_low_pass_that_leaves_what_stays() -> None:
    smoothed = run(Smoothing(RecedingHorizon(Labelled(), execute=2), share=0.5), 5)
    np.testing.assert_allclose(smoothed[:, 1], [0, 0.5, 0.25, 0.625, 0.3125])
    plain = RecedingHorizon(Drawn(), execute=3)
    np.testing.assert_array_equal(run(Smoothing(plain, share=0.0), 20), run(plain, 20))


def test_actions_do_not_depend_on_who_else_is_in_the_batch() -> None:
    alone = [run(wrapped(Drawn()), 11, seed) for seed in range(3)]
    policy = wrapped(Drawn())
    memories = [policy.begin(np.random.default_rng(seed)) for seed in range(3)]
    together = [list[Any]() for _ in range(3)]
    for order in ([0, 1, 2], [2, 0, 1], [1, 2, 0]):
        chunks = policy.act([at(len(together[i])) for i in order], [memories[i] for i in order])
        for i, chunk in zip(order, chunks, strict=True):
            together[i] += list(chunk)
    np.testing.assert_array_equal(np.array(together), np.array(alone))


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"execute": 4, "overlap": 4}, "overlap = 4 must be at least 0 and less than execute = 4"),
        ({"smooth": 1.0}, r"smooth = 1 must be in \[0, 1\)"),
        ({"ensemble": float("nan")}, "ensemble = nan must be a finite number"),
    ],
)
def test_what_cannot_be_executed_is_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        CheckpointPolicy("somewhere", **wrong)


def test_latency_is_told_per_call() -> None:
    latency = Latency.of([NetworkCall(0.01 * (i + 1), 8 if i else 4) for i in range(20)])
    assert latency is not None
    assert (latency.calls, latency.observations) == (20, 7.8)
    assert latency.median_s == pytest.approx(0.105)
    assert latency.p95_s == pytest.approx(0.1905)
    assert "105.0 ms a call (median), 190.5 ms (p95), 7.8 observations a call, 20 calls" in str(latency)
    assert Latency.of([]) is None
