"""`etude diagnose` of an evaluation, a search and a robot's dataset, what it leaves, and what it refuses."""

import csv
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from cli.running import Run
from data.recordings import SPEC, write
from toys import PlantedPolicy, PointTask

from etude.core import Diagnosis, Perturbation, stream
from etude.loop import wiring
from etude.sim import registry

TASK = "toy-point:max_steps=12"
LIFT = "franka-lift:cameras=none,distractors=0"
WEAK = {"elsewhere": 0.02, "pockets": [{"bounds": {"cube_red.x_m": [0.38, 0.5]}, "mode": "stuck"}]}
HERE = ["--processes", "1"]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, run: Run) -> Run:
    """Run a command here, in a world and with a policy that are quick."""
    monkeypatch.setattr(registry, "_OWN", {**registry._OWN, "toy-point": PointTask})
    monkeypatch.setattr(wiring, "_NAMED", {**wiring._NAMED, "weak": lambda _task: PlantedPolicy(failure=1.0)})
    return run


def evaluated(run: Run, folder: Path, policy: str = "weak", episodes: int = 160) -> Path:
    options = ["--policy", policy, "--space", "uniform", "--episodes", episodes, "--out", folder]
    run("eval", TASK, *options, *HERE)
    return folder


def test_an_evaluation_is_diagnosed_and_the_plan_carried_out(run: Run, tmp_path: Path):
    source, out = evaluated(run, tmp_path / "results"), tmp_path / "diagnosis"
    told, _ = run("diagnose", source, "--rollouts", 100, "--out", out, *HERE)
    assert "cause-1, proven: light.intensity < 0." in told
    assert "undoing light.intensity repairs " in told
    assert f"--plan {out}/diagnosis.json" in told
    diagnosis = Diagnosis.load(out / "diagnosis.json")
    assert [list(cause.bounds) for cause in diagnosis.causes] == [["light.intensity"]]
    assert diagnosis.causes[0].failure_modes.keys() <= {"wandered_off", "timeout"}
    rows = pq.read_table(out / "counterfactuals.parquet").to_pylist()
    assert len(rows) == diagnosis.rollouts <= 100
    assert {row["undone"] for row in rows} >= {"sham", "light.intensity"}
    undone = [row for row in rows if row["undone"] == "light.intensity"]
    assert {row["factor:light.intensity"] for row in undone} == {None}
    assert all(row["before:light.intensity"] < 0.45 for row in undone)

    run("collect", TASK, "--episodes", 10, "--plan", out / "diagnosis.json", "--out", tmp_path / "aimed", *HERE)
    from etude.data import DatasetMeta

    cases = [episode.case for episode in DatasetMeta.open(tmp_path / "aimed").episodes]
    assert sum(case is not None and case.theta.values["light.intensity"] < 0.5 for case in cases) >= 6


def test_a_search_is_diagnosed_with_its_pockets(run: Run, tmp_path: Path):
    source, out = tmp_path / "search", tmp_path / "diagnosis"
    run("search", TASK, "--policy", "weak", "--budget", 96, "--no-suites", "--out", source, *HERE)
    found = json.loads(run("diagnose", source, "--rollouts", 60, "--out", out, "--json", *HERE)[0])
    assert (found["causes"][0]["origin"], list(found["causes"][0]["bounds"])) == ("pocket", ["light.intensity"])
    assert found["causes"][0]["effects"][0]["verdict"] == "confirmed"
    assert Diagnosis.from_json(found).to_json() == json.loads((out / "diagnosis.json").read_text())


def test_without_failures_it_gives_the_bound(run: Run, tmp_path: Path):
    told, _ = run("diagnose", evaluated(run, tmp_path / "results", "expert", 40), "--out", tmp_path / "d", *HERE)
    assert "No failures among 40 episodes: with 95 % certainty it fails at most 8.8% of such episodes." in told


def robot(folder: Path, episodes: int = 80) -> tuple[Path, Path]:
    """A robot's recordings, and a table of what a person noted: it fails under a weak lamp."""
    write(folder / "robot", (2,) * episodes, replace(SPEC, cameras=()))
    rng = stream(0, "robot")
    rows = [
        {"episode_index": i, "lamp_lux": round(lamp := rng.uniform(100, 900)), "cup_x_m": round(rng.uniform(0, 0.4), 3),
         "success": int(lamp > 350)}
        for i in range(episodes)
    ]  # fmt: skip
    with (folder / "notes.csv").open("w", newline="") as file:
        table = csv.DictWriter(file, list(rows[0]))
        table.writeheader()
        table.writerows(rows)
    return folder / "robot", folder / "notes.csv"


