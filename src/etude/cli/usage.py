"""How the commands are used: the overview, the options of each, and one line for what they cannot be given."""

import re
from contextlib import redirect_stderr
from dataclasses import dataclass
from inspect import cleandoc
from io import StringIO
from typing import get_args, get_type_hints

from etude.core import ConfigError, UnknownNameError


@dataclass(frozen=True)
class Verb:
    """A command.

    Attributes:
        module: Where its `Options` and `run` are.
        summary: What it does, in a few words.
        example: A command line that works.
        resumable: Whether it takes `--resume`.
    """

    module: str
    summary: str
    example: str
    resumable: bool = False


VERBS = {
    "tasks": Verb("etude.cli.tasks", "list the tasks, or show what can vary in one", "etude tasks show franka-stack"),
    "collect": Verb(
        "etude.cli.collect",
        "make demonstrations with a task's expert",
        "etude collect franka-stack --episodes 50 --out data/first",
        resumable=True,
    ),
    "train": Verb(
        "etude.cli.train",
        "fit a policy to one or more datasets",
        "etude train --dataset data/first --policy flow --out runs/first",
        resumable=True,
    ),
    "eval": Verb(
        "etude.cli.evaluate",
        "measure a policy's success, with its interval",
        "etude eval franka-stack --policy runs/first --episodes 50 --out results/first",
        resumable=True,
    ),
    "search": Verb(
        "etude.cli.search",
        "find where a policy fails, and freeze suites that measure it",
        "etude search franka-stack --policy runs/first --budget 400 --out search/first",
        resumable=True,
    ),
    "watch": Verb(
        "etude.cli.watch",
        "see a policy at work, in a window or as a video",
        "etude watch franka-stack --policy runs/first",
    ),
    "view": Verb("etude.cli.view", "make a video of a recorded episode", "etude view data/first --episode 0"),
    "loop": Verb(
        "etude.cli.loop",
        "all of it: baseline, search, practice, exam, report",
        "etude loop franka-stack --preset demo --run demo --seed 0",
        resumable=True,
    ),
    "report": Verb("etude.cli.report", "write the report of a run again", "etude report runs/demo"),
}


def overview() -> str:
    """What `etude --help` prints."""
    commands = [f"  {name:<8} {verb.summary}" for name, verb in VERBS.items()]
    examples = [f"  {verb.example}" for verb in VERBS.values()]
    return "\n".join(
        [
            "usage: etude VERB [THING] [--options]",
            "",
            "Make robot policies practise what they fail at, and prove that it helped.",
            "",
            "commands:",
            *commands,
            "",
            "examples:",
            *examples,
            "",
            "A policy is a checkpoint folder, `expert` or `random`. `etude VERB --help` explains a command's options.",
        ]
    )


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

    _check_names(options, arguments, positional=get_args(tyro.conf.Positional[str])[1])
    complaint = StringIO()
    try:
        with redirect_stderr(complaint):
            return tyro.cli(
                options,
                prog=f"etude {verb}",
                description=cleandoc(options.__doc__ or "").partition("\nAttributes:")[0],
                args=arguments,
                config=(tyro.conf.FlagCreatePairsOff,),
            )
    except SystemExit as end:
        if not end.code:
            raise
        raise ConfigError(f"{condense(complaint.getvalue())} See: etude {verb} --help") from None


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


def _check_names(options: type, arguments: list[str], *, positional: object) -> None:
    """Raise for an option that does not exist, with the nearest, and for one given twice (the last would win).

    Args:
        options: The command's dataclass.
        arguments: What follows the verb.
        positional: What marks, in a type hint, an argument that has no name.
    """
    hints = get_type_hints(options, include_extras=True)
    named = [name for name, hint in hints.items() if positional not in get_args(hint)]
    valid = {f"--{name.replace('_', '-')}" for name in named} | {"--help"}
    given = [a.partition("=")[0].replace("_", "-") for a in arguments if a.startswith("--")]
    for name in given:
        if name not in valid:
            raise UnknownNameError("option", name, valid)
        if given.count(name) > 1:
            raise ConfigError(f"option {name} is given twice; several values follow one {name}, with spaces between.")
