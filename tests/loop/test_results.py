"""What the report is told of a run is what its folder holds."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from loop.tiny import TASK, TINY

import etude
from etude.core import Suite
from etude.core.files import read_json
from etude.data import DatasetMeta
from etude.evaluation import read_outcomes
from etude.loop.report import RunResults
from etude.loop.run import read_run
from etude.loop.stage import load_manifest

ARMS = {"baseline": "round-00", "same-data-more-steps": "round-01/same-data-more-steps", "uniform": "round-01/uniform",
        "targeted": "round-01/targeted", "gradient": "round-01/gradient"}  # fmt: skip


@pytest.fixture(scope="module")
def results(finished: Path) -> RunResults:
    return read_run(finished, TINY, TASK).results[0]


@pytest.fixture(scope="module")
def summary(finished: Path, results: RunResults) -> Mapping[str, Any]:
    return read_json(finished / "report" / "summary.json")


def test_arms_are_called_as_summaries_call_them(results: RunResults, summary: Mapping[str, Any]):
    assert list(results.arms) == list(ARMS)
    assert summary["arms"].keys() == summary["budget"].keys() == set(ARMS)
    assert summary["paired"].keys() >= {"targeted_vs_uniform", "targeted_vs_baseline"}


@pytest.mark.parametrize("arm", ARMS)
def test_rates_are_those_of_the_outcomes_on_disk(
    finished: Path, results: RunResults, summary: Mapping[str, Any], arm: str
):
    for test, size in (("exam", TINY.exam_cases), ("uniform_test", TINY.test_cases), ("nominal", TINY.test_cases)):
        outcomes = read_outcomes(finished / ARMS[arm] / "evaluate" / f"{test}.parquet")
        assert results.arms[arm].outcomes(test) == tuple(outcomes)
        rate = summary["arms"][arm][test]
        assert (rate["k"], rate["n"]) == (sum(o.success for o in outcomes), size)
        assert 0 <= rate["low"] <= rate["k"] / rate["n"] <= rate["high"] <= 1
    manifest = load_manifest(finished / ARMS[arm] / "evaluate")
    assert manifest.result["exam"] == [summary["arms"][arm]["exam"]["k"], TINY.exam_cases]


def test_budgets_say_what_each_arm_spent(finished: Path, summary: Mapping[str, Any]):
    budget = summary["budget"]
    collected = load_manifest(finished / "round-00" / "collect").result
    search = load_manifest(finished / "round-00" / "search").result
    assert {name: budget["baseline"][name] for name in ("attempts", "accepted", "frames")} == {
        name: collected[name] for name in ("attempts", "accepted", "frames")
    }
    steps = {arm: spent["train_steps"] for arm, spent in budget.items()}
    assert steps == {"baseline": 6, "same-data-more-steps": 3, "uniform": 3, "targeted": 3, "gradient": 3}
    accepted = {arm: spent["accepted"] for arm, spent in budget.items()}
    assert accepted == {"baseline": 6, "same-data-more-steps": 0, "uniform": 4, "targeted": 4, "gradient": 4}
    generated = {arm: spent["generated"] for arm, spent in budget.items()}
    assert generated == {**accepted, "gradient": 12}
    scored = load_manifest(finished / "round-01" / "gradient" / "score")
    assert {arm: spent["score_s"] for arm, spent in budget.items() if spent["score_s"]} == {"gradient": scored.wall_s}
    rollouts = {arm: spent["rollouts"] for arm, spent in budget.items()}
    assert rollouts == {arm: search["rollouts"] if arm == "targeted" else 0 for arm in budget}
    for arm, spent in budget.items():
        assert spent["wall_s"] > 0
        assert spent["attempts"] >= spent["generated"] >= spent["accepted"], arm


def test_suites_and_seeds_are_those_of_the_run(finished: Path, results: RunResults, summary: Mapping[str, Any]):
    exam = Suite.load(finished / "round-00" / "suites" / "exam.json")
    assert summary["suites"]["exam"] == {"hash": exam.hash, "cases": TINY.exam_cases}
    assert results.suites["uniform_test"].name == "uniform"
    assert summary["seeds"] == {"run": 0, "replicate": 0}
    assert summary["narrow"] == {"light.intensity": [0.7, 0.9]}


def test_new_data_are_the_demonstrations_an_arm_made(finished: Path, results: RunResults):
    made = DatasetMeta.open(finished / "round-01" / "targeted" / "generate" / "dataset").episodes
    assert results.arms["targeted"].new_data == tuple(episode.case.theta for episode in made)
    assert results.arms["same-data-more-steps"].new_data == ()


def test_provenance_is_that_of_the_run_not_of_the_report(finished: Path, results: RunResults):
    record = read_json(finished / "run.json")
    assert results.provenance == record["provenance"]
    assert results.command == record["command"]


def test_the_commit_is_etudes_own_not_that_of_the_project_it_is_installed_in(tmp_path: Path):
    package = Path(etude.__file__).parent
    shutil.copytree(package, tmp_path / "lib" / "etude", ignore=shutil.ignore_patterns("__pycache__"))
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@b"]
    told = "from etude.loop.results import provenance; print(provenance()['commit'])"

    def commit() -> str:
        environment = {**os.environ, "PYTHONPATH": str(tmp_path / "lib")}
        return subprocess.run(
            [sys.executable, "-c", told], env=environment, check=True, capture_output=True, text=True
        ).stdout.strip()

    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "theirs"]):
        subprocess.run([*git, *words], check=True)
    assert commit() == ""
    for words in (["add", "lib"], ["commit", "-q", "-m", "its own"]):
        subprocess.run([*git, *words], check=True)
    clean = commit()
    assert re.fullmatch("[0-9a-f]{7,}", clean)
    seen = {clean}
    for change in ("# one\n", "# two\n"):
        with (tmp_path / "lib" / "etude" / "loop" / "arms.py").open("a") as file:
            file.write(change)
        seen.add(commit())
    assert len(seen) == 3
    assert all(found.startswith(clean) for found in seen)


def test_films_pair_the_same_case_before_and_after(finished: Path, results: RunResults):
    assert results.videos
    sat = {
        outcome.case
        for test in ("exam", "uniform_test", "nominal")
        for outcome in results.arms["baseline"].outcomes(test)
    }
    for pair in results.videos:
        assert pair.case in sat
        assert pair.before.exists()
        assert pair.after.exists()
        assert "→" in pair.label


def test_rounds_are_told_as_their_folders_hold_them(finished: Path, results: RunResults):
    assert not results.arms["same-data-more-steps"].practice
    (uniform,), (targeted,) = (results.arms[name].practice for name in ("uniform", "targeted"))
    assert sum(tried for _, tried in targeted.places.values()) == results.arms["targeted"].budget.attempts
    assert sum(made for made, _ in uniform.places.values()) == TINY.accepted
    (gradient,) = results.arms["gradient"].practice
    record = read_json(finished / "round-01" / "gradient" / "choose" / "chosen.json")
    assert (list(gradient.chosen), list(gradient.elites)) == (record["episodes"], record["elites"])
    assert len(gradient.candidates) == len(gradient.scores) == 12
    assert gradient.after is not None
    assert gradient.after.updates.tolist() == [1]
    page = (finished / "report" / "index.html").read_text()
    assert "12 demonstrations from" in page
    assert "4 of 12 were chosen by norm: the 4 scoring best; the scores speak for" in page
