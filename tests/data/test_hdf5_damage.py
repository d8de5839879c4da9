"""Every kind of bad file is refused in one line that names the file, the demonstration and the fix."""

import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from data.hdf5_files import write_act, write_isaaclab, write_robomimic
from data.test_hdf5_import import load

from etude.core import EtudeError
from etude.data.hdf5.planning import ImportConfig
from etude.data.hdf5.tree import read_tree

SIZE = 16


def nan(demo: h5py.Group) -> None:
    demo["states/articulation/robot/joint_position"][2, 3] = np.nan


def short(demo: h5py.Group) -> None:
    del demo["obs/joint_pos"]
    demo["obs/joint_pos"] = np.zeros((2, 9), np.float32)


def other_size(demo: h5py.Group) -> None:
    del demo["obs/object"]
    demo["obs/object"] = np.zeros((5, 26), np.float32)


def other_type(demo: h5py.Group) -> None:
    values = demo["processed_actions"][()]
    del demo["processed_actions"]
    demo["processed_actions"] = values.astype(np.float64)


def without(name: str) -> Callable[[h5py.Group], None]:
    def remove(demo: h5py.Group) -> None:
        del demo[name]

    return remove


def miscounted(demo: h5py.Group) -> None:
    demo.attrs["num_samples"] = 9


def empty(demo: h5py.Group) -> None:
    del demo["actions"]
    demo["actions"] = np.zeros((0, 7), np.float32)


@pytest.mark.parametrize(
    ("spoil", "told"),
    [
        (nan, "states/articulation/robot/joint_position has a number that is not finite at frame 2"),
        (short, "obs/joint_pos has 2 rows, but 'actions' has 5"),
        (other_size, "'obs/object' is float32 (39,) there and float32 (26,) here"),
        (other_type, "'processed_actions' is float32 (8,) there and float64 (8,) here"),
        (without("actions"), "has no 'actions'"),
        (without("obs/eef_pos"), "obs"),
        (without("obs/joint_vel"), "'obs/joint_vel' is float32 (9,) there and missing here"),
        (without("obs/wrist_cam"), "'obs/wrist_cam' is uint8 (16, 16, 3) there and missing here"),
        (without("initial_state/rigid_object/cube_2/root_pose"), "initial_state/rigid_object/cube_2/root_pose"),
        (without("states/rigid_object/cube_2"), "states/rigid_object/cube_2/root_pose"),
        (miscounted, "num_samples = 9, but 5 actions"),
        (empty, "has the shape (0, 7)"),
    ],
)
def test_a_bad_demonstration_is_named_and_nothing_is_written(
    spoil: Callable[[h5py.Group], None], told: str, tmp_path: Path
):
    path = write_isaaclab(tmp_path / "demo.hdf5", (4, 5, 3), size=SIZE)
    with h5py.File(path, "a") as file:
        spoil(file["data/demo_1"])
    with pytest.raises(EtudeError) as raised:
        load([path], tmp_path / "out")
    message = str(raised.value)
    assert f"'{path}', " in message
    assert "demo_1" in message
    assert told in message
    assert "--exclude" in message
    assert message.endswith(".")
    assert not (tmp_path / "out").exists()
    assert len(load([path], tmp_path / "out", ImportConfig(exclude=("demo_1",)))) == 2


def test_a_file_that_ends_too_early_is_truncated(tmp_path: Path):
    path = write_isaaclab(tmp_path / "demo.hdf5", (40,), size=SIZE)
    path.write_bytes(path.read_bytes()[:-3000])
    with pytest.raises(EtudeError, match=r"demo.hdf5' is truncated .*: copy or record the file anew"):
        load([path], tmp_path / "out")
    with pytest.raises(EtudeError, match="is truncated"):
        read_tree(path)


def test_damage_within_a_file_names_the_demonstration(tmp_path: Path):
    path = write_isaaclab(tmp_path / "demo.hdf5", (4, 5), size=SIZE)
    with h5py.File(path) as file:
        place = file["data/demo_1/obs/joint_pos"].id.get_chunk_info(0)
    spoilt = bytearray(path.read_bytes())
    spoilt[place.byte_offset : place.byte_offset + place.size] = bytes(place.size)
    path.write_bytes(spoilt)
    with pytest.raises(EtudeError, match=r"demo.hdf5', data/demo_1/obs/joint_pos cannot be read"):
        load([path], tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"not an HDF5 file at all" * 40])
