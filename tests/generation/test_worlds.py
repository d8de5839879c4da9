"""In every world where one arm works at a time a demonstration becomes another one, in another place."""

import numpy as np
import pytest
from generation.shown import demonstration

from etude.core import Case, Perturbation, stream
from etude.generation.config import GenerationConfig
from etude.generation.generate import generate
from etude.generation.replaying import replay
from etude.sim import make_task
from etude.sim.environment import PoseControlledEnv
from etude.sim.task import SimTask

WORLDS = (
    "franka-lift:distractors=0,cameras=none",
    "franka-stack:cubes=2,distractors=0,cameras=none",
    "franka-stack:cubes=3,distractors=0,cameras=none",
    "so101-sort:distractors=0,cameras=none",
    "aloha-one-arm:distractors=0,cameras=none",
)


@pytest.mark.parametrize("name", WORLDS)
def test_a_demonstration_is_made_anew_in_another_place(name: str) -> None:
    task = make_task(name)
    assert isinstance(task, SimTask)
    environment, plan, source = task.environment(), task.segments, demonstration(task, 0)
    assert plan is not None
    assert isinstance(environment, PoseControlledEnv)
    made = generate(environment, plan, [source], Case(Perturbation(), 2), stream(2, "generate"), GenerationConfig())
    assert made.outcome.success
    assert [piece.part.index for piece in made.pieces] == list(range(len(made.pieces)))
    assert any(np.linalg.norm(X[:2, 3] - source.objects[thing][0, :2, 3]) > 0.01 for thing, X in made.start.items())
    assert replay(task.environment(), made) == made.outcome
