"""Every command in the documents runs as it is written, in order, in an empty folder."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FENCED = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)#]+)\)|<img[^>]* src=\"([^\"]+)\"")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def commands(page: Path) -> list[str]:
    return [line for block in FENCED.findall(page.read_text()) for line in block.splitlines() if line.strip()]


def run(command: str, folder: Path) -> subprocess.CompletedProcess[str]:
    words = shlex.split(command)
    assert words[0] == "etude", f"not a command of ours: {command}"
    return subprocess.run(
        [Path(sys.executable).with_name("etude"), *words[1:]],
        cwd=folder, capture_output=True, text=True, timeout=600, env={**os.environ, "COLUMNS": "120"},
    )  # fmt: skip


@pytest.mark.timeout(900)
def test_every_command_of_the_walkthrough_runs(tmp_path: Path):
    lines = commands(ROOT / "docs" / "walkthrough.md")
    assert len(lines) >= 10
    for line in lines:
        done = run(line, tmp_path)
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_of_a_page_lead_somewhere(page: Path):
    for link in (a or b for a, b in LINK.findall(page.read_text())):
        if not link.startswith("http"):
            assert (page.parent / link).exists(), f"{page.name} links to {link}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_make_targets_that_a_page_names_exist(page: Path):
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^(?:    |\$ )?make ([a-z-]+)", page.read_text(), re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), f"{page.name}: make {target}"
