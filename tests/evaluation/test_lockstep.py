"""Two worlds from one state part where the policy makes them part, and nowhere else."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from PIL import Image
from toys import GoToGoal, PlantedPolicy, PointTask

from etude.cli import main
from etude.core import (
    INVALID_ACTION,
    ActionChunk,
    Case,
    ConfigError,
    Memory,
    MismatchError,
    Observation,
    Perturbation,
    Policy,
    rollout,
)
from etude.core.se3 import exp_rotation
from etude.data import EpisodeRecorder
from etude.evaluation import Expert, shoot
from etude.evaluation.curves import ticks
from etude.evaluation.lockstep import Demonstration, Lockstep, Pair, Reel, Tolerance, divergence_picture, run_both
from etude.evaluation.lockstep.divergence import path_errors, rotation_errors
from etude.evaluation.lockstep.trace import Trace

TASK = PointTask()
CASE = Case(Perturbation({"goal.x_m": 0.4, "goal.y_m": -0.4, "light.intensity": 0.3}), 5)


@dataclass(frozen=True)
class Bending(GoToGoal):
    """The expert, until a step of its own; then something else."""

    until: int = 0
    then: str = "away"
    object_state: bool = True

    def create(self) -> Policy:
        return self

    def begin(self, rng: np.random.Generator) -> Memory:
        return rng, [0]

    def act(self, observations: Sequence[Observation], memories: Sequence[Memory]) -> list[ActionChunk]:
        chunks: list[ActionChunk] = []
        for observation, (rng, steps) in zip(observations, memories, strict=True):
            good = self.chunk(observation, rng)
            bad = {"away": -good, "nan": np.full_like(good, np.nan), "none": np.zeros((0, 2), np.float32)}[self.then]
            chunks.append(good if steps[0] < self.until else bad)
            steps[0] += len(good)
        return chunks


def record(task: PointTask = TASK, case: Case = CASE) -> Demonstration:
    recorder = EpisodeRecorder()
    outcome = rollout(task.environment(object_state=True), task.expert(), case, [recorder])
    episode = recorder.episode
    return Demonstration(
        name="episode 0 of 'toys'", case=case, states=episode.state, actions=episode.action, success=outcome.success
    )


def compared(pair: Pair, start_step: int = 0) -> Lockstep:
    return Lockstep.of(TASK, pair, start_step=start_step, tolerance=Tolerance())


def test_who_made_the_demonstration_never_parts_from_it() -> None:
    pair = run_both(TASK, record(), Expert(TASK))
    found = compared(pair)
    assert pair.replay.bit_equal
    assert found.partings == []
    assert np.array_equal(pair.demonstration.states, pair.policy.states)
    assert pair.forced.max() == 0.0
    assert pair.policy_outcome == pair.demonstration_outcome
    assert "never part" in found.findings()[0]


@pytest.mark.parametrize("start_step", [0, 1, 4, 5])
def test_both_worlds_are_one_until_the_policy_takes_over(start_step: int) -> None:
    pair = run_both(TASK, record(), Bending(), start_step=start_step)
    upto = start_step + 1
    assert np.array_equal(pair.demonstration.states[:upto], pair.policy.states[:upto])
    assert np.array_equal(pair.demonstration.actions[:start_step], pair.policy.actions[:start_step])
    assert np.isnan(pair.forced[:start_step]).all()
    assert (pair.forced[start_step:] > 0).all()
    (parting,) = compared(pair, start_step).partings
    assert parting.step == upto
    assert (parting.thing, parting.during) == ("state", "halfway" if start_step < 4 else "reach")


def test_the_policy_parts_where_it_bends_and_that_is_the_end_of_it() -> None:
    found = compared(run_both(TASK, record(), Bending(until=4)))
    (parting,) = found.partings
    assert parting.step == 5
    assert parting.for_good == 5
    assert not found.pair.policy_outcome.success
    assert "the demonstration succeeds" in found.findings()[1]
    assert found.findings()[-1] == "only the demonstration reaches reach"


def test_in_the_demonstrations_place_a_good_policy_does_what_it_did() -> None:
    demonstration = record()
    pair = run_both(TASK, demonstration, Bending(until=len(demonstration.actions)), start_step=4)
    own = run_both(TASK, demonstration, Bending(until=0), start_step=4)
    # Away from the goal instead of towards it: twice the action.
    np.testing.assert_allclose(own.forced[4:], 2 * np.abs(demonstration.actions[4:]).mean(axis=1), atol=0.3)
    assert pair.forced[4:].mean() < 0.2 * own.forced[4:].mean()


@pytest.mark.parametrize("then", ["nan", "none"])
def test_what_a_policy_says_wrongly_is_no_number_in_the_demonstrations_place(then: str) -> None:
    pair = run_both(TASK, record(), Bending(until=4, then=then))
    assert np.isnan(pair.forced[4:]).all()
    assert pair.policy_outcome.failure_mode == INVALID_ACTION
    assert len(pair.policy.actions) == 4
    assert divergence_picture(compared(pair), "").width == 1000
    json.dumps(compared(pair).to_json(), allow_nan=False)


def test_another_demonstration_than_the_worlds_is_refused() -> None:
    whole = record()
    for changed, message in (
        (replace(whole, states=whole.states[3:], actions=whole.actions[3:]), "does not begin where its world does"),
        (replace(whole, actions=-whole.actions), "succeeded when it was recorded, and its actions fail now .*step 1"),
        (replace(whole, states=np.zeros((len(whole.states), 3), np.float32)), "states of 3 numbers, the task's have 2"),
    ):
        with pytest.raises(MismatchError, match=message):
            run_both(TASK, changed, Expert(TASK))
    with pytest.raises(ConfigError, match=rf"has the steps 0 to {len(whole.actions) - 1}"):
        run_both(TASK, whole, Expert(TASK), start_step=len(whole.actions))


def test_a_recording_of_another_machine_is_told_apart_and_compared() -> None:
    whole = record()
    states = whole.states.copy()
    states[3:] += 1e-6
    replay = run_both(TASK, replace(whole, states=states), Expert(TASK)).replay
    assert (replay.bit_equal, replay.parted, replay.success) == (False, 3, True)
    assert replay.largest == pytest.approx(1e-6, rel=0.1)


def trace_of(angles: Sequence[float]) -> Trace:
    poses = np.tile(np.eye(4), (len(angles), 1, 1))
    for pose, angle in zip(poses, angles, strict=True):
        pose[:3, :3] = exp_rotation(np.array([0.0, 0.6, 0.8]) * angle)
    return Trace(
        states=np.zeros((len(angles), 2), np.float32), actions=np.zeros((len(angles) - 1, 2), np.float32),
        poses={"cube": poses}, progress=np.zeros(len(angles)), stages=("",) * len(angles), reached={},
    )  # fmt: skip


def test_angles_between_rotations_are_exact_near_zero_and_at_half_a_turn() -> None:
    angles = [0.0, 1e-9, 1e-3, 1.0, 3.0, np.pi]
    found = rotation_errors(trace_of(angles), trace_of([0.0] * len(angles)))["cube"]
    np.testing.assert_allclose(found, angles, rtol=1e-6, atol=1e-15)


def along(*x_m: float) -> Trace:
    trace = trace_of([0.0] * len(x_m))
    trace.poses["cube"][:, 0, 3] = x_m
    return trace


def test_the_same_at_another_speed_keeps_to_the_path() -> None:
    found = compared(run_both(TASK, record(), Expert(TASK)))
    slower = replace(found.pair, demonstration=along(0, 0.1, 0.2, 0.3), policy=along(0, 0.05, 0.1, 0.15, 0.2, 0.25))
    assert [line for line in compared(slower).findings() if "another speed" in line]
    assert max(path_errors(slower.demonstration, slower.policy)["cube"]) < 1e-9
    beyond = path_errors(along(0, 0.1, 0.1), along(0, 0.05, 0.25))["cube"]
    np.testing.assert_allclose(beyond, [0.0, 0.0, 0.15], atol=1e-12)
    assert not [line for line in compared(replace(slower, policy=along(0, -0.1))).findings() if "speed" in line]


def test_something_that_only_turned_is_told_by_its_angle() -> None:
    found = compared(run_both(TASK, record(), Expert(TASK)))
    pair = replace(found.pair, demonstration=trace_of([0.0, 0.0, 0.0]), policy=trace_of([0.0, 0.3, 0.0]))
    turned = compared(pair)
    assert [(p.thing, p.step, p.for_good) for p in turned.partings] == [("cube", 1, None)]
    assert turned.findings()[0].endswith("cube 0.30 rad, and is back at the end while 'halfway'")


def test_the_film_shows_both_and_lasts_as_long_as_the_longer(tmp_path: Path) -> None:
    with shoot(tmp_path / "both.mp4", TASK.fps) as add:
        reel = Reel(TASK, add, tile_px=64)
        pair = run_both(TASK, record(), Bending(), watch=(reel.demonstration(), reel.policy))
    frames: list[Any] = []
    with av.open(str(tmp_path / "both.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    longer = max(pair.demonstration_outcome.length, pair.policy_outcome.length)
    assert len(frames) == longer + 1 + TASK.fps
    assert frames[0].shape == (64 + 24, 2 * 64 + 6, 3)
    assert frames[-1][-3, 60, 1] > frames[-1][-3, 60, 0]  # green on the left: the demonstration succeeded
    assert frames[-1][-12, -3, 0] > frames[-1][-12, -3, 1]  # red on the right: the policy did not


def test_the_picture_is_drawn_for_long_short_and_equal_episodes() -> None:
    for policy in (Bending(), Expert(TASK), PlantedPolicy(failure=1.0)):
        found = compared(run_both(TASK, record(), policy))
        assert divergence_picture(found, "episode 0").width == 1000


@pytest.mark.parametrize(("high", "count"), [(1.0, 4), (0.003, 4), (87.0, 10), (4.0, 10)])
def test_ticks_are_round_and_within(high: float, count: int) -> None:
    drawn = ticks(0.0, high, count)
    assert 2 <= len(drawn) <= count + 1
    assert drawn[0] == 0.0
    assert drawn[-1] <= high * (1 + 1e-9)
    assert all(len(f"{value:g}") <= 6 for value in drawn)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("lockstep") / "lift"
    assert main(["collect", "franka-lift:image_size=32", "--episodes", "1", "--processes", "1", "--out", str(out)]) == 0
    return out


def test_in_physics_a_demonstration_is_replayed_bit_for_bit_and_its_expert_stays_with_it(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["lockstep", str(dataset), "--out"]
    assert main([*asked, str(tmp_path / "same"), "--policy", "expert", "--start-step", "5"]) == 0
    assert "never part" in capsys.readouterr().out
    same = json.loads((tmp_path / "same/lockstep.json").read_text())
    assert same["replay"]["bit_equal"]
    assert set(same["series"]["position_m"]) == {"gripper", "cube_red"}
    assert max(same["series"]["position_m"]["gripper"]) == 0.0
    assert same["policy"] == same["demonstration"]
    assert main([*asked, str(tmp_path / "other"), "--policy", "random", "--json"]) == 0
    other = json.loads(capsys.readouterr().out)
    assert other == json.loads((tmp_path / "other/lockstep.json").read_text())
    assert other["partings"][0]["thing"] == "gripper"
    assert not other["policy"]["success"]
    with Image.open(tmp_path / "other/divergence.png") as picture:
        assert picture.width == 1000
    assert (tmp_path / "other/lockstep.mp4").stat().st_size > 1000


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--episode", "9"], "has the episodes 0 to 0"),
        (["--start-step", "500"], "has the steps 0 to"),
        (["--task", "franka-lift:distractors=0"], "is of another space"),
        (["--task", "franka-lft"], "Did you mean 'franka-lift'"),
        (["--tolerance", "0"], "--tolerance 0: must be a positive number"),
        (["--policy", "exprt"], "unknown policy 'exprt'"),
        (["--policy", "replay:d", "--start-step", "3"], "a replay begins with its first action"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_nothing(
    options: list[str], told: str, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = options if "--policy" in options else [*options, "--policy", "expert"]
    assert main(["lockstep", str(dataset), "--out", str(tmp_path / "out"), *given]) == 2
    printed = capsys.readouterr().err
    assert told in printed
    assert printed.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def edit(path: Path, change: Callable[[Any], None]) -> None:
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))


def test_a_dataset_that_does_not_say_its_task_or_names_one_that_is_not_here_is_refused(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sidecar = next(path for path in dataset.rglob("*.json") if "space_hash" in path.read_text())
    kept = sidecar.read_text()
    try:
        for name, told in (("", "name it with --task"), ("their-world", "cannot be made here: unknown task")):
            edit(sidecar, lambda record, name=name: record.update(task=name))
            assert main(["lockstep", str(dataset), "--out", str(tmp_path / "o"), "--policy", "expert"]) == 2
            assert told in capsys.readouterr().err
    finally:
        sidecar.write_text(kept)
