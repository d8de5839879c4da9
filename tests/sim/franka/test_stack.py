"""What stacking has of its own; what it shares with every world is in test_worlds.py."""

import mujoco
import numpy as np
import pytest

from etude.core import Case, ConfigError, Perturbation, rollout, stream
from etude.sim import FrankaStack
from etude.sim.worlds.franka.stack import CUBE_NAMES, stack_space
from etude.sim.worlds.franka.tabletop import CUBE_EDGE_M


@pytest.mark.parametrize("cubes", [2, 3])
def test_the_expert_stacks(cubes: int) -> None:
    task = FrankaStack(cubes=cubes)
    environment = task.environment(lazy_images=True, object_state=True)
    for seed in range(3):
        outcome = rollout(environment, task.expert(), Case(Perturbation(), seed))
        assert outcome.success
        assert (outcome.progress, outcome.total_reward, outcome.failure_mode) == (1.0, 1.0, "")
        assert outcome.stage == task.subtasks[-1]
        assert all(outcome.subtasks.values())
        assert outcome.length <= task.max_steps / 2


@pytest.mark.slow
@pytest.mark.parametrize(("cubes", "distractors"), [(2, 0), (2, 2), (3, 0), (3, 2)])
def test_the_expert_masters_the_whole_space(cubes: int, distractors: int) -> None:
    task = FrankaStack(cubes=cubes, distractors=distractors, cameras=())
    environment, rng = task.environment(object_state=True), stream(0, "whole space")
    outcomes = [rollout(environment, task.expert(), Case(task.space.sample(rng), i)) for i in range(100)]
    assert sum(outcome.success for outcome in outcomes) >= 95


def test_seeds_draw_different_nominal_layouts_inside_the_published_ranges() -> None:
    environment = FrankaStack(cubes=3, distractors=0, cameras=()).environment(object_state=True)
    layouts = [environment.reset(seed=seed)[0]["environment_state"] for seed in range(20)]
    centres = np.array([state[:-1].reshape(3, 7)[:, :2] for state in layouts])
    assert np.unique(centres[:, 0, 0]).size == 20
    assert (centres >= [0.399, -0.101]).all()
    assert (centres <= [0.601, 0.101]).all()
    for a, b in ((0, 1), (0, 2), (1, 2)):
        assert (np.linalg.norm(centres[:, a] - centres[:, b], axis=1) > 0.099).all()


def placed(name: str, x: float, y: float, **yaw: float) -> dict[str, float]:
    return {f"{name}.x_m": x, f"{name}.y_m": y, **{f"{name}.yaw_rad": value for value in yaw.values()}}


def test_cubes_may_all_but_touch_and_not_overlap() -> None:
    space, blue = stack_space(2, 0), placed("cube_blue", 0.5, 0.0, yaw=0.0)
    for gap, feasible in ((0.00101, True), (0.00099, False), (-0.02, False)):
        theta = Perturbation({**blue, **placed("cube_red", 0.5, CUBE_EDGE_M + gap, yaw=0.0)})
        assert (space.infeasible(theta) is None) == feasible
    bigger = Perturbation({**blue, **placed("cube_red", 0.5, CUBE_EDGE_M + 0.002, yaw=0.0), "cube.scale": 1.1})
    assert space.infeasible(bigger) == "cube_blue and cube_red overlap (they need a gap of 1 mm)"
    turned = Perturbation({**blue, **placed("cube_red", 0.5, CUBE_EDGE_M + 0.002)})  # its yaw is the seed's
    assert space.infeasible(turned) is not None


@pytest.mark.parametrize("cubes", [2, 3])
def test_the_front_camera_sees_all_of_the_space(cubes: int) -> None:
    task = FrankaStack(cubes=cubes, distractors=0, cameras=())
    world, space, rng = task.world(), task.space, stream(0, "corners")
    camera, rotation = world.model.camera("front").id, np.empty(9)
    for _ in range(200):
        theta = space.from_unit(rng.integers(0, 2, len(space.factors)).astype(float))
        seen = {name: value for name, value in theta.values.items() if space[name].kind == "camera"}
        world.reset(Perturbation(seen), 0)
        mujoco.mju_quat2Mat(rotation, world.model.cam_quat[camera])
        for name in CUBE_NAMES[:cubes]:
            centre = np.array([theta.values[f"{name}.x_m"], theta.values[f"{name}.y_m"], CUBE_EDGE_M / 2])
            right, up, back = (centre - world.model.cam_pos[camera]) @ rotation.reshape(3, 3)
            half = np.tan(np.radians(world.model.cam_fovy[camera]) / 2)
            assert max(abs(right), abs(up)) / -back / half < 1.0


def test_a_number_of_cubes_that_cannot_be_stacked_is_refused() -> None:
    with pytest.raises(ConfigError, match="choose 2 or 3"):
        FrankaStack(cubes=4)
