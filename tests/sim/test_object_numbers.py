"""What a state policy sees, and what is left to vary of its world."""

import mujoco
import numpy as np
import pytest
from sim.apart import small

from etude.core import (
    Case,
    ConfigError,
    FactorRangeError,
    Perturbation,
    PerturbationSpace,
    Segment,
    SegmentPlan,
    UnknownNameError,
    rollout,
)
from etude.core.se3 import exp_rotation, pose
from etude.sim import SimTask, make_task, task_names
from etude.sim.assets import AssetError
from etude.sim.object_numbers import ObjectNumbers

WORLDS = tuple(
    name
    for name in task_names()
    if isinstance(make_task(name), SimTask) and make_task(name).segments is not None  # pyright: ignore[reportAttributeAccessIssue]
)
PLAN = SegmentPlan(segments={"hand": (Segment(signal="grasp", object="cube", turns=4), Segment(object="goal"))})

CROWD = {"perturbation": {"distractors.count": 2.0}}
EMPTY = mujoco.MjSpec().compile()


@pytest.fixture(scope="module", params=WORLDS)
def task(request: pytest.FixtureRequest) -> SimTask:
    made = small(request.param, state="objects")
    try:
        made.environment().close()
    except AssetError:
        pytest.skip(f"the assets of {request.param} are not installed")
    return made


def turned(yaw_rad: float, *place_m: float) -> np.ndarray:
    return pose(np.array(place_m), exp_rotation(np.array([0.0, 0.0, yaw_rad])))


def test_places_are_told_from_the_gripper_and_turns_up_to_symmetry() -> None:
    numbers = ObjectNumbers.of(PLAN, PerturbationSpace("bare", ()))
    assert numbers.names[:5] == (*(f"cube.from_hand_{axis}_m" for axis in "xyz"), "cube.yaw_cos", "cube.yaw_sin")
    hand = {"hand": turned(1.0, 0.1, 0.2, 0.3)}

    def read(cube_rad: float, goal_rad: float) -> np.ndarray:
        found = numbers.read(
            {"cube": turned(cube_rad, 0.4, 0.0, 0.1), "goal": turned(goal_rad, 0.0, 0.0, 0.0)}, hand, EMPTY
        )
        assert (found.dtype, found.shape) == (np.float32, (len(numbers.names),))
        return found

    seen = read(0.3, 0.3)
    np.testing.assert_allclose(seen[:5], (0.3, -0.2, -0.2, np.cos(1.2), np.sin(1.2)), atol=1e-6)
    np.testing.assert_allclose(seen[8:], (np.cos(0.3), np.sin(0.3)), atol=1e-6)
    np.testing.assert_allclose(read(0.3 + np.pi / 2, 0.3), seen, atol=1e-6)
    assert np.abs(read(0.3, 0.3 + np.pi / 2) - seen).max() > 0.5


def test_the_objects_follow_what_the_robot_knows_of_itself(task: SimTask) -> None:
    plain = small(task.sheet.name, cameras="none")
    seen, told = (each.environment().reset(seed=1)[0] for each in (task, plain))
    assert set(seen) == {"agent_pos"}
    own = len(plain.state_names)
    assert task.state_names[:own] == plain.state_names
    assert len(task.state_names) == len(seen["agent_pos"]) == len(set(task.state_names)) > own
    np.testing.assert_array_equal(seen["agent_pos"][:own], told["agent_pos"])
    named = {name.partition(".")[0] for name in task.state_names[own:]}
    assert task.segments is not None
    assert named == {*task.segments.objects, "distractor_1", "distractor_2"}


def test_distractors_are_told_where_they_stand(task: SimTask) -> None:
    def tell(theta: dict[str, float]) -> dict[str, float]:
        raw, _ = environment.reset(seed=1, options={"perturbation": theta})
        return dict(zip(task.state_names, raw["agent_pos"].tolist(), strict=True))

    environment = task.environment()
    alone, crowded = tell({}), tell(CROWD["perturbation"])
    for name, value in alone.items():
        if not name.startswith("distractor"):
            assert crowded[name] == value
        else:
            assert value == 0.0
            assert crowded[name] != 0.0
    assert 0.01 < crowded["distractor_1.half_edge_m"] < 0.03
    gripper, hand = next(iter(environment.reset(seed=1, options=CROWD)[1]["gripper_poses"].items()))
    place = environment.world.model.body("distractor_2").pos - hand[:3, 3]
    told = [crowded[f"distractor_2.from_{gripper}_{axis}_m"] for axis in "xy"]
    np.testing.assert_allclose(told, place[:2], atol=1e-6)


def test_what_only_pictures_show_does_not_vary(task: SimTask) -> None:
    full = small(task.sheet.name).space
    left_out = set(full.names) - set(task.space.names)
    assert {full[name].kind for name in left_out} <= {"camera", "lighting", "appearance", "distractor"}
    assert {factor.kind for factor in task.space.factors} == {"layout", "physics", "distractor"}
    assert not [name for name in task.space.names if name.endswith(".hue")]
    assert task.space.hash != full.hash
    with pytest.raises((UnknownNameError, FactorRangeError), match="light"):
        task.environment().reset(seed=0, options={"perturbation": {"light.intensity": 0.5}})


def test_its_expert_succeeds_in_the_same_worlds(task: SimTask) -> None:
    case = Case(Perturbation(), 0)
    with_objects, without = (
        rollout(each.environment(object_state=True), each.expert(), case)
        for each in (task, small(task.sheet.name, cameras="none"))
    )
    assert with_objects.success
    assert with_objects == without


def test_a_name_makes_its_task_again(task: SimTask) -> None:
    assert make_task(task.name) == task
    assert "state=objects" in task.name
    assert "cameras" not in task.name
    seeing = small(f"{task.sheet.name}:state=objects", cameras=make_task(task.sheet.name).cameras[0])
    assert len(seeing.cameras) == 1
    assert make_task(seeing.name) == seeing
    assert seeing.space.hash == task.space.hash


def test_mistakes_are_named() -> None:
    with pytest.raises(UnknownNameError, match="state 'everything'"):
        make_task("franka-stack:state=everything")
    for name in set(task_names()) - set(WORLDS):
        if isinstance(make_task(name), SimTask):
            with pytest.raises(ConfigError, match="segments"):
                make_task(f"{name}:state=objects")
