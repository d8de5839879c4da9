import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data.recordings import SPEC, write

from etude.core import ConfigError, EtudeError, MismatchError
from etude.data import FeatureMapping, FrameCache, Mixture, MixtureSource, remap

JOINTS = ("waist", "shoulder", "elbow", "forearm_roll", "wrist_angle", "wrist_rotate", "gripper")
ARMS = tuple(f"{side}_{joint}" for side in ("left", "right") for joint in JOINTS)
STATIC = replace(SPEC, cameras=("high", "low"), state_names=ARMS, action_names=ARMS)
MOBILE = replace(
    SPEC, cameras=("cam_high",), state_names=ARMS, action_names=(*ARMS, "base_linear", "base_angular"), subtasks=()
)
TO_MOBILE = FeatureMapping.from_json(
    {
        "action": dict.fromkeys(MOBILE.action_names) | {name: name for name in ARMS},
        "cameras": {"cam_high": "high"},
    }
)


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> tuple[FrameCache, FrameCache]:
    """A static two-armed robot, and the same on wheels with fewer cameras."""
    folder = tmp_path_factory.mktemp("mapping")
    for name, spec in (("static", STATIC), ("mobile", MOBILE)):
        write(folder / name, (9, 4), spec)
    static, mobile = (FrameCache.open(folder / name, folder / "frames") for name in ("static", "mobile"))
    return static, mobile


def test_a_static_robot_trains_with_one_on_wheels_through_a_mapping(caches: tuple[FrameCache, FrameCache]):
    static, mobile = caches
    mixture = Mixture([MixtureSource(remap(static, TO_MOBILE)), MixtureSource(mobile)], batch_size=32)
    batch = mixture.batch(0)
    assert batch.action.shape[2] == 16
    assert set(batch.images) == {"cam_high"}
    for b in np.flatnonzero(batch.source == 0):
        frame = static.starts[batch.episode[b]] + batch.frame[b]
        np.testing.assert_array_equal(batch.action[b, 0], [*static.action[frame], 0, 0])
        np.testing.assert_array_equal(batch.images["cam_high"][b], static.images["high"][frame])


def test_without_a_mapping_they_are_refused_and_told_how_to_write_one(caches: tuple[FrameCache, FrameCache]):
    static, mobile = caches
    with pytest.raises(MismatchError) as refused:
        Mixture([MixtureSource(static), MixtureSource(mobile)])
    for part in (
        str(static.meta.root),
        str(mobile.meta.root),
        "action (14 numbers: left_waist",
        "16 numbers",
        "cameras (high 32x48, low 32x48 there, cam_high 32x48 here)",
        '"cameras": {"new": "old"}',
    ):
        assert part in str(refused.value)


def test_images_are_renamed_for_free_and_numbers_are_new_read_only_arrays(caches: tuple[FrameCache, FrameCache]):
    static, _ = caches
    mapped = remap(static, TO_MOBILE)
    assert mapped.images["cam_high"] is static.images["high"]
    assert mapped.state is static.state
    assert mapped.meta.cameras == ("cam_high",)
    assert mapped.meta.features["action"].names == MOBILE.action_names
    with pytest.raises(ValueError, match="read-only"):
        mapped.action[0] = 1


def test_names_and_indices_select_pad_and_reorder(caches: tuple[FrameCache, FrameCache]):
    static, _ = caches
    mapping = FeatureMapping.from_json({"state": ["right_waist", None, 0], "cameras": {"a": "low", "dark": None}})
    mapped = remap(static, mapping)
    np.testing.assert_array_equal(mapped.state[:, 0], static.state[:, 7])
    np.testing.assert_array_equal(mapped.state[:, 2], static.state[:, 0])
    assert not mapped.state[:, 1].any()
    assert not mapped.images["dark"][:].any()
    assert mapped.images["dark"].shape == static.images["low"].shape


def test_a_mapping_survives_being_written_down(tmp_path: Path):
    for mapping in (TO_MOBILE, FeatureMapping(), FeatureMapping(state=("a", 1, None))):
        (tmp_path / "mapping.json").write_text(json.dumps(mapping.to_json()))
        assert FeatureMapping.read(tmp_path / "mapping.json") == mapping


@pytest.mark.parametrize(
    ("record", "message"),
    [
        ({"state": ["left_wrist"]}, "left_wrist.*Valid: left_elbow"),
        ({"action": [14]}, "has the dimensions 0 to 13"),
        ({"cameras": {"a": "middle"}}, "middle.*Valid: high, low"),
        ({"camera": {}}, "unknown part of a mapping 'camera'"),
        ({"action": [0.5]}, "a name, an index from 0, or null"),
        ({"action": []}, "keeps nothing"),
        ({"action": 3}, "must be a list"),
        ({"cameras": ["a"]}, "must be an object"),
        ([], "is an object such as"),
    ],
)
def test_a_mapping_that_cannot_work_is_refused(caches: tuple[FrameCache, FrameCache], record: object, message: str):
    with pytest.raises(EtudeError, match=message):
        remap(caches[0], FeatureMapping.from_json(record))


def test_a_file_that_is_no_mapping_is_named(tmp_path: Path):
    (tmp_path / "mapping.json").write_text('{"action": {}}')
    with pytest.raises(ConfigError, match=r"mapping\.json'.*keeps nothing"):
        FeatureMapping.read(tmp_path / "mapping.json")
