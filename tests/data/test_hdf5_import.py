import shutil
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from data.hdf5_files import (
    ISAAC_CAMERAS,
    ISAAC_ENV,
    OBJECTS,
    contents,
    unpadded,
    write_act,
    write_isaaclab,
    write_robomimic,
)

from etude.core import Case, EtudeError, Perturbation, stream
from etude.data import DatasetMeta, RecordedEpisode, read_episode
from etude.data.hdf5.files import open_hdf5
from etude.data.hdf5.importing import import_demonstrations, split
from etude.data.hdf5.layouts import detect
from etude.data.hdf5.planning import ImportConfig, find_demonstrations, find_files, plan_import
from etude.data.hdf5.quaternions import quaternion_starts

SIZE = 16


def load(files: list[Path], out: Path, config: ImportConfig | None = None) -> list[RecordedEpisode]:
    """Import losslessly, and read back what is in the dataset."""
    config = config or ImportConfig(storage="image")
    layout, sources = find_demonstrations(find_files(files), config)
    plan = plan_import(layout, sources, config)
    import_demonstrations(plan, {out: range(len(sources))})
    meta = DatasetMeta.open(out)
    return [read_episode(meta, index) for index in range(meta.total_episodes)]


def tree(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def rows(values: np.ndarray) -> np.ndarray:
    return values.reshape(len(values), -1)


@pytest.mark.parametrize(
    ("write", "layout"),
    [
        (lambda f: write_robomimic(f / "a.hdf5", (2,), size=SIZE), "robomimic"),
        (lambda f: write_robomimic(f / "a.hdf5", (2,), size=SIZE, mimicgen=True), "robomimic"),
        (lambda f: write_isaaclab(f / "a.hdf5", (2,), size=SIZE), "isaaclab"),
        (lambda f: write_act(f, (2,), size=(SIZE, SIZE))[0], "act"),
    ],
)
def test_a_layout_is_told_by_what_is_in_the_file(write: Callable[[Path], Path], layout: str, tmp_path: Path):
    with open_hdf5(write(tmp_path)) as file:
        found = detect(file)
    assert found is not None
    assert found.name == layout


def test_robomimic_keeps_every_number_in_its_type(tmp_path: Path):
    path = write_robomimic(tmp_path / "demo.hdf5", (4, 3), size=SIZE, mimicgen=True)
    episodes = load([path], tmp_path / "out")
    with h5py.File(path) as file:
        for index, episode in enumerate(episodes):
            demo = file[f"data/demo_{index}"]
            keys = ("robot0_eef_pos", "robot0_eef_quat", "robot0_gripper_qpos")
            state = np.concatenate([demo[f"obs/{key}"][()] for key in keys], axis=1)
            np.testing.assert_array_equal(episode.state, state.astype(np.float32))
            np.testing.assert_array_equal(episode.action, demo["actions"][()].astype(np.float32))
            np.testing.assert_array_equal(episode.images["agentview_image"], demo["obs/agentview_image"][()])
            signal = demo["datagen_info/subtask_term_signals/grasp"][()]
            np.testing.assert_array_equal(episode.subtasks["grasp"], signal > 0)
            for name in ("actions", "states", "obs/object", "next_obs/object", "datagen_info/object_poses/cubeA"):
                column = episode.extras[name.replace("/", ".")]
                assert column.dtype == demo[name].dtype
                np.testing.assert_array_equal(rows(column), rows(demo[name][()]))
    assert [episode.task for episode in episodes] == ["stack the red cube"] * 2
    assert DatasetMeta.open(tmp_path / "out").robot_type == "panda"


def test_isaaclab_has_everything_of_a_frame_from_before_its_action(tmp_path: Path):
    path = write_isaaclab(tmp_path / "demo.hdf5", (5, 4), size=SIZE, annotated=True)
    episodes = load([path], tmp_path / "out")
    with h5py.File(path) as file:
        for index, episode in enumerate(episodes):
            demo = file[f"data/demo_{index}"]
            for name in ("articulation/robot/joint_position", *(f"rigid_object/{o}/root_pose" for o in OBJECTS)):
                column = episode.extras[f"states/{name}".replace("/", ".")]
                np.testing.assert_array_equal(column[0], demo[f"initial_state/{name}"][0])
                np.testing.assert_array_equal(column[1:], demo[f"states/{name}"][:-1])
            # obs/object is a pre-step observation: so the state that it is made of is that of the same frame.
            cube = episode.extras["states.rigid_object.cube_1.root_pose"]
            np.testing.assert_array_equal(episode.extras["obs.object"][:, :7], cube)
            np.testing.assert_array_equal(episode.action, demo["actions"][()])
            assert set(episode.subtasks) == {"grasp_1", "stack_1"}
            assert set(episode.images) == set(ISAAC_CAMERAS)


def test_isaaclab_tells_success_and_seed(tmp_path: Path):
    episodes = load([write_isaaclab(tmp_path / "demo.hdf5", (2, 3), size=SIZE)], tmp_path / "out")
    outcomes = [episode.outcome for episode in episodes]
    assert [(o.success, o.case) for o in outcomes if o] == [
        (True, Case(Perturbation({}), 100)),
        (False, Case(Perturbation({}), 101)),
    ]
    assert [episode.task for episode in episodes] == [ISAAC_ENV] * 2
    assert episodes[1].origin.endswith("demo.hdf5:demo_1")


def test_quaternions_of_isaac_lab_3_become_those_of_2(tmp_path: Path):
    (tmp_path / "old").mkdir()
    (tmp_path / "new").mkdir()
    old = write_isaaclab(tmp_path / "old/demo.hdf5", size=SIZE)
    new = Path(shutil.copy(old, tmp_path / "new/demo.hdf5"))
    first = {"root_pose": (3,), "eef_quat": (0,), "cube_orientations": (0, 4, 8), "object": (3, 10, 17)}
    with h5py.File(new, "a") as file:

        def to_xyzw(name: str, thing: object) -> None:
            for start in first.get(name.rpartition("/")[2], ()) if isinstance(thing, h5py.Dataset) else ():
                values = thing[()]
                values[:, start : start + 4] = values[:, [start + 1, start + 2, start + 3, start]]
                thing[...] = values

        file.visititems(to_xyzw)
    load([old], tmp_path / "a", ImportConfig(cameras=()))
    load([new], tmp_path / "b", ImportConfig(cameras=(), quaternion="xyzw"))
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


@pytest.mark.parametrize(
    ("path", "size", "starts"),
    [
        ("states/rigid_object/cube_1/root_pose", 7, (3,)),
        ("states/rigid_object/cube_1/root_velocity", 6, ()),
        ("obs/eef_quat", 4, (0,)),
        ("obs/cube_orientations", 12, (0, 4, 8)),
        ("obs/object", 39, (3, 10, 17)),
        ("obs/object", 14, ()),
        ("actions", 7, ()),
    ],
)
def test_quaternions_are_known_by_their_names(path: str, size: int, starts: tuple[int, ...]):
    assert quaternion_starts(path, size) == starts


@pytest.mark.parametrize("mobile", [False, True])
def test_on_a_real_aloha_the_action_of_a_frame_is_the_one_before(mobile: bool, tmp_path: Path):
    size = (SIZE, SIZE)
    simulated = write_act(tmp_path / "sim", (5,), size=size, mobile=mobile)
    real = write_act(tmp_path / "real", (5,), size=size, mobile=mobile, sim=False)
    (in_simulation,), (on_robot,) = load(simulated, tmp_path / "a"), load(real, tmp_path / "b")
    with h5py.File(real[0]) as file:
        given = [file["action"][()], *([file["base_action"][()]] if mobile else [])]
        recorded, qpos = np.concatenate(given, axis=1), file["observations/qpos"][()]
        np.testing.assert_array_equal(on_robot.extras["observation.velocity"], file["observations/qvel"][()])
    np.testing.assert_array_equal(in_simulation.action, recorded)
    np.testing.assert_array_equal(on_robot.action, np.stack([recorded[max(0, t - 1)] for t in range(5)]))
    np.testing.assert_array_equal(on_robot.extras["hdf5.action"], recorded[:, :14])
    np.testing.assert_array_equal(on_robot.state, qpos)
    meta = DatasetMeta.open(tmp_path / "b")
    assert (meta.fps, meta.robot_type, meta.action_size) == (50, "aloha", 16 if mobile else 14)
    assert meta.features["observation.state"].names[6] == "left_gripper.opening"


def test_compressed_images_are_decoded_without_their_padding(tmp_path: Path):
    cameras = ("zenith", "angle")  # not in the order of a file's listing
    (path,) = write_act(tmp_path / "act", (3,), size=(24, 32), compressed=True, cameras=cameras)
    (episode,) = load([path], tmp_path / "out")
    with h5py.File(path) as file:
        for row, camera in enumerate(cameras):
            padded, lengths = file[f"observations/images/{camera}"][()], file["compress_len"][row]
            assert any(length < padded.shape[1] for length in lengths)
            expected = [unpadded(one, length) for one, length in zip(padded, lengths, strict=True)]
            np.testing.assert_array_equal(episode.images[camera], expected)


def test_the_user_chooses_state_cameras_rate_task_and_demonstrations(tmp_path: Path):
    path = write_robomimic(tmp_path / "demo.hdf5", (3, 2, 4), size=SIZE)
    config = ImportConfig(state=("object", "robot0_eef_pos"), cameras=(), fps=10, task="stack", exclude=("demo_1",))
    episodes = load([path], tmp_path / "out", config)
    assert [episode.length for episode in episodes] == [3, 4]
    assert {episode.task for episode in episodes} == {"stack"}
    meta = DatasetMeta.open(tmp_path / "out")
    assert (meta.fps, meta.cameras, meta.state_size) == (10, (), 17)
    assert meta.features["observation.state"].names[:2] == ("object.0", "object.1")
    listed = load([path], tmp_path / "valid", ImportConfig(mask="valid", cameras=()))
    assert [episode.origin.rpartition(":")[2] for episode in listed] == ["demo_2"]


def test_demonstrations_come_by_their_numbers(tmp_path: Path):
    path = write_isaaclab(tmp_path / "demo.hdf5", tuple(range(2, 14)), images=False)
    episodes = load([path], tmp_path / "out")
    assert [episode.length for episode in episodes] == list(range(2, 14))


@pytest.mark.parametrize(("count", "fraction", "held"), [(10, 0.1, 1), (10, 0.35, 4), (3, 0.01, 1), (2, 0.9, 1)])
def test_the_split_is_a_partition_drawn_by_the_seed(count: int, fraction: float, held: int):
    training, evaluation = split(count, fraction, stream(3, "split"))
    assert sorted([*training, *evaluation]) == list(range(count))
    assert len(evaluation) == held
    assert (training, evaluation) == split(count, fraction, stream(3, "split"))
    assert len({tuple(split(40, 0.5, stream(seed, "split"))[1]) for seed in range(5)}) == 5


def test_an_import_that_was_stopped_goes_on_to_the_same_datasets(tmp_path: Path):
    path = write_isaaclab(tmp_path / "demo.hdf5", (3, 2, 4, 3, 2), size=SIZE)
    config = ImportConfig()
    layout, sources = find_demonstrations([path], config)
    plan = plan_import(layout, sources, config)
    parts = {"train": [0, 1, 4], "eval": [2, 3]}

    def run(folder: Path, *, stop_after: int = -1, resume: bool = False) -> None:
        def on_saved(index: int, _root: Path) -> None:
            if index == stop_after:
                raise KeyboardInterrupt

        datasets = {folder / part: indices for part, indices in parts.items()}
        import_demonstrations(plan, datasets, resume=resume, on_saved=on_saved)

    run(tmp_path / "whole")
    for stop in (0, 2, 3):
        folder = tmp_path / f"stopped-{stop}"
        with pytest.raises(KeyboardInterrupt):
            run(folder, stop_after=stop)
        run(folder, resume=True)
        for part in parts:
            assert tree(folder / part) == tree(tmp_path / "whole" / part)


@pytest.mark.slow
def test_an_imported_dataset_is_read_by_lerobot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import datasets.config

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "huggingface")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    path = write_isaaclab(tmp_path / "demo.hdf5", (4, 3), size=SIZE, annotated=True)
    episodes = load([path], tmp_path / "out")
    dataset = LeRobotDataset("etude/imported", root=tmp_path / "out")
    assert len(dataset) == 7
    item = dataset[5]
    np.testing.assert_array_equal(item["observation.state"].numpy(), episodes[1].state[1])
    np.testing.assert_array_equal(item["obs.object"].numpy(), episodes[1].extras["obs.object"][1])


def test_the_fixtures_are_what_the_layouts_say(tmp_path: Path):
    """The traps in the files: states follow actions, observations precede them."""
    found = contents(write_isaaclab(tmp_path / "demo.hdf5", (3,), size=84))
    assert found["data/demo_0/actions"][:2] == ("float32", (3, 7))
    assert found["data/demo_0/initial_state/articulation/robot/joint_position"][:2] == ("float32", (1, 9))
    assert found["data/demo_0/obs/table_cam"][:2] == ("uint8", (3, 84, 84, 3))
    assert found["data/demo_0@success"][0] == "bool"
    with h5py.File(tmp_path / "demo.hdf5") as file:
        assert file["data/demo_0/actions"].compression == "gzip"


def test_a_folder_without_files_and_a_file_given_twice_are_refused(tmp_path: Path):
    path = write_isaaclab(tmp_path / "demo.hdf5", (2,), images=False)
    (tmp_path / "empty").mkdir()
    with pytest.raises(EtudeError, match=r"'.*empty' has no files that end in .hdf5 or .h5"):
        find_files([tmp_path / "empty"])
    with pytest.raises(EtudeError, match="given twice"):
        find_files([path, path])
