"""A collection in the human-like style: resumable, of another name in the sidecar, none of it the script's."""

from pathlib import Path

import numpy as np
import pytest
from generation.grasping import GraspTask
from toys import PointTask

from etude.compute import SerialExecutor
from etude.core import ConfigError, Perturbation
from etude.data import ACTION, DatasetMeta, read_numbers
from etude.loop.making.collecting import collect
from etude.loop.making.human import HumanMaker

TASK = GraspTask()


def _collect(out: Path, episodes: int) -> list[np.ndarray]:
    collect(
        TASK,
        out,
        accepted=episodes,
        draw=lambda _rng: Perturbation({}),
        seed=1,
        executor=SerialExecutor(),
        maker=HumanMaker(),
        generator="human-like",
    )
    meta = DatasetMeta.open(out)
    assert {record.generator for record in meta.episodes} == {"human-like"}
    return [read_numbers(meta, index, [ACTION])[ACTION] for index in range(meta.total_episodes)]


def test_a_human_like_collection_goes_on_where_it_stopped(tmp_path: Path) -> None:
    whole = _collect(tmp_path / "whole", 3)
    _collect(tmp_path / "parts", 1)
    for one, other in zip(whole, _collect(tmp_path / "parts", 3), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_world_that_cannot_be_asked_for_poses_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be asked for poses.*--style script"):
        collect(
            PointTask(),
            tmp_path / "none",
            accepted=1,
            draw=lambda _rng: Perturbation({}),
            seed=0,
            executor=SerialExecutor(),
            maker=HumanMaker(),
        )
