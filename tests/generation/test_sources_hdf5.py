"""Annotations go through HDF5 files of other tools and come back as the same sources."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from data.test_hdf5_import import load
from generation.grasping import GraspTask

from etude.compute import SerialExecutor
from etude.core import Perturbation
from etude.data import DatasetMeta
from etude.data.hdf5.exporting import export_hdf5
from etude.data.hdf5.planning import ImportConfig
from etude.generation.annotating import annotate_dataset
from etude.generation.source import load_sources
from etude.loop.collecting import collect

TASK = GraspTask()
NAMES = {
    "robomimic": ("", {"eef_pose", "target_pose", "gripper_action", "object_poses/puck", "object_poses/goal"}),
    "isaaclab": (
        "obs/",
        {"eef_pose/hand", "target_eef_pose/hand", "gripper_action/hand", "object_pose/puck", "object_pose/goal"},
    ),
}


@pytest.fixture(scope="module")
def annotated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("sources")
    collect(TASK, root / "demos", accepted=2, draw=lambda _rng: Perturbation({}), seed=0, executor=SerialExecutor())
    annotate_dataset(DatasetMeta.open(root / "demos"), root / "sources", TASK, executor=SerialExecutor())
    return root / "sources"


@pytest.mark.parametrize("layout", NAMES)
def test_an_exported_annotation_has_the_names_of_its_layout_and_comes_back(
    layout: str, annotated: Path, tmp_path: Path
) -> None:
    export_hdf5(DatasetMeta.open(annotated), layout, tmp_path / "demo.hdf5")
    folder, names = NAMES[layout]
    with h5py.File(tmp_path / "demo.hdf5") as file:
        demo = file[f"data/demo_0/{folder}datagen_info"]
        assert isinstance(demo, h5py.Group)
        for name in names:
            assert demo[name].shape[1:] == ((1,) if "gripper_action" in name else (4, 4)), name
        assert {f"subtask_term_signals/{name}" for name in TASK.subtasks} <= {
            f"subtask_term_signals/{name}" for name in demo["subtask_term_signals"]
        }
    load([tmp_path / "demo.hdf5"], tmp_path / "back", ImportConfig(layout=layout, state=("state",)))
    for one, other in zip(
        load_sources(annotated, TASK.segments), load_sources(tmp_path / "back", TASK.segments), strict=True
    ):
        for kind in ("objects", "grippers", "targets", "commands", "signals"):
            before, after = getattr(one, kind), getattr(other, kind)
            assert before.keys() == after.keys()
            for name in before:
                np.testing.assert_array_equal(before[name], after[name], err_msg=f"{kind} {name}")
        np.testing.assert_array_equal(one.actions, other.actions)
