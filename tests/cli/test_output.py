from pathlib import Path

import pytest

from etude.cli.output import remember_settings, require_free, require_same_settings, whole_folder
from etude.core import MismatchError, RunExistsError


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


def test_a_folder_appears_whole_or_not_at_all(tmp_path: Path):
    out = tmp_path / "deep" / "out"
    with pytest.raises(ZeroDivisionError), whole_folder(out) as folder:  # noqa: PT012
        (folder / "half").touch()
        raise ZeroDivisionError
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
