"""Every command on what the others wrote, at the smallest sizes."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cli.running import Run

from etude.cli import loop, main
from etude.cli.usage import parse
from etude.core import Case, MissingDependencyError, Perturbation, Suite, Task
from etude.data import DatasetMeta, DatasetWriter, EncodedEpisode
from etude.evaluation import RandomPolicy, read_outcomes, runner
from etude.evaluation.bench import clear_bench
from etude.sim import make_task

TASK = "franka-stack:cubes=2,image_size=32"
ETUDE = Path(sys.executable).with_name("etude")


@pytest.fixture
def run(run: Run) -> Run:
    """Run a command here; one that refuses prints nothing else."""

    def run_command(*arguments: object, code: int = 0) -> tuple[str, str]:
        out, err = run(*arguments, code=code)
        assert code != 2 or not out
        return out, err

    return run_command


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a dataset of three demonstrations and a policy trained on it."""
    folder = tmp_path_factory.mktemp("workshop")
    dataset, policy = folder / "dataset", folder / "policy"
    collect = ["collect", TASK, "--episodes", "3", "--out", str(dataset), "--processes", "1"]
    assert main(collect) == 0
    assert main(["train", "--dataset", str(dataset), "--out", str(policy), "--steps", "3", "--batch-size", "4"]) == 0
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_collect_with_json_prints_one_line_per_episode_and_nothing_else(run: Run, tmp_path: Path):
    out, _ = run("collect", TASK, "--episodes", 2, "--out", tmp_path / "d", "--processes", 1, "--json")
    lines = [json.loads(line) for line in out.splitlines()]
    assert [line["saved"] for line in lines] == [0, 1]
    meta = DatasetMeta.open(tmp_path / "d")
    assert [line["length"] for line in lines] == list(meta.lengths)
    assert [line["seed"] for line in lines] == [episode.case.seed for episode in meta.episodes]


def test_collect_goes_on_with_resume_and_ends_with_the_same_demonstrations(run: Run, tmp_path: Path, workshop: Path):
    options = ["--out", tmp_path / "d", "--processes", 1]
    run("collect", TASK, "--episodes", 1, *options)
    _, told = run("collect", TASK, "--episodes", 3, *options, code=2)
    assert "already exists" in told
    assert "--resume" in told
    run("collect", TASK, "--episodes", 3, *options, "--resume")
    assert DatasetMeta.open(tmp_path / "d").episodes == DatasetMeta.open(workshop / "dataset").episodes


def test_a_collection_stopped_at_its_first_episode_knows_its_settings(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def commit(writer: DatasetWriter, episode: EncodedEpisode) -> None:
        committed(writer, episode)
        raise KeyboardInterrupt

    committed = DatasetWriter.commit
    arguments = ("collect", TASK, "--episodes", 1, "--out", tmp_path / "d", "--executor", "serial")
    with monkeypatch.context() as patch:
        patch.setattr(DatasetWriter, "commit", commit)
        run(*arguments, code=130)
    assert "seed was 0 and is now 1" in run(*arguments, "--resume", "--seed", 1, code=2)[1]
    run(*arguments, "--resume")
    assert DatasetMeta.open(tmp_path / "d").total_episodes == 1


def test_collect_resumed_with_other_options_says_which(run: Run, workshop: Path):
    before = tree(workshop / "dataset")
    options = ["--episodes", 4, "--out", workshop / "dataset", "--resume"]
    assert "seed was 0 and is now 1" in run("collect", TASK, *options, "--seed", 1, code=2)[1]
    assert "space was nominal and is now uniform" in run("collect", TASK, *options, "--space", "uniform", code=2)[1]
    assert "image_size=32 and is now" in run("collect", "franka-stack:cubes=2", *options, code=2)[1]
    assert tree(workshop / "dataset") == before


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["franka-stak"], "Did you mean 'franka-stack'?"),
        (["franka-stack:cube=2"], "Did you mean 'cubes'?"),
        (["franka-stack:cubes=7"], "choose 2 or 3"),
        ([TASK, "--theta", "light.intensty=1"], "Did you mean 'light.intensity'?"),
        ([TASK, "--theta", "light.intensity=99"], "outside its range"),
        ([TASK, "--theta", "light.intensity"], "factor=number"),
        ([TASK, "--theta", "cube_red.x_m=0.5", "cube_red.y_m=0", "cube_blue.x_m=0.5", "cube_blue.y_m=0"], "infeasible"),
        ([TASK, "--episodes", "0"], "--episodes 0: needs at least 1"),
        ([TASK, "--processes", "0"], "--processes 0: needs at least 1"),
        ([TASK, "--seed", "-1"], "--seed -1: needs at least 0"),
        ([TASK, "--narrow", "--space", "uniform"], "leave out --theta and --space"),
    ],
)
def test_collect_refuses_bad_input_and_writes_nothing(options: list[str], told: str, run: Run, tmp_path: Path):
    episodes = [] if "--episodes" in options else ["--episodes", "1"]
    assert told in run("collect", *options, *episodes, "--out", tmp_path / "d", code=2)[1]
    assert list(tmp_path.iterdir()) == []


