"""`etude VERB …`: find the command, read its options, run it, and say in one line what went wrong."""

import os
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module

from etude import __version__
from etude.cli.failure import disk_trouble, one_line
from etude.cli.output import remembered_options
from etude.cli.pages import leave_page
from etude.cli.terminal import next_at_the_end
from etude.cli.usage import parse
from etude.cli.verbs import GROUPS, VERBS, find_verb, overview
from etude.core import EtudeError

BAD_INPUT, INTERRUPTED, BROKEN_PIPE = 2, 130, 141
_HELP = ("-h", "--help", "help")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: What follows `etude` on the command line; by default that of this process.

    Returns:
        Exit code: 0, 2 for what the user can put right, 130 when interrupted, 141 when nobody reads the output.
    """
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _dispatch(arguments)
        sys.stdout.flush()
    except EtudeError as error:
        return _complain(one_line(str(error)), BAD_INPUT)
    except KeyboardInterrupt:
        return _complain(_how_to_go_on(arguments), INTERRUPTED)
    except BrokenPipeError:
        # Otherwise the interpreter tries to flush once more when it ends, and complains.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except SystemExit as done:  # tyro's way to end after printing help
        return int(done.code or 0)
    except Exception as error:
        trouble = disk_trouble(error)
        if trouble is None:
            raise
        return _complain(trouble, BAD_INPUT)
    return 0


def _dispatch(arguments: list[str]) -> None:
    first = arguments[0] if arguments else "--help"
    if first in _HELP:
        print(overview())
    elif first == "--version":
        print(f"etude {__version__}")
    elif first in GROUPS and (len(arguments) == 1 or arguments[1] in _HELP):
        print(overview(first))
    else:
        name, rest = find_verb(arguments)
        command = import_module(VERBS[name].module)
        options = parse(command.Options, name, rest)
        with next_at_the_end():
            with remembered_options(name, options):
                command.run(options)
            leave_page(name, options)


def _complain(line: str, code: int) -> int:
    print(f"etude: {line}", file=sys.stderr)
    return code


def _how_to_go_on(arguments: Sequence[str]) -> str:
    if not VERBS[find_verb(arguments)[0]].resumable:
        return "stopped; nothing was written."
    again = arguments if "--resume" in arguments else [*arguments, "--resume"]
    return f"stopped; what was finished is kept. Go on with: {shlex.join(['etude', *again])}"
