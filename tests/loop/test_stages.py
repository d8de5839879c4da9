"""Each stage by itself, on a policy whose failures are planted."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from loop.tiny import StopsAfter
from toys import SPACE, PlantedPolicy, PointTask

from etude.compute import SerialExecutor
from etude.core import Case, Executor, MismatchError, Perturbation, Suite
from etude.core.files import read_json
from etude.evaluation import Expert, Runner, read_outcomes
from etude.loop.progress import Update
from etude.loop.searching import SEARCH, SearchResult, SearchSettings, search_for_failures
from etude.loop.stages import (
    ARCHIVE,
    POCKETS,
    TESTS,
    Arena,
    evaluate,
    freeze_suites,
    load_pockets,
    load_suite,
    sit_suites,
)
from etude.search import Archive, SuiteConfig

TASK, POLICY, SERIAL = PointTask(), PlantedPolicy(failure=1.0), SerialExecutor()
ARENA = Arena(TASK, SERIAL)
SETTINGS = SearchSettings(rollouts=160, confirm=15)
SIZES = SuiteConfig(exam=20, dev=4, uniform=16, nominal=4)


def search(out: Path, executor: Executor = SERIAL) -> SearchResult:
    return search_for_failures(Arena(TASK, executor), POLICY, out, settings=SETTINGS, seed=5)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, SearchResult]:
    """A search for the planted failures, and what it found."""
    out = tmp_path_factory.mktemp("search")
    return out, search(out)


@pytest.fixture(scope="module")
def suites(searched: tuple[Path, SearchResult], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("suites")
    freeze_suites(ARENA, POLICY, searched[1].pockets, out, sizes=SIZES, seed=5)
    return out


def test_the_planted_pocket_is_found_and_counted(searched: tuple[Path, SearchResult]):
    out, found = searched
    worst = found.pockets[0]
    assert worst.bounds.keys() == {"light.intensity"}
    assert worst.bounds["light.intensity"][1] == pytest.approx(0.4, abs=0.08)
    assert load_pockets(out) == found.pockets
    archive = Archive.load(out / ARCHIVE, SPACE)
    assert len(archive) == SETTINGS.rollouts
    confirming = [*found.pockets, *read_json(out / POCKETS)["refuted"]]
    sharpening = read_json(out / "search.json")["sharpening"]["rollouts"]
    assert found.rollouts == SETTINGS.rollouts + sharpening + SETTINGS.confirm * (len(confirming) + 2)
    assert found.failures.n == round(SETTINGS.uniform_share * SETTINGS.rollouts)
    assert found.failures.value == pytest.approx(0.25, abs=0.12)


def test_batches_of_one_piece_of_work_are_told_apart():
    titles: list[str] = []

    def progress(title: str, _total: int) -> AbstractContextManager[Update]:
        titles.append(title)
        return nullcontext(lambda _done, _note: None)

    roll = Arena(TASK, SERIAL, progress).policy(POLICY, "freeze the exam")
    for seed in range(3):
        roll([Case(Perturbation(), seed)])
    assert titles == ["freeze the exam", "freeze the exam, batch 2", "freeze the exam, batch 3"]


@pytest.mark.parametrize("jobs", [0, 1, 5, 9, 14])
def test_a_stopped_search_goes_on_and_finds_the_same(searched: tuple[Path, SearchResult], tmp_path: Path, jobs: int):
    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, StopsAfter(jobs))
    assert search(tmp_path) == searched[1]
    for name in (ARCHIVE, POCKETS, SEARCH):
        assert (tmp_path / name).read_bytes() == (searched[0] / name).read_bytes()


def test_every_exam_case_lies_in_a_pocket_and_has_a_witness(searched: tuple[Path, SearchResult], suites: Path):
    exam = load_suite(suites / TESTS["exam"], TASK)
    pockets = {pocket.name: pocket for pocket in searched[1].pockets}
    assert len(exam.cases) == SIZES.exam
    for case, label in zip(exam.cases, exam.labels, strict=True):
        assert pockets[label].contains(case.theta, SPACE)
    assert all(outcome.success for outcome in Runner(TASK, Expert(TASK), SERIAL).run(exam.cases))
    shared = [{case.theta for case in load_suite(suites / f"{name}.json", TASK).cases} for name in ("exam", "dev")]
    assert not shared[0] & shared[1]


def test_suites_are_the_same_whenever_they_are_frozen(
    searched: tuple[Path, SearchResult], suites: Path, tmp_path: Path
):
    with pytest.raises(KeyboardInterrupt):
        freeze_suites(Arena(TASK, StopsAfter(2)), POLICY, searched[1].pockets, tmp_path, sizes=SIZES, seed=5)
    assert [path.name for path in tmp_path.iterdir()] == ["rollouts"]
    freeze_suites(ARENA, POLICY, searched[1].pockets, tmp_path, sizes=SIZES, seed=5)
    names = {path.name for path in suites.iterdir()}
    assert names == {"exam.json", "dev.json", "uniform.json", "nominal.json", "building.json"}
    assert all((tmp_path / name).read_bytes() == (suites / name).read_bytes() for name in names)


def test_what_was_rolled_out_is_not_rolled_out_again(searched: tuple[Path, SearchResult], tmp_path: Path):
    def jobs_needed(run: Callable[[Executor], object]) -> int:
        executor = Counting()
        run(executor)
        return executor.jobs

    def freeze(out: Path) -> Callable[[Executor], object]:
        pockets = searched[1].pockets
        return lambda executor: freeze_suites(Arena(TASK, executor), POLICY, pockets, out, sizes=SIZES, seed=5)

    for name, work in (("search", partial(search, tmp_path / "search")), ("freeze", freeze(tmp_path / "freeze"))):
        whole = jobs_needed(partial(search, tmp_path / "whole") if name == "search" else freeze(tmp_path / "frozen"))
        with pytest.raises(KeyboardInterrupt):
            work(StopsAfter(whole - 1))
        assert jobs_needed(work) == 1
        assert jobs_needed(work) == 0  # finished: only read
        assert not (tmp_path / name / "rollouts").exists()


class Counting(SerialExecutor):
    """Counts the jobs that it runs."""

    jobs = 0

    def map(self, function: Any, jobs: Any, **lost: Any) -> Any:
        for job in jobs:
            self.jobs += 1
            yield function(job)


@pytest.mark.parametrize("jobs", [0, 1, 2])
def test_a_stopped_exam_goes_on_and_ends_the_same(suites: Path, tmp_path: Path, jobs: int):
    whole, out = tmp_path / "whole", tmp_path / "out"
    rates = sit_suites(ARENA, POLICY, suites, whole)
    with pytest.raises(KeyboardInterrupt):
        sit_suites(Arena(TASK, StopsAfter(jobs)), POLICY, suites, out)
    left = StopsAfter(3 - jobs)  # 40 cases are three jobs, and those that were done are not done again
    assert sit_suites(Arena(TASK, left), POLICY, suites, out) == rates
    assert sorted(path.name for path in out.iterdir()) == sorted(f"{test}.parquet" for test in TESTS)
    for test in TESTS:
        assert read_outcomes(out / f"{test}.parquet") == read_outcomes(whole / f"{test}.parquet")
    assert rates["exam"].k == 0  # the baseline's failures, every one
    assert rates["nominal"].k == rates["nominal"].n


def test_evaluating_tells_how_far_it_is(suites: Path):
    told: list[tuple[int, str]] = []

    class Watch:
        def __init__(self, title: str, total: int) -> None:
            assert (title, total) == ("evaluate", 4)

        def __enter__(self):
            return lambda done, note: told.append((done, note))

        def __exit__(self, *_: object) -> None: ...

    evaluate(TASK, POLICY, load_suite(suites / "nominal.json", TASK).cases, executor=SERIAL, progress=Watch)
    assert [done for done, _ in told] == [2, 4]  # job by job
    assert told[-1][1] == "4/4 succeed"


def test_a_suite_of_another_space_is_refused(suites: Path, tmp_path: Path):
    suite = Suite.load(suites / "exam.json")
    replace(suite, space_hash="0" * 16, task="something-else").save(tmp_path / "exam.json")
    with pytest.raises(MismatchError, match=f"made for something-else .*toy-point.* has space {SPACE.hash}"):
        load_suite(tmp_path / "exam.json", TASK)
