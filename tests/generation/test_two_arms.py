"""Two arms make new demonstrations from old ones: each by its own segments, and what they do together in step."""

from dataclasses import replace

import numpy as np
import pytest
from generation.shown import demonstration

from etude.core import Case, EtudeError, Order, Part, Perturbation, SegmentPlan, stream
from etude.generation.annotation import Annotation, annotate_episode
from etude.generation.config import GenerationConfig
from etude.generation.generate import Attempt, generate
from etude.generation.replaying import replay
from etude.sim import AlohaInsertion, AlohaTransferCube
from etude.sim.environment import PoseControlledEnv
from etude.sim.task import SimTask

TASKS = [AlohaTransferCube(cameras=(), max_steps=600), AlohaInsertion(cameras=(), max_steps=600)]


def attempt(task: SimTask, plan: SegmentPlan) -> Attempt:
    environment, case = task.environment(), Case(Perturbation(), 2)
    assert isinstance(environment, PoseControlledEnv)
    return generate(environment, plan, [demonstration(task, 0)], case, stream(2, "generate"), GenerationConfig())


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.sheet.name)
def test_two_arms_do_in_a_new_place_what_was_shown_in_another(task: SimTask) -> None:
    plan = task.segments
    assert plan is not None
    made = attempt(task, plan)
    assert made.outcome.success
    begins = {piece.part: piece.begin for piece in made.pieces}
    assert set(begins) == {Part(gripper, index) for gripper in plan.segments for index in (0, 1)}
    ((first, second),) = plan.together
    assert begins[first] == begins[second] > 0
    assert replay(task.environment(), made) == made.outcome


RIGHT, LEFT = Part("right_gripper", 0), Part("left_gripper", 0)
TRANSFER = TASKS[0]


def test_an_arm_waits_for_the_segment_that_must_be_over_before_its_own() -> None:
    plan = TRANSFER.segments
    assert plan is not None
    free, made = (attempt(TRANSFER, replace(plan, orders=orders)) for orders in ((), (Order(RIGHT, LEFT),)))
    assert made.outcome.success
    assert {piece.part: piece.begin for piece in free.pieces}[LEFT] == 0
    begin = {piece.part: piece.begin for piece in made.pieces}[LEFT]
    again = annotate_episode(TRANSFER.environment(), made.actions, made.outcome.case)
    assert isinstance(again, Annotation)
    assert again.signals["lift"][begin]  # the right arm has done what the left one waited for
    still = again.targets["left_gripper"][:begin, :3, 3]
    np.testing.assert_allclose(still, np.broadcast_to(still[0], still.shape), atol=1e-6)


def test_segments_that_wait_for_each_other_are_told() -> None:
    plan = TRANSFER.segments
    assert plan is not None
    with pytest.raises(EtudeError, match="wait for each other for ever"):
        attempt(TRANSFER, replace(plan, orders=(Order(RIGHT, LEFT), Order(LEFT, RIGHT))))
