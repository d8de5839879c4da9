"""What the pages about datasets say to run, run as it is written; the hub is a folder, as LeRobot keeps it."""

import json
import re
import shlex
from pathlib import Path

import pytest
from data.faults import write_clean
from data.foreign import recorded, write_v21

from etude.cli import main
from etude.data import DatasetMeta

DOCS = Path(__file__).parents[2] / "docs"


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def run_all(page: str) -> int:
    lines = [line for block in blocks(page, "sh") for line in block.splitlines()]
    for line in lines:
        program, *arguments = shlex.split(line, comments=True)
        assert (program, main(arguments)) == ("etude", 0), line
    return len(lines)


def test_the_page_on_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_LEROBOT_HOME", str(tmp_path / "home"))
    write_v21(tmp_path / "home/lerobot/pusht", [recorded(seed, 4) for seed in range(11)])
    assert run_all("datasets.md") >= 5
    (program,) = blocks("datasets.md", "python")
    exec(program, {})
    lengths = [DatasetMeta.open(Path("data") / name).lengths for name in ("pusht", "kept", "again", "copy")]
    assert [len(each) for each in lengths] == [11, 7, 11, 11]


def test_the_page_on_checking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    write_clean(tmp_path / "data/demo")
    Path("limits.json").write_text(json.dumps({"action": {"shoulder_rad": [-1.5, 1.5]}}))
    assert run_all("checking.md") == 7
    assert DatasetMeta.open(Path("data/skills")).tasks == ("pick up the cube", "place")
