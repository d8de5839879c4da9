"""Folders and videos that commands write: never over something, never half of one that was refused."""

import os
import shutil
import sys
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from itertools import count
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from etude.cli.configuration import options_of
from etude.core import ConfigError, MismatchError, RunExistsError, StageFailedError
from etude.core.files import NO_ROOM, read_json, write_json

SETTINGS, _DECIDED = "settings.json", "settings"
_COMMAND: ContextVar[Mapping[str, Any]] = ContextVar("command", default=MappingProxyType({}))
"""What `--config` reads of the command under way, for whatever it writes first."""


def require_free(out: Path, *, resume: bool = False, resumable: bool = True) -> None:
    """Refuse to write where something is already, unless it is to be continued.

    Raises:
        RunExistsError: Something is there.
    """
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not out.is_dir():
        raise RunExistsError(out, "it is a file, and a folder is to be written; choose another name")
    if not resumable:
        raise RunExistsError(out, "choose another name, or remove it")
    if not resume:
        raise RunExistsError(out)


def require_video_name(out: Path | None) -> None:
    """Refuse a file that is there, or that is no video.

    Raises:
        RunExistsError: Something is there.
        ConfigError: Its name does not end in .mp4, or its folder is missing.
    """
    if out is None:
        return
    if out.suffix != ".mp4":
        raise ConfigError(f"--out {out}: a video's name ends in .mp4.")
    if out.exists():
        raise RunExistsError(out, "choose another name, or remove it")


def free_name(path: Path) -> Path:
    """The path, or with the first number at its end that makes it free."""
    names = (path.with_name(f"{path.stem}-{i}{path.suffix}") for i in count(2))
    return path if not path.exists() else next(name for name in names if not name.exists())


@contextmanager
def whole_folder(out: Path) -> Generator[Path]:
    """A folder to fill that appears as `out` when all is in it, and not at all if that fails."""
    partial = out.with_name(f".{out.name}.{os.getpid()}.partial")
    partial.mkdir(parents=True)
    try:
        yield partial
        os.replace(partial, out)
    except Exception as error:
        full = next((e for e in (error, error.__cause__) if isinstance(e, OSError) and e.errno in NO_ROOM), None)
        if full is None:
            raise
        raise StageFailedError(
            f"'{out}' could not be written ({(full.strerror or str(full)).lower()}): nothing is left of it; make room "
            "and run the command again."
        ) from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def tell_if_nothing_saved(out: Path, *, resume: bool) -> None:
    """Say where there is nothing to resume: a name that was mistyped would go unnoticed."""
    if resume and not out.exists():
        print(f"etude: nothing was saved in '{out}' yet: starting from the beginning.", file=sys.stderr)


def require_free_or_own(out: Path, *records: Path, resume: bool) -> None:
    """Refuse to write a dataset where something is, unless it is this command's and is to be continued.

    Args:
        out: Folder of the dataset.
        records: Files in it that only this command writes, before the first episode; the first bears its name.
        resume: Whether to go on with a dataset that is there.

    Raises:
        RunExistsError: Something is there, and it is not to be continued.
        MismatchError: It was made by another command.
    """
    require_free(out, resume=resume)
    tell_if_nothing_saved(out, resume=resume)
    begun = any((out / record).exists() for record in records)
    if not begun and any((out / "meta/episodes").glob("*/*.parquet")):
        raise MismatchError(f"'{out}' was not begun by `etude {records[0].stem}`: choose another --out.")


@contextmanager
def resumable_folder(out: Path, settings: Mapping[str, Any], *, resume: bool) -> Generator[Path]:
    """A folder that a stopped command goes on from; gone again if it stopped before anything was worth keeping.

    Args:
        out: The folder.
        settings: What decides the result, as JSON values; kept in the folder.
        resume: Whether to go on in a folder that is there.

    Raises:
        RunExistsError: Something is there, and it is not to be continued.
        MismatchError: It was begun with other settings.
    """
    begun = (out / SETTINGS).exists()
    require_free(out, resume=resume and begun, resumable=begun)
    tell_if_nothing_saved(out, resume=resume)
    require_same_settings(out / SETTINGS, settings)
    remember_settings(out / SETTINGS, settings)
    try:
        yield out
    except BaseException:
        if all(path.name == SETTINGS for path in out.iterdir()):
            shutil.rmtree(out)
        raise


