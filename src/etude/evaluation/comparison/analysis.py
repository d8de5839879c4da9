"""All that two lists of outcomes on the same cases say about their policies."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from etude.core import Case, MismatchError, Outcome, Paired, Rate, stream
from etude.evaluation.comparison.factors import Dependence, dependences
from etude.evaluation.comparison.seeds import AcrossSeeds, Interval, Successes, across_seeds
from etude.evaluation.comparison.sequential import Look, Stopping, looks
from etude.evaluation.comparison.verdict import Judgement, judge, judge_looks, judge_seeds


@dataclass(frozen=True)
class Contested:
    """A case that one side solved more often than the other.

    Attributes:
        case: The case.
        a: Share of A's policies that solved it.
        b: Share of B's.
    """

    case: Case
    a: float
    b: float

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**self.case.to_json(), "a": self.a, "b": self.b}


@dataclass(frozen=True, kw_only=True)
class Analysis:
    """A comparison of two sides, A and B, of one policy each or of several that differ in their training seed.

    Attributes:
        a: Success of each of A's policies.
        b: Success of each of B's.
        won: Cases that A solved more often, the clearest first.
        lost: Cases that B solved more often.
        ties: How many cases both solved equally often.
        pairs: A's i-th policy against B's i-th, where there are as many of each.
        difference: Mean success of A less that of B.
        interval: Of the difference.
        looks: What was known when, where it was looked at while the cases came in.
        planned: How many cases there might have been.
        factors: Along which factors the difference changes.
        seeds: The same over training seeds, where there are several.
        judgement: All of it in a sentence.
    """

    a: tuple[Rate, ...]
    b: tuple[Rate, ...]
    won: tuple[Contested, ...]
    lost: tuple[Contested, ...]
    ties: int
    pairs: tuple[Paired, ...]
    difference: float
    interval: Interval
    looks: tuple[Look, ...]
    planned: int
    factors: tuple[Dependence, ...]
    seeds: AcrossSeeds | None
    judgement: Judgement

    @property
    def cases(self) -> int:
        """How many cases were run."""
        return self.a[0].n

    @property
    def saved(self) -> int:
        """Rollouts, of both sides together, that stopping early spared."""
        return (len(self.a) + len(self.b)) * (self.planned - self.cases)

    @property
    def method(self) -> str:
        """What kind of interval it is: "score", "anytime" or "seeds"."""
        return "seeds" if self.seeds else "anytime" if self.looks else "score"

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values; see docs/comparing.md."""
        sequential = {"stopped_at": self.cases, "planned": self.planned, "saved": self.saved}
        low, high = self.interval
        alone = self.pairs[0] if self.seeds is None else None
        return {
            "cases": self.cases,
            "a": {"success": [rate.to_json() for rate in self.a], "mean": _mean(self.a)},
            "b": {"success": [rate.to_json() for rate in self.b], "mean": _mean(self.b)},
            "won": [each.to_json() for each in self.won],
            "lost": [each.to_json() for each in self.lost],
            "ties": self.ties,
            "difference": {"value": self.difference, "low": low, "high": high, "method": self.method},
            "p": alone.p if alone and not self.looks else None,  # it holds for a fixed number of cases only
            "e_value": alone.two_sided_e_value if alone else None,
            "sequential": {**sequential, "looks": [look.to_json() for look in self.looks]} if self.looks else None,
            "factors": [factor.to_json() for factor in self.factors],
            "seeds": {**self.seeds.to_json(), "pairs": [_pair_json(p) for p in self.pairs]} if self.seeds else None,
            "verdict": {"better": self.judgement.better, "sentence": self.judgement.sentence},
        }


def analyse(
    first: Sequence[Sequence[Outcome]],
    second: Sequence[Sequence[Outcome]],
    *,
    alpha: float = 0.05,
    stopping: Stopping | None = None,
    planned: int | None = None,
) -> Analysis:
    """Compare two sides.

    Args:
        first: Outcomes of each of A's policies.
        second: Of each of B's.
        alpha: How often a verdict may be wrong, where it is given at the end.
        stopping: The rule by which the cases were run in batches; one policy a side.
        planned: How many cases there might have been.

    Raises:
        MismatchError: The cases are not the same, in the same order.
        ConfigError: Several policies on one side, and one on the other.
    """
    cases = [outcome.case for outcome in first[0]]
    if any([outcome.case for outcome in outcomes] != cases for outcomes in (*first, *second)):
        raise MismatchError("a comparison needs outcomes of the same cases, in the same order.")
    a, b = _successes(first), _successes(second)
    pairs = tuple(Paired.of(x, y) for x, y in zip(a.tolist(), b.tolist(), strict=True)) if len(a) == len(b) else ()
    seeds = across_seeds(a, b, stream(0, "bootstrap"), level=1 - alpha) if max(len(a), len(b)) > 1 else None
    taken = tuple(looks(a[0].tolist(), b[0].tolist(), stopping)) if stopping else ()
    interval, judgement = _judged(pairs, seeds, taken, (len(a), len(b)), alpha, stopping, planned or len(cases))
    shares = zip(cases, a.mean(axis=0).tolist(), b.mean(axis=0).tolist(), strict=True)
    contested = [Contested(*share) for share in shares]
    return Analysis(
        a=tuple(Rate.of(row) for row in a.tolist()),
        b=tuple(Rate.of(row) for row in b.tolist()),
        won=tuple(sorted((c for c in contested if c.a > c.b), key=lambda c: c.b - c.a)),
        lost=tuple(sorted((c for c in contested if c.b > c.a), key=lambda c: c.a - c.b)),
        ties=sum(c.a == c.b for c in contested),
        pairs=pairs,
        difference=float(a.mean() - b.mean()),
        interval=interval,
        looks=taken,
        planned=planned or len(cases),
        factors=tuple(dependences(cases, a, b, stream(0, "factors"))),
        seeds=seeds,
        judgement=judgement,
    )


def _judged(
    pairs: Sequence[Paired],
    seeds: AcrossSeeds | None,
    taken: Sequence[Look],
    counts: tuple[int, int],
    alpha: float,
    stopping: Stopping | None,
    planned: int,
) -> tuple[Interval, Judgement]:
    if seeds:
        return seeds.interval, judge_seeds(seeds, counts)
    if stopping:
        return taken[-1].interval, judge_looks(taken, planned, stopping)
    return pairs[0].interval(1 - alpha), judge(pairs[0], alpha)


def _successes(outcomes: Sequence[Sequence[Outcome]]) -> Successes:
    return np.array([[outcome.success for outcome in of_one] for of_one in outcomes], dtype=np.bool_)


def _mean(rates: Sequence[Rate]) -> float:
    return sum(rate.value for rate in rates) / len(rates)


def _pair_json(paired: Paired) -> dict[str, Any]:
    return {"won": paired.wins, "lost": paired.losses, "p": paired.p, "difference": paired.difference}
