"""`etude data convert | delete | merge | split`: to a new place, whole or not at all."""

import json
from pathlib import Path

import pytest
from data.foreign import recorded, write_v21
from data.recordings import SPEC, write

from etude.cli import main
from etude.cli.data.split import draw_parts
from etude.core import ConfigError
from etude.data import DatasetMeta, read_episode


@pytest.fixture
def dataset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "d", (2, 3, 4, 2), SPEC)
    return Path("d")


def lengths(root: str) -> tuple[int, ...]:
    return DatasetMeta.open(Path(root)).lengths


def test_deleting_leaves_the_others_and_the_dataset(dataset: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["data", "delete", "d", "--episodes", "1", "2-3", "--out", "kept"]) == 0
    assert (lengths("kept"), lengths("d")) == ((2,), (2, 3, 4, 2))
    assert DatasetMeta.open(Path("kept")).episodes[0].origin == "d:0"
    assert "kept: 1 episode, 2 frames, from 'd' (4)" in capsys.readouterr().out


def test_splitting_by_numbers_and_merging_gives_it_back(dataset: Path):
    assert main(["data", "split", "d", "--parts", "a=0-1", "b=2,3", "--out", "parts"]) == 0
    assert main(["data", "merge", "parts/a", "parts/b", "--out", "merged"]) == 0
    assert lengths("merged") == lengths("d")
    a, b = (read_episode(DatasetMeta.open(Path(root)), 2) for root in ("d", "merged"))
    assert (a.action == b.action).all()
    assert b.origin == "merged:2 < parts/b:0 < d:2"


def test_converting_may_change_how_images_are_kept(dataset: Path, capsys: pytest.CaptureFixture[str]):
    write_v21(Path("old"), [recorded(0, 3)])
    info = json.loads(Path("old/meta/info.json").read_text())
    info["features"]["note"] = {"dtype": "string", "shape": [1], "names": None}
    Path("old/meta/info.json").write_text(json.dumps(info))
    assert main(["data", "convert", "old", "--storage", "image", "--out", "new"]) == 0
    assert "left out of 'old', as they hold no plain numbers: note." in capsys.readouterr().err
    old, new = DatasetMeta.open(Path("old")), DatasetMeta.open(Path("new"))
    assert new.features["observation.images.front"].dtype == "image"
    assert (read_episode(old, 0).images["front"] == read_episode(new, 0).images["front"]).all()
    assert main(["data", "convert", "new", "--without", "observation.velocity", "--out", "newer"]) == 0
    assert "observation.velocity" not in DatasetMeta.open(Path("newer")).features


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["delete", "d", "--episodes", "0-3", "--out", "new"], "that is every episode of 'd'"),
        (["delete", "d", "--episodes", "4", "--out", "new"], "'d' has the episodes 0 to 3"),
        (["delete", "d", "--episodes", "x", "--out", "new"], "expected a number such as 3"),
        (["delete", "d", "--episodes", "1", "--out", "d"], "'d' already exists"),
        (["delete", "x/y/z", "--episodes", "1", "--out", "new"], "there is no dataset 'x/y/z'"),
        (["merge", "d", "--out", "new"], "at least two datasets"),
        (["merge", "d", "d", "--out", "new"], "given twice"),
        (["merge", "d", "old", "--out", "new"], "cannot be merged: they differ in fps"),
        (["merge", "d", "old", "--map", "odl=m.json", "--out", "new"], "Did you mean 'old'?"),
        (["convert", "d", "--without", "reward", "--out", "new"], "unknown column to leave out 'reward'"),
        (["convert", "broken", "--out", "new"], "episode 1 of 'broken'"),
        (["split", "d", "--parts", "a=0.9", "b=0.2", "--out", "new"], "at most 1 in all"),
        (["split", "d", "--parts", "a=0.9", "b=1-2", "--out", "new"], "give all as shares"),
        (["split", "d", "--parts", "a", "--out", "new"], "expected NAME=SHARE"),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(
    dataset: Path, arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]
):
    write_v21(Path("old"), [recorded(0, 3)])
    write_v21(Path("broken"), [recorded(0, 3), recorded(1, 3)])
    next(Path("broken/videos").rglob("*_000001.mp4")).write_bytes(b"no video")
    before = sorted(Path().rglob("*"))
    assert main(["data", *arguments]) == 2
    error = capsys.readouterr().err
    assert told in error
    assert error.strip().count("\n") == 0
    assert sorted(Path().rglob("*")) == before


def test_shares_are_drawn_without_overlap_and_by_seed():
    shares = {"train": 0.8, "eval": 0.2}
    parts = draw_parts(shares, 50, seed=3)
    assert {name: len(episodes) for name, episodes in parts.items()} == {"train": 40, "eval": 10}
    assert sorted(parts["train"] + parts["eval"]) == list(range(50))
    assert (
        parts == draw_parts({"train": 0.8, "eval": 0.2}, 50, seed=3) != draw_parts({"train": 0.8, "eval": 0.2}, 50, 4)
    )
    with pytest.raises(ConfigError, match="'eval' gets none of the 3 episodes"):
        draw_parts({"train": 0.9, "eval": 0.1}, 3, seed=0)
