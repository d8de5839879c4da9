"""A collection depends on its seed, not on who makes it, nor on how often it was stopped."""

from pathlib import Path

import numpy as np
import pytest
from loop.tiny import StopsAfter
from toys import SPACE, PointTask

from etude.compute import ProcessExecutor, SerialExecutor
from etude.core import Case, EtudeError, Executor, MismatchError, Outcome, Perturbation, StageFailedError
from etude.data import DatasetMeta
from etude.loop.making.collecting import FAILED, Collected, collect
from etude.loop.making.failures import Failures
from etude.loop.making.maker import ExpertMaker, Made

TASK = PointTask(max_steps=5)  # too few for the far goals: the expert fails at some
SERIAL = SerialExecutor()


def draw(rng: np.random.Generator) -> Perturbation:
    return SPACE.sample(rng)


def gather(out: Path, *, accepted: int = 6, seed: int = 3, executor: Executor = SERIAL, task: PointTask = TASK):
    return collect(task, out, accepted=accepted, draw=draw, seed=seed, executor=executor)


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Collected]:
    """A collection that nobody disturbed, and what it spent."""
    out = tmp_path_factory.mktemp("collecting") / "whole"
    return out, gather(out)


def test_only_successes_are_kept_and_every_attempt_counts(whole: tuple[Path, Collected]):
    out, collected = whole
    meta = DatasetMeta.open(out)
    assert collected.accepted == meta.total_episodes == 6
    assert collected.frames == meta.total_frames
    assert collected.attempts > collected.accepted


def test_two_processes_make_the_same_dataset(whole: tuple[Path, Collected], tmp_path: Path):
    with ProcessExecutor(2) as executor:
        assert gather(tmp_path / "d", executor=executor) == whole[1]
    assert contents(tmp_path / "d") == contents(whole[0])


@pytest.mark.parametrize("jobs", [0, 1, 4, 9])
def test_a_stopped_collection_goes_on_to_the_same_dataset(whole: tuple[Path, Collected], tmp_path: Path, jobs: int):
    assert jobs < whole[1].attempts
    with pytest.raises(KeyboardInterrupt):
        gather(tmp_path / "d", executor=StopsAfter(jobs))
    assert gather(tmp_path / "d") == whole[1]
    assert contents(tmp_path / "d") == contents(whole[0])


def test_a_collection_stopped_at_every_attempt_ends_the_same(whole: tuple[Path, Collected], tmp_path: Path):
    # What is tried again after a stop are the failures since the last success: three attempts are enough here.
    for _ in range(whole[1].attempts):
        try:
            collected = gather(tmp_path / "d", executor=StopsAfter(3))
        except KeyboardInterrupt:
            continue
        break
    else:
        pytest.fail("it never ended")
    assert collected == whole[1]
    assert contents(tmp_path / "d") == contents(whole[0])


def test_a_finished_collection_is_left_alone_and_can_be_extended(whole: tuple[Path, Collected], tmp_path: Path):
    gather(tmp_path / "d", accepted=2)
    before = contents(tmp_path / "d")
    assert gather(tmp_path / "d", accepted=2, executor=StopsAfter(0)).accepted == 2
    assert contents(tmp_path / "d") == before
    assert gather(tmp_path / "d") == whole[1]
    assert DatasetMeta.open(tmp_path / "d").episodes == DatasetMeta.open(whole[0]).episodes


def test_attempts_that_are_enough_need_no_others_to_be_a_number_of_demonstrations(tmp_path: Path):
    def more(*, accepted: int | None = None, attempts: int | None = None) -> Collected:
        return collect(
            TASK, tmp_path / "d", accepted=accepted, attempts=attempts, draw=draw, seed=3, executor=SERIAL,
            keep_failed=True,
        )  # fmt: skip

    enough = more(attempts=10)
    before = contents(tmp_path / "d")
    assert DatasetMeta.open(tmp_path / "d" / FAILED).total_episodes == 10 - enough.accepted
    assert more(accepted=enough.accepted).accepted == enough.accepted
    assert contents(tmp_path / "d") == before


def test_an_episode_is_reported_when_it_is_on_disk(tmp_path: Path):
    saved: list[int] = []

    def on_saved(index: int, outcome: Outcome) -> None:
        assert outcome.success
        assert DatasetMeta.open(tmp_path / "d").total_episodes == index + 1
        saved.append(index)

    collect(TASK, tmp_path / "d", accepted=3, draw=draw, seed=0, executor=SERIAL, on_saved=on_saved)
    assert saved == [0, 1, 2]


def test_a_hopeless_expert_is_told_after_a_hundred_attempts(tmp_path: Path):
    def far(rng: np.random.Generator) -> Perturbation:
        return Perturbation({"goal.x_m": 0.5, "light.intensity": rng.uniform(0.2, 1.0)})

    hurried = PointTask(max_steps=1)
    with pytest.raises(StageFailedError, match=r"succeeded in only 0 of 100 attempts on toy-point.*narrow.*on film: "):
        collect(hurried, tmp_path / "d", accepted=1, draw=far, seed=0, executor=SERIAL)
    assert (tmp_path / "d-failed.mp4").stat().st_size > 0


def test_attempts_that_all_fail_are_told_at_the_end(tmp_path: Path):
    hurried = PointTask(max_steps=1)
    with pytest.raises(StageFailedError, match=r"only 0 of 3 attempts.*\(3\).*max_steps=2 .*on film: "):
        collect(
            hurried,
            tmp_path / "d",
            attempts=3,
            draw=lambda rng: Perturbation({"goal.x_m": 0.5, "light.intensity": rng.uniform(0.2, 1.0)}),
            seed=0,
            executor=SERIAL,
        )
    assert (tmp_path / "d-failed.mp4").stat().st_size > 0


def test_a_hopeless_resumed_collection_says_how_many_failures_it_speaks_of(tmp_path: Path):
    failures, shown = Failures(PointTask(cameras=()), ExpertMaker()), Perturbation({"goal.x_m": 0.5})
    fields = {"progress": 0.0, "stage": "", "failure_mode": "timeout", "length": 1, "total_reward": 0.0}
    failures.add(Made(outcome=Outcome(case=Case(shown, 0), success=False, **fields), stuck="timeout"))
    with pytest.raises(StageFailedError, match=r"0 of 1 attempts on \S+: timeout \(1\); narrow"):
        failures.require_hope(0, 1, film=tmp_path / "f.mp4", over=True)
    with pytest.raises(StageFailedError, match=r"0 of 150 attempts on \S+: timeout \(1\) of the last 1 failures;"):
        failures.require_hope(0, 150, film=tmp_path / "f.mp4")


def test_another_seed_or_task_is_refused_and_spoils_nothing(whole: tuple[Path, Collected], tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        gather(tmp_path / "d", executor=StopsAfter(6))
    with pytest.raises(EtudeError, match="was not collected with seed 4"):
        gather(tmp_path / "d", seed=4)
    with pytest.raises(MismatchError, match="task"):
        gather(tmp_path / "d", task=PointTask(max_steps=6))
    assert gather(tmp_path / "d") == whole[1]
    assert contents(tmp_path / "d") == contents(whole[0])
