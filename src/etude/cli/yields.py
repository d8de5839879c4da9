"""How many attempts succeeded, as tables in the terminal."""

from typing import TYPE_CHECKING

from rich.table import Table

from etude.cli.terminal import show

if TYPE_CHECKING:
    from etude.loop.making.yields import Yields

_SHOWN = 8  # factors, those with the worst part


def show_yields(yields: "Yields") -> None:
    """Print yields: of all, by source demonstration, of the factors with the worst parts; and where attempts failed.

    Where nothing failed no part is worse than another: the factors are left to the page.
    """
    from etude.loop.making.yields import BINS

    table = Table("", "accepted", "yield", "95 %", box=None, pad_edge=False)
    rows = {"all": yields.overall, **{f"  source episode {s}": rate for s, rate in yields.sources.items()}}
    for title, rate in rows.items():
        share = f"{rate.value:.0%}" if rate.n else ""
        table.add_row(title, f"{rate.k}/{rate.n}", share, f"{rate.low:.0%}–{rate.high:.0%}")
    show(table)
    if yields.factors and yields.stuck:
        worst = sorted(yields.factors, key=lambda name: min(rate.high for _, _, rate in yields.factors[name]))[:_SHOWN]
        parts = Table("by part of its range", "from", *[""] * BINS, "to", box=None, pad_edge=False)
        for name in worst:
            bins = yields.factors[name]
            rates = [f"{rate.k}/{rate.n}" if rate.n else "–" for _, _, rate in bins]
            parts.add_row(name, f"{bins[0][0]:.3g}", *rates, f"{bins[-1][1]:.3g}")
        more = len(yields.factors) - len(worst)
        show("", parts, *([f"and {more} more factors, whose worst part is no worse: on the page"] if more else []))
    if yields.unseen:
        count = len(yields.unseen)
        show(f"{count} factors of cameras, light and colours cannot change an attempt, which sees no images: left out")
    for where, count in list(yields.stuck.items())[:5]:
        show(f"failed: {where}: {count}")
