"""Two arms make new demonstrations from old ones: each by its own segments, and what they do together in step."""

import numpy as np
import pytest

from etude.core import Case, Observation, Outcome, Part, Perturbation, Step, rollout, stream
from etude.generation.annotation import Annotation, annotate_episode
from etude.generation.config import GenerationConfig
from etude.generation.generate import generate
from etude.generation.replaying import replay
from etude.generation.source import SourceDemonstration
from etude.sim import AlohaInsertion, AlohaTransferCube
from etude.sim.environment import PoseControlledEnv
from etude.sim.task import SimTask

TASKS = [AlohaTransferCube(cameras=(), max_steps=600), AlohaInsertion(cameras=(), max_steps=600)]


class Actions:
    """Keeps an episode's actions."""

    def begin(self, case: Case) -> None:
        del case
        self.done: list[np.ndarray] = []

    def step(self, step: Step) -> None:
        self.done.append(np.array(step.action))

    def end(self, observation: Observation, outcome: Outcome) -> None:
        del observation, outcome


def demonstration(task: SimTask, seed: int) -> SourceDemonstration:
    case, seen = Case(Perturbation(), seed), Actions()
    assert rollout(task.environment(object_state=True), task.expert(), case, [seen]).success
    actions = np.stack(seen.done)
    annotation = annotate_episode(task.environment(), actions, case)
    assert isinstance(annotation, Annotation)
    parts = {name: getattr(annotation, name) for name in ("objects", "grippers", "targets", "commands", "signals")}
    return SourceDemonstration(episode=0, actions=actions[: annotation.length], **parts)


@pytest.mark.parametrize("task", TASKS, ids=lambda task: task.sheet.name)
def test_two_arms_do_in_a_new_place_what_was_shown_in_another(task: SimTask) -> None:
    environment, plan, case = task.environment(), task.segments, Case(Perturbation(), 2)
    assert plan is not None
    assert isinstance(environment, PoseControlledEnv)
    made = generate(environment, plan, [demonstration(task, 0)], case, stream(2, "generate"), GenerationConfig())
    assert made.outcome.success
    begins = {piece.part: piece.begin for piece in made.pieces}
    assert set(begins) == {Part(gripper, index) for gripper in plan.segments for index in (0, 1)}
    ((first, second),) = plan.together
    assert begins[first] == begins[second] > 0
    assert replay(task.environment(), made) == made.outcome
