from collections.abc import Callable, Mapping
from functools import cache
from math import cos, pi, sin

import mujoco
import numpy as np
import pytest

from etude.core import Case, InfeasibleError, Perturbation, rollout, stream, to_observation
from etude.sim import AlohaTransferCube, SimEnv
from etude.sim.assets import asset_file
from etude.sim.robots.viperx import Side
from etude.sim.worlds.aloha.grasping import OPEN_M
from etude.sim.worlds.aloha.scripting import Goal, Look, ScriptedArms
from etude.sim.worlds.aloha.transfer import SUBTASKS, TransferWorld
from etude.sim.worlds.aloha.transfer_expert import decide

TASK = AlohaTransferCube(cameras=())
NOMINAL = Perturbation()


@cache
def environment(end_at_success: bool = True) -> SimEnv:
    return AlohaTransferCube(cameras=(), end_at_success=end_at_success).environment(object_state=True)


def failure_of(decide_: Callable[[Look], Mapping[Side, Goal]]) -> tuple[str, str]:
    """How far an episode comes, and how it fails, when somebody else decides."""
    policy = ScriptedArms(decide_, objects=1, sizes=1, distractors=TASK.distractors)
    outcome = rollout(environment(), policy, Case(theta=NOMINAL, seed=0))
    assert not outcome.success
    return outcome.stage, outcome.failure_mode


def beside(distance_m: float, *, angle: float, yaw: float = 0.0) -> Perturbation:
    """A distractor at a distance from the cube's centre, in a direction from it."""
    x, y = 0.1, 0.5
    return Perturbation(
        {
            "cube.x_m": x, "cube.y_m": y, "cube.yaw_rad": yaw, "distractors.count": 1.0,
            "distractor_1.x_m": x + distance_m * cos(angle), "distractor_1.y_m": y + distance_m * sin(angle),
        }
    )  # fmt: skip


def test_the_expert_holds_the_cube_on_the_left_when_time_is_up() -> None:
    outcome = rollout(environment(end_at_success=False), TASK.expert(), Case(theta=NOMINAL, seed=1))
    assert (outcome.success, outcome.length, outcome.stage) == (True, 400, "transfer")


def test_rewards_are_gym_alohas() -> None:
    """gym-aloha's model, set to the states of an episode, has the contacts of the same reward at nearly all of them."""
    package = mujoco.MjModel.from_xml_path(str(asset_file("gym_aloha", "assets/bimanual_viperx_transfer_cube.xml")))
    data = mujoco.MjData(package)
    env, expert = environment(end_at_success=False), TASK.expert()
    raw, _ = env.reset(seed=0)
    assert isinstance(env.world, TransferWorld)
    pairs: list[tuple[int, int]] = []
    for _ in range(230):
        (chunk,) = expert.act([to_observation(raw, "")], [None])
        raw, *_ = env.step(chunk[0])
        data.qpos[:] = np.concatenate([env.world.data.qpos[:16], env.world.data.joint("cube_joint").qpos])
        mujoco.mj_forward(package, data)
        pairs.append((env.world.reward(), published_reward(package, data)))
    assert {theirs for _, theirs in pairs} >= {0, 2, 4}
    assert np.mean([ours == theirs for ours, theirs in pairs]) > 0.97


def published_reward(model: mujoco.MjModel, data: mujoco.MjData) -> int:
    """As gym_aloha's TransferCubeTask.get_reward."""
    touching = {frozenset(model.geom(int(g)).name for g in pair) for pair in data.contact.geom}
    left = frozenset({"red_box", "vx300s_left/10_left_gripper_finger"}) in touching
    right = frozenset({"red_box", "vx300s_right/10_right_gripper_finger"}) in touching
    table = frozenset({"red_box", "table"}) in touching
    return (3 if table else 4) if left else (1 if table else 2) if right else 0


