"""What is cut off is what was idle, success comes a fixed time before the end, and parts meet at the marks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from data.faults import FPS, FRAMES, IMAGES, SPEC, recorded, write_clean

from etude.core import ConfigError
from etude.data import DatasetMeta, DatasetWriter, Feature, encode, read_episode
from etude.data.editing.cutting import cut, sub_skills
from etude.data.editing.pieces import Piece, part
from etude.data.editing.trimming import SUCCESS, TrimConfig, motion_span, success_frame, trim

WAIT = (12, 18)
"""Frames that a person waited before and after."""


def waiting(seed: int):
    """A recorded episode, held still before its first frame and after its last."""

    def hold(values: np.ndarray) -> np.ndarray:
        return np.concatenate([values[:1].repeat(WAIT[0], 0), values, values[-1:].repeat(WAIT[1], 0)])

    moving = recorded(seed)
    return replace(
        moving,
        images={camera: hold(images) for camera, images in moving.images.items()},
        state=hold(moving.state),
        action=hold(moving.action),
        subtasks={name: hold(signal) for name, signal in moving.subtasks.items()},
    )


@pytest.fixture(scope="module")
def lazy(tmp_path_factory: pytest.TempPathFactory) -> DatasetMeta:
    """A lossless dataset of people who wait."""
    root = tmp_path_factory.mktemp("trimming") / "lazy"
    with DatasetWriter.create(root, IMAGES) as writer:
        for seed in range(3):
            writer.commit(encode(waiting(seed), FPS, storage="image"))
    return DatasetMeta.open(root)


def test_idle_heads_and_tails_go_and_nothing_else(lazy: DatasetMeta, tmp_path: Path):
    pieces: list[Piece] = []
    trim(lazy, tmp_path / "out", TrimConfig(margin_s=0.1), pieces.append)
    trimmed, margin = DatasetMeta.open(tmp_path / "out"), 2
    reach = 5  # half of the window that speeds are over
    for index, piece in enumerate(pieces):
        assert WAIT[0] - margin - reach <= piece.first <= WAIT[0] + reach
        assert WAIT[0] + FRAMES - reach <= piece.end <= WAIT[0] + FRAMES + margin + reach
        before, after = read_episode(lazy, index), read_episode(trimmed, index)
        np.testing.assert_array_equal(after.state, before.state[piece.first : piece.end])
        np.testing.assert_array_equal(after.images["wrist"], before.images["wrist"][piece.first : piece.end])
        np.testing.assert_array_equal(after.subtasks["place"], before.subtasks["place"][piece.first : piece.end])
        assert f"[{piece.first}:{piece.end}]" in after.origin
        assert f"made:{index}" in after.origin


def test_success_comes_a_fixed_time_before_the_end(lazy: DatasetMeta, tmp_path: Path):
    trim(lazy, tmp_path / "out", TrimConfig(at_success=True, after_s=0.4), lambda piece: None)
    trimmed = DatasetMeta.open(tmp_path / "out")
    for index in range(3):
        episode = read_episode(trimmed, index)
        assert episode.length - 1 - np.argmax(episode.subtasks["place"]) == 0.4 * FPS


def test_success_is_where_the_dataset_marks_it():
    episode = recorded(0)
    assert success_frame(episode) == FRAMES - 11
    assert success_frame(replace(episode, subtasks={**episode.subtasks, "never": np.zeros(FRAMES, bool)})) is None
    assert success_frame(replace(episode, subtasks={})) is None
    marks = np.arange(FRAMES) >= 40
    assert success_frame(replace(episode, extras={SUCCESS: marks})) == 40
    assert Feature("bool", (1,)).is_numeric  # so the column travels with the episode


def test_what_never_moves_is_kept_whole(tmp_path: Path):
    still = replace(recorded(0), state=np.zeros((FRAMES, 3), np.float32), action=np.zeros((FRAMES, 3), np.float32))
    spec = replace(SPEC, cameras=())
    with DatasetWriter.create(tmp_path / "still", spec) as writer:
        writer.commit(encode(replace(still, images={}), FPS))
    pieces: list[Piece] = []
    trim(DatasetMeta.open(tmp_path / "still"), tmp_path / "out", TrimConfig(), pieces.append)
    assert [(piece.first, piece.end, piece.length) for piece in pieces] == [(0, FRAMES, FRAMES)]
    assert "never moves" in pieces[0].why


def test_trembling_is_no_motion():
    t = np.arange(200) / FPS
    tremble = 0.01 * np.sin(2 * np.pi * 5 * t)
    reach = np.clip(t - 4, 0, 2)
    span = motion_span([(tremble + reach)[:, None]], [np.array([2.0])], FPS, 0.15)
    assert span is not None
    assert abs(span[0] - 4 * FPS) <= 5
    assert abs(span[1] - 6 * FPS) <= 5
    assert motion_span([tremble[:, None]], [np.array([2.0])], FPS, 0.15) is None


@pytest.mark.parametrize("values", [{"idle_speed": -1}, {"margin_s": -0.1}, {"after_s": -1}])
def test_negative_settings_are_refused(values: dict):
    with pytest.raises(ConfigError, match="must not be negative"):
        TrimConfig(**values)


def test_parts_meet_at_the_marks():
    t = np.arange(20)
    signals = {"grasp": t >= 5, "lift": t >= 5, "place": t >= 12, "never": t >= 99}
    assert sub_skills(signals) == [("grasp and lift", 0, 6), ("place", 6, 13)]
    assert sub_skills(signals, ["place"], after=3) == [("place", 0, 16)]
    assert sub_skills(signals, ["place"], after=30) == [("place", 0, 20)]


def test_episodes_are_cut_into_sub_skills(tmp_path: Path):
    write_clean(tmp_path / "clean", IMAGES, episodes=2)
    meta, pieces = DatasetMeta.open(tmp_path / "clean"), list[Piece]()
    cut(meta, tmp_path / "out", subtasks=(), texts={"grasp": "take it"}, after_s=0, least_s=0.2, on_piece=pieces.append)
    parts = DatasetMeta.open(tmp_path / "out")
    assert parts.total_episodes == 4 == len(pieces)
    assert parts.tasks == ("take it", "place")
    whole = read_episode(meta, 1)
    taken, placed = read_episode(parts, 2), read_episode(parts, 3)
    np.testing.assert_array_equal(np.concatenate([taken.state, placed.state]), whole.state[: pieces[3].end])
    assert (taken.task, placed.task) == ("take it", "place")
    assert f"clean:1[{pieces[3].first}:{pieces[3].end}]" in placed.origin
    assert placed.outcome is None


@pytest.mark.parametrize(
    ("wanted", "least_s", "told"),
    [(("gras",), 0.2, "valid sub-tasks are grasp, place"), ((), 99.0, "nothing to cut out")],
)
def test_what_cannot_be_cut_is_said(tmp_path: Path, wanted: tuple, least_s: float, told: str):
    with DatasetWriter.create(tmp_path / "plain", replace(SPEC, cameras=())) as writer:
        writer.commit(encode(replace(recorded(0), images={}), FPS))
    meta = DatasetMeta.open(tmp_path / "plain")
    with pytest.raises(ConfigError, match=told):
        cut(meta, tmp_path / "o", subtasks=wanted, texts={}, after_s=0, least_s=least_s, on_piece=lambda piece: None)


def test_a_part_keeps_what_every_frame_has():
    episode = replace(recorded(0), extras={"velocity": np.arange(FRAMES)}, frame_tasks=("a",) * 30 + ("b",) * 30)
    piece = part(episode, Piece(episode=0, first=28, end=33, length=FRAMES))
    assert piece.extras["velocity"].tolist() == [28, 29, 30, 31, 32]
    assert piece.frame_tasks == ("a", "a", "b", "b", "b")
