"""`etude report`: what a run, or another command, found, as a page that opens offline."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from etude.cli.terminal import show, show_json, show_next

if TYPE_CHECKING:
    from etude.loop.run import FinishedRun


@dataclass(frozen=True, kw_only=True)
class Options:
    """Write the page of what a command left in a folder, as a file that opens offline.

    For a run of the loop its report, and its table here; for a study its page, and its verdicts. For a folder of `etude
    eval`, `search`, `compare`, `diagnose`, `estimate`, `score`, `lockstep` or `generate` the page that these commands
    write themselves, once more.

    Examples:
        etude report runs/demo
        etude report runs/demo --json
        etude report results/first

    Attributes:
        folder: The folder of a run, or of a command.
        json: Print the summary of a run or a study as JSON, and nothing else; of another folder the path of its page.
    """

    folder: Annotated[Positional[Path], arg(metavar="FOLDER")]
    json: bool = False


def run(options: Options) -> None:
    """Report."""
    from etude.loop.run import RECORD

    if (options.folder / RECORD).exists():
        _report_run(options)
    elif (options.folder / "plan.json").exists():
        _report_study(options)
    else:
        _report_folder(options)


def _report_run(options: Options) -> None:
    from etude.loop.run import load_config, read_run
    from etude.sim import make_task

    config = load_config(options.folder)
    finished = read_run(options.folder, config, make_task(config.task))
    if options.json:
        print((finished.report.parent / "summary.json").read_text(), end="")
    else:
        tell(finished)


def _report_study(options: Options) -> None:
    from etude.cli.study import tell as tell_study
    from etude.loop.study.running import write_study

    tell_study(write_study(options.folder), json=options.json)


def _report_folder(options: Options) -> None:
    from etude.loop.report import kind_of, write_page

    page, kind = write_page(options.folder), kind_of(options.folder)
    if options.json:
        show_json({"kind": kind.name if kind else "", "page": str(page)})
    else:
        show(f"the page of a folder of etude {kind.name if kind else ''}: {page}")
        show_next(f"xdg-open {page}")


def tell(finished: "FinishedRun") -> None:
    """Print the table of every replicate, and where the report is."""
    from etude.loop.report import table

    show(*(table(results) for results in finished.results))
    show("", f"report: {finished.report}")
    show_next(f"xdg-open {finished.report}")
