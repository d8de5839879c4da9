"""What to practise: a share of the new demonstrations for every cause that is not refuted, and a share everywhere."""

from collections.abc import Sequence

import numpy as np

from etude.core import Cause, Plan, Practice

EVERYWHERE = "everywhere"
_FLOOR = 0.5
"""Share of the aimed demonstrations that all causes get alike, so that a large one does not starve the others."""


def recommend(causes: Sequence[Cause], *, uniform_share: float = 0.2) -> Plan:
    """Share out new demonstrations: by failures × solvable × volume, above an equal part for each cause.

    What a rule's counterfactuals refute is not practised; without any cause left, everything goes everywhere.

    Args:
        causes: What a diagnosis found.
        uniform_share: Share of the demonstrations that lie everywhere, in [0, 1].
    """
    aimed = [cause for cause in causes if cause.verdict != "refuted" and _worth(cause) > 0]
    if not aimed or uniform_share >= 1:
        why = "no cause is left to aim at" if causes else "failures gather nowhere"
        return Plan(practices=(Practice(bounds={}, share=1.0, why=f"{why}: practise everywhere"),))
    worth = np.array([_worth(cause) for cause in aimed])
    shares = (1 - uniform_share) * (_FLOOR / len(aimed) + (1 - _FLOOR) * worth / worth.sum())
    practices = [
        Practice(bounds=cause.bounds, share=float(share), why=_why(cause))
        for cause, share in zip(aimed, shares.tolist(), strict=True)
    ]
    if uniform_share > 0:
        practices.append(Practice(bounds={}, share=uniform_share, why="to keep what works, and for what nobody found"))
    return Plan(practices=tuple(practices))


def _worth(cause: Cause) -> float:
    """Failures × solvable × volume, each taken as 1 where it is not known."""
    solvable = cause.expert.value if cause.expert.n else 1.0
    return float(cause.inside.value * solvable * np.nan_to_num(cause.volume, nan=1.0))


def _why(cause: Cause) -> str:
    proven = [effect.factor for effect in cause.effects if effect.verdict == "confirmed"]
    said = {
        "confirmed": f"undoing {' or '.join(proven)} repairs failures there",
        "undecided": "failures gather there; too few rollouts tell why",
        "untested": "failures gather there; no rollouts tell why",
        "untestable": "failures gather there; what is behind them cannot be undone one at a time",
        "refuted": "",
    }
    solved = f"; the expert succeeds {cause.expert}" if cause.expert.n else ""
    return f"{cause.name}: {said[cause.verdict]}{solved}"
