"""An evaluation seen from every side: by factor, by cell of a grid, by label of a suite, against unperturbed worlds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from etude.core import Outcome, Paired, Perturbation, PerturbationSpace, Rate
from etude.evaluation.factors import (
    FactorBin,
    FactorEffect,
    by_factor,
    compare_matched,
    factor_effects,
    paired_json,
    varied,
)
from etude.evaluation.summary import rate_json


@dataclass(frozen=True, kw_only=True)
class Breakdown:
    """Success in parts of an evaluation; what was not asked for is empty.

    Attributes:
        matched: Success in the unperturbed worlds of the same seeds, or None.
        against: The cases against their unperturbed worlds (wins: only the case succeeded), or None.
        factors: Factor that some cases vary alone -> what that did, the most harmful first.
        bins: Factor of several values -> success along it, whatever else varied.
        cells: θ of a grid's cell -> success there.
        labels: Label of a suite's cases (the pocket they came from) -> success.
    """

    matched: Rate | None
    against: Paired | None
    factors: dict[str, FactorEffect]
    bins: dict[str, list[FactorBin]]
    cells: dict[Perturbation, Rate]
    labels: dict[str, Rate]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values; the keys are those of `summary.json`."""
        matched = None
        if self.matched is not None and self.against is not None:
            matched = {"success": rate_json(self.matched), **paired_json(self.against)}
        return {
            "matched": matched,
            "factors": {name: _effect_json(effect) for name, effect in self.factors.items()},
            "bins": {name: [_bin_json(b) for b in bins] for name, bins in self.bins.items()},
            "cells": [{"theta": dict(t.values), "success": rate_json(rate)} for t, rate in self.cells.items()],
            "labels": {label: rate_json(rate) for label, rate in self.labels.items()},
        }


def break_down(
    outcomes: Sequence[Outcome],
    space: PerturbationSpace,
    *,
    matched: Sequence[Outcome] = (),
    labels: Sequence[str] = (),
    cells: bool = False,
) -> Breakdown:
    """Count in parts.

    Args:
        outcomes: What became of the cases.
        space: What can vary.
        matched: Outcomes of their `matched_cases`, where they were run.
        labels: One per outcome, or none.
        cells: Whether the cases are those of a grid.
    """
    by_theta = _rates(outcomes, [o.case.theta for o in outcomes]) if cells else {}
    return Breakdown(
        matched=Rate.of([o.success for o in matched]) if matched else None,
        against=compare_matched(outcomes, matched) if matched else None,
        factors=factor_effects(outcomes, matched) if matched else {},
        bins={factor.name: by_factor(outcomes, factor, matched=matched) for factor in varied(outcomes, space)},
        cells=by_theta,
        labels=_rates(outcomes, labels) if labels else {},
    )


def _rates[K](outcomes: Sequence[Outcome], keys: Sequence[K]) -> dict[K, Rate]:
    """Success for every key, in the order in which they come up."""
    groups: dict[K, list[bool]] = {}
    for key, outcome in zip(keys, outcomes, strict=True):
        groups.setdefault(key, []).append(outcome.success)
    return {key: Rate.of(successes) for key, successes in groups.items()}


def _effect_json(effect: FactorEffect) -> dict[str, Any]:
    rates = {"perturbed": rate_json(effect.perturbed), "matched": rate_json(effect.matched)}
    return {**rates, **paired_json(effect.paired), "p_holm": effect.p_holm}


def _bin_json(b: FactorBin) -> dict[str, Any]:
    matched = None if b.matched is None else rate_json(b.matched)
    return {"low": b.low, "high": b.high, "success": rate_json(b.success), "matched": matched}