def test_what_is_no_hdf5_file_is_said_to_be_none(content: bytes, tmp_path: Path):
    path = tmp_path / "demo.hdf5"
    path.write_bytes(content)
    with pytest.raises(EtudeError, match="is not an HDF5 file"):
        load([path], tmp_path / "out")
    with pytest.raises(EtudeError, match=r"'.*missing.hdf5' does not exist\."):
        load([tmp_path / "missing.hdf5"], tmp_path / "out")


def test_layouts_are_not_mixed(tmp_path: Path):
    files = [write_isaaclab(tmp_path / "a.hdf5", (2,)), write_robomimic(tmp_path / "b.hdf5", (2,))]
    with pytest.raises(EtudeError, match=r"a.hdf5' has the layout isaaclab, '.*b.hdf5' robomimic: import them apart"):
        load(files, tmp_path / "out")
    with pytest.raises(EtudeError, match="has the layout robomimic, not act"):
        load(files[1:], tmp_path / "out", ImportConfig(layout="act"))


def test_a_layout_that_cannot_be_told_has_to_be_named(tmp_path: Path):
    with h5py.File(tmp_path / "demo.hdf5", "w") as file:
        file["data/demo_0/actions"] = np.zeros((3, 7))
        file["data/demo_0/obs/eef_pos"] = np.zeros((3, 3))
    with pytest.raises(EtudeError, match=r"no layout that can be told.*--layout robomimic\|isaaclab\|act"):
        load([tmp_path / "demo.hdf5"], tmp_path / "out")
    assert len(load([tmp_path / "demo.hdf5"], tmp_path / "out", ImportConfig(layout="robomimic"))) == 1


def test_an_act_file_has_to_say_whether_it_is_simulated(tmp_path: Path):
    (path,) = write_act(tmp_path / "act", (3,), size=(SIZE, SIZE))
    with h5py.File(path, "a") as file:
        del file.attrs["sim"]
    with pytest.raises(EtudeError, match=r"episode_0.hdf5' does not say whether it is simulated"):
        load([path], tmp_path / "out")


def test_simulated_and_real_episodes_are_not_mixed(tmp_path: Path):
    files = write_act(tmp_path / "a", (3,), size=(SIZE, SIZE))
    files += write_act(tmp_path / "b", (3,), size=(SIZE, SIZE), sim=False)
    with pytest.raises(EtudeError, match="one is simulated and one is real"):
        load(files, tmp_path / "out")


def test_episodes_with_and_without_a_base_are_not_mixed(tmp_path: Path):
    files = write_act(tmp_path / "a", (3,), size=(SIZE, SIZE))
    files += write_act(tmp_path / "b", (3,), size=(SIZE, SIZE), mobile=True)
    with pytest.raises(EtudeError, match="'base_action' is missing there and float32"):
        load(files, tmp_path / "out")


def test_a_broken_jpeg_names_its_frame(tmp_path: Path):
    (path,) = write_act(tmp_path / "act", (3,), size=(SIZE, SIZE), compressed=True)
    with h5py.File(path, "a") as file:
        file["observations/images/top"][1] = 7
    with pytest.raises(EtudeError, match=r"episode_0.hdf5', observations/images/top: frame 1 is no JPEG"):
        load([path], tmp_path / "out")


@pytest.mark.parametrize(
    ("config", "told"),
    [
        (ImportConfig(state=("eef_po",)), "Did you mean 'eef_pos'"),
        (ImportConfig(cameras=("front",)), "unknown camera 'front'"),
        (ImportConfig(exclude=("demo_9",)), "--exclude demo_9"),
        (ImportConfig(mask="valid"), "--mask valid"),
        (ImportConfig(exclude=("demo_0",)), "no demonstrations"),
    ],
)
def test_settings_that_do_not_fit_the_file(config: ImportConfig, told: str, tmp_path: Path):
    path = write_isaaclab(tmp_path / "demo.hdf5", (2,), size=SIZE)
    with pytest.raises(EtudeError, match=told):
        load([path], tmp_path / "out", config)


def test_the_order_of_quaternions_is_asked_of_isaac_lab_alone(tmp_path: Path):
    path = write_robomimic(tmp_path / "demo.hdf5", (2,), size=SIZE)
    with pytest.raises(EtudeError, match="--quaternion xyzw is for Isaac Lab's files"):
        load([path], tmp_path / "out", ImportConfig(quaternion="xyzw"))


def test_a_video_needs_even_images_and_says_so(tmp_path: Path):
    path = write_robomimic(tmp_path / "demo.hdf5", (2,), size=15)
    with pytest.raises(EtudeError, match="even"):
        load([path], tmp_path / "out", ImportConfig())
    shutil.rmtree(tmp_path / "out", ignore_errors=True)
    assert load([path], tmp_path / "out")[0].images["agentview_image"].shape == (2, 15, 15, 3)
