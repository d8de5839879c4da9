import errno
import os
from pathlib import Path

import pytest

from etude.cli.output import (
    nothing_if_nothing,
    remember_settings,
    require_free,
    require_free_or_own,
    require_same_settings,
    resumable_folder,
    whole_folder,
)
from etude.core import MismatchError, RunExistsError, StageFailedError


def test_a_new_or_empty_folder_is_free(tmp_path: Path):
    require_free(tmp_path / "new")
    require_free(tmp_path)


def test_a_folder_with_something_in_it_is_refused_unless_resumed(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(RunExistsError, match="--resume"):
        require_free(tmp_path)
    require_free(tmp_path, resume=True)
    with pytest.raises(RunExistsError, match="choose another name"):
        require_free(tmp_path, resumable=False)
    with pytest.raises(RunExistsError, match="it is a file"):
        require_free(tmp_path / "file", resume=True)


def test_a_dataset_of_another_command_is_not_gone_on_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    record, row = Path("meta/etude/collect.json"), tmp_path / "d/meta/episodes/chunk-000/file-000.parquet"
    require_free_or_own(tmp_path / "d", record, resume=True)
    assert "starting from the beginning" in capsys.readouterr().err
    row.parent.mkdir(parents=True)
    require_free_or_own(tmp_path / "d", record, resume=True)  # stopped before its first episode
    row.touch()
    with pytest.raises(MismatchError, match=r"d' was not begun by `etude collect`: choose another --out"):
        require_free_or_own(tmp_path / "d", record, resume=True)
    remember_settings(tmp_path / "d" / record, {"seed": 1})
    require_free_or_own(tmp_path / "d", record, resume=True)
    with pytest.raises(RunExistsError, match="--resume"):
        require_free_or_own(tmp_path / "d", record, resume=False)


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path):
    out = tmp_path / "deep" / "out"
    with pytest.raises(ZeroDivisionError), whole_folder(out) as folder:  # noqa: PT012
        (folder / "half").touch()
        raise ZeroDivisionError
    assert list((tmp_path / "deep").iterdir()) == []
    full = pytest.raises(StageFailedError, match=r"out' could not be written \(no space left.*run the command again")
    with full, whole_folder(out):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    assert list((tmp_path / "deep").iterdir()) == []
    with whole_folder(out) as folder:
        (folder / "all").touch()
        assert not out.exists()
    assert [path.name for path in out.iterdir()] == ["all"]


def test_resuming_with_other_settings_says_what_differs(tmp_path: Path):
    record = tmp_path / "settings.json"
    require_same_settings(record, {"seed": 1})
    remember_settings(record, {"seed": 1, "space": "nominal"})
    remember_settings(record, {"seed": 2, "space": "nominal"})
    require_same_settings(record, {"seed": 1, "space": "nominal"})
    with pytest.raises(MismatchError, match="seed was 1 and is now 2"):
        require_same_settings(record, {"seed": 2, "space": "nominal"})


def test_one_folder_may_be_written_in_two_ways(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    record = tmp_path / "settings.json"
    for name in ("sources", "others"):
        (tmp_path / name).mkdir()
    remember_settings(record, {"source": str(tmp_path / "sources"), "ensemble": [str(tmp_path / "sources")], "of": "a"})
    monkeypatch.chdir(tmp_path)
    require_same_settings(record, {"source": "sources", "ensemble": ["./sources"], "of": "a"})
    for changed in ({"source": "others"}, {"source": "gone"}, {"ensemble": []}, {"ensemble": ["others"]}, {"of": "b"}):
        with pytest.raises(MismatchError, match="cannot resume with other settings"):
            require_same_settings(record, changed)


@pytest.mark.parametrize("resume", [False, True])
def test_a_folder_of_something_else_is_not_continued(resume: bool, tmp_path: Path):
    (tmp_path / "picture.png").touch()
    with (
        pytest.raises(RunExistsError, match="choose another name, or remove it"),
        resumable_folder(tmp_path, {"seed": 0}, resume=resume),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["picture.png"]


@pytest.mark.parametrize(("begun", "saved", "kept"), [(False, False, False), (False, True, True), (True, False, True)])
def test_what_failed_before_anything_was_saved_leaves_nothing(begun: bool, saved: bool, kept: bool, tmp_path: Path):
    out = tmp_path / "data"
    if begun:
        out.mkdir()

    def stopped() -> None:
        with nothing_if_nothing(out, Path("settings.json")):
            out.mkdir(exist_ok=True)
            (out / "partial").touch()
            if saved:
                remember_settings(out / "settings.json", {"seed": 0})
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        stopped()
    assert out.exists() == kept