def test_train_ends_with_a_checkpoint_and_the_next_command(run: Run, workshop: Path, tmp_path: Path):
    out, _ = run(
        "train", "--dataset", f"{workshop / 'dataset'}:2", "--warm-start", workshop / "policy", "--steps", 2,
        "--batch-size", 4, "--out", tmp_path / "p",
    )  # fmt: skip
    assert (tmp_path / "p" / "checkpoint" / "config.json").exists()
    assert f"etude eval {TASK} --policy {tmp_path / 'p'}" in out


def test_train_goes_on_only_with_the_same_options(run: Run, workshop: Path):
    options = ["train", "--dataset", workshop / "dataset", "--out", workshop / "policy", "--batch-size", 4]
    assert "--resume" in run(*options, "--steps", 3, code=2)[1]
    assert "steps was 3 and is now 5" in run(*options, "--steps", 5, "--resume", code=2)[1]
    out, _ = run(*options, "--steps", 3, "--resume", "--json")
    assert json.loads(out)["checkpoint"] == str(workshop / "policy" / "checkpoint")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--dataset", "nowhere"], "there is no dataset 'nowhere'"),
        (["--dataset", "{dataset}:heavy"], "the weight 'heavy' is not a number"),
        (["--dataset", "{dataset}:-1"], "a weight must be positive"),
        (["--dataset", "{folder}"], "does not exist"),
        (["--dataset", "{dataset}", "--policy", "flwo"], "Did you mean 'flow'?"),
        (["--dataset", "{dataset}", "--steps", "0"], "--steps 0: needs at least 1"),
        (["--dataset", "{dataset}", "--warm-start", "{dataset}"], "holds no checkpoint"),
        (["--dataset", "{dataset}", "--warm-start", "nowhere"], "holds no checkpoint"),
    ],
)
def test_train_refuses_bad_input_and_writes_nothing(
    options: list[str], told: str, run: Run, workshop: Path, tmp_path: Path
):
    places = {"dataset": workshop / "dataset", "folder": workshop}
    filled = [option.format(**places) for option in options]
    assert told in run("train", *filled, "--out", tmp_path / "p", code=2)[1]
    assert list(tmp_path.iterdir()) == []


def test_train_refuses_datasets_with_other_features(run: Run, workshop: Path, tmp_path: Path):
    other = tmp_path / "other"
    run("collect", "franka-stack:cubes=2,image_size=16", "--episodes", 1, "--out", other, "--processes", 1)
    _, told = run("train", "--dataset", workshop / "dataset", other, "--out", tmp_path / "p", code=2)
    assert "observation.images.front" in told
    _, told = run("train", "--dataset", other, "--warm-start", workshop / "policy", "--out", tmp_path / "p", code=2)
    assert "image_size" in told
    assert not (tmp_path / "p").exists()


