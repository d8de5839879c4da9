"""A frozen suite of a physical world replays bit for bit, in a process that has never seen it."""

import hashlib
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np

from etude.core import Case, Outcome, Suite, rollout
from etude.search import SuiteConfig, build_suites
from etude.sim import make_task

REPLAY = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from search.test_replay import replayed
print(replayed(Path(sys.argv[1])))
"""


def roll(cases: list[Case] | tuple[Case, ...], fails_right: bool = False) -> list[Outcome]:
    """The expert; or one that never closes its hand where the cube lies on the right."""
    task = make_task("franka-lift")
    environment, expert = task.environment(lazy_images=True, object_state=True), task.expert()
    outcomes = [rollout(environment, expert, case) for case in cases]
    environment.close()
    if not fails_right:
        return outcomes
    failed = [case.theta.get("cube_red.y_m", 0.0) > 0 for case in cases]
    return [
        Outcome(case=o.case, success=False, progress=0.0, stage="", failure_mode="timeout", length=1, total_reward=0.0)
        if fails
        else o
        for o, fails in zip(outcomes, failed, strict=True)
    ]


def replayed(path: Path) -> str:
    """A hash of every outcome of the expert on a suite, with all digits."""
    outcomes = roll(Suite.load(path).cases)
    told = [[o.success, o.progress.hex(), o.total_reward.hex(), o.length, o.stage] for o in outcomes]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()


def test_an_exam_replays_bit_for_bit_in_a_fresh_process(tmp_path: Path) -> None:
    task, sizes = make_task("franka-lift"), SuiteConfig(exam=3, dev=1, uniform=2, nominal=1, max_rollouts=60)
    space, rng = task.space, np.random.default_rng(0)
    suites = build_suites(space, task.name, (), lambda c: roll(list(c), True), lambda c: roll(list(c)), sizes, rng)
    suites.save(tmp_path)
    for name in ("exam", "uniform", "nominal"):
        path = tmp_path / f"{name}.json"
        command = [sys.executable, "-c", REPLAY, str(path), str(Path(__file__).parents[1])]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=environment)
        assert done.returncode == 0, done.stderr
        assert done.stdout.strip() == replayed(path)
    assert all(o.success for o in roll(suites.exam.cases))  # every case has its witness, to the bit
