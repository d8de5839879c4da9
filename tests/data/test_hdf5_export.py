import json
import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from data.hdf5_files import contents, write_act, write_isaaclab, write_robomimic
from data.recordings import write
from data.test_hdf5_import import load, tree

from etude.core import EtudeError, RunExistsError, UnknownNameError
from etude.data import DatasetMeta, DatasetWriter, encode, spec_of
from etude.data.hdf5.exporting import export_hdf5
from etude.data.hdf5.planning import ImportConfig

SIZE = 16
type Make = Callable[[Path], Path]
FILES: dict[str, tuple[str, Make]] = {
    "robomimic": ("robomimic", lambda path: write_robomimic(path, size=SIZE)),
    "mimicgen": ("robomimic", lambda path: write_robomimic(path, size=SIZE, mimicgen=True)),
    "isaaclab": ("isaaclab", lambda path: write_isaaclab(path, size=SIZE)),
    "isaaclab-annotated": ("isaaclab", lambda path: write_isaaclab(path, size=SIZE, annotated=True)),
    "isaaclab-states-only": ("isaaclab", lambda path: write_isaaclab(path, images=False)),
}


def export(dataset: Path, layout: str, out: Path) -> list[str]:
    return export_hdf5(DatasetMeta.open(dataset), layout, out)


@pytest.mark.parametrize("name", FILES)
def test_what_was_imported_is_given_back_bit_for_bit(name: str, tmp_path: Path):
    layout, make = FILES[name]
    path = make(tmp_path / "demo.hdf5")
    load([path], tmp_path / "first")
    (tmp_path / "back").mkdir()
    assert export(tmp_path / "first", layout, tmp_path / "back/demo.hdf5") == []
    assert contents(tmp_path / "back/demo.hdf5") == contents(path)
    load([tmp_path / "back/demo.hdf5"], tmp_path / "second")
    assert tree(tmp_path / "second") == tree(tmp_path / "first")


def test_isaac_labs_files_are_compressed(tmp_path: Path):
    load([write_isaaclab(tmp_path / "demo.hdf5", size=SIZE)], tmp_path / "dataset")
    export(tmp_path / "dataset", "isaaclab", tmp_path / "back.hdf5")
    with h5py.File(tmp_path / "back.hdf5") as file:
        assert file["data/demo_0/states/rigid_object/cube_1/root_pose"].compression == "gzip"


def test_quaternions_are_written_in_the_order_asked_for(tmp_path: Path):
    path = write_isaaclab(tmp_path / "demo.hdf5", images=False, annotated=True)
    load([path], tmp_path / "dataset")
    export_hdf5(DatasetMeta.open(tmp_path / "dataset"), "isaaclab", tmp_path / "new.hdf5", quaternion="xyzw")
    load([tmp_path / "new.hdf5"], tmp_path / "again", ImportConfig(quaternion="xyzw"))
    export(tmp_path / "again", "isaaclab", tmp_path / "back.hdf5")
    assert contents(tmp_path / "back.hdf5") == contents(path)
    with h5py.File(path) as given, h5py.File(tmp_path / "new.hdf5") as written:
        for name in ("initial_state/rigid_object/cube_2/root_pose", "states/articulation/robot/root_pose"):
            before, after = given[f"data/demo_0/{name}"][()], written[f"data/demo_0/{name}"][()]
            np.testing.assert_array_equal(after, before[:, [0, 1, 2, 4, 5, 6, 3]])


def test_robomimic_gets_isaac_labs_states_flat_from_before_each_action(tmp_path: Path):
    path = write_isaaclab(tmp_path / "demo.hdf5", (4,), size=SIZE, annotated=True)
    load([path], tmp_path / "dataset")
    export(tmp_path / "dataset", "robomimic", tmp_path / "robomimic.hdf5")
    with h5py.File(path) as given, h5py.File(tmp_path / "robomimic.hdf5") as written:
        before, after = given["data/demo_0"], written["data/demo_0"]
        assert after["states"].shape == (4, 22 + 9 + 3 * 13)
        np.testing.assert_array_equal(
            after["states"][0, :9], before["initial_state/articulation/robot/joint_position"][0]
        )
        np.testing.assert_array_equal(after["states"][1:, :9], before["states/articulation/robot/joint_position"][:-1])
        assert after["datagen_info/subtask_term_signals/grasp_1"].dtype == bool
        assert "initial_state" not in after
        assert "env_kwargs" in json.loads(written["data"].attrs["env_args"])
    assert load([tmp_path / "robomimic.hdf5"], tmp_path / "again")[0].length == 4


def test_isaac_lab_has_no_place_for_flat_states(tmp_path: Path):
    load([write_robomimic(tmp_path / "demo.hdf5", (4,), size=SIZE, mimicgen=True)], tmp_path / "dataset")
    (note,) = export(tmp_path / "dataset", "isaaclab", tmp_path / "isaac.hdf5")
    assert note.startswith("'states' was left out")
    with h5py.File(tmp_path / "isaac.hdf5") as file:
        assert "states" not in file["data/demo_0"]
        assert file["data/demo_0/obs/datagen_info/target_pose"].shape == (4, 4, 4)