def test_eval_writes_outcomes_a_summary_and_videos(run: Run, tmp_path: Path):
    options = ["--episodes", 3, "--processes", 1, "--out", tmp_path / "r", "--videos", 2]
    out, _ = run("eval", TASK, "--policy", "expert", *options)
    assert 0 < out.index("page: ") < out.index("Next:")
    outcomes = read_outcomes(tmp_path / "r" / "outcomes.parquet")
    successes = sum(outcome.success for outcome in outcomes)
    assert f"{successes}/3" in out
    assert json.loads((tmp_path / "r" / "summary.json").read_text())["success"]["k"] == successes
    assert len(list((tmp_path / "r" / "videos").glob("*.mp4"))) == 2
    assert "already exists" in run("eval", TASK, "--policy", "expert", *options, code=2)[1]
    more = ["--episodes", 4, *options[2:], "--resume"]
    assert "episodes was 3 and is now 4" in run("eval", TASK, "--policy", "expert", *more, code=2)[1]
    assert run("eval", TASK, "--policy", "expert", *options, "--resume")[0] == out


def test_eval_that_was_stopped_goes_on_and_ends_the_same(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    command = ["eval", TASK, "--policy", "random", "--episodes", 18, "--processes", 1, "--json", "--out"]
    whole, _ = run(*command, tmp_path / "whole")
    done = runner.run_job

    def stop_after_one(job: runner.Job) -> runner.JobResult:
        if (tmp_path / "r" / "journal.jsonl").exists():
            raise KeyboardInterrupt
        return done(job)

    with monkeypatch.context() as patch:
        patch.setattr(runner, "run_job", stop_after_one)
        assert run(*command, tmp_path / "r", code=130)[1].endswith("--resume\n")
    patched: list[runner.Job] = []
    monkeypatch.setattr(runner, "run_job", lambda job: patched.append(job) or done(job))
    assert run(*command, tmp_path / "r", "--resume")[0] == whole
    assert [len(job.cases) for job in patched] == [9]
    assert tree(tmp_path / "r") == tree(tmp_path / "whole")


def test_eval_of_one_factor_at_a_time_compares_with_the_unperturbed_world(run: Run, tmp_path: Path):
    options = ["--space", "factors", "--factors", "light.intensity", "cube.scale", "--episodes", 2, "--processes", 1]
    out, _ = run("eval", TASK, "--policy", "expert", *options, "--out", tmp_path / "r")
    assert "unperturbed, same seeds" in out
    assert "the most harmful first (2 in all)" in out
    told = json.loads((tmp_path / "r" / "summary.json").read_text())
    outcomes, matched = (read_outcomes(tmp_path / "r" / f"{name}.parquet") for name in ("outcomes", "matched"))
    assert told["success"]["n"] == len(outcomes) == 4
    assert told["matched"]["success"]["n"] == len(matched) == 2
    assert set(told["factors"]) == set(told["bins"]) == {"light.intensity", "cube.scale"}
    effect = told["factors"]["cube.scale"]
    assert {"perturbed", "matched", "wins", "losses", "ties", "difference", "p", "p_holm"} == set(effect)
    assert run("eval", TASK, "--policy", "expert", *options, "--out", tmp_path / "r", "--resume")[0] == out


def test_eval_of_a_grid_tells_every_cell_and_leaves_out_what_cannot_be(run: Run, tmp_path: Path):
    grid = ["--grid", "cube_red.x_m=0.4,0.5", "cube_red.y_m=0", "--theta", "cube_blue.x_m=0.5", "cube_blue.y_m=0"]
    options = ["--episodes", 2, "--processes", 1, "--matched", "--out", tmp_path / "r"]
    out, _ = run("eval", TASK, "--policy", "expert", *grid, *options)
    assert "1 of 2 cells are infeasible and left out" in out
    told = json.loads((tmp_path / "r" / "summary.json").read_text())
    (cell,) = told["cells"]
    assert cell["theta"]["cube_red.x_m"] == 0.4
    assert cell["success"]["n"] == 2
    assert "overlap" in told["infeasible"][0]["reason"]
    assert [o.case.theta for o in read_outcomes(tmp_path / "r" / "matched.parquet")] == 2 * [
        Perturbation({"cube_blue.x_m": 0.5, "cube_blue.y_m": 0.0})
    ]


def test_eval_replays_a_dataset_and_ends_as_recorded(run: Run, workshop: Path, tmp_path: Path):
    policy = f"replay:{workshop / 'dataset'}"
    out, _ = run("eval", TASK, "--policy", policy, "--processes", 1, "--out", tmp_path / "r", "--videos", 1)
    assert "3/3" in out
    outcomes, meta = read_outcomes(tmp_path / "r" / "outcomes.parquet"), DatasetMeta.open(workshop / "dataset")
    assert [(o.case, o.length) for o in outcomes] == [(e.case, e.length) for e in meta.episodes]
    (video,) = json.loads((tmp_path / "r" / "videos" / "videos.json").read_text())
    assert (tmp_path / "r" / "videos" / video["file"]).exists()
    out, _ = run("eval", TASK, "--policy", f"{policy}:1", "--processes", 1, "--out", tmp_path / "one", "--json")
    assert json.loads(out)["success"]["n"] == 1


def test_eval_says_that_a_policys_actions_could_not_be_executed(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(RandomPolicy, "act", lambda self, seen, _: [np.full((1, len(self.low)), np.nan) for _ in seen])
    clear_bench()
    command = ["eval", TASK, "--policy", "random", "--episodes", 3, "--processes", 1, "--out", tmp_path / "r"]
    out, err = run(*command)
    assert "failed: invalid action  3/3" in out
    assert "etude: 3 of 3 episodes ended because the policy gave actions that are not finite" in err
    assert {o.length for o in read_outcomes(tmp_path / "r" / "outcomes.parquet")} == {0}
    clear_bench()


def test_eval_of_a_checkpoint_sits_a_suite(run: Run, workshop: Path, tmp_path: Path):
    task = make_task(TASK)
    cases = tuple(Case(Perturbation({"light.intensity": 0.5}), seed) for seed in (3, 4))
    Suite(name="dark", task=task.name, space_hash=task.space.hash, cases=cases).save(tmp_path / "dark.json")
    options = ["--suite", tmp_path / "dark.json", "--processes", 1, "--out", tmp_path / "r"]
    out, _ = run("eval", TASK, "--policy", workshop / "policy", *options, "--json")
    summary = json.loads(out)
    assert summary["suite"]["name"] == "dark"
    assert summary["success"]["n"] == 2
    assert summary["latency"]["calls"] > 0
    assert "latency" not in json.loads((tmp_path / "r" / "summary.json").read_text())
    assert [outcome.case for outcome in read_outcomes(tmp_path / "r" / "outcomes.parquet")] == list(cases)


def test_eval_executes_chunks_as_it_is_told(run: Run, workshop: Path, tmp_path: Path):
    command = ["eval", TASK, "--policy", workshop / "policy", "--episodes", 1, "--processes", 1, "--out"]
    how = ["--execute", 4, "--ensemble", 0.01, "--smooth", 0.5, "--overlap", 1]
    assert "ms a call (median)" in run(*command, tmp_path / "r", *how)[0]
    told = json.loads((tmp_path / "r" / "summary.json").read_text())
    assert [told[name] for name in ("execute", "ensemble", "smooth", "overlap")] == [4, 0.01, 0.5, 1]
    other = ["--execute", 4, "--ensemble", 0.01, "--smooth", 0.2, "--overlap", 1, "--resume"]
    assert "smooth was 0.5 and is now 0.2" in run(*command, tmp_path / "r", *other, code=2)[1]


@pytest.mark.parametrize(
    ("task", "options", "told"),
    [
        (TASK, ["--policy", "{policy}", "--overlap", "8"], "--overlap 8: must be at least 0 and less than --execute 8"),
        (TASK, ["--policy", "{policy}", "--smooth", "1"], "--smooth 1: must be in [0, 1)"),
        (TASK, ["--policy", "expurt"], "Did you mean 'expert'?"),
        (TASK, ["--policy", "{dataset}"], "holds no checkpoint"),
        (
            "franka-stack:cubes=2,image_size=48",
            ["--policy", "{policy}"],
            "image_size is (48, 48), the policy's is (32, 32)",
        ),
        ("franka-stack:cubes=2,image_size=32,cameras=front", ["--policy", "{policy}"], "camera 'wrist' is missing"),
        (TASK, ["--policy", "expert", "--suite", "nowhere.json"], "'nowhere.json' does not exist"),
        (TASK, ["--policy", "expert", "--suite", "{suite}", "--space", "uniform"], "leave out --theta and --space"),
        (TASK, ["--policy", "expert", "--suite", "{suite}", "--episodes", "3"], "has no more than 1;"),
        ("franka-stack:cubes=3", ["--policy", "expert", "--suite", "{suite}"], "was made for"),
        (TASK, ["--policy", "expert", "--videos", "-1"], "--videos -1"),
        (TASK, ["--policy", "expert", "--theta", "light.intensity=nan"], "outside its range"),
        (TASK, ["--policy", "expert", "--matched"], "--matched: these cases are unperturbed themselves"),
        (TASK, ["--policy", "expert", "--factors", "cube.scale"], "--factors cube.scale: goes with --space factors"),
        (TASK, ["--policy", "expert", "--space", "factors", "--factors", "cube.scal"], "Did you mean 'cube.scale'?"),
        (TASK, ["--policy", "expert", "--grid", "cube.scale=1:2"], "expected FACTOR=LOW:HIGH:COUNT"),
        (TASK, ["--policy", "expert", "--grid", "cube.scale=1", "--space", "uniform"], "leave out --suite and --space"),
        (TASK, ["--policy", "replay:nowhere"], "there is no dataset 'nowhere'"),
        (TASK, ["--policy", "replay:{dataset}:7"], "has the episodes 0 to 2"),
        (TASK, ["--policy", "replay:{dataset}", "--episodes", "4"], "has no more than 3;"),
        ("franka-stack:cubes=3", ["--policy", "replay:{dataset}"], "evaluate it on its own task"),
    ],
)
def test_eval_refuses_bad_input_and_writes_nothing(
    task: str, options: list[str], told: str, run: Run, workshop: Path, tmp_path: Path
):
    world = make_task(TASK)
    suite = Suite(name="one", task=world.name, space_hash=world.space.hash, cases=(Case(Perturbation(), 0),))
    suite.save(workshop / "one.json")
    places: dict[str, Any] = {"dataset": workshop / "dataset", "policy": workshop / "policy"}
    filled = [option.format(**places, suite=workshop / "one.json") for option in options]
    assert told in run("eval", task, *filled, "--out", tmp_path / "r", code=2)[1]
    assert list(tmp_path.iterdir()) == []


def test_a_damaged_checkpoint_is_refused(run: Run, workshop: Path, tmp_path: Path):
    damaged = tmp_path / "damaged"
    shutil.copytree(workshop / "policy" / "checkpoint", damaged)
    weights = damaged / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    out = tmp_path / "r"
    options = ["--policy", damaged, "--episodes", 1, "--processes", 1, "--out", out]
    assert "model.safetensors" in run("eval", TASK, *options, code=2)[1]
    weights.unlink()
    assert "model.safetensors" in run("eval", TASK, *options, code=2)[1]
    assert [path.name for path in tmp_path.iterdir()] == ["damaged"]


def test_search_leaves_an_archive_pockets_and_suites_that_eval_sits(run: Run, tmp_path: Path):
    sizes = ["--budget", 16, "--confirm", 3, "--exam-cases", 2, "--dev-cases", 1, "--test-cases", 2]
    search = ["search", TASK, "--policy", "random", *sizes, "--processes", 1, "--out", tmp_path / "s"]
    out, _ = run(*search)
    assert "fails" in out
    written = {path.name for path in (tmp_path / "s").iterdir()}
    suites = {"exam.json", "dev.json", "uniform.json", "nominal.json"}
    assert {"archive.parquet", "pockets.json", *suites} <= written
    assert "--resume" in run(*search, code=2)[1]
    again = [word if word != 16 else 17 for word in search]
    assert "budget was 16 and is now 17" in run(*again, "--resume", code=2)[1]
    exam = ["--suite", tmp_path / "s" / "exam.json", "--out", tmp_path / "r", "--processes", 1, "--json"]
    assert json.loads(run("eval", TASK, "--policy", "random", *exam)[0])["suite"]["name"] == "exam"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ([TASK, "--policy", "expurt"], "Did you mean 'expert'?"),
        ([TASK, "--policy", "random", "--budget", "0"], "--budget 0: needs at least 1"),
        (["franka-stack:cubes=3", "--policy", "{policy}"], "image_size is (96, 96)"),
    ],
)
def test_search_refuses_bad_input_and_writes_nothing(
    options: list[str], told: str, run: Run, workshop: Path, tmp_path: Path
):
    filled = [option.format(policy=workshop / "policy") for option in options]
    assert told in run("search", *filled, "--out", tmp_path / "s", code=2)[1]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["franka-stack", "--preset", "dmeo", "--run", "r"], "Did you mean 'demo'?"),
        (["franka-stak", "--run", "r"], "Did you mean 'franka-stack'?"),
        (["franka-stack", "--run", "r", "--arms", "unifrm"], "Did you mean 'uniform'?"),
        (["franka-stack", "--run", "r", "--rounds", "0"], "--rounds 0: needs at least 1"),
        (["franka-stack", "--run", "a/b"], "a name, not a path"),
        (["franka-stack", "--run", "r", "--processes", "0"], "--processes 0"),
    ],
)
def test_loop_refuses_bad_input_and_writes_nothing(options: list[str], told: str, run: Run, tmp_path: Path):
    assert told in run("loop", *options, "--runs-dir", tmp_path / "runs", code=2)[1]
    assert list(tmp_path.iterdir()) == []


