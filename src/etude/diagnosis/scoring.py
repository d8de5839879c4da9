"""A diagnosis against planted causes: what is counted, and as what.

A rule *finds* a planted cause when it meets its box in every factor that both bound, bounds at least half of the box's
factors, and bounds none that the box does not. A verdict is right or wrong by what a change repairs in expectation over
the rule's failures, less what the sham repairs: "confirmed" is right from 5 points on, "refuted" below the 25 that
`CounterfactualConfig` calls noticeable; between the two both are. Undecided is no verdict.
"""

from dataclasses import asdict, dataclass, field

import numpy as np

from etude.core import Bounds, Cause, Diagnosis, Rate
from etude.diagnosis.counterfactuals import CounterfactualConfig, jittered, undone
from etude.diagnosis.episodes import Episodes
from etude.diagnosis.planted import PlantedCauses

_REAL = 0.05
_NOTICEABLE = CounterfactualConfig().noticeable


@dataclass
class Score:
    """Right or wrong, one by one, for each figure.

    Attributes:
        recall: Planted causes that one of the first three reported causes finds.
        factors: Factors of planted causes that the first three reported causes bound or confirm.
        precision: Reported rules, refuted ones left out, that bound only factors of one planted cause, and meet it.
        verdicts: Confirmed and refuted effects that are right.
        undecided: Effects that were rolled out, and whether they were left undecided.
    """

    recall: list[bool] = field(default_factory=list[bool])
    factors: list[bool] = field(default_factory=list[bool])
    precision: list[bool] = field(default_factory=list[bool])
    verdicts: list[bool] = field(default_factory=list[bool])
    undecided: list[bool] = field(default_factory=list[bool])

    def __add__(self, other: "Score") -> "Score":
        return Score(**{name: getattr(self, name) + getattr(other, name) for name in asdict(self)})

    def rates(self) -> dict[str, Rate]:
        """k of n for each figure."""
        return {name: Rate.of(values) for name, values in asdict(self).items()}


def compare(planted: PlantedCauses, seen: Episodes, diagnosis: Diagnosis, rng: np.random.Generator) -> Score:
    """What of a diagnosis is true.

    Args:
        planted: The policy.
        seen: The episodes that were diagnosed.
        diagnosis: What was made of them.
        rng: Draws the shams whose effect is computed.
    """
    result, first = Score(), diagnosis.causes[:3]
    for truth in planted.causes:
        result.recall.append(any(finds(cause.bounds, truth) for cause in first))
    named = {name for cause in first for name in (*cause.bounds, *_confirmed(cause))}
    result.factors += [name in named for name in sorted({name for truth in planted.causes for name in truth})]
    for cause in diagnosis.causes:
        if cause.verdict != "refuted":
            result.precision.append(any(within(cause.bounds, truth) for truth in planted.causes))
        _judge(planted, seen, cause, rng, result)
    return result


def _judge(planted: PlantedCauses, seen: Episodes, cause: Cause, rng: np.random.Generator, result: Score) -> None:
    """Compare the verdicts on a cause's factors with what undoing them repairs."""
    failed = np.flatnonzero(seen.inside(cause.bounds) & seen.weaknesses).tolist()
    failures = [seen.cases[i] for i in failed]
    for effect in cause.effects:
        if effect.verdict not in ("confirmed", "refuted", "undecided"):
            continue
        changed = {case: undone(planted.space, cause.bounds, case, effect.factor) for case in failures}
        pairs = [(case, other) for case, other in changed.items() if other is not None]
        shams = [jittered(planted.space, case, rng) for case, _ in pairs]
        same = [case for case, _ in pairs]
        truth = planted.repair(same, [other for _, other in pairs]) - planted.repair(same, shams)
        result.undecided.append(effect.verdict == "undecided")
        if effect.verdict != "undecided":
            result.verdicts.append(truth >= _REAL if effect.verdict == "confirmed" else truth < _NOTICEABLE)


def _confirmed(cause: Cause) -> list[str]:
    return [effect.factor for effect in cause.effects if effect.verdict == "confirmed"]


def within(rule: Bounds, truth: Bounds) -> bool:
    """Whether a rule bounds only factors of a planted cause, and meets its box."""
    return all(name in truth and _meets(rule[name], truth[name]) for name in rule)


def finds(rule: Bounds, truth: Bounds) -> bool:
    """Whether a rule names a planted cause: see the top of this file."""
    return within(rule, truth) and 2 * len(rule) >= len(truth)


def _meets(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return max(a[0], b[0]) < min(a[1], b[1])
