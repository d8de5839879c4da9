from collections.abc import Callable, Mapping
from functools import cache
from math import pi

import mujoco
import numpy as np
import pytest

from etude.core import Case, InfeasibleError, Perturbation, rollout, stream, to_observation
from etude.core.se3 import exp_rotation, pose
from etude.sim import AlohaInsertion, SimEnv
from etude.sim.assets import asset_file
from etude.sim.robots.viperx import Side
from etude.sim.worlds.aloha.grasping import OPEN_M
from etude.sim.worlds.aloha.insertion import InsertionWorld
from etude.sim.worlds.aloha.insertion_expert import aligned, decide, insert
from etude.sim.worlds.aloha.insertion_grasps import STEEP_RAD, bar_at, grip
from etude.sim.worlds.aloha.insertion_stages import SUBTASKS, Moment, Part
from etude.sim.worlds.aloha.scripting import Goal, Hand, Look, ScriptedArms

TASK = AlohaInsertion(cameras=())
NOMINAL = Perturbation()
STRAIGHT = {
    "peg.x_m": 0.15, "peg.y_m": 0.5, "peg.yaw_rad": 0.0, "socket.x_m": -0.15, "socket.y_m": 0.5, "socket.yaw_rad": 0.0,
}  # fmt: skip
SIZES = (0.06, 0.01, 0.04, 0.06, 0.018, 0.022)


@cache
def environment(end_at_success: bool = True) -> SimEnv:
    return AlohaInsertion(cameras=(), end_at_success=end_at_success).environment(object_state=True)


def world_of(env: SimEnv) -> InsertionWorld:
    assert isinstance(env.world, InsertionWorld)
    return env.world


def policy_of(decide_: Callable[[Look], Mapping[Side, Goal]]) -> ScriptedArms:
    return ScriptedArms(decide_, objects=2, sizes=len(SIZES), distractors=TASK.distractors)


def failure_of(decide_: Callable[[Look], Mapping[Side, Goal]]) -> tuple[str, str]:
    """How far an episode comes, and how it fails, when somebody else decides."""
    outcome = rollout(environment(), policy_of(decide_), Case(theta=NOMINAL, seed=0))
    assert not outcome.success
    return outcome.stage, outcome.failure_mode


def beside(**places: float) -> Perturbation:
    """A distractor next to the middle of a straight peg."""
    return Perturbation({**STRAIGHT, "distractors.count": 1.0, **places})


def test_the_peg_is_on_its_pin_when_time_is_up() -> None:
    outcome = rollout(environment(end_at_success=False), TASK.expert(), Case(theta=NOMINAL, seed=1))
    assert (outcome.success, outcome.length, outcome.stage) == (True, 400, "insert")


def test_objects_lie_where_gym_aloha_puts_them() -> None:
    env = environment()
    for seed in range(20):
        _, info = env.reset(seed=seed)
        peg, socket = info["object_poses"]["peg"], info["object_poses"]["socket"]
        assert 0.1 <= peg[0, 3] <= 0.2
        assert -0.2 <= socket[0, 3] <= -0.1
        assert all(0.4 <= X[1, 3] <= 0.6 and abs(X[1, 0]) < 1e-3 for X in (peg, socket))


def test_sizes_are_the_packages() -> None:
    env = environment()
    env.reset(seed=0)
    np.testing.assert_allclose(world_of(env).sizes(), SIZES, atol=1e-9)
    peg, socket = world_of(env).things(NOMINAL)
    assert peg.half_m == pytest.approx((SIZES[0], SIZES[1]))
    assert socket.half_m == pytest.approx((SIZES[3], SIZES[5]))
    env.reset(seed=0, options={"perturbation": {"peg.thickness_m": 0.028, "socket.scale": 0.9}})
    _, thickness, pin, _, hole, _ = world_of(env).sizes()
    assert (thickness, pin, hole) == pytest.approx((0.014, 0.036, 0.0162))