def test_a_robots_dataset_has_rules_and_nothing_proven(run: Run, tmp_path: Path):
    data, notes = robot(tmp_path)
    told, _ = run("diagnose", data, "--factors", notes, "--out", tmp_path / "d")
    assert "cause-1, untested: lamp_lux < 3" in told
    assert "record demonstrations there" in told
    diagnosis = Diagnosis.load(tmp_path / "d" / "diagnosis.json")
    assert {effect.verdict for effect in diagnosis.causes[0].effects} == {"untested"}
    assert diagnosis.plan.practices[0].bounds["lamp_lux"][1] == pytest.approx(350, abs=40)
    assert (tmp_path / "d" / "index.html").exists()


def test_what_etude_wrote_beside_a_dataset_is_enough(run: Run, tmp_path: Path):
    write(tmp_path / "own", (2,) * 12, replace(SPEC, cameras=()))
    told, _ = run("diagnose", tmp_path / "own", "--out", tmp_path / "d")
    assert "4 failures among 12 episodes are too few to find rules" in told


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("0,dim,0.1,1", "lamp_lux of episode 0 is 'dim', and a factor is a number in every episode"),
        ("80,300,0.1,1", "line 82: episode_index '80'; the dataset has episodes 0 to 79."),
        ("3,300,0.1,1", "line 82: episode_index '3' a second time"),
        ("79,300,0.1,perhaps", "success of episode 79 is 'perhaps': write 1 or 0, true or false."),
    ],
)
def test_a_table_that_does_not_fit_is_refused(run: Run, tmp_path: Path, line: str, told: str):
    data, notes = robot(tmp_path)
    lines = notes.read_text().splitlines()
    dropped = {"0": 1, "79": 80}.get(line.split(",")[0])
    kept = [text for i, text in enumerate(lines) if i != dropped]
    notes.write_text("\n".join([*kept, line]) + "\n")
    assert told in run("diagnose", data, "--factors", notes, "--out", tmp_path / "d", code=2)[1]
    assert not (tmp_path / "d").exists()


def test_what_cannot_be_diagnosed_is_refused_before_anything_is_written(run: Run, tmp_path: Path):
    out = tmp_path / "d"
    (tmp_path / "empty").mkdir()
    assert "cannot be diagnosed: give a folder" in run("diagnose", tmp_path / "empty", "--out", out, code=2)[1]
    run("eval", TASK, "--policy", "expert", "--episodes", 4, "--out", tmp_path / "nominal", *HERE)
    told = run("diagnose", tmp_path / "nominal", "--out", out, code=2)[1]
    assert "nothing varies between the 4 episodes" in told
    told = run("diagnose", tmp_path / "nominal", "--factors", "x.csv", "--out", out, code=2)[1]
    assert "--factors x.csv: goes with a dataset" in told
    assert not out.exists()


def test_a_plan_of_another_task_is_not_carried_out(run: Run, tmp_path: Path):
    data, notes = robot(tmp_path)
    run("diagnose", data, "--factors", notes, "--out", tmp_path / "d")
    plan = tmp_path / "d" / "diagnosis.json"
    told = run("collect", TASK, "--episodes", 2, "--plan", plan, "--out", tmp_path / "c", code=2)[1]
    assert "give the task that was diagnosed." in told


def test_a_killed_diagnosis_goes_on_and_ends_the_same(run: Run, tmp_path: Path):
    (tmp_path / "weak.json").write_text(json.dumps(WEAK))
    options = ["--policy", f"planted:{tmp_path / 'weak.json'}", "--space", "uniform", "--episodes", "60", *HERE]
    run("eval", LIFT, *options, "--out", tmp_path / "results")
    asked = ["diagnose", str(tmp_path / "results"), "--rollouts", "60", *HERE]
    run(*asked, "--out", tmp_path / "whole")
    command = [Path(sys.executable).with_name("etude"), *asked, "--out", str(tmp_path / "killed")]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    journal = tmp_path / "killed" / "rollouts" / "0000.jsonl"
    while child.poll() is None and not journal.exists():
        time.sleep(0.02)
    os.kill(child.pid, signal.SIGKILL)
    child.wait()
    run(*asked, "--out", tmp_path / "killed", "--resume")
    for name in ("diagnosis.json", "counterfactuals.parquet"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    assert not journal.parent.exists()


def test_a_theta_of_the_plan_is_feasible_and_near_its_boxes():
    from etude.core import Plan, Practice
    from etude.search import TargetedSampler

    space = PointTask().space
    boxed = Practice(bounds={"light.intensity": (0.2, 0.4)}, share=0.75, why="")
    plan = Plan(practices=(boxed, Practice(bounds={}, share=0.25, why="")), inflate=0.0)
    sampler, rng = TargetedSampler(space=space, plan=plan), stream(0, "plan")
    drawn: list[tuple[Perturbation, str]] = [sampler.sample(rng) for _ in range(200)]
    aimed = [theta.values["light.intensity"] for theta, label in drawn if label == "practice-1"]
    assert 130 <= len(aimed) <= 170
    assert all(0.2 <= value <= 0.4 for value in aimed)
    assert all(space.infeasible(theta) is None for theta, _ in drawn)
