"""Attempts at new demonstrations: they succeed, replay bit for bit, and are given up when they must be."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from generation.grasping import GraspTask

from etude.core import (
    Case,
    ConfigError,
    EtudeError,
    Perturbation,
    Segment,
    SegmentPlan,
    Step,
    derive_seed,
    rollout,
    stream,
)
from etude.generation.annotation import Annotation, annotate_episode
from etude.generation.config import GenerationConfig
from etude.generation.generate import UNREACHABLE, Attempt, generate
from etude.generation.noise import arm_scales
from etude.generation.replaying import replay
from etude.generation.source import SourceDemonstration

TASK = GraspTask()
PLAIN = GenerationConfig()


class Recorder:
    """Keeps actions and states."""

    def __init__(self) -> None:
        self.actions: list[Any] = []
        self.states: list[Any] = []

    def begin(self, case: Case) -> None:
        del case

    def step(self, step: Step) -> None:
        self.actions.append(np.array(step.action))
        self.states.append(np.array(step.observation.state))

    def end(self, observation: Any, outcome: Any) -> None:
        del observation, outcome


def demonstration(seed: int, episode: int) -> SourceDemonstration:
    case, seen = Case(Perturbation({}), seed), Recorder()
    assert rollout(TASK.environment(object_state=True), TASK.expert(), case, [seen]).success
    actions = np.stack(seen.actions)
    annotation = annotate_episode(TASK.environment(), actions, case)
    assert isinstance(annotation, Annotation)
    return SourceDemonstration(
        episode=episode,
        actions=actions,
        objects=annotation.objects,
        grippers=annotation.grippers,
        targets=annotation.targets,
        commands=annotation.commands,
        signals=annotation.signals,
    )


SOURCES = [demonstration(seed, episode) for seed, episode in ((3, 4), (5, 7), (6, 9), (8, 11))]


def attempt(seed: int, config: GenerationConfig = PLAIN, **more: Any) -> Attempt:
    case = Case(more.pop("theta", Perturbation({})), derive_seed(seed, "case"))
    plan = more.pop("plan", TASK.segments)
    task = more.pop("task", TASK)
    rng = stream(case.seed, "generate")
    return generate(task.environment(), plan, more.pop("sources", SOURCES), case, rng, config, **more)


def environment_after_reset() -> Any:
    environment = TASK.environment()
    environment.reset(seed=0)
    return environment


def farthest(made: Attempt) -> int:
    """The source whose puck lay farthest from where it lies."""
    return max(SOURCES, key=lambda s: np.linalg.norm(s.objects["puck"][0, :3, 3] - made.start["puck"][:3, 3])).episode


@pytest.mark.parametrize("select", ["random", "nearest-object", "nearest-robot"])
@pytest.mark.parametrize("per_subtask", [False, True])
def test_new_places_are_reached_however_sources_are_selected(select: Any, per_subtask: bool):
    config = GenerationConfig(select=select, per_subtask=per_subtask)
    attempts = [attempt(seed, config) for seed in range(20)]
    assert all(a.outcome.success for a in attempts)
    # All hands begin at one place: of four that are equally near the first three are taken.
    assert {a.source for a in attempts} == ({4, 7, 9} if select == "nearest-robot" else {4, 7, 9, 11})
    assert any(a.source == farthest(a) for a in attempts) == (select != "nearest-object")
    mixed = any(len({piece.source for piece in a.pieces}) > 1 for a in attempts)
    assert mixed == per_subtask


@pytest.mark.parametrize("noise", [0.0, 0.2])
def test_an_attempt_replays_bit_for_bit(noise: float):
    made = attempt(1, GenerationConfig(noise=noise))
    seen = Recorder()
    assert replay(TASK.environment(), made, [seen]) == made.outcome
    np.testing.assert_array_equal(np.stack(seen.actions), made.actions)
    again = attempt(1, GenerationConfig(noise=noise))
    np.testing.assert_array_equal(again.actions, made.actions)


def test_a_world_that_does_not_repeat_itself_is_refused():
    made = attempt(1)
    with pytest.raises(EtudeError, match="ends otherwise when it is replayed"):
        replay(GraspTask(slip=0.3).environment(), made)


def test_a_failure_replays_too():
    made = attempt(1, task=GraspTask(slip=0.9))
    assert not made.outcome.success
    assert replay(GraspTask(slip=0.9).environment(), made).length == made.outcome.length


def test_noise_moves_the_arm_but_neither_the_fingers_nor_the_ways_between():
    plain, noisy = attempt(2, source=4), attempt(2, GenerationConfig(noise=0.05), source=4)
    first = noisy.pieces[0]
    grasped = SOURCES[0].rise("grasp")
    assert grasped is not None
    way = plain.pieces[1].begin - grasped
    assert (first.begin, way > 0) == (0, True)
    np.testing.assert_array_equal(noisy.actions[:way], plain.actions[:way])
    assert not np.array_equal(noisy.actions[: len(plain.actions), :2], plain.actions[: len(noisy.actions), :2])
    assert set(np.unique(noisy.actions[:, 2])) <= {-1.0, 1.0}
    assert np.abs(noisy.actions).max() <= 1.0
    np.testing.assert_array_equal(arm_scales(environment_after_reset())["hand"], [1.0, 1.0, 0.0])


def test_a_source_that_is_asked_for_is_taken():
    assert {piece.source for piece in attempt(0, GenerationConfig(per_subtask=True), source=9).pieces} == {9}
    with pytest.raises(ConfigError, match=r"no source demonstration 5: choose one of 4, 7, 9, 11\."):
        attempt(0, source=5)


def test_the_way_to_a_source_that_is_asked_for_is_that_of_all():
    slow = [replace(s, grippers={"hand": np.repeat(s.grippers["hand"][:1], s.length, axis=0)}) for s in SOURCES[1:]]
    alone, among = (attempt(0, sources=sources, source=4) for sources in (SOURCES[:1], [SOURCES[0], *slow]))
    assert among.outcome.length > alone.outcome.length


def test_out_of_reach_is_told_before_the_first_step():
    far = [replace(s, objects={"puck": s.objects["puck"] - 9.0 * OFFSET, "goal": s.objects["goal"]}) for s in SOURCES]
    made = attempt(0, sources=far)
    assert (made.outcome.length, made.outcome.failure_mode, made.pieces) == (0, UNREACHABLE, ())
    assert made.reason == "'grasp': too far away"
    assert made.source in {source.episode for source in far}  # it counts for the source that it chose


def test_what_cannot_succeed_any_more_is_given_up():
    row = (Segment(signal="grasp", object="puck"), Segment(signal="bring", object="goal"), Segment())
    late = [replace(s, signals={**s.signals, "bring": np.arange(s.length) >= s.length - 1}) for s in SOURCES]
    missed = [replace(s, commands={"hand": np.ones(s.length)}) for s in late]
    made = attempt(0, sources=missed, plan=SegmentPlan(segments={"hand": row}))
    assert (made.outcome.success, made.reason) == (False, "'grasp' was not reached")
    assert made.outcome.length < TASK.max_steps


CARRYING = SegmentPlan(
    segments={"hand": (Segment(signal="grasp", object="puck"), Segment(object="goal", carried="puck", turned=False))}
)


def held_aside(source: SourceDemonstration, metres: float) -> SourceDemonstration:
    """The demonstration, as if the puck had lain so far aside in the hand."""
    held = metres * source.signals["grasp"][:, None, None] * OFFSET
    return replace(source, objects={**source.objects, "puck": source.objects["puck"] + held})


def test_what_lies_otherwise_in_the_hand_is_brought_to_the_same_place():
    plain, carrying = (attempt(3, plan=CARRYING, sources=[held_aside(SOURCES[0], metres)]) for metres in (0.0, 0.02))
    assert plain.outcome.success
    ends = [np.cumsum(0.05 * made.actions[:, :2], axis=0)[-1] for made in (plain, carrying)]  # of the hand
    np.testing.assert_allclose(ends[1] - ends[0], [0.02, 0.0], atol=1e-6)


def test_an_attempt_ends_where_the_hand_has_lost_what_it_carries():
    made = attempt(3, plan=CARRYING, sources=[held_aside(SOURCES[0], 0.2)])
    assert (made.outcome.success, made.reason) == (False, "'puck' is not in the hand")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"select": "best"}, r"select = best: choose one of random, nearest-object, nearest-robot\."),
        ({"noise": 2.0}, "noise = 2 is out of range"),
        ({"lift_m": -1.0}, "lift_m = -1 must be at least 0"),
    ],
)
def test_settings_that_cannot_work_are_refused(setting: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        GenerationConfig(**setting)


OFFSET = np.zeros((4, 4))
OFFSET[0, 3] = 1.0
