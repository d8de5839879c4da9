import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

import av
import numpy as np
import pytest
from data.recordings import CAMERAS, CLOSE, SPEC, episode, write

from etude.core import EtudeError
from etude.data import ACTION, STATE, DatasetMeta, DatasetWriter, encode, read_episode
from etude.data.groot import CONFIG, export_groot, fine_tuning_command, groups


@pytest.fixture
def exported(tmp_path: Path) -> Path:
    write(tmp_path / "dataset")
    export_groot(DatasetMeta.open(tmp_path / "dataset"), tmp_path / "groot")
    return tmp_path / "groot"


def load(path: Path) -> Any:
    return json.loads(path.read_text())


def lines(path: Path) -> list[Any]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_it_is_a_lerobot_dataset_of_version_2_1_with_the_same_numbers(exported: Path, tmp_path: Path):
    before, after = DatasetMeta.open(tmp_path / "dataset"), DatasetMeta.open(exported)
    assert after.version == "v2.1"
    assert (after.lengths, after.fps, after.cameras) == (before.lengths, before.fps, before.cameras)
    for index in range(before.total_episodes):
        given, found = read_episode(before, index), read_episode(after, index)
        np.testing.assert_array_equal(found.state, given.state)
        np.testing.assert_array_equal(found.action, given.action)
        assert found.task == given.task
        for camera in CAMERAS:
            np.testing.assert_array_equal(found.images[camera], given.images[camera])


def test_its_files_are_where_groot_looks_for_them(exported: Path):
    info = load(exported / "meta/info.json")
    assert info["codebase_version"] == "v2.1"
    totals = {"total_episodes": 3, "total_frames": 25, "total_tasks": 1, "total_videos": 6, "total_chunks": 1}
    assert {name: info[name] for name in totals} == totals
    for index, record in enumerate(lines(exported / "meta/episodes.jsonl")):
        assert record == {"episode_index": index, "tasks": ["stack the cubes"], "length": (9, 4, 12)[index]}
        assert (exported / info["data_path"].format(episode_chunk=0, episode_index=index)).is_file()
        for camera in CAMERAS:
            key = f"observation.images.{camera}"
            video = exported / info["video_path"].format(episode_chunk=0, video_key=key, episode_index=index)
            with av.open(str(video)) as container:
                assert container.streams.video[0].codec_context.name == "h264"
    assert lines(exported / "meta/tasks.jsonl") == [{"task_index": 0, "task": "stack the cubes"}]
    assert len(lines(exported / "meta/episodes_stats.jsonl")) == 3


def test_its_modalities_hold_every_number_once(exported: Path):
    modality = load(exported / "meta/modality.json")
    for kind, size in (("state", len(SPEC.state_names)), ("action", len(SPEC.action_names))):
        covered = [i for span in modality[kind].values() for i in range(span["start"], span["end"])]
        assert sorted(covered) == list(range(size))
    assert modality["video"] == {camera: {"original_key": f"observation.images.{camera}"} for camera in CAMERAS}
    assert modality["annotation"] == {"human.task_description": {"original_key": "task_index"}}


def test_its_statistics_are_those_of_all_frames_and_nothing_that_cannot_be_cut_into_groups(
    exported: Path, tmp_path: Path
):
    meta = DatasetMeta.open(tmp_path / "dataset")
    episodes = [read_episode(meta, index) for index in range(meta.total_episodes)]
    statistics = load(exported / "meta/stats.json")
    for name, arrays in ((STATE, [e.state for e in episodes]), (ACTION, [e.action for e in episodes])):
        values = np.concatenate(arrays)
        assert set(statistics[name]) == {"mean", "std", "min", "max", "q01", "q99"}
        np.testing.assert_allclose(statistics[name]["q99"], np.quantile(values, 0.99, axis=0), rtol=1e-5)
        np.testing.assert_allclose(statistics[name]["std"], values.std(axis=0), rtol=1e-4)


