"""What a training learns from, and which episodes are held out of it."""

from pathlib import Path

import pytest
from toys import SPACE, PointTask

from etude.compute import SerialExecutor
from etude.core import ConfigError
from etude.data import MixtureSource
from etude.loop.making.collecting import collect
from etude.training.fitting import Exercise, PolicyChoice, WeightedDataset, prepare


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fitting") / "data"
    collect(PointTask(), folder, accepted=5, draw=SPACE.sample, seed=0, executor=SerialExecutor())
    return folder


def prepared(*datasets: WeightedDataset) -> Exercise:
    return prepare(datasets, PolicyChoice(), seed=1, held_out=0.2)


def episodes(source: MixtureSource) -> list[int]:
    assert source.episodes is not None
    return [int(index) for index in source.episodes]


def test_each_dataset_that_validates_lends_episodes_and_the_others_are_learned_whole(data: Path):
    made = prepared(WeightedDataset(data, 0.75), WeightedDataset(data, 0.25, validates=False))
    first, added = made.learned
    (held,) = made.held_out
    assert [first.weight, added.weight] == [0.75, 0.25]
    assert sorted(episodes(first) + episodes(held)) == episodes(added) == list(range(5))
    assert len(episodes(held)) == 1
    assert made.episodes == (9, 1)


def test_episodes_without_weight_are_neither_learned_nor_held_out(data: Path):
    chosen = WeightedDataset(data, episode_weights=(1, 0, 2, 0, 1), validates=False)
    _, added = prepared(WeightedDataset(data), chosen).learned
    assert episodes(added) == [0, 2, 4]


def test_one_dataset_at_least_validates(data: Path):
    with pytest.raises(ConfigError, match="no dataset validates"):
        prepared(WeightedDataset(data, validates=False))