def test_loop_refuses_a_folder_that_holds_something_else(run: Run, tmp_path: Path):
    (tmp_path / "r" / "deep").mkdir(parents=True)
    told = run("loop", "franka-stack", "--run", "r", "--runs-dir", tmp_path, code=2)[1]
    assert "holds no run" in told


@pytest.mark.parametrize("options", [[], ["--arms", "uniform", "targeted", "--rounds", "2", "--seed", "7"]])
def test_the_command_that_a_run_records_gives_the_same_config(options: list[str]):
    asked = parse(loop.Options, "loop", ["franka-stack", "--preset", "smoke", "--run", "my run", *options])
    etude, verb, *words = shlex.split(loop.command_line(asked))
    assert (etude, verb) == ("etude", "loop")
    assert loop.make_config(parse(loop.Options, verb, words)) == loop.make_config(asked)


def test_report_of_what_is_no_run_is_refused(run: Run, workshop: Path):
    assert "holds nothing to report" in run("report", workshop, code=2)[1]


@pytest.mark.slow
def test_the_loop_ends_with_a_table_and_a_report_that_can_be_written_again(run: Run, tmp_path: Path):
    command = ["loop", "franka-stack", "--preset", "smoke", "--run", "r", "--runs-dir", tmp_path, "--arms", "uniform"]
    out, _ = run(*command)
    assert "Baseline" in out
    report = tmp_path / "r" / "report"
    assert str(report / "index.html") in out
    assert "--resume" in run(*command, code=2)[1]
    assert "seed was 0 and is now 1" in run(*command, "--seed", 1, "--resume", code=2)[1]
    summary = (report / "summary.json").read_text()
    assert run("report", tmp_path / "r", "--json")[0] == summary
    run(*command, "--resume")
    assert (report / "summary.json").read_text() == summary


