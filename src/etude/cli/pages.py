"""The page that a command leaves in the folder that it wrote, without being asked."""

from typing import Any

from etude.cli.terminal import show

WITH_PAGE = ("eval", "search", "compare", "diagnose", "estimate", "lockstep", "score")
"""Commands whose folder has a page."""


def leave_page(verb: str, options: Any) -> None:
    """Write the page of a command that is done, and say where it is unless only JSON is wanted."""
    if verb not in WITH_PAGE:
        return
    from etude.loop.report import write_page

    page = write_page(options.out)
    if not options.json:
        show(f"page: {page}")
