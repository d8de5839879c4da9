"""`etude compare` on worlds without cameras, where an expert and an expert with planted failures differ by design."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from cli.running import Run

from etude.core import Case, Paired, Perturbation, Suite
from etude.evaluation import read_outcomes
from etude.sim import make_task

TASK = "franka-lift:cameras=none,distractors=0"
SEEN = "franka-lift:image_size=32,distractors=0"
WEAK = {"elsewhere": 0.3, "pockets": [{"bounds": {"cube_red.x_m": [0.4, 0.6]}, "failure": 0.9, "mode": "stuck"}]}
ETUDE = Path(sys.executable).with_name("etude")


@pytest.fixture
def weak(tmp_path: Path) -> str:
    """A policy that fails often."""
    (tmp_path / "weak.json").write_text(json.dumps(WEAK))
    return f"planted:{tmp_path / 'weak.json'}"


def record(folder: Path) -> dict:
    return json.loads((folder / "comparison.json").read_text())


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_both_run_the_same_cases_and_the_verdict_is_one_sentence(run: Run, weak: str, tmp_path: Path):
    options = ["--space", "uniform", "--episodes", 24, "--processes", 1, "--out", tmp_path / "r"]
    out, _ = run("compare", TASK, "expert", weak, *options)
    a, b = (read_outcomes(tmp_path / "r" / f"{side}.parquet") for side in "ab")
    assert [o.case for o in a] == [o.case for o in b]
    paired = Paired.of([o.success for o in a], [o.success for o in b])
    found = record(tmp_path / "r")
    assert (found["p"], found["difference"]["value"]) == (paired.p, paired.difference)
    assert found["verdict"]["sentence"] in out
    assert found["verdict"]["sentence"].startswith("A is better: ")
    assert {path.name for path in (tmp_path / "r").iterdir()} == {
        "a.parquet", "b.parquet", "comparison.json", "index.html", "settings.json",
    }  # fmt: skip
    assert "--resume" in run("compare", TASK, "expert", weak, *options, code=2)[1]
    before = tree(tmp_path / "r")
    run("compare", TASK, "expert", weak, *options, "--resume")
    assert tree(tmp_path / "r") == before
    again = [word if word != 24 else 25 for word in options]
    assert "episodes was 24 and is now 25" in run("compare", TASK, "expert", weak, *again, "--resume", code=2)[1]


def test_a_policy_that_changed_under_its_name_is_not_taken_for_the_one_that_ran(run: Run, weak: str, tmp_path: Path):
    options = ["--space", "uniform", "--episodes", 2, "--processes", 1]
    compared = ["compare", TASK, "expert", weak, *options, "--out", tmp_path / "c"]
    evaluated = ["eval", TASK, "--policy", weak, *options, "--out", tmp_path / "e"]
    for words in (compared, evaluated):
        run(*words)
        run(*words, "--resume")
    (tmp_path / "weak.json").write_text(json.dumps({**WEAK, "elsewhere": 1.0}))
    for words in (compared, evaluated):
        assert "fingerprint" in run(*words, "--resume", code=2)[1]


def test_a_sequential_comparison_stops_early_and_says_what_that_saved(run: Run, weak: str, tmp_path: Path):
    options = ["--space", "uniform", "--episodes", 90, "--processes", 1, "--sequential", "--out", tmp_path / "r"]
    out, _ = run("compare", TASK, weak, "expert", *options)
    found = record(tmp_path / "r")
    stopped = found["sequential"]["stopped_at"]
    assert stopped < 90
    assert stopped % 16 == 0
    assert found["sequential"]["saved"] == 2 * (90 - stopped)
    assert f"Stopped after {stopped} of 90 cases: {2 * (90 - stopped)} rollouts saved." in out
    assert found["verdict"]["better"] == "b"
    assert found["e_value"] >= 20
    assert found["p"] is None
    assert len(read_outcomes(tmp_path / "r" / "a.parquet")) == stopped


@pytest.mark.slow
def test_a_comparison_that_was_killed_goes_on_and_leaves_the_same_files(run: Run, weak: str, tmp_path: Path):
    words = [
        "compare",
        TASK,
        weak,
        "expert",
        "--space",
        "uniform",
        "--episodes",
        "40",
        "--margin",
        "0",
        "--alpha",
        "1e-9",
    ]
    words += ["--sequential", "--processes", "1"]
    run(*words, "--out", tmp_path / "whole")
    with subprocess.Popen([ETUDE, *words, "--out", tmp_path / "killed"], stderr=subprocess.DEVNULL) as process:
        begun = time.monotonic()
        while not list((tmp_path / "killed").glob("journal-b-0.jsonl")) and time.monotonic() - begun < 60:
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    assert not (tmp_path / "killed" / "comparison.json").exists()
    run(*words, "--out", tmp_path / "killed", "--resume")
    assert tree(tmp_path / "killed") == tree(tmp_path / "whole")


def test_a_suite_is_run_in_random_order_where_it_may_end_early(run: Run, weak: str, tmp_path: Path):
    task = make_task(TASK)
    cases = tuple(Case(Perturbation({"cube_red.x_m": 0.45}), i) for i in range(20))
    suite = Suite(name="one", task=task.name, space_hash=task.space.hash, cases=cases)
    suite.save(tmp_path / "one.json")
    options = ["--suite", tmp_path / "one.json", "--processes", 1]
    run("compare", TASK, "expert", weak, *options, "--out", tmp_path / "r")
    run("compare", TASK, "expert", weak, *options, "--sequential", "--out", tmp_path / "s")
    asked, shuffled = (read_outcomes(tmp_path / name / "a.parquet") for name in "rs")
    assert [o.case for o in asked] == list(cases)
    assert [o.case for o in shuffled] != list(cases)[: len(shuffled)]
    assert record(tmp_path / "r")["suite"] == {"name": "one", "hash": suite.hash}
    other = make_task("franka-stack:cameras=none")
    Suite(name="x", task=other.name, space_hash=other.space.hash, cases=cases).save(tmp_path / "x.json")
    options = ["--suite", tmp_path / "x.json", "--out", tmp_path / "t"]
    assert "was made for franka-stack" in run("compare", TASK, "expert", "random", *options, code=2)[1]
    assert not (tmp_path / "t").exists()


def test_finished_evaluations_and_training_seeds_are_compared_without_running_again(
    run: Run, weak: str, tmp_path: Path
):
    cases = ["--space", "uniform", "--episodes", 12, "--processes", 1]
    for name, policy in (("a", "expert"), ("b", weak), ("c", "random")):
        run("eval", TASK, "--policy", policy, *cases, "--out", tmp_path / name)
    a, b, c = (tmp_path / name for name in "abc")
    run("compare", TASK, a, b, "--out", tmp_path / "r")
    run("compare", TASK, "expert", weak, *cases, "--out", tmp_path / "again")
    found, again = record(tmp_path / "r"), record(tmp_path / "again")
    assert [found[key] for key in ("won", "lost", "p", "factors")] == [
        again[k] for k in ("won", "lost", "p", "factors")
    ]
    shutil.copytree(a, tmp_path / "a2")
    out, _ = run("compare", TASK, f"{b},{c}", f"{a},{tmp_path / 'a2'}", "--out", tmp_path / "seeds")
    assert "training seeds" in out
    assert len(record(tmp_path / "seeds")["a"]["success"]) == 2
    run("eval", TASK, "--policy", "expert", "--episodes", 3, "--processes", 1, "--out", tmp_path / "other")
    told = run("compare", TASK, a, tmp_path / "other", "--out", tmp_path / "x", code=2)[1]
    assert "not evaluated on the same cases (0 are shared, of 12 and 3)" in told
    for words, why in (
        ([a, a], "is both A and B"),
        ([a, "expert"], "is an evaluation, and others are policies"),
        ([a, b, "--sequential"], "leave out --sequential"),
        ([a, b, "--episodes", 5], "finished evaluations"),
    ):
        assert why in run("compare", TASK, *words, "--out", tmp_path / "x", code=2)[1]
    assert "is an evaluation of task" in run("compare", "franka-lift", a, b, "--out", tmp_path / "x", code=2)[1]
    assert not (tmp_path / "x").exists()


def test_cases_won_and_lost_are_filmed_side_by_side(run: Run, tmp_path: Path):
    options = ["--episodes", 3, "--videos", 2, "--processes", 1, "--out", tmp_path / "r"]
    run("compare", SEEN, "random", "expert", *options)
    listed = json.loads((tmp_path / "r" / "videos" / "videos.json").read_text())
    assert [each["kind"] for each in listed] == ["lost", "lost"]
    assert all((tmp_path / "r" / "videos" / each["file"]).stat().st_size > 1000 for each in listed)
    assert [each["b"]["success"] for each in listed] == [True, True]
    assert [each["a"]["failure_mode"] != "" for each in listed] == [True, True]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["expert", "expert"], "'expert' is both A and B"),
        (["expurt", "random"], "Did you mean 'expert'?"),
        (["expert,expert", "random"], "names a policy twice"),
        (["expert,", "random"], "name a policy"),
        (["expert", "random", "--margin", "0.1"], "add --sequential"),
        (["expert", "random", "--sequential", "--margin", "1"], "--margin 1: needs a share"),
        (["expert", "random", "--alpha", "0"], "--alpha 0: needs a number between 0 and 1"),
        (["expert", "random", "--videos", "1"], "has no cameras"),
        (["expert", "random", "--suite", "s.json", "--space", "uniform"], "leave out --theta and --space"),
        (["expert", "random", "--suite", "s.json"], "does not exist"),
    ],
)
def test_compare_refuses_bad_input_and_writes_nothing(words: list[str], told: str, run: Run, tmp_path: Path):
    assert told in run("compare", TASK, *words, "--out", tmp_path / "r", code=2)[1]
    assert list(tmp_path.iterdir()) == []


def test_one_training_seed_against_several_is_refused_before_anything_runs(run: Run, weak: str, tmp_path: Path):
    words = [f"expert,{weak}", "random", "--episodes", 4, "--processes", 1, "--out", tmp_path / "r"]
    assert "at least two training seeds of each" in run("compare", TASK, *words, code=2)[1]
    assert "one training seed of each" in run("compare", TASK, *words, "--sequential", code=2)[1]
    assert not (tmp_path / "r").exists()
