"""`etude score` from the command line."""

import json
import re
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from cli.running import Run
from data.recordings import CAMERAS, SIZE, write

from etude.data import DatasetMeta, FeatureStatistics
from etude.policies import Features
from etude.policies.checkpoint import build_policy


@pytest.fixture
def run(run: Run) -> Run:
    """Run `etude score` here; its stdout and stderr."""
    return partial(run, "score")


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "toy"
    write(root, (9, 4, 12, 20, 7))
    return root


@pytest.fixture(scope="module")
def policy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    statistics = FeatureStatistics(
        {key: {"mean": np.zeros(n), "std": np.ones(n)} for key, n in (("observation.state", 3), ("action", 2))}
    )
    features = Features(cameras=CAMERAS, image_size=SIZE, state_size=3, action_size=2)
    settings = {"horizon": 4, "n_action_steps": 2, "vision_widths": (8,), "keypoints": 4}
    model = build_policy("flow", features, statistics, np.random.default_rng(0), **settings)
    model.module.get_parameter("model.field.leave.weight").data.fill_(0.1)  # zero until it is trained
    folder = tmp_path_factory.mktemp("policy")
    model.save(folder / "checkpoint")
    return folder


def test_scores_are_written_told_and_summed_up(run: Run, dataset: Path, policy: Path, tmp_path: Path):
    out = tmp_path / "scores"
    told, _ = run(dataset, "--policy", policy, "--score", "norm", "split", "--reference", "--draws", 4, "--out", out)
    table = pq.read_table(out / "scores.parquet").to_pydict()
    assert list(table) == ["episode_index", "length", "norm", "split", "factor:light.intensity"]
    page = (out / "index.html").read_text()
    assert re.findall(r'href="#([a-z]+)"', page) == re.findall(r'<section[^>]* id="([a-z]+)"', page)
    assert "light.intensity" in page
    assert table["length"] == [9, 4, 12, 20, 7]
    summary = json.loads((out / "scores.json").read_text())
    assert set(summary["with_factors"]["norm"]) == {"light.intensity"}  # the other factor does not vary
    assert 1 <= summary["effective_sample_size"]["norm"] <= 5
    assert -1 <= summary["with_reference"]["norm"] <= 1
    for text in ("highest and lowest norm", "rank correlation norm – split", "256 draws", str(out / "scores.parquet")):
        assert text in told
    best = str(table["episode_index"][int(np.argmax(table["norm"]))])
    assert next(line for line in told.splitlines() if "│ 1 " in line).split("│")[2].strip() == best


def test_json_is_one_line_and_a_scoring_goes_on_where_it_was_stopped(
    run: Run, dataset: Path, policy: Path, tmp_path: Path
):
    out, options = tmp_path / "scores", ("--draws", 2, "--anchors", 4)
    told, _ = run(dataset, "--policy", policy, *options, "--out", out, "--json")
    assert json.loads(told)["episodes"] == 5
    whole = (out / "scores.parquet").read_bytes()
    (out / "scores.parquet").unlink()
    run(dataset, "--policy", policy, *options, "--out", out, "--resume", "--json")
    assert (out / "scores.parquet").read_bytes() == whole
    _, complaint = run(dataset, "--policy", policy, *options, "--seed", 1, "--out", out, "--resume", code=2)
    assert "cannot resume with other settings: seed was 0 and is now 1" in complaint


@pytest.mark.parametrize("changed", ["policy", "dataset", "pockets", "ensemble"])
def test_a_scoring_goes_on_only_with_what_it_was_begun_with(
    changed: str, run: Run, dataset: Path, policy: Path, tmp_path: Path
):
    here = {"policy": policy, "dataset": dataset, "pockets": dataset, "ensemble": policy}
    for name, original in here.items():
        here[name] = Path(shutil.copytree(original, tmp_path / name))
    options = (f"--{name}={here[name]}" for name in ("policy", "pockets", "ensemble"))
    command = (here["dataset"], *options, "--score", "random", "--out", tmp_path / "scores")
    run(*command)
    run(*command, "--resume")
    file = "checkpoint/config.json" if changed in ("policy", "ensemble") else "meta/stats.json"
    with (here[changed] / file).open("a") as content:
        content.write(" ")
    _, complaint = run(*command, "--resume", code=2)
    assert f"cannot resume with other settings: contents.{changed} was " in complaint


