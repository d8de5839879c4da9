"""Outcomes depend on the cases, not on who runs them, how many at a time, or after how many kills."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import numpy as np
import pytest
from toys import SPACE, PlantedPolicy, PointTask

from etude.compute import ProcessExecutor, SerialExecutor
from etude.core import Case, ConfigError, MismatchError, Outcome, Perturbation
from etude.evaluation import Expert, RandomPolicy, Runner
from etude.evaluation.bench import bench, clear_bench

TASK = PointTask()
RNG = np.random.default_rng(0)
CASES = [Case(SPACE.sample(RNG), seed) for seed in range(21)]
POLICY = PlantedPolicy()


def test_outcomes_do_not_depend_on_processes_or_slots() -> None:
    reference = Runner(TASK, POLICY, SerialExecutor(), slots=1).run(CASES)
    assert [o.case for o in reference] == CASES
    assert Runner(TASK, POLICY, SerialExecutor(), slots=5, cases_per_job=7).run(CASES) == reference
    with ProcessExecutor(2) as executor:
        assert Runner(TASK, POLICY, executor, slots=3, cases_per_job=4).run(CASES) == reference


def test_the_expert_succeeds_and_chance_does_not() -> None:
    assert all(o.success for o in Runner(TASK, Expert(TASK), SerialExecutor()).run(CASES))
    assert sum(o.success for o in Runner(TASK, RandomPolicy((-1.0, -1.0), (1.0, 1.0)), SerialExecutor()).run(CASES)) < 5


def test_the_planted_policy_fails_in_its_box() -> None:
    outcomes = Runner(TASK, PlantedPolicy(failure=1.0), SerialExecutor()).run(CASES)
    assert [not o.success for o in outcomes] == [o.case.theta.values["light.intensity"] < 0.4 for o in outcomes]


def test_progress_counts_to_the_end() -> None:
    seen: list[int] = []
    Runner(TASK, POLICY, SerialExecutor(), cases_per_job=8).run(CASES, progress=lambda some: seen.append(len(some)))
    assert seen == [8, 16, 21]


class DiesAfter:
    """An executor that is interrupted after some jobs."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def map[J, R](self, function: Callable[[J], R], jobs: Iterable[J], **_: object) -> Iterator[R]:
        for i, job in enumerate(jobs):
            if i == self.jobs:
                raise KeyboardInterrupt
            yield function(job)


def test_an_interrupted_evaluation_continues_and_ends_the_same(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    with pytest.raises(KeyboardInterrupt):
        Runner(TASK, POLICY, DiesAfter(2), cases_per_job=4).run(CASES, journal=journal)
    journal.write_bytes(journal.read_bytes() + b'[{"case": {"the')  # killed while writing a line
    counting = DiesAfter(99)
    resumed = Runner(TASK, POLICY, counting, cases_per_job=4)
    kept = resumed.run(CASES, journal=journal)
    assert kept == Runner(TASK, POLICY, SerialExecutor()).run(CASES)
    assert Runner(TASK, POLICY, DiesAfter(0), cases_per_job=4).run(CASES, journal=journal) == kept  # nothing is left


def test_a_journal_of_something_else_is_refused(tmp_path: Path) -> None:
    journal = tmp_path / "journal.jsonl"
    Runner(TASK, POLICY, SerialExecutor()).run(CASES[:3], journal=journal)
    with pytest.raises(MismatchError, match="cases differ"):
        Runner(TASK, POLICY, SerialExecutor()).run(CASES[:4], journal=journal)
    with pytest.raises(MismatchError, match="policy differ"):
        Runner(TASK, Expert(TASK), SerialExecutor()).run(CASES[:3], journal=journal)


def test_environments_are_kept_between_jobs_and_closed_at_the_end() -> None:
    first, policy = bench(TASK, POLICY, 2)
    second, same_policy = bench(TASK, POLICY, 3)
    assert second[:2] == first
    assert policy is same_policy
    clear_bench()
    assert all(environment.closed for environment in second)  # type: ignore[attr-defined]


def test_only_a_few_benches_are_kept() -> None:
    first, _ = bench(TASK, POLICY, 1)
    for action_size in range(1, 5):
        bench(TASK, RandomPolicy((-1.0,) * action_size, (1.0,) * action_size), 1)
    assert first[0].closed  # type: ignore[attr-defined]
    clear_bench()


def test_no_cases_give_no_outcomes() -> None:
    assert Runner(TASK, POLICY, SerialExecutor()).run([]) == []


def test_few_cases_are_shared_by_two_processes() -> None:
    seen: list[int] = []
    Runner(TASK, POLICY, SerialExecutor()).run(CASES[:5], progress=lambda some: seen.append(len(some)))
    assert seen == [3, 5]


def test_slots_must_be_positive() -> None:
    with pytest.raises(ConfigError, match="slots"):
        Runner(TASK, POLICY, SerialExecutor(), slots=0)


def test_nominal_cases_run_too() -> None:
    outcomes: list[Outcome] = Runner(TASK, POLICY, SerialExecutor()).run([Case(Perturbation(), s) for s in range(4)])
    assert all(o.success for o in outcomes)
