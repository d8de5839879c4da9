"""Arms differ in what they practise and in nothing else, and stopping a run changes nothing about it."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loop.tiny import TASK, TINY, everything, run_tiny
from toys import POCKET, SPACE, PlantedPolicy

from etude.compute import SerialExecutor
from etude.core import Case, Perturbation, PolicyFactory, StageFailedError, Suite, stream
from etude.core.files import read_json
from etude.data import DatasetMeta
from etude.loop.chain import Chain
from etude.loop.making.placing import FirstDemonstrations
from etude.loop.order import run_chain
from etude.loop.pupil import DATASET, Pupil
from etude.loop.stage import load_manifest
from etude.search import Exclusion, KeepsAway, TargetedSampler
from etude.search.pockets import Pocket

SCRIPT = Path(__file__).with_name("tiny.py")
DATA = "dataset/data/chunk-000"
MOMENTS = (
    "kill:.run.json.*.tmp",
    f"kill:round-00/collect.partial/{DATA}/file-002.parquet",
    f"interrupt:round-00/collect.partial/{DATA}/file-004.parquet",
    "kill:round-00/collect",
    "full:round-00/train.partial/checkpoint/model.safetensors",
    "kill:round-00/train.partial/state/training.safetensors",
    "kill:round-00/search.partial/archive.parquet",
    "full:round-00/search.partial/pockets.json",
    "kill:round-00/suites.partial/exam.json",
    "kill:round-00/evaluate.partial/journal.jsonl",
    "full:round-00/evaluate.partial/exam.parquet",
    "kill:round-01/same-data-more-steps/train.partial/checkpoint/config.json",
    f"full:round-01/uniform/generate.partial/{DATA}/file-001.parquet",
    "interrupt:round-01/uniform/train.partial/started.json",
    "kill:round-00/diagnose.partial/counterfactuals.parquet",
    f"kill:round-01/targeted/generate.partial/{DATA}/file-000.parquet",
    "kill:round-01/targeted/train.partial/.curves.json.*.tmp",
    "kill:round-01/targeted/evaluate.partial/manifest.json",
    "kill:round-01/targeted/fresh-search.partial/archive.parquet",
    "kill:round-01/targeted/follow.partial/.followed.json.*.tmp",
    f"kill:round-01/gradient/generate.partial/{DATA}/file-005.parquet",
    "full:round-01/gradient/score.partial/evidence.parquet",
    "kill:round-01/gradient/score.partial/.scores.json.*.tmp",
    "interrupt:round-01/gradient/choose.partial/chosen.json",
    "kill:round-01/gradient/choose.partial/before.json",
    "kill:round-01/gradient/train.partial/state/training.safetensors",
    "kill:round-01/targeted/videos.partial/00-before.mp4",
    "kill:report.partial/data",
)


PROGRESS = re.compile(r"^[\w :-]+: \d+/\d+(, |$)|^etude: nothing was saved in '.*' yet: starting from the beginning\.$")


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """A run that was stopped at every one of the moments, and what the command said each time."""
    runs = tmp_path_factory.mktemp("stopped") / "runs"
    command = [sys.executable, str(SCRIPT), str(runs), *MOMENTS]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, env=environment)
    assert done.returncode == 0, done.stderr
    return runs / "r", [json.loads(line) for line in done.stdout.splitlines()]


def test_a_run_that_was_stopped_in_every_stage_ends_as_one_that_never_was(
    stopped: tuple[Path, list[dict[str, Any]]], finished: Path
):
    run, told = stopped
    codes = {"kill": -signal.SIGKILL, "interrupt": 130, "full": 2}
    assert [one["code"] for one in told] == [codes[moment.partition(":")[0]] for moment in MOMENTS]
    run_tiny(run, resume=True)
    found, expected = everything(run), everything(finished)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []


def test_whoever_is_stopped_is_told_in_one_line_how_to_go_on(stopped: tuple[Path, list[dict[str, Any]]]):
    endings = {
        "kill": [],  # nobody is left to say anything
        "interrupt": ["etude: stopped; what was finished is kept. Go on with: etude loop toy-point", "--resume"],
        "full": ["etude: ", "kept", "resume"],
    }
    for one in stopped[1]:
        complaint = "\n".join(line for line in one["told"].splitlines() if not PROGRESS.match(line))
        assert "\n" not in complaint
        expected = endings[one["moment"].partition(":")[0]]
        assert bool(complaint) == bool(expected)
        assert all(words in complaint for words in expected), complaint


@dataclass(frozen=True, kw_only=True)
class PlantedChain(Chain):
    """A chain whose policies all fail where the light is weak, however they were trained."""

    def policy(self, pupil: Pupil) -> PolicyFactory:  # type: ignore[override]
        return PlantedPolicy(failure=1.0)


class FlawlessChain(Chain):
    """A chain whose policies never fail."""

    def policy(self, pupil: Pupil) -> PolicyFactory:  # type: ignore[override]
        return PlantedPolicy(failure=0.0)


def test_a_baseline_without_failures_ends_the_run_with_a_bound_and_what_to_do(tmp_path: Path):
    chain = FlawlessChain(config=TINY, task=TASK, seed=1, directory=tmp_path, executor=SerialExecutor())
    with pytest.raises(StageFailedError, match=r"^no exam: in 16 rollouts .* at most 32.4% .* from 8 .* harder"):
        run_chain(chain)


CONFIG = replace(
    TINY, arms=("same-data-more-steps", "uniform", "targeted", "reseeded"), rounds=2, accepted=12, search_rollouts=160,
    confirm_rollouts=15, exam_cases=12, train_steps=2, retrain_steps=1,
)  # fmt: skip


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> tuple[PlantedChain, dict[str, Pupil]]:
    """A finished chain with a pocket, and what its arms learned from."""
    directory = tmp_path_factory.mktemp("planted")
    chain = PlantedChain(config=CONFIG, task=TASK, seed=1, directory=directory, executor=SerialExecutor())
    return chain, run_chain(chain)


def pockets_of(chain: Chain, search: Path) -> list[Pocket]:
    return [Pocket.from_json(record) for record in read_json(search / "pockets.json")["pockets"]]


def practised(pupil: Pupil) -> list[Perturbation]:
    return [
        episode.case.theta
        for path in pupil.collections[1:]
        for episode in DatasetMeta.open(path / DATASET).episodes
        if episode.case
    ]


def test_arms_get_equal_data_and_equal_steps(planted: tuple[PlantedChain, dict[str, Pupil]]):
    _, pupils = planted
    assert list(pupils) == ["baseline", *CONFIG.arms]
    for arm in ("uniform", "targeted"):
        assert [load_manifest(path).result["accepted"] for path in pupils[arm].collections[1:]] == [12, 12]
    assert (
        pupils["same-data-more-steps"].collections == pupils["reseeded"].collections == pupils["baseline"].collections
    )
    steps = {
        arm: sum(load_manifest(stage).result.get("train_steps", 0) for stage in pupil.stages)
        for arm, pupil in pupils.items()
    }
    assert steps == {"baseline": 2, "same-data-more-steps": 2, "uniform": 2, "targeted": 2, "reseeded": 2 + 2 * 1}


def test_each_arm_starts_from_the_baseline_and_mixes_old_and_new(planted: tuple[PlantedChain, dict[str, Pupil]]):
    chain, pupils = planted
    baseline = load_manifest(pupils["baseline"].train).hash
    for arm, pupil in pupils.items():
        if arm in ("baseline", "reseeded"):
            assert load_manifest(pupil.train).key["warm_start"] is None
            continue
        first = load_manifest(chain.directory / "round-01" / arm / "train")
        assert first.key["warm_start"] == baseline
        assert load_manifest(pupil.train).key["warm_start"] == first.hash
    hashes = [load_manifest(path).hash for path in pupils["uniform"].collections]
    assert load_manifest(pupils["uniform"].train).key["datasets"] == dict(zip(hashes, (0.5, 0.25, 0.25), strict=True))
    assert list(load_manifest(pupils["same-data-more-steps"].train).key["datasets"].values()) == [1.0]


def test_no_arm_practises_near_an_exam_case(planted: tuple[PlantedChain, dict[str, Pupil]]):
    chain, pupils = planted
    exam = Suite.load(chain.suites_directory / "exam.json")
    pockets = {pocket.name: pocket for pocket in pockets_of(chain, chain.search_directory)}
    assert pockets
    for arm in ("uniform", "targeted"):
        assert len(practised(pupils[arm])) == 24
        for theta in practised(pupils[arm]):
            for case, label in zip(exam.cases, exam.labels, strict=True):
                active = [SPACE.names.index(name) for name in pockets[label].bounds]
                apart = np.abs(SPACE.to_unit(theta) - SPACE.to_unit(case.theta))[active].max()
                assert apart >= chain.exclusion.radii[label] > 0


def test_targeted_practice_is_where_the_policy_fails(planted: tuple[PlantedChain, dict[str, Pupil]]):
    _, pupils = planted

    def dark(arm: str) -> float:
        return float(np.mean([theta.values["light.intensity"] < 0.45 for theta in practised(pupils[arm])]))

    assert dark("targeted") >= 0.6
    assert dark("uniform") <= 0.55


def test_only_the_targeted_arm_pays_for_the_search(planted: tuple[PlantedChain, dict[str, Pupil]]):
    chain, pupils = planted
    paying = {arm for arm, pupil in pupils.items() if any(stage.name == "search" for stage in pupil.stages)}
    assert paying == {"targeted"}
    assert pupils["targeted"].stages[0] == chain.search_directory
    assert len([stage for stage in pupils["targeted"].stages if stage.name == "search"]) == CONFIG.rounds


SMALL = replace(POCKET, bounds={"light.intensity": (0.3, 0.5), "cube.scale": (0.9, 1.1)})


@pytest.fixture(scope="module")
def exclusion() -> Exclusion:
    rng = np.random.default_rng(0)
    own = SMALL.bounds.items()
    values = [{**SPACE.sample(rng).values, **{f: rng.uniform(*bounds) for f, bounds in own}} for _ in range(20)]
    cases = tuple(Case(Perturbation(v), i) for i, v in enumerate(values) if SPACE.infeasible(Perturbation(v)) is None)
    exam = Suite(name="exam", task=TASK.name, space_hash=SPACE.hash, cases=cases, labels=("pocket-1",) * len(cases))
    return Exclusion.fitted(exam, [SMALL], SPACE, rng)


@pytest.mark.parametrize("share", [0.0, 0.2, 1.0])
def test_draws_for_practice_lie_in_and_around_the_pockets_by_their_share(exclusion: Exclusion, share: float):
    draw = KeepsAway(TargetedSampler(space=SPACE, pockets=(SMALL,), uniform_fraction=share), exclusion)
    thetas = [draw(stream(0, i)) for i in range(300)]
    refused = sum(draw.counted(stream(0, i))[1] for i in range(300))
    assert not any(exclusion(theta) for theta in thetas)
    around = replace(SMALL, bounds={"light.intensity": (0.27, 0.53), "cube.scale": (0.87, 1.13)})
    inside = np.mean([around.contains(theta, SPACE) for theta in thetas])
    everywhere = 0.26 / 0.8 * 0.26 / 0.4  # share of the space
    assert inside == pytest.approx((1 - share) + share * everywhere, abs=0.08)
    assert refused > 0
    assert [draw(stream(0, i)) for i in range(300)] == thetas


def test_first_demonstrations_keep_to_their_narrow_ranges_and_to_the_published_layouts():
    rng = np.random.default_rng(0)
    thetas = [FirstDemonstrations(TASK, TINY)(rng) for _ in range(200)]
    layout = {factor.name for factor in SPACE.factors if factor.kind == "layout"}
    for theta in thetas:
        SPACE.check(theta)
        assert theta.values.keys() == set(SPACE.names) - layout
        assert 0.7 <= theta.values["light.intensity"] <= 0.9
    friction = [theta.values["table.friction"] for theta in thetas]
    assert min(friction) < 0.6
    assert max(friction) > 1.4
    broad = FirstDemonstrations(TASK, replace(TINY, narrow_layout=False))
    assert broad(rng).values.keys() == set(SPACE.names)
    placed = FirstDemonstrations(TASK, replace(TINY, narrow={min(layout): (0.0, 0.01)}))
    assert 0 <= placed(rng).values[min(layout)] <= 0.01


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_a_stacking_run_in_processes_killed_in_every_stage_ends_as_one_that_never_was(tmp_path: Path):
    code = (
        "import sys; from etude.cli import main; from etude.loop import presets; from loop.tiny import TINY\n"
        "presets.PRESETS = {**presets.PRESETS, 'tiny': TINY}; sys.exit(main(sys.argv[1:]))"
    )
    environment = {**os.environ, "PYTHONPATH": str(SCRIPT.parents[1])}
    loop = [sys.executable, "-c", code, "loop", "franka-stack:cubes=2,image_size=32", "--preset", "tiny", "--run", "r"]

    def start(runs: str, *options: str) -> subprocess.Popen[str]:
        command = [*loop, "--runs-dir", str(tmp_path / runs), *options]
        return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    baseline = ("collect", "train", "search", "suites", "evaluate")
    arms = ("same-data-more-steps/train", "uniform/generate", "uniform/train", "targeted/generate", "targeted/evaluate")
    stages = [*(f"round-00/{name}" for name in baseline), *(f"round-01/{name}" for name in arms), "report"]
    for stage in stages:
        with start("killed", "--processes", "2", "--resume") as process:
            while not (tmp_path / "killed" / "r" / f"{stage}.partial").exists():
                assert process.poll() is None, stage
                time.sleep(0.005)
            process.kill()
    for runs, processes in (("killed", "2"), ("whole", "1")):
        with start(runs, "--processes", processes, "--resume") as process:
            told = process.communicate()[1]
            assert process.returncode == 0, told
    found, expected = (everything(tmp_path / runs / "r") for runs in ("killed", "whole"))
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []
