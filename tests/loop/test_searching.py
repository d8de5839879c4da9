"""The search stage: several searchers and one archive, earlier archives, and a search that ends the same however often
it is stopped."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from toys import SPACE, PlantedPolicy, PointTask

from etude.compute import SerialExecutor
from etude.core import ConfigError, UnknownNameError
from etude.core.files import read_json
from etude.evaluation import Expert
from etude.loop.fingerprint import fingerprint
from etude.loop.searching import SEARCH, UNIFORM, SearchResult, SearchSettings, search_for_failures
from etude.loop.stages import ARCHIVE, POCKETS, Arena
from etude.policies import CheckpointPolicy
from etude.search import Archive

TASK, POLICY = PointTask(max_steps=12), PlantedPolicy(failure=1.0)
ARENA = Arena(TASK, SerialExecutor())
SETTINGS = SearchSettings(rollouts=64, searchers=("cross-entropy", "sobol"), confirm=6)


def search(out: Path, settings: SearchSettings = SETTINGS, seed: int = 5, known: Archive | None = None) -> SearchResult:
    return search_for_failures(ARENA, POLICY, out, settings=settings, seed=seed, known=known)


def test_searchers_have_equal_parts_and_one_archive(tmp_path: Path):
    assert SETTINGS.budgets == [(UNIFORM, 32), ("cross-entropy", 16), ("sobol", 16)]
    found = search(tmp_path)
    archive = Archive.load(tmp_path / ARCHIVE, SPACE)
    assert [sum(row.searcher == name for row in archive.rows) for name, _ in SETTINGS.budgets] == [32, 16, 16]
    told = read_json(tmp_path / SEARCH)
    assert list(told["searchers"]) == sorted(name for name, _ in SETTINGS.budgets)
    assert {name: one["rollouts"] for name, one in told["searchers"].items()} == dict(SETTINGS.budgets)
    assert (told["failures"]["k"], told["failures"]["n"]) == (found.failures.k, 32)
    assert told["archive"]["failures"]["k"] == found.searched.k == found.weaknesses
    last = told["discovery"][-1]
    assert (last["rollouts"], last["failures"]) == (64, found.weaknesses)


def test_an_earlier_search_is_continued_and_nothing_of_it_counts_twice(tmp_path: Path):
    search(tmp_path / "first")
    earlier = Archive.load(tmp_path / "first" / ARCHIVE, SPACE, fingerprint(TASK, POLICY))
    same = search(tmp_path / "same", known=earlier)
    assert same.searched.n == 64
    assert (tmp_path / "same" / ARCHIVE).read_bytes() == (tmp_path / "first" / ARCHIVE).read_bytes()
    other = search(tmp_path / "other", seed=6, known=earlier)
    assert other.searched.n == 128
    assert other.failures.n == 64
    archive = Archive.load(tmp_path / "other" / ARCHIVE, SPACE)
    assert archive.rows[:64] == earlier.rows


def test_an_expert_has_no_failures_of_its_own(tmp_path: Path):
    found = search_for_failures(ARENA, Expert(TASK), tmp_path, settings=SETTINGS, seed=0)
    assert (found.pockets, found.weaknesses, found.searched.k) == ((), 0, 0)
    assert 0.05 < found.weakness_volume.high < 0.2
    assert read_json(tmp_path / POCKETS) == {"pockets": [], "refuted": []}


def test_a_policy_that_always_fails_has_no_pockets(tmp_path: Path):
    hopeless = PlantedPolicy(boxes=((("light.intensity", 0.0, 2.0),),), failure=1.0)
    found = search_for_failures(ARENA, hopeless, tmp_path, settings=SETTINGS, seed=0)
    assert found.pockets == ()
    assert found.searched.k == found.searched.n == 64


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"rollouts": 15}, "15 rollouts are too few for a search.*give at least 16"),
        ({"rollouts": 40, "searchers": ("grid", "sobol", "random")}, "3 searchers share the rest.*give at least 48"),
        ({"rollouts": 20, "uniform_share": 0.25}, "give at least 32"),
        ({"searchers": ()}, "name at least one"),
        ({"searchers": ("grid", "grid")}, "none twice"),
        ({"uniform_share": 1.0}, "between 0 and 1"),
    ],
)
def test_searches_that_cannot_work_are_refused(wrong: dict[str, object], told: str):
    with pytest.raises(ConfigError, match=told):
        SearchSettings(**wrong)  # type: ignore[arg-type]


def test_the_least_budget_that_is_named_is_enough():
    for share in (0.1, 0.25, 0.5, 0.9):
        for searchers in (("grid",), ("grid", "sobol", "random")):
            with pytest.raises(ConfigError, match="give at least") as error:
                SearchSettings(rollouts=8, searchers=searchers, uniform_share=share)
            least = int(str(error.value).rsplit(maxsplit=1)[-1].rstrip("."))
            SearchSettings(rollouts=least, searchers=searchers, uniform_share=share)


def test_an_unknown_searcher_is_told_the_valid_ones():
    with pytest.raises(UnknownNameError, match="unknown searcher 'gird'. Did you mean 'grid'"):
        SearchSettings(searchers=("gird",))


def test_a_policys_fingerprint_is_of_its_files_and_settings_not_of_their_place(tmp_path: Path):
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "config.json").write_text("{}")
    here, there = (CheckpointPolicy(str(tmp_path / place)) for place in ("here", "there"))
    assert fingerprint(TASK, here) == fingerprint(TASK, there)
    assert fingerprint(TASK, here) != fingerprint(TASK, replace(here, execute=2))
    assert fingerprint(TASK, here) != fingerprint(PointTask(max_steps=13), here)
    assert fingerprint(TASK, POLICY) != fingerprint(TASK, replace(POLICY, failure=0.5))
    (tmp_path / "there" / "config.json").write_text("{ }")
    assert fingerprint(TASK, here) != fingerprint(TASK, there)


KILLED = """
import os, signal, sys
from pathlib import Path
from loop.test_searching import search
from etude.search import Archive
saved, save = 0, Archive.save
def kill(self, path):
    global saved
    save(self, path)
    saved += 1
    if saved == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
Archive.save = kill
search(Path(sys.argv[1]))
"""


@pytest.mark.slow
def test_a_search_killed_again_and_again_ends_as_one_never_stopped(tmp_path: Path):
    search(tmp_path / "whole")
    tests = str(Path(__file__).parents[1])
    for saved in (2, 1, 3):
        done = subprocess.run(
            [sys.executable, "-c", KILLED, tmp_path / "killed", str(saved)],
            env={"PYTHONPATH": tests, "OMP_NUM_THREADS": "1"}, timeout=120, check=False,
        )  # fmt: skip
        assert done.returncode == -9
    search(tmp_path / "killed")
    for name in (ARCHIVE, POCKETS, SEARCH):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
