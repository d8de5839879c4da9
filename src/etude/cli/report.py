"""`etude report`: what a run found, as a table here and as a page that opens offline."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from etude.cli.terminal import show, show_next
from etude.core import ConfigError


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
    if not (options.run / "run.json").exists():
        raise ConfigError(f"'{options.run}' is no run: there is no run.json in it; `etude loop` makes runs.")
    from etude.loop.report import write_report
    from etude.loop.results import load_results

    write_report(load_results(options.run), options.run / "report")
    if options.json:
        print((options.run / "report" / "summary.json").read_text(), end="")
        return
    tell(options.run)


def tell(directory: Path) -> None:
    """Print the table of a run that has a report, and where that is."""
    from etude.loop.report import table
    from etude.loop.results import load_results

    show(table(load_results(directory)), "", f"report: {directory / 'report' / 'index.html'}")
    show_next(f"xdg-open {directory / 'report' / 'index.html'}")