def test_aloha_becomes_robomimic_with_the_actions_it_is_trained_on(tmp_path: Path):
    paths = write_act(tmp_path / "act", (3,), size=(SIZE, SIZE), mobile=True, sim=False)
    (episode,) = load(paths, tmp_path / "dataset")
    (note,) = export(tmp_path / "dataset", "robomimic", tmp_path / "demo.hdf5")
    assert re.match(r"Actions reach \d", note)
    with h5py.File(tmp_path / "demo.hdf5") as file:
        demo = file["data/demo_0"]
        np.testing.assert_array_equal(demo["actions"][()], episode.action)
        np.testing.assert_array_equal(demo["obs/qpos"][()], episode.state)
        assert set(demo["obs"]) == {"qpos", "qvel", "top", "angle"}


@pytest.mark.parametrize("layout", ["robomimic", "isaaclab"])
def test_a_dataset_of_etudes_own_is_exported_and_read_again(layout: str, tmp_path: Path):
    recorded = write(tmp_path / "dataset")
    export(tmp_path / "dataset", layout, tmp_path / "demo.hdf5")
    again = load([tmp_path / "demo.hdf5"], tmp_path / "again")
    for before, after in zip(recorded, again, strict=True):
        np.testing.assert_array_equal(after.state, before.state)
        np.testing.assert_array_equal(after.action, before.action)
        for name, signal in before.subtasks.items():
            np.testing.assert_array_equal(after.subtasks[name], signal)
        if layout == "isaaclab":
            assert after.outcome is not None
            assert before.outcome is not None
            assert (after.outcome.success, after.outcome.case.seed) == (
                before.outcome.success,
                before.outcome.case.seed,
            )


def test_without_what_is_kept_beside_the_tables_the_state_after_the_last_action_is_missing(tmp_path: Path):
    path = write_isaaclab(tmp_path / "demo.hdf5", (5, 4), images=False)
    load([path], tmp_path / "dataset")
    shutil.rmtree(tmp_path / "dataset/meta/etude/hdf5")
    (tmp_path / "dataset/meta/etude/hdf5.json").unlink()
    (note,) = export(tmp_path / "dataset", "isaaclab", tmp_path / "back.hdf5")
    assert note == "2 episodes lost their last frame: the state after its action is not in the dataset."
    with h5py.File(path) as given, h5py.File(tmp_path / "back.hdf5") as written:
        before, after = given["data/demo_0"], written["data/demo_0"]
        assert after.attrs["num_samples"] == len(after["actions"]) == 4
        for name in ("states/articulation/robot/joint_position", "obs/joint_pos", "obs/eef_pos", "actions"):
            np.testing.assert_array_equal(after[name][()], before[name][:4])
        name = "initial_state/rigid_object/cube_1/root_pose"
        np.testing.assert_array_equal(after[name][()], before[name][()])


def test_a_file_that_is_there_is_never_written_over(tmp_path: Path):
    write(tmp_path / "dataset", (3,))
    (tmp_path / "demo.hdf5").write_text("mine")
    with pytest.raises(RunExistsError, match="already exists"):
        export(tmp_path / "dataset", "robomimic", tmp_path / "demo.hdf5")
    assert (tmp_path / "demo.hdf5").read_text() == "mine"
    with pytest.raises(UnknownNameError, match="Valid: isaaclab, robomimic"):
        export(tmp_path / "dataset", "act", tmp_path / "other.hdf5")


def test_an_export_that_fails_leaves_nothing(tmp_path: Path):
    write(tmp_path / "dataset", (3, 3))
    for video in (tmp_path / "dataset/videos").rglob("file-001.mp4"):
        video.write_bytes(b"broken")
    with pytest.raises(EtudeError, match="file-001.mp4"):
        export(tmp_path / "dataset", "robomimic", tmp_path / "demo.hdf5")
    assert [path.name for path in tmp_path.iterdir()] == ["dataset"]


def test_actions_that_somebody_changed_are_the_changed_ones(tmp_path: Path):
    path = write_robomimic(tmp_path / "demo.hdf5", (4, 3), size=SIZE)
    first, second = load([path], tmp_path / "dataset")
    spec = spec_of(DatasetMeta.open(tmp_path / "dataset"))
    with DatasetWriter.create(tmp_path / "changed", spec) as writer:
        writer.commit(encode(replace(first, action=-first.action), spec.fps, storage="image"))
        writer.commit(encode(second, spec.fps, storage="image"))
    shutil.copy(tmp_path / "dataset/meta/etude/hdf5.json", tmp_path / "changed/meta/etude")
    export(tmp_path / "changed", "robomimic", tmp_path / "back.hdf5")
    with h5py.File(path) as given, h5py.File(tmp_path / "back.hdf5") as written:
        np.testing.assert_array_equal(written["data/demo_0/actions"][()], -first.action)
        np.testing.assert_array_equal(written["data/demo_1/actions"][()], given["data/demo_1/actions"][()])
