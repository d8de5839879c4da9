"""An evaluation seen from every side: by factor, by cell of a grid, by label of a suite, against unperturbed worlds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from etude.core import Outcome, Paired, Perturbation, PerturbationSpace, Rate, holm
from etude.evaluation.factors import (
    FactorBin,
    FactorEffect,
    by_factor,
    compare_matched,
    factor_effects,
    paired_json,
    seeds_differ,
    varied,
)


@dataclass(frozen=True)
class Cell:
    """Success in a cell of a grid; against the unperturbed worlds of its seeds and adjusted by Holm, or None."""

    success: Rate
    against: Paired | None = None
    p_holm: float | None = None


@dataclass(frozen=True, kw_only=True)
class Breakdown:
    """Success in parts of an evaluation; what was not asked for is empty.

    Attributes:
        matched: Success in the unperturbed worlds of the same seeds, or None.
        against: The cases against their unperturbed worlds (wins: only the case succeeded), or None.
        independent: Whether every unperturbed world was compared with once, as `against`'s p-value presumes.
        factors: Factor that some cases vary alone -> what that did, the most harmful first.
        bins: Factor of several values -> success along it, whatever else varied.
        cells: θ of a grid's cell -> what happened there.
        labels: Label of a suite's cases (the pocket they came from) -> success.
    """

    matched: Rate | None
    against: Paired | None
    independent: bool
    factors: dict[str, FactorEffect]
    bins: dict[str, list[FactorBin]]
    cells: dict[Perturbation, Cell]
    labels: dict[str, Rate]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values; the keys are those of `summary.json`."""
        matched = None
        if self.matched is not None and self.against is not None:
            matched = {"success": self.matched.to_json(), **paired_json(self.against)}
            matched["p"] = self.against.p if self.independent else None
        return {
            "matched": matched,
            "factors": {name: _effect_json(effect) for name, effect in self.factors.items()},
            "bins": {name: [_bin_json(b) for b in bins] for name, bins in self.bins.items()},
            "cells": [_cell_json(theta, cell) for theta, cell in self.cells.items()],
            "labels": {label: rate.to_json() for label, rate in self.labels.items()},
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
    return Breakdown(
        matched=Rate.of([o.success for o in matched]) if matched else None,
        against=compare_matched(outcomes, matched) if matched else None,
        independent=seeds_differ(outcomes),
        factors=factor_effects(outcomes, matched) if matched else {},
        bins={factor.name: by_factor(outcomes, factor, matched=matched) for factor in varied(outcomes, space)},
        cells=by_cell(outcomes, matched) if cells else {},
        labels=_rates(outcomes, labels) if labels else {},
    )


def by_cell(outcomes: Sequence[Outcome], matched: Sequence[Outcome] = ()) -> dict[Perturbation, Cell]:
    """What happened at every θ, in the order in which they come up.

    Args:
        outcomes: What became of the cases.
        matched: Outcomes of their matched cases, where they were run.
    """
    groups = _groups(outcomes, [o.case.theta for o in outcomes])
    rates = {theta: Rate.of([o.success for o in group]) for theta, group in groups.items()}
    if not matched:
        return {theta: Cell(rate) for theta, rate in rates.items()}
    against = {theta: compare_matched(group, matched) for theta, group in groups.items()}
    adjusted = holm([paired.p for paired in against.values()])
    return {t: Cell(rates[t], paired, p) for (t, paired), p in zip(against.items(), adjusted, strict=True)}


def _rates[K](outcomes: Sequence[Outcome], keys: Sequence[K]) -> dict[K, Rate]:
    """Success for every key, in the order in which they come up."""
    return {key: Rate.of([o.success for o in group]) for key, group in _groups(outcomes, keys).items()}


def _groups[K](outcomes: Sequence[Outcome], keys: Sequence[K]) -> dict[K, list[Outcome]]:
    groups: dict[K, list[Outcome]] = {}
    for key, outcome in zip(keys, outcomes, strict=True):
        groups.setdefault(key, []).append(outcome)
    return groups


def _effect_json(effect: FactorEffect) -> dict[str, Any]:
    rates = {"perturbed": effect.perturbed.to_json(), "matched": effect.matched.to_json()}
    return {**rates, **paired_json(effect.paired), "p_holm": effect.p_holm}


def _cell_json(theta: Perturbation, cell: Cell) -> dict[str, Any]:
    compared = {} if cell.against is None else {**paired_json(cell.against), "p_holm": cell.p_holm}
    return {"theta": dict(theta.values), "success": cell.success.to_json(), **compared}


def _bin_json(b: FactorBin) -> dict[str, Any]:
    matched = None if b.matched is None else b.matched.to_json()
    return {"low": b.low, "high": b.high, "success": b.success.to_json(), "matched": matched}
