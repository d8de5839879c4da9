"""Demonstrations replayed where they were recorded end as they did then; what cannot be replayed is told in a line."""

from dataclasses import replace
from pathlib import Path

import pytest
from toys import PointTask

from etude.compute import ProcessExecutor, SerialExecutor
from etude.core import Case, ConfigError, EtudeError, MismatchError, Perturbation, stream
from etude.data import DatasetMeta, DatasetWriter, encode, read_episode, spec_of
from etude.evaluation import Replay, Runner
from etude.loop.making.collecting import collect
from etude.loop.wiring import policy_factory

TASK = PointTask()


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("recorded") / "data"
    collect(TASK, folder, accepted=5, draw=TASK.space.sample, seed=3, executor=SerialExecutor())
    return folder


def recorded(dataset: Path):
    meta = DatasetMeta.open(dataset)
    return [read_episode(meta, index, cameras=[]).outcome for index in range(meta.total_episodes)]


def without_cases(dataset: Path, folder: Path) -> Path:
    """The same episodes, which do not say where they were recorded."""
    meta = DatasetMeta.open(dataset)
    with DatasetWriter.create(folder, spec_of(meta)) as writer:
        for index in range(2):
            writer.commit(encode(replace(read_episode(meta, index), outcome=None), meta.fps))
    return folder


def test_demonstrations_replayed_in_their_worlds_end_as_recorded(dataset: Path) -> None:
    policy = policy_factory(f"replay:{dataset}", TASK)
    assert policy == Replay(str(dataset))
    with ProcessExecutor(2) as executor:
        outcomes = Runner(TASK, policy, executor, slots=2, cases_per_job=3).run(policy.cases())
    for outcome, before in zip(outcomes, recorded(dataset), strict=True):
        assert before is not None
        assert outcome.smoothness is not None
        assert {**outcome.to_json(), "smoothness": None} == before.to_json()
        assert outcome.success


def test_one_episode_is_replayed_in_any_world(dataset: Path) -> None:
    policy = Replay.parse(f"{dataset}:2", TASK)
    (own,) = policy.cases()
    elsewhere = Case(Perturbation(), 12345)
    first, second = Runner(TASK, policy, SerialExecutor()).run([own, elsewhere])
    assert first.length == DatasetMeta.open(dataset).lengths[2]
    assert (second.success, second.failure_mode) == (False, "wandered_off")  # its last action goes on and on


def test_a_case_that_was_not_recorded_is_told(dataset: Path) -> None:
    policy = Replay(str(dataset))
    told = r"no episode of .* was recorded at seed 7 with nothing perturbed: evaluate its own"
    with pytest.raises(EtudeError, match=told):
        Runner(TASK, policy, SerialExecutor()).run([Case(Perturbation(), 7)])
    with pytest.raises(EtudeError, match="which episode"):
        policy.create().begin(stream(0, "none"))


def test_what_cannot_be_replayed_is_told(dataset: Path, tmp_path: Path) -> None:
    plain = without_cases(dataset, tmp_path / "plain")
    with pytest.raises(EtudeError, match="do not say at which"):
        policy_factory(f"replay:{plain}", TASK)
    with pytest.raises(EtudeError, match="does not say at which case episode 1 was recorded"):
        Replay.parse(f"{plain}:1", TASK).cases()
    with pytest.raises(ConfigError, match="episodes 0 to 4"):
        policy_factory(f"replay:{dataset}:9", TASK)
    with pytest.raises(MismatchError, match=r"actions of shape \(2,\); .* takes \(3,\)"):
        policy_factory(f"replay:{dataset}", PointTask(action_names=("dx", "dy", "dz")))
    with pytest.raises(EtudeError, match="nowhere"):
        policy_factory(f"replay:{tmp_path}/nowhere", TASK)
