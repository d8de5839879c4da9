"""The run in numbers: what summary.json holds."""

from etude.core import Paired, Pocket, Rate
from etude.loop.report.results import TESTS, Plain, RunResults
from etude.loop.report.run.comparison import TAIL_FRACTIONS, compare, pairs, tail_progress, worst_pocket
from etude.loop.report.run.verdict import judge


def summary(run: RunResults) -> dict[str, Plain]:
    """Everything a program would read of a run; equal runs give equal summaries, wall times apart.

    The run's name is left out for that reason: its folder carries it.
    """
    verdict = judge(run)
    return {
        "task": run.task,
        "space": {"name": run.space.name, "hash": run.space.hash},
        "verdict": {"tone": verdict.tone, "headline": verdict.headline, "sentences": list(verdict.sentences)},
        "arms": {name: {test: _rate(arm.rate(test)) for test in TESTS} for name, arm in run.arms.items()},
        "paired": {_key(*pair): _paired(compare(run, *pair, "exam")) for pair in pairs(run)},
        "paired_by_test": {
            test: {_key(*pair): _paired(compare(run, *pair, test)) for pair in pairs(run)} for test in TESTS
        },
        "tail": {name: _tail(run, name) for name in run.arms},
        "budget": {name: dict(vars(arm.budget)) for name, arm in run.arms.items()},
        "fresh_search": {name: _rate(arm.fresh_search) for name, arm in run.arms.items() if arm.fresh_search},
        "suites": {name: {"hash": suite.hash, "cases": len(suite.cases)} for name, suite in run.suites.items()},
        "pockets": [_pocket(pocket) for pocket in run.pockets],
        "exclusions": run.exclusions,
        "narrow": {name: list(bounds) for name, bounds in run.narrow.items()},
        "seeds": dict(run.seeds),
        "provenance": dict(run.provenance),
    }


def _tail(run: RunResults, arm: str) -> dict[str, Plain]:
    worst = worst_pocket(run, arm)
    outcomes = run.arms[arm].uniform_test
    cvars: dict[str, Plain] = {f"cvar_{round(f * 100)}": tail_progress(outcomes, f) for f in TAIL_FRACTIONS}
    return {**cvars, "worst_pocket": None if worst is None else {"name": worst[0], **_rate(worst[1])}}


def _rate(rate: Rate) -> dict[str, Plain]:
    return {"k": rate.k, "n": rate.n, "low": rate.low, "high": rate.high}


def _paired(paired: Paired) -> dict[str, Plain]:
    return {"wins": paired.wins, "losses": paired.losses, "p": paired.p, "e_value": paired.e_value}


def _pocket(pocket: Pocket) -> dict[str, Plain]:
    rates = {key: _rate(getattr(pocket, key)) for key in ("inside", "outside", "expert")}
    bounds = {name: list(bounds) for name, bounds in pocket.bounds.items()}
    return {"name": pocket.name, "bounds": bounds, "volume": pocket.volume, **rates}


def _key(first: str, second: str) -> str:
    return f"{first}_vs_{second}"