def test_the_best_become_a_dataset_of_their_own(run: Run, dataset: Path, policy: Path, tmp_path: Path):
    out = tmp_path / "scores"
    run(dataset, "--policy", policy, "--draws", 2, "--out", out)
    norm = pq.read_table(out / "scores.parquet").to_pydict()["norm"]
    best = sorted(range(5), key=lambda episode: -norm[episode])
    for count in (3, 2):
        told, _ = run(dataset, "--policy", policy, "--draws", 2, "--out", out, "--resume", "--keep", count, "--json")
        assert json.loads(told)["kept"] == best[:count]
        kept, whole = DatasetMeta.open(out / "best"), DatasetMeta.open(dataset)
        assert list(kept.lengths) == [whole.lengths[episode] for episode in best[:count]]
        assert [each.case for each in kept.episodes] == [whole.episodes[episode].case for episode in best[:count]]
    told, _ = run(dataset, "--score", "random", "--keep", 1, "--out", tmp_path / "random")
    assert f"etude train --dataset {tmp_path / 'random' / 'best'} --out" in " ".join(told.split())
    _, complaint = run(dataset, "--score", "random", "--keep", 6, "--out", tmp_path / "more", code=2)
    assert f"--keep 6: '{dataset}' has 5 episodes" in complaint
    assert not (tmp_path / "more").exists()


def test_chances_of_failing_come_from_a_table_and_need_no_policy(run: Run, dataset: Path, tmp_path: Path):
    chances = tmp_path / "chances.csv"
    chances.write_text("episode_index,p_fail\n" + "".join(f"{i},{i / 10}\n" for i in range(5)))
    out = tmp_path / "scores"
    told, _ = run(dataset, "--score", "failure", "random", "--failure", chances, "--keep", 2, "--out", out)
    assert "The 2 highest are a dataset of their own, best." in (out / "index.html").read_text()
    assert pq.read_table(out / "scores.parquet").to_pydict()["failure"] == [0.0, 0.1, 0.2, 0.3, 0.4]
    assert "None" not in told + (out / "index.html").read_text()
    chances.write_text("episode_index,p_fail\n0,0.5\n")
    _, complaint = run(dataset, "--score", "failure", "--failure", chances, "--out", tmp_path / "b", code=2)
    assert "says nothing of episode 1 (4 of 5 are missing)" in complaint
    assert not (tmp_path / "b").exists()


def test_a_folder_that_is_no_search_says_so_first(run: Run, dataset: Path, policy: Path, tmp_path: Path):
    _, complaint = run(dataset, "--score", "failure", "--failure", policy, "--out", tmp_path / "scores", code=2)
    assert f"--failure {policy}: has no pockets.json; give a folder of `etude search`, or a table." in complaint


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--score", "gradient"), "unknown score 'gradient'"),
        (("--score", "align"), "--pockets DATASET"),
        (("--anchors", "5"), "--anchors 5: must be even"),
        (("--draws", "0"), "--draws 0: needs at least 1"),
        (("--head", "nothing"), "--head nothing names no parameter of the policy's head"),
    ],
)
def test_what_cannot_be_scored_is_one_line(
    options: tuple[str, ...], told: str, run: Run, dataset: Path, policy: Path, tmp_path: Path
):
    _, complaint = run(dataset, "--policy", policy, *options, "--out", tmp_path / "scores", code=2)
    assert told in complaint
    assert not (tmp_path / "scores").exists()


def test_a_score_that_needs_a_policy_says_so(run: Run, dataset: Path, tmp_path: Path):
    _, complaint = run(dataset, "--out", tmp_path / "scores", code=2)
    assert "score 'norm' needs a policy whose loss can be differentiated (--policy CHECKPOINT)" in complaint
    assert "there are: random" in complaint


def test_a_policy_server_has_no_loss_and_the_complaint_says_what_remains(run: Run, dataset: Path, tmp_path: Path):
    _, complaint = run(dataset, "--policy", "ws://localhost:8000", "--out", tmp_path / "scores", code=2)
    assert "no loss that could be differentiated" in complaint
    assert "failure and random remain" in complaint