def test_its_modality_configuration_is_python_that_names_the_same_groups(
    exported: Path, monkeypatch: pytest.MonkeyPatch
):
    registered: dict[str, Any] = {}

    class Anything:
        def __init__(self, **values: Any) -> None:
            vars(self).update(values)

    class Named(type):
        def __getattr__(cls, name: str) -> str:
            return name

    def module(name: str, **values: Any) -> None:
        made = ModuleType(name)
        vars(made).update(values)
        monkeypatch.setitem(sys.modules, name, made)

    def register(config: dict[str, Any], embodiment_tag: str) -> None:
        registered.update(config, tag=embodiment_tag)

    enum = Named("Enum", (), {})
    for package in ("gr00t", "gr00t.configs", "gr00t.configs.data", "gr00t.data"):
        module(package, __path__=[])
    module("gr00t.configs.data.embodiment_configs", register_modality_config=register)
    module("gr00t.data.embodiment_tags", EmbodimentTag=enum)
    kinds = dict.fromkeys(("ActionFormat", "ActionRepresentation", "ActionType"), enum)
    module("gr00t.data.types", ActionConfig=Anything, ModalityConfig=Anything, **kinds)
    exec(compile((exported / CONFIG).read_text(), CONFIG, "exec"), {})
    modality = load(exported / "meta/modality.json")
    assert registered["tag"] == "NEW_EMBODIMENT"
    for kind in ("state", "action", "video"):
        assert set(registered[kind].modality_keys) == set(modality[kind])
    assert len(registered["action"].action_configs) == len(modality["action"])
    assert registered["language"].modality_keys == ["annotation.human.task_description"]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("eef_pos.0", "eef_pos.1", "grip.0"), {"eef_pos": (0, 2), "grip": (2, 3)}),
        (
            ("left_waist.position_rad", "left_gripper.opening", "right_waist.position_rad", "right_gripper.opening"),
            {"left_arm": (0, 1), "left_gripper": (1, 2), "right_arm": (2, 3), "right_gripper": (3, 4)},
        ),
        (
            ("kLeftElbow", "kRightElbow", "kLeftHandIndex"),
            {"left_arm": (0, 1), "right_arm": (1, 2), "left_hand": (2, 3)},
        ),
        (("joint_1", "gripper", "joint_2"), {"arm": (0, 1), "gripper": (1, 2), "arm_2": (2, 3)}),
    ],
)
def test_numbers_are_grouped_by_their_names(names: tuple[str, ...], expected: dict[str, tuple[int, int]]):
    assert groups(names) == expected


def test_single_images_become_videos(tmp_path: Path):
    spec = replace(SPEC, storage="image")
    recorded = episode(0)
    with DatasetWriter.create(tmp_path / "dataset", spec) as writer:
        writer.commit(encode(recorded, spec.fps, storage="image"))
    export_groot(DatasetMeta.open(tmp_path / "dataset"), tmp_path / "groot")
    found = read_episode(DatasetMeta.open(tmp_path / "groot"), 0)
    for camera in CAMERAS:
        assert np.abs(found.images[camera].astype(float) - recorded.images[camera]).mean() < CLOSE


def test_a_dataset_without_cameras_is_refused(tmp_path: Path):
    spec = replace(SPEC, cameras=())
    write(tmp_path / "dataset", (3,), spec)
    with pytest.raises(EtudeError, match="has no cameras, which GR00T needs"):
        export_groot(DatasetMeta.open(tmp_path / "dataset"), tmp_path / "groot")


def test_the_command_names_the_dataset_and_its_configuration(tmp_path: Path):
    command = fine_tuning_command(tmp_path / "my data")
    assert "gr00t/experiment/launch_finetune.py" in command
    assert f"--dataset-path '{tmp_path}/my data'" in command
    assert f"--modality-config-path '{tmp_path}/my data/{CONFIG}'" in command
