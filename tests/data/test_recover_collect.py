"""`etude collect`, killed without warning: what it reported is there, and it goes on as if nothing had been."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from etude.data import DatasetMeta, recover

TASK, EPISODES = "franka-lift:cameras=front,image_size=32", 4


def collect(out: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [
        str(Path(sys.executable).with_name("etude")),
        "collect",
        TASK,
        "--episodes",
        str(EPISODES),
        "--out",
        str(out),
    ]
    return subprocess.Popen(
        [*command, "--processes", "1", "--json", *arguments],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def collect_until_killed(out: Path, after: int, wait_s: float, *arguments: str) -> int:
    """Kill it, with its workers, some time after so many episodes; returns how many it had reported in all."""
    with collect(out, *arguments) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(after)]
        time.sleep(wait_s)
        os.killpg(process.pid, signal.SIGKILL)
        lines += [line for line in process.stdout if line.endswith("\n")]
    return json.loads(lines[-1])["saved"] + 1 if lines and lines[-1] else 0


def contents(root: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(root)): p.read_bytes()
        for p in root.rglob("*")
        if p.is_file() and p.name not in (".lock", "settings.json")
    }


@pytest.mark.slow
def test_killed_at_random_moments_no_reported_episode_is_lost_and_the_end_is_the_same(tmp_path: Path):
    with collect(tmp_path / "whole") as whole:
        assert whole.stdout is not None
        assert len(whole.stdout.readlines()) == EPISODES
    rng = np.random.default_rng(0)
    for attempt in range(3):
        saved = collect_until_killed(tmp_path / "killed", 1, rng.uniform(0, 1), *(["--resume"] if attempt else []))
        if not (tmp_path / "killed").exists():
            continue
        shutil.copytree(tmp_path / "killed", tmp_path / f"copy-{attempt}")
        assert recover(tmp_path / f"copy-{attempt}") >= saved
    with collect(tmp_path / "killed", "--resume") as rest:
        assert rest.stdout is not None
        rest.stdout.read()
    assert DatasetMeta.open(tmp_path / "killed").total_episodes == EPISODES
    assert contents(tmp_path / "killed") == contents(tmp_path / "whole")
