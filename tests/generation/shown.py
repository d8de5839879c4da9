"""Source demonstrations of the worlds, for tests: made once."""

from functools import cache
from typing import Any

import numpy as np

from etude.core import Case, Observation, Outcome, Perturbation, Step, rollout
from etude.generation.annotation import Annotation, annotate_episode
from etude.generation.source import SourceDemonstration
from etude.sim.task import SimTask


class Actions:
    """Keeps an episode's actions."""

    def begin(self, case: Case) -> None:
        del case
        self.done: list[Any] = []

    def step(self, step: Step) -> None:
        self.done.append(np.array(step.action))

    def end(self, observation: Observation, outcome: Outcome) -> None:
        del observation, outcome


@cache
def demonstration(task: SimTask, seed: int) -> SourceDemonstration:
    """What the expert shows in the nominal world of a seed, annotated."""
    case, seen = Case(Perturbation(), seed), Actions()
    assert rollout(task.environment(object_state=True), task.expert(), case, [seen]).success
    actions = np.stack(seen.done)
    annotation = annotate_episode(task.environment(), actions, case)
    assert isinstance(annotation, Annotation)
    parts = {name: getattr(annotation, name) for name in ("objects", "grippers", "targets", "commands", "signals")}
    return SourceDemonstration(episode=0, actions=actions[: annotation.length], **parts)