def test_tasks_show_lists_every_factor_and_draws_what_each_does(run: Run, tmp_path: Path):
    out, _ = run("tasks", "show", TASK, "--out", tmp_path / "pictures")
    task, page = make_task(TASK), (tmp_path / "pictures" / "index.html").read_text()
    for name in (*task.space.names, *task.cameras):
        assert name in out
    written = {str(path.relative_to(tmp_path / "pictures")) for path in (tmp_path / "pictures").rglob("*.*")}
    pictures = {"nominal.png", *(f"sweeps/{name}.png" for name in task.space.names)}
    assert written == pictures | {"index.html", "settings.json"}
    assert all(f'src="{picture}"' in page for picture in pictures)
    assert "http" not in page
    shown = json.loads(run("tasks", "show", TASK, "--json")[0])
    assert [factor["name"] for factor in shown["factors"]] == list(task.space.names)
    assert shown["space_hash"] == task.space.hash


def test_tasks_show_draws_into_a_new_folder_only_and_needs_cameras(run: Run, tmp_path: Path):
    (tmp_path / "file").touch()
    assert "already exists" in run("tasks", "show", TASK, "--out", tmp_path, code=2)[1]
    assert "no cameras" in run("tasks", "show", f"{TASK},cameras=none", "--out", tmp_path / "p", code=2)[1]
    assert "etude tasks show NAME --out DIR" in run("tasks", "--out", tmp_path / "p", code=2)[1]
    assert not (tmp_path / "p").exists()


