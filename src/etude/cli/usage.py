"""How the commands are used: the options of each, and one line for what they cannot be given."""

import re
from contextlib import redirect_stderr
from inspect import cleandoc
from io import StringIO
from typing import get_args, get_type_hints

from etude.cli.configuration import FLAG, HELP, with_config
from etude.core import ConfigError, UnknownNameError

_CHOICE = re.compile(r"choice '(?P<value>.*)' for argument '(?P<option>--.*?)'\. Expected one of \((?P<valid>.*)\)")
_UNREADABLE = re.compile(
    r"parsing (?P<option>--\S+): no type matching \{None\}\|(?P<kind>INT|FLOAT) .*? from \['(?P<value>.*?)'\]"
)
_KINDS = {"INT": "a whole number", "FLOAT": "a number"}


def parse[T](options: type[T], verb: str, arguments: list[str]) -> T:
    """Read a command's options.

    Args:
        options: Its frozen dataclass; the docstring is the help text.
        verb: Its name.
        arguments: What follows the verb.

    Raises:
        ConfigError: The arguments do not fit, said in one line.
        UnknownNameError: There is no such option.
        SystemExit: Help was asked for, and printed.
    """
    import tyro  # half of the time that `etude --help` would take

    marker = get_args(tyro.conf.Positional[str])[1]
    hints = get_type_hints(options, include_extras=True)
    positional = [name for name, hint in hints.items() if marker in get_args(hint)]
    arguments = with_config(options, verb, arguments, positional)
    _check_names({f"--{name.replace('_', '-')}" for name in hints if name not in positional}, arguments)
    complaint = StringIO()
    try:
        with redirect_stderr(complaint):
            return tyro.cli(
                options,
                prog=f"etude {verb}",
                description=cleandoc(options.__doc__ or "").partition("\nAttributes:")[0] + f"\n{HELP}",
                args=arguments,
                config=(tyro.conf.FlagCreatePairsOff,),
            )
    except SystemExit as end:
        if not end.code:
            raise
        told = condense(complaint.getvalue())
        if found := _CHOICE.search(told):
            raise UnknownNameError(found["option"], found["value"], re.findall(r"'([^']*)'", found["valid"])) from None
        if found := _UNREADABLE.search(told):
            raise ConfigError(f"{found['option']} {found['value']}: must be {_KINDS[found['kind']]}.") from None
        raise ConfigError(f"{told} See: etude {verb} --help") from None


def require_at_least(least: int, **values: int) -> None:
    """Raise unless every option is large enough.

    Raises:
        ConfigError: One is not; the message says which.
    """
    for name, value in values.items():
        if value < least:
            raise ConfigError(f"--{name.replace('_', '-')} {value}: needs at least {least}.")


def condense(box: str) -> str:
    """Tyro's framed complaint in one line, without the explanations that follow it."""
    plain = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in box.splitlines()]
    # Inside the frame, which is of ASCII where the terminal's encoding has nothing better.
    lines = [found[1] for line in plain if (found := re.match(r"[│|] (.*) [│|]$", line))] or plain
    told = ""
    for line in lines:
        text = line.strip()
        if text.startswith(("For full helptext", "Argument helptext")):
            break
        indent = len(line) - len(line.lstrip())
        if not text.strip("─- ") or indent >= 8:  # a rule, or the help text of an option it names
            continue
        listed = indent >= 4 and not told.endswith(":")
        told += ("," if listed else "") + (" " if told else "") + text
    return told.rstrip(".") + "."


def _check_names(valid: set[str], arguments: list[str]) -> None:
    """Raise for an option that does not exist, with the nearest, and for one given twice (the last would win)."""
    given = [a.partition("=")[0].replace("_", "-") for a in arguments if a.startswith("--")]
    for name in given:
        if name not in valid | {"--help"}:
            raise UnknownNameError("option", name, valid | {"--help", FLAG})
        if given.count(name) > 1:
            raise ConfigError(f"option {name} is given twice; several values follow one {name}, with spaces between.")
