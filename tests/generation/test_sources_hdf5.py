"""Annotations go through HDF5 files of other tools and come back as the same sources."""

from pathlib import Path

import h5py
import numpy as np
import pytest
from data.test_hdf5_import import load
from generation.grasping import GraspTask

from etude.compute import SerialExecutor
from etude.core import MismatchError, Perturbation
from etude.core.se3 import matrix_to_quat
from etude.data import STATE, DatasetMeta, read_numbers
from etude.data.hdf5.exporting import export_hdf5
from etude.data.hdf5.planning import ImportConfig
from etude.generation.annotating import annotate_dataset
from etude.generation.loading import load_sources
from etude.generation.recorded import Recording
from etude.loop.making.collecting import collect
from etude.loop.making.generating import GeneratorMaker
from etude.sim import make_task

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


STACK = "franka-stack:cubes=2,distractors=0"


@pytest.fixture(scope="module")
def stacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two demonstrations of stacking, annotated by replay."""
    root, task = tmp_path_factory.mktemp("stacked"), make_task(f"{STACK},cameras=none")
    collect(task, root / "demos", accepted=2, draw=lambda _rng: Perturbation({}), seed=0, executor=SerialExecutor())
    annotate_dataset(DatasetMeta.open(root / "demos"), root / "sources", task, executor=SerialExecutor())
    return root / "sources"


def _as_isaac_lab(sources: Path, path: Path, *, scale: float, datagen: bool = False) -> Path:
    """The same demonstrations as Isaac Lab would have recorded them, with the names of its task; no signals."""
    with h5py.File(path, "w") as file:
        data = file.create_group("data")
        data.attrs["env_args"] = '{"env_name": "Isaac-Stack-Cube-Franka-IK-Rel-v0", "type": 2}'
        for index, source in enumerate(load_sources(sources, make_task(STACK).segments)):
            demo = data.create_group(f"demo_{index}")
            demo.attrs["success"], demo.attrs["seed"] = True, 0
            hand = source.grippers["gripper"]
            states = read_numbers(DatasetMeta.open(sources), index, [STATE])[STATE]
            actions = source.actions.copy()
            actions[:, :6] *= np.array([0.05 / scale] * 3 + [0.5 / scale] * 3, np.float32)
            demo["actions"] = actions
            demo["obs/eef_pos"], demo["obs/eef_quat"] = hand[:, :3, 3], _quaternions(hand)
            demo["obs/gripper_pos"] = np.stack([states[:, 9] / 2, -states[:, 9] / 2], axis=1)
            for name, theirs in (("cube_blue", "cube_1"), ("cube_red", "cube_2")):
                poses = np.concatenate([source.objects[name][:, :3, 3], _quaternions(source.objects[name])], axis=1)
                demo[f"initial_state/rigid_object/{theirs}/root_pose"] = poses[:1]
                demo[f"states/rigid_object/{theirs}/root_pose"] = np.concatenate([poses[1:], poses[-1:]])
            if datagen:
                demo["obs/datagen_info/eef_pose/franka"] = hand
                demo["obs/datagen_info/target_eef_pose/franka"] = source.targets["gripper"]
                demo["obs/datagen_info/subtask_term_signals/grasp"] = source.signals["grasp_1"]
    return path


def _quaternions(poses: np.ndarray) -> np.ndarray:
    return np.stack([matrix_to_quat(T[:3, :3]) for T in poses])


OBJECTS = {"cube_blue": "cube_1", "cube_red": "cube_2"}


@pytest.mark.parametrize(
    ("datagen", "recording"),
    [
        (False, Recording(objects=OBJECTS, action_scale=(0.5, 0.5))),
        (True, Recording(objects=OBJECTS, signals={"grasp_1": "grasp"})),
    ],
    ids=["judged-from-poses", "from-datagen"],
)
def test_another_simulators_demonstrations_become_the_sources_they_would_be_here(
    datagen: bool, recording: Recording, stacked: Path, tmp_path: Path
) -> None:
    path = _as_isaac_lab(stacked, tmp_path / "isaac.hdf5", scale=0.5, datagen=datagen)
    load([path], tmp_path / "imported")
    task = make_task(STACK)
    annotate_dataset(
        DatasetMeta.open(tmp_path / "imported"), tmp_path / "out", task, executor=SerialExecutor(), recording=recording
    )
    here, there = load_sources(stacked, task.segments), load_sources(tmp_path / "out", task.segments, task=task)
    for one, other in zip(here, there, strict=True):
        assert one.rise("grasp_1") == other.rise("grasp_1")
        for name in OBJECTS:
            np.testing.assert_allclose(one.objects[name], other.objects[name], atol=1e-6)
        np.testing.assert_allclose(one.targets["gripper"], other.targets["gripper"], atol=1e-5)
        np.testing.assert_array_equal(one.commands["gripper"], other.commands["gripper"])


def test_new_demonstrations_are_made_from_another_simulators(stacked: Path, tmp_path: Path) -> None:
    load([_as_isaac_lab(stacked, tmp_path / "isaac.hdf5", scale=0.5)], tmp_path / "imported")
    task, recording = make_task(f"{STACK},cameras=none"), Recording(objects=OBJECTS, action_scale=(0.5, 0.5))
    imported = DatasetMeta.open(tmp_path / "imported")
    annotate_dataset(imported, tmp_path / "sources", task, executor=SerialExecutor(), recording=recording)
    made = collect(
        task,
        tmp_path / "generated",
        attempts=3,
        draw=lambda _rng: Perturbation({}),
        seed=1,
        executor=SerialExecutor(),
        maker=GeneratorMaker(sources=str(tmp_path / "sources")),
        generator="generated",
    )
    assert (made.accepted, made.attempts) == (3, 3)
    assert {record.source_episode for record in DatasetMeta.open(tmp_path / "generated").episodes} <= {0, 1}


def test_what_was_not_recorded_is_named_with_the_option_that_helps(stacked: Path, tmp_path: Path) -> None:
    load([_as_isaac_lab(stacked, tmp_path / "isaac.hdf5", scale=0.5)], tmp_path / "imported")
    meta, task = DatasetMeta.open(tmp_path / "imported"), make_task(STACK)
    with pytest.raises(MismatchError, match=r"no poses of 'cube_red'.*cube_1, cube_2.*--objects cube_red=THEIRS"):
        annotate_dataset(meta, tmp_path / "out", task, executor=SerialExecutor())
    with pytest.raises(MismatchError, match=r"no targets of gripper 'gripper'.*--action-scale"):
        annotate_dataset(meta, tmp_path / "out", task, executor=SerialExecutor(), recording=Recording(objects=OBJECTS))
    assert not (tmp_path / "out").exists()


def test_a_signal_that_was_named_wrong_is_refused_where_poses_could_be_judged(stacked: Path, tmp_path: Path) -> None:
    load([_as_isaac_lab(stacked, tmp_path / "isaac.hdf5", scale=0.5, datagen=True)], tmp_path / "imported")
    with pytest.raises(MismatchError, match=r"no signal 'nope', the task's 'grasp_1'; it has those of grasp: correct"):
        annotate_dataset(
            DatasetMeta.open(tmp_path / "imported"),
            tmp_path / "out",
            make_task(STACK),
            executor=SerialExecutor(),
            recording=Recording(objects=OBJECTS, signals={"grasp_1": "nope"}),
        )
    assert not (tmp_path / "out").exists()


def test_demonstrations_without_any_poses_or_cases_cannot_be_sources(stacked: Path, tmp_path: Path) -> None:
    path = _as_isaac_lab(stacked, tmp_path / "isaac.hdf5", scale=0.5)
    with h5py.File(path, "a") as file:
        for demo in file["data"].values():
            del demo["states"], demo["initial_state"]
    load([path], tmp_path / "imported", ImportConfig(storage="image", layout="isaaclab"))
    with pytest.raises(MismatchError, match=r"recorded no poses of objects, and does not say at which \(theta, seed\)"):
        annotate_dataset(
            DatasetMeta.open(tmp_path / "imported"), tmp_path / "out", make_task(STACK), executor=SerialExecutor()
        )


def test_recorded_failures_are_left_out(stacked: Path, tmp_path: Path) -> None:
    path = _as_isaac_lab(stacked, tmp_path / "isaac.hdf5", scale=0.5)
    with h5py.File(path, "a") as file:
        file["data/demo_0"].attrs["success"] = False
    load([path], tmp_path / "imported")
    recording = Recording(objects=OBJECTS, action_scale=(0.5, 0.5))
    done = annotate_dataset(
        DatasetMeta.open(tmp_path / "imported"),
        tmp_path / "out",
        make_task(STACK),
        executor=SerialExecutor(),
        recording=recording,
    )
    assert (done.kept, done.left_out) == (1, {0: "was recorded as a failure"})


def test_what_another_simulator_recorded_is_exported_again_with_the_annotation(stacked: Path, tmp_path: Path) -> None:
    path = _as_isaac_lab(stacked, tmp_path / "isaac.hdf5", scale=0.5)
    with h5py.File(path, "a") as file:
        length = len(file["data/demo_0/actions"])
        file["data/demo_0/obs/datagen_info/subtask_term_signals/stack_1"] = np.zeros((length, 1), bool)
        del file["data/demo_1"]
    load([path], tmp_path / "imported")
    done = annotate_dataset(
        DatasetMeta.open(tmp_path / "imported"),
        tmp_path / "out",
        make_task(STACK),
        executor=SerialExecutor(),
        recording=Recording(objects=OBJECTS, action_scale=(0.5, 0.5)),
    )
    assert done.kept == 1
    assert export_hdf5(DatasetMeta.open(tmp_path / "out"), "isaaclab", tmp_path / "back.hdf5") == []
    with h5py.File(path) as given, h5py.File(tmp_path / "back.hdf5") as written:
        for name in ("actions", "states/rigid_object/cube_1/root_pose", "initial_state/rigid_object/cube_2/root_pose"):
            np.testing.assert_array_equal(given[f"data/demo_0/{name}"], written[f"data/demo_0/{name}"])
        signals = written["data/demo_0/obs/datagen_info/subtask_term_signals"]
        assert {name: bool(np.any(signals[name])) for name in signals} == {"grasp_1": True, "stack_1": True}
        assert set(written["data/demo_0/obs/datagen_info/object_pose"]) == set(OBJECTS)


def test_robosuites_quaternions_and_fingers_are_taken_as_it_means_them(stacked: Path, tmp_path: Path) -> None:
    sources = load_sources(stacked, make_task(STACK).segments)
    with h5py.File(tmp_path / "demo.hdf5", "w") as file:
        data = file.create_group("data")
        data.attrs["env_args"] = '{"env_name": "Stack_D0", "type": 1, "env_kwargs": {"control_freq": 20}}'
        for index, source in enumerate(sources):
            demo, hand = data.create_group(f"demo_{index}"), source.grippers["gripper"]
            demo["actions"] = source.actions * np.array([1] * 6 + [-1], np.float32)
            demo["states"] = np.zeros((source.length, 3))
            demo["obs/robot0_eef_pos"] = hand[:, :3, 3]
            demo["obs/robot0_eef_quat"] = np.roll(_quaternions(hand), -1, axis=1)
            demo["obs/robot0_gripper_qpos"] = np.zeros((source.length, 2))
            for name, theirs in (("cube_blue", "cubeB"), ("cube_red", "cubeA")):
                demo[f"datagen_info/object_poses/{theirs}"] = source.objects[name]
            demo["datagen_info/subtask_term_signals/grasp"] = source.signals["grasp_1"].astype(int)
    load([tmp_path / "demo.hdf5"], tmp_path / "imported")
    recording = Recording(
        objects={"cube_blue": "cubeB", "cube_red": "cubeA"},
        signals={"grasp_1": "grasp"},
        action_scale=(0.05, 0.5),
        close_positive=True,
    )
    task = make_task(STACK)
    annotate_dataset(
        DatasetMeta.open(tmp_path / "imported"), tmp_path / "out", task, executor=SerialExecutor(), recording=recording
    )
    for one, other in zip(sources, load_sources(tmp_path / "out", task.segments, task=task), strict=True):
        np.testing.assert_allclose(one.targets["gripper"], other.targets["gripper"], atol=1e-5)
        np.testing.assert_array_equal(one.commands["gripper"], other.commands["gripper"])
        assert one.rise("grasp_1") == other.rise("grasp_1")
