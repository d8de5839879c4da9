"""Asking a Panda's hand for poses, and where it cannot be brought."""

import numpy as np
import pytest

from etude.core import PoseControlled, Target, stream
from etude.core.se3 import exp_rotation, pose
from etude.sim import make_task
from etude.sim.environment import PoseControlledEnv

DOWN = np.diag([1.0, -1.0, -1.0])


@pytest.fixture(scope="module")
def environment() -> PoseControlledEnv:
    made = make_task("franka-stack:cubes=2,distractors=0,cameras=none").environment()
    assert isinstance(made, PoseControlledEnv)
    assert isinstance(made, PoseControlled)
    return made


def test_the_action_for_what_an_action_asks_is_that_action(environment: PoseControlledEnv) -> None:
    for seed in range(4):
        _, info = environment.reset(seed=seed)
        for action in stream(seed, "actions").uniform(-1, 1, (25, 7)).astype(np.float32):
            asked = environment.asked(action)
            np.testing.assert_allclose(environment.action_for(asked), action, atol=1e-6)
            X_world_gripper = info["gripper_poses"]["gripper"]
            expected = X_world_gripper[:3, 3] + 0.05 * action[:3]
            np.testing.assert_allclose(asked["gripper"].pose[:3, 3], expected, atol=1e-7)
            info = environment.step(action)[-1]


def test_a_target_too_far_for_a_step_is_approached_straight(environment: PoseControlledEnv) -> None:
    _, info = environment.reset(seed=0)
    here = info["gripper_poses"]["gripper"]
    turn = np.array([0.0, 0.6, -1.2])
    far = pose(here[:3, 3] + [0.2, -0.1, 0.05], exp_rotation(turn) @ here[:3, :3])
    action = environment.action_for({"gripper": Target(far, -1.0)})
    np.testing.assert_allclose(action, [1.0, -0.5, 0.25, 0.0, 0.5, -1.0, -1.0], atol=1e-5)


@pytest.mark.parametrize(
    ("place_m", "yaw_rad", "why"),
    [
        ((0.5, 0.0, 0.02), 0.0, None),
        ((0.62, -0.14, 0.02), 1.0, None),
        ((0.38, 0.14, 0.3), -1.5, None),
        ((0.5, 0.0, -0.1), 0.0, "outside the workspace"),
        ((0.9, 0.0, 0.2), 0.0, "outside the workspace"),
        ((0.8, 0.44, 0.55), 0.0, "comes no nearer"),
    ],
)
def test_where_the_hand_can_be_brought(
    environment: PoseControlledEnv, place_m: tuple[float, ...], yaw_rad: float, why: str | None
) -> None:
    target = pose(np.array(place_m), exp_rotation(np.array([0.0, 0.0, yaw_rad])) @ DOWN)
    found = environment.unreachable("gripper", target)
    assert (found is None) == (why is None), found
    assert why is None or why in (found or "")