def test_stages_are_gym_alohas() -> None:
    """gym-aloha's model, set to the states of an episode, has the contacts of the same reward at nearly all of them."""
    package = mujoco.MjModel.from_xml_path(str(asset_file("gym_aloha", "assets/bimanual_viperx_insertion.xml")))
    data = mujoco.MjData(package)
    env, expert = environment(end_at_success=False), TASK.expert()
    raw, _ = env.reset(seed=0)
    pairs: list[tuple[int, int]] = []
    for _ in range(300):
        (chunk,) = expert.act([to_observation(raw, "")], [None])
        raw, *_ = env.step(chunk[0])
        world = world_of(env)
        joints = [world.data.joint(f"{name}_joint").qpos for name in ("peg", "socket")]
        data.qpos[:] = np.concatenate([world.data.qpos[:16], *joints])
        mujoco.mj_forward(package, data)
        pairs.append((world.moment().stage, published_reward(package, data)))
    assert {theirs for _, theirs in pairs} >= {0, 2, 4}
    assert np.mean([ours == theirs for ours, theirs in pairs]) > 0.95


def published_reward(model: mujoco.MjModel, data: mujoco.MjData) -> int:
    """As gym_aloha's InsertionTask.get_reward."""
    pairs = {frozenset(model.geom(int(g)).name for g in pair) for pair in data.contact.geom}
    walls = [f"socket-{i}" for i in range(1, 5)]

    def touch(some: list[str], other: str) -> bool:
        return any(frozenset({name, other}) in pairs for name in some)

    right = touch(["red_peg"], "vx300s_right/10_left_gripper_finger")
    left = touch(walls, "vx300s_left/10_left_gripper_finger")
    lifted = not touch(["red_peg", *walls], "table")
    if touch(["red_peg"], "pin"):
        return 4
    if touch(walls, "red_peg") and lifted:
        return 3
    return (2 if lifted else 1) if left and right else 0


@pytest.mark.parametrize("place", [(0.15, 0.535), (0.15, 0.465), (0.13, 0.535), (0.235, 0.5)])
def test_the_expert_finds_another_grasp_where_something_blocks_the_usual_one(place: tuple[float, float]) -> None:
    theta = beside(**{"distractor_1.x_m": place[0], "distractor_1.y_m": place[1]})
    assert rollout(environment(), TASK.expert(), Case(theta=theta, seed=0)).success


def test_the_usual_grasp_fails_there() -> None:
    def blind(look: Look) -> Mapping[Side, Goal]:
        return decide(look._replace(obstacles=()))

    theta = beside(**{"distractor_1.x_m": 0.15, "distractor_1.y_m": 0.535})
    assert not rollout(environment(), policy_of(blind), Case(theta=theta, seed=0)).success


def test_the_hand_grips_further_out_from_what_stands_beside_the_middle() -> None:
    hand = Hand(pose(np.array([0.2, 0.5, 0.3]), np.eye(3)), OPEN_M)
    for yaw in np.linspace(-1.4, 1.4, 9).tolist():
        turn = exp_rotation(np.array([0.0, 0.0, yaw]))
        bar = bar_at("right", pose(np.array([0.15, 0.5, 0.01]), turn), 0.02)
        free = grip("right", hand, bar, [])
        side = np.array([0.15, 0.5, 0.02]) + 0.04 * turn[:, 1]
        blocked = grip("right", hand, bar, [(*side.tolist(), 0.02)])
        np.testing.assert_allclose(free[:2, 3], (0.15, 0.5), atol=1e-9)
        offset = turn.T @ (blocked[:3, 3] - free[:3, 3])
        assert offset[0] >= 0.02 or blocked[2, 2] == pytest.approx(-np.sin(STEEP_RAD))
        for there in (free, blocked):
            assert abs(there[:3, 1] @ turn[:, 0]) < 1e-9  # fingers across the bar
            assert there[:3, 2] @ turn[:, 0] < 0.0  # coming from the right


def test_it_goes_in_only_as_far_as_it_is_centred() -> None:
    socket, touch = pose(np.array([-0.06, 0.5, 0.2]), np.eye(3)), SIZES[0] + SIZES[2]

    def depth(along: float, off: float) -> float:
        peg = pose(socket[:3, 3] + np.array([along, off, 0.0]), np.eye(3))
        return float((insert(peg, socket, SIZES) - socket)[0, 3]) - touch

    assert depth(touch + 0.08, 0.02) == pytest.approx(0.045)  # waits outside
    assert depth(touch + 0.005, 0.0) < 0.0  # presses on the pin
    assert touch + depth(touch + 0.01, 0.03) > touch + 0.03  # beside the hole: back out
    assert depth(touch + 0.02, 0.004) < depth(touch + 0.02, 0.006)


