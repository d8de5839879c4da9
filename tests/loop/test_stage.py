"""A stage is done once, goes on where it was killed, and is never half there."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from etude.core import MismatchError
from etude.core.files import write_json
from etude.loop.stage import MANIFEST, Manifest, differences, load_manifest, run_stage

KEY = {"train": {"steps": 3, "rate": 0.1}, "inputs": ["a", "b"]}


def works(folder: Path) -> Mapping[str, Any]:
    (folder / "result").write_text("42")
    return {"steps": 3, "shape": (1, 2)}


def stops(folder: Path) -> Mapping[str, Any]:
    (folder / "half").write_text("21")
    raise KeyboardInterrupt


def must_not_run(folder: Path) -> Mapping[str, Any]:
    raise AssertionError(folder)


def test_a_stage_that_is_done_is_not_done_again(tmp_path: Path):
    first = run_stage(tmp_path / "s", KEY, works)
    again = run_stage(tmp_path / "s", KEY, must_not_run)
    assert again == load_manifest(tmp_path / "s")
    assert (again.hash, again.wall_s) == (first.hash, first.wall_s)
    assert sorted(path.name for path in tmp_path.rglob("*")) == [MANIFEST, "result", "s", "started.json"]


def test_a_stage_that_was_stopped_is_not_there_and_goes_on(tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        run_stage(tmp_path / "s", KEY, stops)
    assert not (tmp_path / "s").exists()

    def goes_on(folder: Path) -> Mapping[str, Any]:
        assert not (tmp_path / "s").exists()
        return {"found": (folder / "half").read_text()}

    assert run_stage(tmp_path / "s", KEY, goes_on).result == {"found": "21"}
    assert [path.name for path in tmp_path.iterdir()] == ["s"]


def test_what_a_kill_left_half_written_is_swept(tmp_path: Path):
    partial = tmp_path / "s.partial"
    write_json(partial / "started.json", KEY)
    write_json(partial / "kept.json", 1)
    (partial / ".dataset.7.tmp" / "meta").mkdir(parents=True)
    (partial / "deep").mkdir()
    (partial / "deep" / ".result.json.7.tmp").write_text("{")
    run_stage(tmp_path / "s", KEY, works)
    left = {path.name for path in (tmp_path / "s").rglob("*")}
    assert left == {MANIFEST, "deep", "kept.json", "result", "started.json"}


@pytest.mark.parametrize("work", [works, stops])
def test_another_key_is_refused_with_what_differs(tmp_path: Path, work: Any):
    with contextlib.suppress(KeyboardInterrupt):
        run_stage(tmp_path / "s", KEY, work)
    other = {"train": {"steps": 4, "rate": 0.1}, "inputs": ["a"], "new": None}
    with pytest.raises(MismatchError) as error:
        run_stage(tmp_path / "s", other, must_not_run)
    told = str(error.value)
    assert "train.steps was 3 and is now 4" in told
    assert 'inputs was ["a", "b"] and is now ["a"]' in told
    assert "rate" not in told
    assert run_stage(tmp_path / "s", KEY, works).key == KEY  # nothing was spoilt


def test_the_hash_is_that_of_key_and_result_alone():
    manifest = Manifest(key={"a": 1}, result={"b": 2.0}, wall_s=1.0)
    assert manifest.hash == Manifest(key={"a": 1}, result={"b": 2.0}, wall_s=9.0).hash
    assert manifest.hash != Manifest(key={"a": 2}, result={"b": 2.0}, wall_s=1.0).hash
    assert manifest.hash != Manifest(key={"a": 1}, result={"b": 2.5}, wall_s=1.0).hash


def test_differences_are_named_once_each():
    assert differences(KEY, KEY) == []
    lines = differences({"a": {"b": {"c": 1}}, "d": "x"}, {"a": {"b": {"c": None}}, "d": "x", "e": [1]})
    assert lines == ["a.b.c was 1 and is now null", "e was null and is now [1]"]
