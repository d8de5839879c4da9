"""A study in numbers: what its summary.json holds."""

from math import isfinite
from typing import Any

from etude.loop.study.analysis import Analysis, ArmAnalysis
from etude.loop.study.verdict import judge


def summary(analysis: Analysis) -> dict[str, Any]:
    """Everything a program would read of a study."""
    verdicts = [judge(analysis, arm) for arm in analysis.compared]
    return {
        "plan": analysis.plan.hash,
        "choice": analysis.choice.to_json() if analysis.choice else None,
        "replicates": {each.name: each.hash for each in (*analysis.pilots, *analysis.confirmed)},
        "passed_over": {each.name: each.passed_over for each in (*analysis.pilots, *analysis.confirmed)},
        "failures": {failure.name: failure.why for failure in analysis.failures},
        "missing": list(analysis.missing),
        "verdicts": {
            verdict.arm: {
                "state": verdict.state,
                "headline": verdict.headline,
                "answers": {a.question: {"state": a.state, "sentence": a.sentence} for a in verdict.answers},
            }
            for verdict in verdicts
        },
        "arms": {arm.name: _arm(arm) for arm in analysis.arms},
    }


def _arm(arm: ArmAnalysis) -> dict[str, Any]:
    needed = arm.needed
    return {
        "success": {test: found.to_json() for test, found in arm.success.items()},
        "above": {f"{other}, {test}": found.to_json() for (other, test), found in arm.above.items()},
        "p_holm": arm.p,
        "paired": [
            {"wins": pair.wins, "losses": pair.losses, "ties": pair.ties, "p": pair.p, "e_value": pair.e_value}
            for pair in arm.paired
        ],
        "needed": None
        if needed is None
        else {
            "demonstrations": _number(needed.demonstrations),
            "times_fewer": _number(needed.fewer),
            "interval": None if needed.interval is None else [_number(end) for end in needed.interval],
        },
        "at_equal_steps": arm.at_equal_steps.to_json() if arm.at_equal_steps else None,
        "pockets": arm.pockets.to_json() if arm.pockets else None,
        "fates": dict(arm.fates),
        "tail": arm.tail.to_json(),
        "lost": {test: list(counts) for test, counts in arm.lost.items()},
    }


def _number(value: float) -> float | None:
    """JSON has no infinity."""
    return value if isfinite(value) else None
