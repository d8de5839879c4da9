"""What docs/training.md and the notebook say works."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from etude.cli.train import Options

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "training.md").read_text()
NOTEBOOK = json.loads((ROOT / "notebooks" / "train.ipynb").read_text())


def test_options_that_the_page_names_exist():
    valid = {f"--{name.replace('_', '-')}" for name in Options.__dataclass_fields__}
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", PAGE))
    foreign = {"--config", "--theta", "--episodes", "--num", "--nproc", "--multi"}
    assert named - valid <= foreign


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_command_of_the_page_runs(tmp_path: Path):
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    commands = [line for block in blocks for line in block.splitlines()]
    assert len(commands) >= 8
    for command in commands:
        words = shlex.split(command)
        done = subprocess.run(
            [Path(sys.executable).with_name(words[0]), *words[1:]],
            cwd=tmp_path, capture_output=True, text=True, timeout=600,
        )  # fmt: skip
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    for name in ("checkpoint", "curves.json", "curves.svg", "settings.json", "state"):
        assert (tmp_path / "runs" / "first" / name).exists()
    assert json.loads((tmp_path / "runs" / "again" / "settings.json").read_text())["options"]["seed"] == 1


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_notebook_runs_at_its_tiny_setting(tmp_path: Path):
    cells = ["".join(cell["source"]) for cell in NOTEBOOK["cells"] if cell["cell_type"] == "code"]
    environment = {**os.environ, "ETUDE_NOTEBOOK": "tiny"}
    for again in (False, True):  # the second time everything is there already
        done = subprocess.run(
            [sys.executable, "-c", "\n\n".join(cells)],
            cwd=tmp_path, capture_output=True, text=True, timeout=600, env=environment,
        )  # fmt: skip
        assert done.returncode == 0, f"again: {again}\n{done.stdout}\n{done.stderr}"
    assert (tmp_path / "checkpoint.zip").stat().st_size > 10_000


def test_the_notebook_is_short_and_holds_no_results():
    assert len(NOTEBOOK["cells"]) <= 14
    for cell in NOTEBOOK["cells"]:
        assert not cell.get("outputs")
        assert len(cell["source"]) <= 30
