"""Options from a file: every command takes `--config FILE`, and leaves a file that it can be repeated with.

The file is JSON or TOML, either the options themselves, by name,

    {"dataset": ["data/first:1", "data/second:3"], "policy": "act", "steps": 2000}

or what a command wrote when it ran, which says them under "options". What the command line says wins.
"""

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any, cast

from etude.core import ConfigError, UnknownNameError

FLAG = "--config"
HELP = (
    f"{FLAG} FILE reads options from a JSON or TOML file; those given here win. A command's output holds such a file."
)
PERSONAL = ("out", "resume", "json")
"""Options that a repetition has of its own."""


def with_config(options: type, verb: str, arguments: Sequence[str], positional: Sequence[str]) -> list[str]:
    """A command line with what its `--config FILE` says put in; without one, as it is.

    Args:
        options: The command's frozen dataclass.
        verb: Its name.
        arguments: What follows the verb.
        positional: Names of the options that are written without one, in order.

    Raises:
        ConfigError: No such file, or not of this command.
        UnknownNameError: An option that the command does not have.
    """
    file, rest = _take_flag(arguments)
    if file is None:
        return rest
    values = _named(_read(file, verb), options, file)
    things = _leading(rest)
    rest = rest[len(things) :]
    given = {word.partition("=")[0].removeprefix("--").replace("-", "_") for word in rest if word.startswith("--")}
    given |= set(positional[: len(things)])
    words: list[str] = []
    for name, value in values.items():
        if name in given or value is None:
            continue
        if name in positional:
            things += _strings(value)
        else:
            words += _words(options, name, value, file)
    return [*things, *words, *rest]


def options_of(options: Any) -> dict[str, Any]:
    """A command's options as JSON values, but for those that a repetition has of its own."""
    return {f.name: _plain(getattr(options, f.name)) for f in fields(options) if f.name not in PERSONAL}


def _take_flag(arguments: Sequence[str]) -> tuple[Path | None, list[str]]:
    """The file that is named, and the other arguments."""
    file: Path | None = None
    rest: list[str] = []
    words = iter(arguments)
    for word in words:
        flag, equals, value = word.partition("=")
        if flag != FLAG:
            rest.append(word)
            continue
        value = value if equals else next(words, "")
        if not value or value.startswith("--"):
            raise ConfigError(f"{FLAG} needs a file, JSON or TOML.")
        if file is not None:
            raise ConfigError(f"option {FLAG} is given twice.")
        file = Path(value)
    return file, rest


def _read(file: Path, verb: str) -> Mapping[str, Any]:
    try:
        text = file.read_text()
        record: Any = tomllib.loads(text) if file.suffix == ".toml" else json.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{FLAG} {file}: it cannot be read: {error}.") from error
    except (tomllib.TOMLDecodeError, json.JSONDecodeError) as error:
        kind = "TOML" if file.suffix == ".toml" else "JSON"
        raise ConfigError(f"{FLAG} {file}: it is not valid {kind}: {error}.") from error
    if not isinstance(record, dict):
        raise ConfigError(f"{FLAG} {file}: it must hold options by name, as {{'steps': 2000}}.")
    known = cast("dict[str, Any]", record)
    command = known.get("command", verb)
    if command != verb:
        raise ConfigError(f"{FLAG} {file}: it is of `etude {command}`, not of `etude {verb}`.")
    options = known.get("options")
    if isinstance(options, dict):
        return cast("dict[str, Any]", options)
    return {name: value for name, value in known.items() if name != "command"}


def _named(values: Mapping[str, Any], options: type, file: Path) -> dict[str, Any]:
    """Values by the names of the fields, in their order."""
    order = [field.name for field in fields(options)]
    spelt = {name.replace("-", "_"): value for name, value in values.items()}
    for name in spelt:
        if name not in order:
            raise UnknownNameError(f"option in '{file}':", name, order)
    return {name: spelt[name] for name in order if name in spelt}


def _leading(words: Sequence[str]) -> list[str]:
    """What comes before the first option."""
    first = next((i for i, word in enumerate(words) if word.startswith("-")), len(words))
    return list(words[:first])


def _words(options: type, name: str, value: Any, file: Path) -> list[str]:
    """An option as it would be typed."""
    flag = f"--{name.replace('_', '-')}"
    if isinstance(value, bool):
        default = next(field.default for field in fields(options) if field.name == name)
        return [] if value is default else [flag if value else f"--no-{flag[2:]}"]
    if isinstance(value, dict):
        raise ConfigError(f"{FLAG} {file}: '{name}' must be a value or a list, not a table.")
    strings = _strings(value)
    if isinstance(value, list):
        return [flag, *strings] if strings else []
    return [f"{flag}={strings[0]}"]


def _strings(value: Any) -> list[str]:
    return [str(each) for each in cast("list[Any]", value)] if isinstance(value, list) else [str(value)]


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple | list):
        return [_plain(each) for each in cast("Sequence[Any]", value)]
    return value
