"""A case that ends its process fails alone; everything else comes out as if nothing had happened."""

from pathlib import Path

import numpy as np
import pytest
from compute.fatal import DeadlyPolicy
from toys import SPACE, PlantedPolicy, PointTask

from etude.compute import ProcessExecutor, SerialExecutor
from etude.core import CRASHED, Case
from etude.evaluation import Runner

TASK = PointTask()
RNG = np.random.default_rng(3)
CASES = [Case(SPACE.sample(RNG), seed) for seed in range(24)]
DEADLY = [c for c in CASES if c.theta.values["table.friction"] > 1.45 or c.theta.values["cube.scale"] < 0.82]


HEALTHY = Runner(TASK, PlantedPolicy(), SerialExecutor())


@pytest.mark.parametrize("processes", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_a_case_that_ends_its_process_fails_alone(processes: int, tmp_path: Path) -> None:
    assert len(DEADLY) == 2, "one of each kind"
    journal, told = tmp_path / "journal.jsonl", list[int]()
    with ProcessExecutor(processes) as executor:
        runner = Runner(TASK, DeadlyPolicy(), executor)
        outcomes = runner.run(CASES, journal=journal, progress=lambda some: told.append(len(some)))
        again = runner.run(CASES, journal=journal)  # nothing is left to run, and nobody dies
    assert [o.case for o in outcomes if o.failure_mode == CRASHED] == DEADLY
    assert [o.case for o in outcomes] == CASES
    survived = [o for o in outcomes if o.case not in DEADLY]
    assert survived == [o for o in HEALTHY.run(CASES) if o.case not in DEADLY]
    assert again == outcomes
    assert told[-1] == 24
    crashed = next(o for o in outcomes if o.failure_mode == CRASHED)
    assert (crashed.success, crashed.progress, crashed.length, crashed.smoothness) == (False, 0.0, 0, None)
    assert crashed.subtasks == {"halfway": False, "reach": False}


def test_a_worker_that_is_killed_in_the_middle_loses_and_doubles_nothing(tmp_path: Path) -> None:
    with ProcessExecutor(2) as executor:
        outcomes = Runner(TASK, DeadlyPolicy(marker=str(tmp_path / "killed")), executor, cases_per_job=4).run(CASES)
    assert (tmp_path / "killed").exists()
    assert outcomes == HEALTHY.run(CASES)
