"""`etude train`: what it can be asked for, at the smallest sizes."""

import json
import shutil
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from cli.running import Run

from etude.cli import main
from etude.core.files import read_json
from etude.policies.checkpoint import load_model

TASK = "franka-stack:cubes=2,image_size=24"
SMALL = ["--steps", "4", "--batch-size", "4", "--threads", "1"]


@pytest.fixture
def run(run: Run) -> Run:
    """Run `etude train` here; its stdout and stderr."""
    return partial(run, "train")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three demonstrations."""
    folder = tmp_path_factory.mktemp("train") / "data"
    assert main(["collect", TASK, "--episodes", "3", "--out", str(folder), "--processes", "1"]) == 0
    return folder


@pytest.fixture
def copy(data: Path, tmp_path: Path) -> Path:
    """The same demonstrations in another place."""
    shutil.copytree(data, tmp_path / "copy")
    return tmp_path / "copy"


def test_it_says_what_it_trains_on(run: Run, data: Path, tmp_path: Path):
    out, err = run("--dataset", data, "--out", tmp_path / "p", *SMALL, "--held-out", 0.3)
    assert "etude: flow with " in err
    assert "2 episodes (1 more held out)" in err
    assert "front 24x24, wrist 24x24" in err
    assert "4 steps of 4 windows of 16 actions" in err
    assert str(tmp_path / "p" / "curves.svg") in out
    assert (tmp_path / "p" / "curves.svg").read_text().startswith("<svg xmlns=")


def test_rollouts_choose_the_checkpoint(run: Run, data: Path, tmp_path: Path):
    judged = ["--eval-task", TASK, "--eval-episodes", 2, "--eval-every", 2, "--processes", 1, "--keep-last", 1]
    out, _ = run("--dataset", data, "--out", tmp_path / "p", *SMALL, *judged, "--json")
    told = json.loads(out)
    assert told["success"]["n"] == 2
    curves = read_json(tmp_path / "p" / "curves.json")
    assert [point[0] for point in curves["success"]] == [2, 4]
    kept = sorted(path.name for path in (tmp_path / "p" / "checkpoints").iterdir())
    assert kept == ["by-validation", "step-0000004"]
    assert "success [%]" in (tmp_path / "p" / "curves.svg").read_text()


def test_options_of_the_policy_are_set_by_name(run: Run, data: Path, tmp_path: Path):
    run("--dataset", data, "--out", tmp_path / "p", *SMALL, "--set", "horizon=12", "vision_widths=8,16", "keypoints=8")
    config = load_model(tmp_path / "p" / "checkpoint").policy.config
    assert (config.horizon, tuple(config.vision_widths)) == (12, (8, 16))


def test_a_run_is_repeated_by_the_settings_it_left(run: Run, data: Path, tmp_path: Path):
    run("--dataset", data, "--out", tmp_path / "a", *SMALL, "--set", "horizon=12", "--optimizer", "sgd", "--ema", 0)
    run("--config", tmp_path / "a" / "settings.json", "--out", tmp_path / "b")
    weights = [(tmp_path / name / "checkpoint" / "model.safetensors").read_bytes() for name in "ab"]
    assert weights[0] == weights[1]
    run("--config", tmp_path / "a" / "settings.json", "--out", tmp_path / "b", "--resume")
    _, told = run(
        "--config", tmp_path / "a" / "settings.json", "--out", tmp_path / "b", "--resume", "--ema", 0.5, code=2
    )
    assert "ema was 0.0 and is now 0.5" in told


def test_a_batch_size_is_measured_and_remembered(run: Run, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("etude.training.advising.free_memory", lambda: 3_000_000)
    tiny = ["--set", "vision_widths=8,16", "keypoints=8", "head_width=32", "embedding_size=16"]
    options = ["--dataset", data, "--out", tmp_path / "p", "--steps", 1, "--batch-size", "auto", *tiny]
    _, told = run(*options)
    size = read_json(tmp_path / "p" / "settings.json")["settings"]["batch_size"]
    assert f"batch size {size}: a window takes" in told
    assert size < 64
    monkeypatch.setattr("etude.training.advising.free_memory", lambda: 10**12)
    run(*options, "--resume")


def test_datasets_are_mixed_with_mappings_and_weights_of_episodes(run: Run, data: Path, copy: Path, tmp_path: Path):
    (tmp_path / "map.json").write_text('{"cameras": {"front": "front", "wrist": null}}')
    (tmp_path / "weights.json").write_text("[1, 0, 2.5]")
    mixed = ["--dataset", f"{data}:3", copy, "--map", f"{copy}={tmp_path / 'map.json'}"]
    run(*mixed, "--episode-weights", f"{data}={tmp_path / 'weights.json'}", "--out", tmp_path / "p", *SMALL)
    assert load_model(tmp_path / "p" / "checkpoint").features.cameras == ("front", "wrist")


def test_images_are_resized_once_and_the_checkpoint_takes_them_as_they_come(run: Run, data: Path, tmp_path: Path):
    run("--dataset", data, "--out", tmp_path / "p", *SMALL, "--image-size", 16)
    model = load_model(tmp_path / "p" / "checkpoint")
    assert model.inputs is not None
    assert model.features.image_size == (24, 24)
    assert model.inputs.fitted.sizes == {"front": (16, 16), "wrist": (16, 16)}
    run("--dataset", data, "--out", tmp_path / "q", *SMALL, "--warm-start", tmp_path / "p")
    assert load_model(tmp_path / "q" / "checkpoint").features.image_size == (24, 24)


def test_options_of_what_is_seen_come_on_top_of_a_file(run: Run, data: Path, tmp_path: Path):
    (tmp_path / "inputs.json").write_text('{"cameras": {"front": {"crop": [0.25, 0.25, 1, 1]}}, "size": [16, 16]}')
    options = [
        "--inputs",
        tmp_path / "inputs.json",
        "--image-size",
        12,
        18,
        "--hide",
        "wrist=0,0,1,0.5",
        "--jitter",
        0.1,
    ]
    run("--dataset", data, "--out", tmp_path / "p", *SMALL, *options)
    step = load_model(tmp_path / "p" / "checkpoint").inputs
    assert step is not None
    assert step.fitted.sizes == {"front": (12, 18), "wrist": (12, 18)}
    assert step.fitted.view("front").crop == (0.25, 0.25, 1, 1)
    assert step.fitted.view("wrist").hide == ((0, 0, 1, 0.5),)
    assert (step.fitted.inputs.shift, step.fitted.inputs.colour_jitter) == (0, 0.1)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--set", "horizn=3"], "unknown option of policy 'flow': 'horizn'. Did you mean 'horizon'?"),
        (["--set", "horizon"], "expected key=value"),
        (["--set", "horizon=abc"], "--set horizon=abc: expected a number, as its default 16"),
        (["--set", "horizon=1", "horizon=2"], "gives 'horizon' twice"),
        (["--set", "horizon=0"], "horizon = 0 must be at least 1"),
        (["--optimizer", "adma"], "unknown --optimizer 'adma'. Did you mean 'adam"),
        (["--held-out", "1"], "a share from 0 to below 1"),
        (["--accumulate", "3"], "batch_size = 4 cannot be computed in 3 equal parts"),
        (["--device", "cuda"], "sees no GPU here"),
        (["--eval-task", "franka-stack:cubes=2,image_size=48"], "image_size is (48, 48), the policy's is (24, 24)"),
        (["--eval-task", "franka-stak"], "Did you mean 'franka-stack'?"),
        (["--map", "nowhere=f.json"], "unknown dataset of --map 'nowhere'"),
        (["--map", "f.json"], "expected DATASET=FILE"),
        (["--episode-weights", "{data}={weights}"], "has 3 episodes, and 2 weights"),
        (["--inputs", "nowhere.json"], "'nowhere.json' does not exist"),
        (["--gradient-clip", "-1"], "gradient_clip = -1.0 must be at least 0"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_nothing(
    options: list[str], told: str, run: Run, data: Path, tmp_path: Path
):
    (tmp_path / "weights.json").write_text("[1, 2]")
    filled = [option.format(data=data, weights=tmp_path / "weights.json") for option in options]
    assert told in run("--dataset", data, "--out", tmp_path / "p", *SMALL, *filled, code=2)[1]
    assert not (tmp_path / "p").exists()


def test_a_number_that_is_missing_is_found_before_training(run: Run, copy: Path, tmp_path: Path):
    *_, file = sorted((copy / "data").rglob("*.parquet"))
    table = pq.read_table(file)
    actions = table["action"].to_pylist()
    actions[-1][0] = float("nan")
    column = table.schema.get_field_index("action")
    field = table.schema.field(column)
    pq.write_table(table.set_column(column, field, pa.array(actions, field.type)), file)
    _, told = run("--dataset", copy, "--out", tmp_path / "p", *SMALL, code=2)
    assert f"'{copy}', episode 2: its action holds what is not a number, in 1 frames" in told
    assert not (tmp_path / "p").exists()


def test_datasets_of_another_rate_or_image_size_are_refused_with_the_fix(
    run: Run, data: Path, copy: Path, tmp_path: Path
):
    info = read_json(copy / "meta" / "info.json")
    mixture = ["--dataset", data, copy, "--out", tmp_path / "p", *SMALL]
    (copy / "meta" / "info.json").write_text(json.dumps({**info, "fps": 50}))
    assert "and 'copy' 50".replace("copy", str(copy)) in run(*mixture, code=2)[1]
    info["features"]["observation.images.front"]["shape"] = [48, 24, 3]
    (copy / "meta" / "info.json").write_text(json.dumps(info))
    assert "make all images one size with --image-size 24 24" in run(*mixture, code=2)[1]


def test_curves_go_to_weights_and_biases_for_those_who_ask(
    run: Run, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("WANDB_MODE", "offline")
    run("--dataset", data, "--out", tmp_path / "p", *SMALL, "--wandb", "tests")
    assert len(list((tmp_path / "p" / "wandb").glob("offline-run-*/*.wandb"))) == 1
    assert read_json(tmp_path / "p" / "wandb.json")["project"] == "tests"
