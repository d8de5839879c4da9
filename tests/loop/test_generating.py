"""Demonstrations from demonstrations, into a dataset: succeeding when replayed, resumable, and told when hopeless."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from generation.grasping import SPACE, GraspTask
from loop.tiny import StopsAfter

from etude.acquisition.distributions import MutationDistributions
from etude.compute import SerialExecutor
from etude.core import (
    ConfigError,
    EtudeError,
    Executor,
    Factor,
    Perturbation,
    PerturbationSpace,
    Rate,
    StageFailedError,
)
from etude.data import ACTION, DatasetMeta, read_numbers
from etude.evaluation import Replay, Runner
from etude.generation import loading
from etude.generation.annotating import annotate_dataset
from etude.generation.config import GenerationConfig
from etude.generation.cutting import segment_plan
from etude.loop.making.collecting import FAILED, Collected, collect
from etude.loop.making.generating import GeneratorMaker
from etude.loop.making.yields import AttemptLog, AttemptRecord, Yields
from etude.loop.report.yields import yields_page

TASK, SERIAL = GraspTask(), SerialExecutor()
SHORT = GraspTask(max_steps=33)  # too few for the far places


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("generating")
    collect(TASK, root / "demos", accepted=4, draw=lambda _rng: Perturbation(), seed=0, executor=SERIAL)
    annotate_dataset(DatasetMeta.open(root / "demos"), root / "sources", TASK, executor=SERIAL)
    return root / "sources"


def gather(
    sources: Path, out: Path, *, executor: Executor = SERIAL, task: GraspTask = SHORT, **more: object
) -> Collected:
    maker = GeneratorMaker(sources=str(sources))
    settings = {"accepted": None, "attempts": None, "keep_failed": False, "maker": maker, **more}
    return collect(
        task,
        out,
        draw=SPACE.sample,
        seed=3,
        executor=executor,
        generator="generated",
        **settings,  # pyright: ignore[reportArgumentType]
    )


def contents(root: Path) -> dict[str, bytes]:
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


@pytest.fixture(scope="module")
def whole(sources: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Collected]:
    out = tmp_path_factory.mktemp("generated") / "whole"
    return out, gather(sources, out, accepted=5, keep_failed=True)


def test_every_generated_demonstration_succeeds_when_it_is_replayed(whole: tuple[Path, Collected]):
    replayed = Replay.parse(str(whole[0]), SHORT)
    outcomes = Runner(SHORT, replayed, SERIAL).run(replayed.cases())
    assert [o.success for o in outcomes] == [True] * 5
    assert [o.length for o in outcomes] == list(DatasetMeta.open(whole[0]).lengths)


def test_the_sidecar_tells_who_made_it_and_from_what(whole: tuple[Path, Collected]):
    records = DatasetMeta.open(whole[0]).episodes
    assert {record.generator for record in records} == {"generated"}
    assert {record.source_episode for record in records} <= {0, 1, 2, 3}
    assert all(record.case is not None and record.case.theta.values for record in records)


def test_failures_are_kept_apart_when_asked(whole: tuple[Path, Collected]):
    out, collected = whole
    failed = DatasetMeta.open(out / FAILED)
    assert collected.failed == failed.total_episodes == collected.attempts - collected.accepted
    assert {record.success for record in failed.episodes} == {False}
    assert {record.failure_mode for record in failed.episodes} == {"timeout"}


@pytest.mark.parametrize("jobs", [1, 4])
def test_a_stopped_generation_goes_on_to_the_same_dataset(
    sources: Path, whole: tuple[Path, Collected], tmp_path: Path, jobs: int
):
    with pytest.raises(KeyboardInterrupt):
        gather(sources, tmp_path / "d", accepted=5, keep_failed=True, executor=StopsAfter(jobs))
    assert gather(sources, tmp_path / "d", accepted=5, keep_failed=True) == whole[1]
    assert contents(tmp_path / "d") == contents(whole[0])


def test_a_number_of_attempts_can_be_asked_for_instead(sources: Path, whole: tuple[Path, Collected], tmp_path: Path):
    some = gather(sources, tmp_path / "d", attempts=whole[1].attempts)
    assert some == replace(whole[1], failed=0)
    assert gather(sources, tmp_path / "d", attempts=some.attempts + 2).attempts == some.attempts + 2
    with pytest.raises(ConfigError, match="how many"):
        gather(sources, tmp_path / "e")


@pytest.mark.parametrize(("max_steps", "ran_out"), [(80, True), (400, False)])
def test_attempts_that_all_fail_are_told_with_where_they_fail(
    sources: Path, tmp_path: Path, max_steps: int, ran_out: bool
):
    with pytest.raises(
        StageFailedError, match=r"the generator succeeded in only 0 of 100 attempts.*timeout after grasp"
    ) as told:
        gather(sources, tmp_path / "d", accepted=1, task=replace(TASK, slip=0.8, max_steps=max_steps))
    assert ("more time" in str(told.value)) == ran_out
    assert "noise" not in str(told.value)


def test_too_much_noise_is_named_where_all_attempts_fail(sources: Path, tmp_path: Path):
    noisy = GeneratorMaker(sources=str(sources), config=GenerationConfig(noise=0.9))
    with pytest.raises(
        StageFailedError, match=r"with noise 0\.9 succeeded in only 0 of 100.*lower the noise, or narrow"
    ):
        gather(sources, tmp_path / "d", accepted=1, maker=noisy)


def test_distributions_say_which_source_a_demonstration_is_made_from(sources: Path, tmp_path: Path):
    start = MutationDistributions.start(SPACE.names, [0, 1, 2, 3])
    only = replace(start, strength=np.array([0.0, 0.0, 1.0, 0.0]), settings=replace(start.settings, exploration=0.0))
    only.save(tmp_path / "distributions.json")
    maker = GeneratorMaker(sources=str(sources), distributions=str(tmp_path / "distributions.json"))
    collect(TASK, tmp_path / "d", accepted=3, draw=SPACE.sample, seed=0, executor=SERIAL, maker=maker)
    assert {record.source_episode for record in DatasetMeta.open(tmp_path / "d").episodes} == {2}


def test_noise_that_was_executed_is_stored(sources: Path, tmp_path: Path):
    maker = GeneratorMaker(sources=str(sources), config=GenerationConfig(noise=0.1))
    collect(TASK, tmp_path / "d", accepted=1, draw=SPACE.sample, seed=0, executor=SERIAL, maker=maker)
    replayed = Replay.parse(str(tmp_path / "d"), TASK)
    assert Runner(TASK, replayed, SERIAL).run(replayed.cases())[0].success
    assert len(np.unique(read_numbers(DatasetMeta.open(tmp_path / "d"), 0, [ACTION])[ACTION][:, 0])) > 10
    assert maker.title == "the generator with noise 0.1"  # where all attempts fail


def test_a_task_that_is_not_cut_is_refused():
    from toys import PointTask

    with pytest.raises(ConfigError, match="does not say how its demonstrations are cut"):
        segment_plan(PointTask())


def test_sources_too_short_to_be_cut_are_left_out(sources: Path, monkeypatch: pytest.MonkeyPatch):
    left_out: dict[int, str] = {}
    monkeypatch.setattr(loading, "why_uncut", lambda s, plan: "too short" if s.episode == 1 else "")  # pyright: ignore[reportUnknownLambdaType]
    plan = segment_plan(TASK)
    kept = loading.load_sources(sources, plan, task=TASK, on_left_out=left_out.__setitem__)
    assert [s.episode for s in kept] == [0, 2, 3]
    assert left_out == {1: "too short"}
    monkeypatch.setattr(loading, "why_uncut", lambda s, plan: "too short")  # pyright: ignore[reportUnknownLambdaType]
    with pytest.raises(EtudeError, match=r"no demonstration that can be cut .*episode 0: too short"):
        loading.load_sources(sources, plan, task=TASK)


def record(attempt: int, x: float, *, success: bool, source: int = 0) -> AttemptRecord:
    return AttemptRecord(
        attempt=attempt,
        theta={"puck.x_m": x, "puck.y_m": 0.0},
        seed=attempt,
        source=source,
        success=success,
        length=9,
        stuck="" if success else "timeout after grasp",
        start={"puck": (x, 0.0)},
    )


def test_yields_are_counted_by_source_and_by_bin():
    records = [record(0, -0.4, success=True), record(1, -0.3, success=False), record(2, 0.4, success=True, source=2)]
    yields = Yields.of(records, SPACE)
    assert (yields.overall.k, yields.overall.n) == (2, 3)
    assert {source: (rate.k, rate.n) for source, rate in yields.sources.items()} == {0: (1, 2), 2: (1, 1)}
    assert list(yields.factors) == ["puck.x_m"]
    assert [(low, high, rate.k, rate.n) for low, high, rate in yields.factors["puck.x_m"]] == [
        (-0.5, -0.25, 1, 2), (-0.25, 0.0, 0, 0), (0.0, 0.25, 0, 0), (0.25, 0.5, 1, 1),
    ]  # fmt: skip
    assert sum(rate.n for rate in yields.places["puck"].values()) == 3
    assert yields.stuck == {"timeout after grasp": 1}


def test_what_a_maker_without_images_cannot_see_has_no_yields():
    dark = replace(record(0, -0.4, success=False), theta={"puck.x_m": -0.4, "light.intensity": 0.3})
    bright = replace(record(1, 0.4, success=True), theta={"puck.x_m": 0.4, "light.intensity": 0.9})
    light = Factor(name="light.intensity", unit="1", low=0.2, high=1.0, nominal=0.6, kind="lighting")
    space = PerturbationSpace("lit", (SPACE["puck.x_m"], light))
    seen, blind = (Yields.of([dark, bright], space, blind=blind) for blind in (False, True))
    assert (list(seen.factors), seen.unseen) == (["puck.x_m", "light.intensity"], ())
    assert (list(blind.factors), blind.unseen) == (["puck.x_m"], ("light.intensity",))
    page = yields_page(blind, "toy", space)
    assert "cannot change an attempt, which sees no images: light intensity." in page
    assert "puck x: −0.5 to −0.25\xa0m" in page
    assert "1/1 succeeded" in page
    seen = replace(seen, sources={2: Rate(1, 1), 10: Rate(0, 1)}, stuck={"timeout": 2, "out of reach": 1})
    written = json.loads(json.dumps(seen.to_json(), sort_keys=True))
    assert [*Yields.from_json(written).sources, *Yields.from_json(written).stuck] == [2, 10, "timeout", "out of reach"]
    for yields in (seen, blind):
        assert Yields.from_json(json.loads(json.dumps(yields.to_json()))) == yields


def test_the_log_keeps_what_was_written_last_of_an_attempt(tmp_path: Path):
    log = AttemptLog(tmp_path / "attempts.jsonl")
    for r in (record(0, 0.1, success=True), record(1, 0.1, success=False), record(1, 0.2, success=True)):
        log.add(r)
    with (tmp_path / "attempts.jsonl").open("a") as file:
        file.write('{"attempt": 2, "thet')
    assert [(r.attempt, r.theta["puck.x_m"], r.success) for r in log.read(5)] == [(0, 0.1, True), (1, 0.2, True)]
    assert len(log.read(1)) == 1
    log.add(record(2, 0.3, success=True))  # behind the line that was cut short
    assert [r.attempt for r in log.read(5)] == [0, 1, 2]
    assert log.settle(2) == log.read(5)
    assert len((tmp_path / "attempts.jsonl").read_text().splitlines()) == 2


def test_where_nothing_fails_no_dataset_of_failures_is_left(sources: Path, tmp_path: Path):
    assert gather(sources, tmp_path / "d", accepted=1, keep_failed=True, task=TASK).failed == 0
    assert not (tmp_path / "d" / FAILED).exists()
