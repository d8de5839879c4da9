"""`etude report`: what a run found, as a table here and as a page that opens offline."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from etude.cli.terminal import show, show_next

if TYPE_CHECKING:
    from etude.loop.run import FinishedRun


@dataclass(frozen=True, kw_only=True)
class Options:
    """Write the report of a finished run again, and print its table.

    Examples:
        etude report runs/demo
        etude report runs/demo --json

    Attributes:
        run: The run's folder.
        json: Print the summary as JSON, and nothing else.
    """

    run: Annotated[Positional[Path], arg(metavar="RUN")]
    json: bool = False


def run(options: Options) -> None:
    """Report."""
    from etude.loop.run import load_config, read_run
    from etude.sim import make_task

    config = load_config(options.run)
    finished = read_run(options.run, config, make_task(config.task))
    if options.json:
        print((finished.report.parent / "summary.json").read_text(), end="")
    else:
        tell(finished)


def tell(finished: "FinishedRun") -> None:
    """Print the table of every replicate, and where the report is."""
    from etude.loop.report import table

    show(*(table(results) for results in finished.results))
    show("", f"report: {finished.report}")
    show_next(f"xdg-open {finished.report}")