@pytest.mark.parametrize("angle", [0.0, pi / 2, pi, -pi / 2])
def test_the_expert_finds_another_grasp_where_something_blocks_the_usual_one(angle: float) -> None:
    outcome = rollout(environment(), TASK.expert(), Case(theta=beside(0.045, angle=angle), seed=0))
    assert outcome.success


def test_the_usual_grasp_fails_there() -> None:
    def blind(look: Look) -> Mapping[Side, Goal]:
        return decide(look._replace(obstacles=()))

    policy = ScriptedArms(blind, objects=1, sizes=1, distractors=TASK.distractors)
    case = Case(theta=beside(0.042, angle=pi / 2), seed=0)
    assert not rollout(environment(), policy, case).success


def test_a_cube_that_no_grasp_fits_is_infeasible() -> None:
    """A large thing at the corner of a cube that stands across leaves no side free."""
    corner = {"cube.x_m": 0.127, "cube.y_m": 0.454, "cube.yaw_rad": -0.725, "cube.scale": 0.862}
    thing = {"distractors.count": 1.0, "distractor_1.x_m": 0.127, "distractor_1.scale": 1.125}
    TASK.space.check(Perturbation({**corner, **thing, "distractor_1.y_m": 0.528}))
    with pytest.raises(InfeasibleError, match="no room for fingers"):
        TASK.space.check(Perturbation({**corner, **thing, "distractor_1.y_m": 0.508}))


def test_the_expert_picks_up_what_was_taken_from_it() -> None:
    env, expert = environment(), TASK.expert()
    raw, info = env.reset(seed=2)
    while not info["subtasks"]["lift"]:
        (chunk,) = expert.act([to_observation(raw, "")], [None])
        raw, _, _, _, info = env.step(chunk[0])
    env.world.data.joint("cube_joint").qpos[:3] = (0.05, 0.55, 0.02)
    over = False
    while not over:
        (chunk,) = expert.act([to_observation(raw, "")], [None])
        raw, _, terminated, truncated, info = env.step(chunk[0])
        over = terminated or truncated
    assert info["is_success"]


def test_ways_to_fail_have_names() -> None:
    def idle(look: Look) -> Mapping[Side, Goal]:
        return {side: Goal(hand.pose, 0.0) for side, hand in look.hands.items()}

    def open_handed(look: Look) -> Mapping[Side, Goal]:
        goals = decide(look)
        return {**goals, "right": goals["right"]._replace(gap_m=OPEN_M)}

    def selfish(look: Look) -> Mapping[Side, Goal]:
        return {**decide(look), "left": Goal(look.hands["left"].pose, OPEN_M)}

    def stubborn(look: Look) -> Mapping[Side, Goal]:
        goals = decide(look)
        return {**goals, "right": goals["right"]._replace(gap_m=0.0)} if look.objects[0][2, 3] > 0.2 else goals

    assert failure_of(idle) == ("", "no_reach")
    assert failure_of(open_handed)[1] in ("no_reach", "missed_grasp")
    assert failure_of(selfish) == ("lift", "no_handover")
    assert failure_of(stubborn) == ("transfer", "held_by_both")


def test_what_the_left_hand_does_before_the_right_one_does_not_count() -> None:
    env = environment()
    env.reset(seed=0)
    world = env.world
    assert isinstance(world, TransferWorld)
    world.data.joint("cube_joint").qpos[:3] = world.arms.gripper_pose("left")[:3, 3]
    mujoco.mj_forward(world.model, world.data)
    world.judge()
    assert world.reward() == 4
    assert not any(world.monitor.subtasks.values())
    assert list(world.monitor.subtasks) == list(SUBTASKS)


@pytest.mark.slow
@pytest.mark.parametrize("control", ["joints", "ee"])
def test_the_expert_masters_the_whole_space(control: str) -> None:
    task = AlohaTransferCube(cameras=(), control=control)
    env, expert = task.environment(object_state=True), task.expert()
    cases = [Case(theta=task.space.sample(stream(11, "theta", i)), seed=i) for i in range(60)]
    assert sum(rollout(env, expert, case).success for case in cases) >= 57
