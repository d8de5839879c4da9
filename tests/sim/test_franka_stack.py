"""The stacking task as an environment: determinism, perturbations that leave no trace, errors."""

import numpy as np
import pytest

from etude.core import Case, Perturbation, ShapeError, rollout
from etude.sim import FrankaStackConfig, make_task


@pytest.mark.parametrize("cubes", [2, 3])
def test_the_expert_stacks(cubes: int) -> None:
    task = FrankaStackConfig(cubes=cubes)
    environment = task.environment(lazy_images=True, object_state=True)
    outcome = rollout(environment, task.expert(), Case(Perturbation(), 0))
    assert outcome.success
    assert outcome.progress == 1.0
    assert outcome.stage == task.subtasks[-1]
    assert all(outcome.subtasks.values())


def test_a_name_makes_its_task() -> None:
    for task in (FrankaStackConfig(), FrankaStackConfig(cubes=2, image_size=64, cameras=(), max_steps=50)):
        assert make_task(task.name) == task


def test_a_refused_action_leaves_the_world_usable() -> None:
    environment = FrankaStackConfig(cubes=2, cameras=()).environment()
    before, _ = environment.reset(seed=1)
    for bad in (np.zeros(6), np.full(7, np.nan)):
        with pytest.raises(ShapeError):
            environment.step(bad)
    after, *_ = environment.step(np.zeros(7))
    assert np.abs(after["agent_pos"][:3] - before["agent_pos"][:3]).max() < 1e-3