def test_tasks_lists_names_and_refuses_unknown_ones(run: Run):
    assert "franka-stack" in run("tasks")[0]
    assert "franka-stack" in run("tasks", "show", code=2)[1]
    assert "Did you mean 'franka-stack'?" in run("tasks", "show", "franka-stac", code=2)[1]


def test_tasks_lists_the_others_when_one_cannot_be_made(run: Run, monkeypatch: pytest.MonkeyPatch):
    def make(name: str) -> Task:
        if name == "broken":
            raise MissingDependencyError("its assets are missing")
        return make_task(name)

    monkeypatch.setattr("etude.sim.make_task", make)
    monkeypatch.setattr("etude.sim.task_names", lambda: ("broken", "franka-stack"))
    out, _ = run("tasks")
    assert "its assets are missing" in out
    lines = json.loads(run("tasks", "--json")[0])
    assert [line["name"] for line in lines] == ["broken", "franka-stack"]
    assert [("error" in line) for line in lines] == [True, False]


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_collection_that_was_stopped_keeps_what_it_reported_and_goes_on(how: signal.Signals, tmp_path: Path):
    command = [ETUDE, "collect", TASK, "--episodes", "40", "--out", str(tmp_path / "d"), "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        reported = [json.loads(process.stdout.readline())["saved"] for _ in range(2)]
        os.kill(process.pid, how)
        reported += [json.loads(line)["saved"] for line in process.stdout]
        told = process.stderr.read()
        code = process.wait(60)
    assert code == (130 if how == signal.SIGINT else -signal.SIGKILL), told
    assert how != signal.SIGINT or told.splitlines()[-1].endswith("--resume")
    wanted = str(len(reported) + 2)
    again = [ETUDE, "collect", TASK, "--episodes", wanted, "--out", str(tmp_path / "d"), "--json", "--resume"]
    done = subprocess.run(again, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    more = [json.loads(line)["saved"] for line in done.stdout.splitlines()]
    # An episode may be on disk whose line a kill cut off; none that was reported is lost.
    assert more in ([len(reported), len(reported) + 1], [len(reported) + 1])
    assert DatasetMeta.open(tmp_path / "d").total_episodes == int(wanted)
