"""`etude eval` whose worker, or itself, is killed in the middle ends as one that never was."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from etude.evaluation import read_outcomes

ETUDE = Path(sys.executable).with_name("etude")
COMMAND = [
    str(ETUDE), "eval", "franka-stack:cubes=2,cameras=none", "--policy", "expert", "--space", "uniform",
    "--episodes", "64",
]  # fmt: skip


def start(out: Path, *options: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, "--processes", "2", "--out", str(out), *options],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def workers(parent: int) -> set[int]:
    """Processes that were spawned to run jobs."""
    children = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return {int(pid) for pid in children if "spawn_main" in Path(f"/proc/{pid}/cmdline").read_text()}


def eventually(condition: Callable[[], bool], seconds: float = 60.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An evaluation that nobody disturbed, in one process."""
    out = tmp_path_factory.mktemp("whole") / "r"
    subprocess.run([*COMMAND, "--processes", "1", "--out", str(out)], check=True, capture_output=True)
    return out


def assert_same(found: Path, expected: Path) -> None:
    for name in ("outcomes.parquet", "summary.json"):
        assert (found / name).read_bytes() == (expected / name).read_bytes()


@pytest.mark.slow
def test_eval_whose_worker_is_killed_ends_the_same(tmp_path: Path, whole: Path):
    with start(tmp_path / "r") as process:
        assert eventually((tmp_path / "r" / "journal.jsonl").exists)
        os.kill(workers(process.pid).pop(), signal.SIGKILL)
        complaint = process.communicate(timeout=120)[1]
    assert process.returncode == 0, complaint
    assert len(read_outcomes(tmp_path / "r" / "outcomes.parquet")) == 64
    assert_same(tmp_path / "r", whole)


@pytest.mark.slow
def test_eval_that_is_killed_leaves_nobody_and_goes_on(tmp_path: Path, whole: Path):
    with start(tmp_path / "r") as process:
        assert eventually((tmp_path / "r" / "journal.jsonl").exists)
        orphans = workers(process.pid)
        process.kill()
    assert orphans
    assert eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in orphans))
    assert not (tmp_path / "r" / "outcomes.parquet").exists()
    with start(tmp_path / "r", "--resume") as process:
        complaint = process.communicate(timeout=120)[1]
    assert process.returncode == 0, complaint
    assert_same(tmp_path / "r", whole)
