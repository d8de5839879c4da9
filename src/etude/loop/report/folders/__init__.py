"""Pages of the folders that commands write, one kind of folder a module: files in, a page beside them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from etude.core import EtudeError
from etude.core.files import write_bytes
from etude.loop.report import yields
from etude.loop.report.folders import comparison, diagnosis, evaluation, lockstep, needs, scores, search

PAGE = "index.html"


@dataclass(frozen=True)
class Kind:
    """A kind of folder.

    Attributes:
        name: The command that writes it.
        files: What such a folder holds, and no other kind does.
        page: Folder -> its page.
        written: Where in the folder its page is.
    """

    name: str
    files: tuple[str, ...]
    page: Callable[[Path], str]
    written: str = PAGE


KINDS = (
    Kind("eval", ("outcomes.parquet", "summary.json"), evaluation.page),
    Kind("search", ("archive.parquet", "pockets.json"), search.page),
    Kind("compare", ("comparison.json",), comparison.page),
    Kind("diagnose", ("diagnosis.json",), diagnosis.page),
    Kind("estimate", ("needs.json",), needs.page),
    Kind("score", ("scores.json", "scores.parquet"), scores.page),
    Kind("lockstep", ("lockstep.json",), lockstep.page),
    Kind("generate", (yields.YIELDS,), yields.page, yields.PAGE),
)


def kind_of(folder: Path) -> Kind | None:
    """Which kind a folder is of; None where it is of none."""
    return next((kind for kind in KINDS if all((folder / name).is_file() for name in kind.files)), None)


def write_page(folder: Path) -> Path:
    """Write the page of a command's folder into it; equal folders give equal bytes.

    Returns:
        Path of the page.
    Raises:
        EtudeError: The folder is of no kind that has a page, or a file in it is damaged or of another version.
    """
    kind = kind_of(folder)
    if kind is None:
        kinds = "; ".join(f"{' and '.join(kind.files)} (etude {kind.name})" for kind in KINDS)
        state = "holds nothing to report" if folder.is_dir() else "does not exist"
        runs = "run.json (etude loop); plan.json (etude study)"
        raise EtudeError(f"'{folder}' {state}: a report is made of a folder with {runs}; {kinds}.")
    try:
        page = kind.page(folder)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise EtudeError(
            f"'{folder}' is not as etude {kind.name} of this version leaves it ({type(error).__name__}: {error}): run "
            "it again into another folder."
        ) from error
    write_bytes(folder / kind.written, page.encode())
    return folder / kind.written
