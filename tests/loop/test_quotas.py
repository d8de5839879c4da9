"""Acceptance by parts of the space: equal numbers, holes that are told, and nothing that depends on who made it."""

from pathlib import Path

import pytest
from loop.tiny import StopsAfter
from toys import SPACE, PointTask

from etude.compute import ProcessExecutor, SerialExecutor
from etude.core import ConfigError, EtudeError, Executor, StageFailedError, UnknownNameError
from etude.data import DatasetMeta
from etude.loop.making.collecting import Collected, collect
from etude.loop.making.quotas import Quotas, divide

TASK = PointTask(max_steps=5)  # too few for the far goals: less succeeds in the outer parts
SERIAL = SerialExecutor()
PARTS = divide(SPACE, {"goal.x_m": 4})


def gather(out: Path, *, accepted: int = 8, executor: Executor = SERIAL, task: PointTask = TASK) -> Collected:
    draws = [SPACE.narrowed(part).sample for part in PARTS]
    return collect(task, out, accepted=accepted, draw=draws, seed=3, executor=executor)


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def per_part(out: Path) -> list[int]:
    values = [e.case.theta.values["goal.x_m"] for e in DatasetMeta.open(out).episodes if e.case]
    ranges = [part["goal.x_m"] for part in PARTS]
    return [sum(low <= value < high for value in values) for low, high in ranges]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Collected]:
    out = tmp_path_factory.mktemp("quotas") / "whole"
    return out, gather(out)


def test_every_part_has_as_many_whatever_its_yield(whole: tuple[Path, Collected]):
    out, collected = whole
    assert per_part(out) == [2, 2, 2, 2]
    assert [rate.k for rate in collected.parts] == [2, 2, 2, 2]
    assert sum(rate.n for rate in collected.parts) == collected.attempts
    assert len({rate.n for rate in collected.parts}) > 1


@pytest.mark.parametrize("jobs", [1, 4, 7])
def test_a_stopped_collection_goes_on_to_the_same_dataset(whole: tuple[Path, Collected], tmp_path: Path, jobs: int):
    assert jobs < whole[1].attempts
    with pytest.raises(KeyboardInterrupt):
        gather(tmp_path / "d", executor=StopsAfter(jobs))
    assert gather(tmp_path / "d") == whole[1]
    assert contents(tmp_path / "d") == contents(whole[0])


def test_two_processes_make_the_same_dataset(whole: tuple[Path, Collected], tmp_path: Path):
    with ProcessExecutor(2) as executor:
        assert gather(tmp_path / "d", executor=executor) == whole[1]
    assert contents(tmp_path / "d") == contents(whole[0])


def test_a_finished_one_is_left_alone(whole: tuple[Path, Collected]):
    before = contents(whole[0])
    assert gather(whole[0], executor=StopsAfter(0)) == whole[1]
    assert contents(whole[0]) == before


def test_a_part_without_successes_is_a_hole_after_a_bounded_number_of_attempts(tmp_path: Path):
    near, far = (SPACE.narrowed({"goal.x_m": (low, low + 0.05)}).sample for low in (0.0, 0.45))
    hurried = PointTask(max_steps=3)
    collected = collect(hurried, tmp_path / "d", accepted=4, draw=[near, far], seed=0, executor=SERIAL)
    assert (collected.accepted, collected.parts[0].k) == (2, 2)
    assert (collected.parts[1].k, collected.parts[1].n) == (0, 50)
    with pytest.raises(StageFailedError, match="only 0 of 100 attempts"):
        collect(hurried, tmp_path / "e", accepted=4, draw=[far, far], seed=0, executor=SERIAL)


def test_a_part_without_feasible_worlds_is_left_out(tmp_path: Path):
    draws = [SPACE.narrowed(PARTS[1]).sample, None]
    collected = collect(TASK, tmp_path / "d", accepted=4, draw=draws, seed=0, executor=SERIAL)
    assert [(rate.k, rate.n > 0) for rate in collected.parts] == [(2, True), (0, False)]


def test_a_number_that_is_not_divisible_is_refused(tmp_path: Path):
    with pytest.raises(ConfigError, match="6 demonstrations are not divisible into 4 equal parts"):
        gather(tmp_path / "d", accepted=6)
    assert not (tmp_path / "d").exists()


def test_ranges_are_divided_equally_and_two_factors_into_all_combinations():
    edges = {name: (SPACE[name].low, SPACE[name].high) for name in ("goal.x_m", "light.intensity")}
    parts = divide(SPACE, {"goal.x_m": 2, "light.intensity": 3})
    assert len(parts) == 6
    volumes = {round((x[1] - x[0]) * (y[1] - y[0]), 12) for x, y in (tuple(part.values()) for part in parts)}
    assert len(volumes) == 1
    for name, (low, high) in edges.items():
        assert min(part[name][0] for part in parts) == low
        assert max(part[name][1] for part in parts) == high


@pytest.mark.parametrize(
    ("bins", "error", "message"),
    [
        ({"goal.x_m": 1}, ConfigError, "1 bins of goal.x_m: choose at least 2"),
        ({"goal.z_m": 4}, UnknownNameError, "goal.z_m"),
        ({}, ConfigError, "name one or 2"),
        ({"goal.x_m": 2, "goal.y_m": 2, "light.intensity": 2}, ConfigError, "3 factors"),
    ],
)
def test_divisions_that_make_no_sense_are_refused(bins: dict[str, int], error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        divide(SPACE, bins)


def test_one_part_has_no_end_but_its_number():
    quotas = Quotas(1, None)
    for attempt in range(500):
        quotas.add(attempt, success=False)
    assert (quotas.attempts, quotas.over) == (500, False)
    assert Quotas(1, 0).over


def test_a_collection_goes_on_however_many_parts_are_closed(tmp_path: Path):
    draws = [SPACE.narrowed(PARTS[1]).sample, *[None] * 3999]  # an attempt in 4000 is made

    def sparse(executor: Executor, seed: int = 0) -> Collected:
        return collect(TASK, tmp_path / "d", accepted=20_000, draw=draws, seed=seed, executor=executor)

    with pytest.raises(KeyboardInterrupt):
        sparse(StopsAfter(4))
    with pytest.raises(EtudeError, match="was not collected with seed 1"):
        sparse(SERIAL, seed=1)
    assert sparse(SERIAL).accepted == 5
