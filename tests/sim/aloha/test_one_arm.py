from collections.abc import Mapping
from functools import cache

import numpy as np
import pytest

from etude.core import Case, InfeasibleError, Perturbation, rollout, stream
from etude.sim import AlohaOneArm, SimEnv
from etude.sim.robots.viperx import Side
from etude.sim.worlds.aloha.one_arm import PLACE_M, decide
from etude.sim.worlds.aloha.scripting import Goal, Look, ScriptedArms

TASK = AlohaOneArm(cameras=())


@cache
def environment(end_at_success: bool = True) -> SimEnv:
    return AlohaOneArm(cameras=(), end_at_success=end_at_success).environment(object_state=True)


def test_one_arm_is_left_with_seven_numbers() -> None:
    names = [environment().world.model.joint(i).name for i in range(environment().world.model.njnt)]
    assert not any("left/" in name for name in names)
    assert len(TASK.action_names) == len(TASK.state_names) == 7
    assert TASK.sheet.cameras == ("top", "angle", "right_wrist")


@pytest.mark.parametrize("seed", [0, 1])
def test_the_expert_leaves_the_cube_on_its_place(seed: int) -> None:
    env = environment(end_at_success=False)
    outcome = rollout(env, TASK.expert(), Case(theta=Perturbation(), seed=seed))
    assert outcome.success
    assert outcome.stage == "place"
    assert np.linalg.norm(env.world.object_poses()["cube"][:2, 3] - PLACE_M) < 0.02


def test_a_cube_put_down_elsewhere_is_misplaced() -> None:
    def short(look: Look) -> Mapping[Side, Goal]:
        """As the expert, with the cube seen 4 cm nearer to its place than it is."""
        shifted = look.objects[0].copy()
        if shifted[1, 3] < PLACE_M[1] + 0.06 and shifted[2, 3] < 0.15:
            shifted[1, 3] -= 0.04
            hand = look.hands["right"].pose.copy()
            hand[1, 3] -= 0.04
            hands: dict[Side, object] = {"right": look.hands["right"]._replace(pose=hand)}
            goal = decide(look._replace(objects=[shifted], hands=hands))["right"]  # pyright: ignore[reportArgumentType]
            moved = goal.pose.copy()
            moved[1, 3] += 0.04
            return {"right": goal._replace(pose=moved)}
        return decide(look)

    policy = ScriptedArms(short, objects=1, sizes=1, distractors=TASK.distractors, sides=("right",))
    outcome = rollout(environment(), policy, Case(theta=Perturbation(), seed=0))
    assert (outcome.success, outcome.stage, outcome.failure_mode) == (False, "lift", "misplaced")


def test_nothing_may_stand_on_the_place() -> None:
    x, y = PLACE_M
    on_it = {"distractors.count": 1.0, "distractor_1.x_m": x + 0.01, "distractor_1.y_m": y}
    with pytest.raises(InfeasibleError, match="place and distractor_1 overlap"):
        TASK.space.check(Perturbation(on_it))


def test_what_the_seed_places_keeps_off_the_place() -> None:
    env = environment()
    for seed in range(20):
        env.reset(seed=seed, options={"perturbation": {"distractors.count": 2.0}})
        for name in ("distractor_1", "distractor_2"):
            assert np.abs(env.world.data.body(name).xpos[:2] - PLACE_M).max() > 0.07


@pytest.mark.slow
def test_the_expert_masters_the_whole_space() -> None:
    env, expert = environment(), TASK.expert()
    cases = [Case(theta=TASK.space.sample(stream(11, "theta", i)), seed=i) for i in range(60)]
    assert sum(rollout(env, expert, case).success for case in cases) >= 57