@pytest.mark.parametrize("flip", [1.0, -1.0])
def test_a_bar_is_aligned_the_short_way(flip: float) -> None:
    rng = np.random.default_rng(0)
    for _ in range(20):
        off = exp_rotation(rng.uniform(-0.3, 0.3, 3))
        own = np.diag([flip, flip, 1.0]) @ off
        there = aligned(np.eye(3), own)
        np.testing.assert_allclose(np.abs(there[:, 0]), (1.0, 0.0, 0.0), atol=1e-9)
        assert np.linalg.det(there) == pytest.approx(1.0)
        assert np.trace(there.T @ own) > 1 + 2 * np.cos(0.6)


def test_places_that_cannot_be_are_refused() -> None:
    with pytest.raises(InfeasibleError, match="peg and socket overlap"):
        TASK.space.check(Perturbation({**STRAIGHT, "peg.x_m": 0.05, "socket.x_m": -0.05}))
    around = {"distractors.count": 2.0, "distractor_1.x_m": 0.18, "distractor_2.x_m": 0.18}
    TASK.space.check(Perturbation({**STRAIGHT, **around, "distractor_1.y_m": 0.57, "distractor_2.y_m": 0.43}))
    with pytest.raises(InfeasibleError, match="no room for fingers around the peg"):
        TASK.space.check(Perturbation({**STRAIGHT, **around, "distractor_1.y_m": 0.532, "distractor_2.y_m": 0.468}))


def test_the_expert_picks_up_what_was_taken_from_it() -> None:
    env, expert = environment(), TASK.expert()
    raw, info = env.reset(seed=2)
    while not info["subtasks"]["lift_both"]:
        (chunk,) = expert.act([to_observation(raw, "")], [None])
        raw, _, _, _, info = env.step(chunk[0])
    env.world.data.joint("peg_joint").qpos[:7] = (0.15, 0.55, 0.01, np.cos(pi / 8), 0.0, 0.0, np.sin(pi / 8))
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
        return {**decide(look), "right": decide(look)["right"]._replace(gap_m=OPEN_M)}

    def hesitant(look: Look) -> Mapping[Side, Goal]:
        goals = decide(look)
        lifted = min(X[2, 3] for X in look.objects) > 0.06
        return {side: Goal(hand.pose, 0.0) for side, hand in look.hands.items()} if lifted else goals

    def clumsy(look: Look) -> Mapping[Side, Goal]:
        goals, high = decide(look), look.hands["right"].pose[2, 3] > 0.1
        gone = look.objects[1][2, 3] > 0.15 and not 0.05 < look.objects[0][2, 3] < 0.1
        return {**goals, "right": Goal(look.hands["right"].pose, OPEN_M)} if high and gone else goals

    assert failure_of(idle) == ("", "no_reach")
    assert failure_of(open_handed)[1] == "missed_grasp"
    assert failure_of(hesitant) == ("lift_both", "timeout")
    assert failure_of(clumsy) == ("lift_both", "dropped")


def test_a_moment_has_gym_alohas_reward_and_a_share_of_the_next() -> None:
    grips = {frozenset({Part.PEG, Part.RIGHT}), frozenset({Part.SOCKET, Part.LEFT})}

    def moment(*contacts: frozenset[Part], reach_m: float = 0.01, to_pin_m: float = 0.1) -> Moment:
        return Moment(
            contacts=frozenset(contacts), reach_m=reach_m, lift_m=0.0, to_pin_m=to_pin_m, off_axis_m=0.0, in_hole=False
        )

    table, walls, pin = (frozenset({Part.PEG, other}) for other in (Part.TABLE, Part.SOCKET, Part.PIN))
    assert moment().stage == 0
    assert moment(*grips, table).stage == 1
    assert moment(*grips).stage == 2
    assert moment(*grips, walls).stage == 3
    assert moment(*grips, walls, table).stage == 1
    assert moment(pin).stage == len(SUBTASKS)
    assert moment(reach_m=0.3).share < moment(reach_m=0.1).share < 1.0
    assert moment(*grips, to_pin_m=0.1).share < moment(*grips, to_pin_m=0.0).share <= 1.0


@pytest.mark.slow
@pytest.mark.parametrize("control", ["joints", "ee"])
def test_the_expert_masters_the_whole_space(control: str) -> None:
    task = AlohaInsertion(cameras=(), control=control)
    env, expert = task.environment(object_state=True), task.expert()
    cases = [Case(theta=task.space.sample(stream(11, "theta", i)), seed=i) for i in range(60)]
    assert sum(rollout(env, expert, case).success for case in cases) >= 57