@contextmanager
def nothing_if_nothing(out: Path, record: Path) -> Generator[None]:
    """Remove a folder that was begun here if that fails before anything worth keeping is in it.

    Args:
        out: The folder.
        record: File in it that says that something is.
    """
    fresh = not out.exists()
    try:
        yield
    except BaseException:
        if fresh and not (out / record).exists():
            shutil.rmtree(out, ignore_errors=True)
        raise


def require_same_settings(record: Path, settings: Mapping[str, Any]) -> None:
    """Compare a command's settings with those that its output was begun with.

    Args:
        record: File that `remember_settings` wrote, or nothing if it never came to that.
        settings: What decides the result now, as JSON values.

    Raises:
        MismatchError: They differ; the message says where.
    """
    if not record.exists():
        return
    begun = _decided(read_json(record))
    changed = list(_changed("", begun, settings))
    if changed:
        raise MismatchError(
            f"cannot resume with other settings: {'; '.join(changed)}. Use the same options, or another --out."
        )


def _changed(prefix: str, begun: Mapping[str, Any], settings: Mapping[str, Any]) -> Iterator[str]:
    """A few words for each value that is another one now, in groups of values too."""
    for name, value in settings.items():
        was = begun.get(name)
        if isinstance(was, Mapping) and isinstance(value, Mapping):
            yield from _changed(f"{prefix}{name}.", cast(Mapping[str, Any], was), cast(Mapping[str, Any], value))
        elif not _same(was, value):
            yield f"{prefix}{name} was {was} and is now {value}"


def _same(was: Any, value: Any) -> bool:
    """Whether two values are equal, or lists of such, or two ways to write the path of one file that is there."""
    if isinstance(was, list) and isinstance(value, list):
        one, other = cast(list[Any], was), cast(list[Any], value)
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(was, str) and isinstance(value, str) and os.path.exists(was) and os.path.exists(value):
        return os.path.samefile(was, value)
    return was == value


def remember_settings(record: Path, settings: Mapping[str, Any]) -> None:
    """Write down what decides the result, and the command's options, once, beside what is there already."""
    known = read_json(record) if record.exists() else {}
    if not _decided(known):
        write_json(record, {**known, _DECIDED: dict(settings), **_COMMAND.get()})


@contextmanager
def remembered_options(verb: str, options: Any) -> Generator[None]:
    """While a command runs, and when it is done: its options are in or beside what it writes, for `--config`.

    Args:
        verb: The command.
        options: Its options; nothing is written where they name no output, or where there is none.
    """
    command = {"command": verb, "options": options_of(options)}
    token = _COMMAND.set(command)
    try:
        yield
    finally:
        _COMMAND.reset(token)
    out = _output(options)
    if out is None or not out.exists():
        return
    if out.is_dir():
        record = out / ("meta/etude" if (out / "meta" / "info.json").exists() else "") / SETTINGS
    else:
        record = out.with_name(f"{out.name}.{SETTINGS}")
    known = read_json(record) if record.exists() else {}
    settings = {_DECIDED: _decided(known)} if known else {}
    write_json(record, {**settings, **command})


def _output(options: Any) -> Path | None:
    """What a command writes."""
    if hasattr(options, "runs_dir"):
        return options.runs_dir / options.run
    return getattr(options, "out", None)


def _decided(record: Mapping[str, Any]) -> Mapping[str, Any]:
    """What decides the result, in a record of today, or in one that held nothing else."""
    return record.get(_DECIDED, {} if "options" in record else record)
