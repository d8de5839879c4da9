"""The page on other people's environments does what it says: its code and its commands run, in order."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "any-environment.md"
BLOCK = re.compile(r"^```(python|sh harbour|sh|toml)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCK.findall(PAGE.read_text()) if name == language]


def run(words: list[str], folder: Path) -> str:
    done = subprocess.run(
        words, cwd=folder, capture_output=True, text=True, timeout=300,
        env={**os.environ, "PYTHONPATH": str(folder), "COLUMNS": "120", "PYTHONWARNINGS": "error"},
    )  # fmt: skip
    assert done.returncode == 0, f"{words}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def commands(language: str) -> list[list[str]]:
    return [shlex.split(line) for block in blocks(language) for line in block.splitlines()]


def write_package(folder: Path) -> None:
    """The page's module, installed as far as importlib.metadata can tell."""
    module, *_ = blocks("python")
    assert module.startswith("# harbour.py\n")
    (folder / "harbour.py").write_text(module)
    (folder / "harbour-1.0.dist-info").mkdir()
    (folder / "harbour-1.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: harbour\nVersion: 1.0\n")
    (entry,) = blocks("toml")
    assert entry.startswith('[project.entry-points."etude.tasks"]')
    (folder / "harbour-1.0.dist-info" / "entry_points.txt").write_text(
        entry.replace('[project.entry-points."etude.tasks"]', "[etude.tasks]").replace('"', "")
    )


def test_the_code_of_the_page_runs(tmp_path: Path):
    write_package(tmp_path)
    printed = [run([sys.executable, "-c", script], tmp_path) for script in blocks("python")]
    assert "('pixels',) 32 ('state_0', 'state_1')" in printed[1]
    assert "silent: ('water.current',)" in printed[1]
    assert "10/15" in printed[1]  # against the strongest current nobody docks


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_the_commands_of_the_page_run(tmp_path: Path):
    write_package(tmp_path)
    for words in [*commands("sh"), *commands("sh harbour")]:
        assert words[0] == "etude"
        run([str(Path(sys.executable).with_name("etude")), *words[1:]], tmp_path)
