"""What single factors do to a policy: cases that vary one of them, beside the unperturbed world on the same seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from etude.core import (
    Case,
    Factor,
    InfeasibleError,
    MismatchError,
    Outcome,
    Paired,
    Perturbation,
    PerturbationSpace,
    Rate,
    derive_seed,
    holm,
    stream,
)

_TRIES = 1_000


@dataclass(frozen=True)
class FactorBin:
    """Success where one factor lies in [low, high), physical units; and of the unperturbed worlds on the same seeds."""

    low: float
    high: float
    success: Rate
    matched: Rate | None = None


@dataclass(frozen=True, kw_only=True)
class FactorEffect:
    """What varying one factor alone did.

    Attributes:
        perturbed: Success with the factor drawn.
        matched: Success in the unperturbed worlds of the same seeds.
        paired: Case by case: wins are cases that only the perturbed world let succeed, losses the reverse.
        p_holm: Exact McNemar p-value, adjusted by Holm for the number of factors.
    """

    perturbed: Rate
    matched: Rate
    paired: Paired
    p_holm: float


def same_seeds(count: int, seed: int) -> list[int]:
    """The seeds of `count` cases: the same for every factor and every cell, and those of nominal cases of this seed."""
    return [derive_seed(seed, "case", index) for index in range(count)]


def one_at_a_time(
    space: PerturbationSpace, names: Sequence[str], count: int, seed: int, base: Perturbation | None = None
) -> list[Case]:
    """Cases in which one factor alone is drawn, uniformly over its range: `count` of every factor.

    Args:
        space: What can vary.
        names: The factors, one after the other.
        count: Cases of each, all factors on the same seeds.
        seed: Root of the randomness; case i of a factor is the same whatever the other arguments.
        base: Values that all cases have; by default none.

    Raises:
        InfeasibleError: Hardly any value of a factor is feasible.
    """
    fixed = base or Perturbation()
    return [
        Case(vary_one(space, space[name], fixed, stream(seed, "factor", name, index)), case_seed)
        for name in names
        for index, case_seed in enumerate(same_seeds(count, seed))
    ]


def vary_one(space: PerturbationSpace, factor: Factor, base: Perturbation, rng: np.random.Generator) -> Perturbation:
    """Draw one factor uniformly over its feasible values, beside what `base` has.

    Raises:
        InfeasibleError: Hardly any value is feasible.
    """
    reason = ""
    for _ in range(_TRIES):
        theta = Perturbation({**base.values, factor.name: float(rng.uniform(factor.low, factor.high))})
        reason = space.infeasible(theta)
        if reason is None:
            return theta
    raise InfeasibleError(f"of {_TRIES} draws of '{factor.name}' alone none was feasible, the last because {reason}")


def matched_cases(cases: Sequence[Case], base: Perturbation | None = None) -> list[Case]:
    """The unperturbed case of every seed, once: what `cases` are to be compared with.

    Args:
        cases: What is evaluated.
        base: Values that unperturbed worlds have too; by default none.
    """
    return [Case(base or Perturbation(), seed) for seed in dict.fromkeys(case.seed for case in cases)]


def pairs(outcomes: Sequence[Outcome], matched: Sequence[Outcome]) -> list[tuple[Outcome, Outcome]]:
    """Each outcome with that of the unperturbed case of its seed.

    Raises:
        MismatchError: A seed has none.
    """
    known = {outcome.case.seed: outcome for outcome in matched}
    missing = {outcome.case.seed for outcome in outcomes} - known.keys()
    if missing:
        raise MismatchError(f"no unperturbed case was run on seed {min(missing)}; evaluate its matched_cases too.")
    return [(outcome, known[outcome.case.seed]) for outcome in outcomes]


def compare_matched(outcomes: Sequence[Outcome], matched: Sequence[Outcome]) -> Paired:
    """Success case by case against the unperturbed worlds: wins are cases that only the perturbed let succeed."""
    both = pairs(outcomes, matched)
    return Paired.of([o.success for o, _ in both], [m.success for _, m in both])


def seeds_differ(outcomes: Sequence[Outcome]) -> bool:
    """Whether no seed comes twice: only then are comparisons with unperturbed worlds independent of one another."""
    return len({outcome.case.seed for outcome in outcomes}) == len(outcomes)


def factor_effects(outcomes: Sequence[Outcome], matched: Sequence[Outcome]) -> dict[str, FactorEffect]:
    """The effect of each factor that some cases vary alone, each on a seed of its own; the most harmful first.

    Other cases are left out, and so are factors that vary on the same seed twice, as on a grid: their pairs would not
    be independent.
    """
    groups: dict[str, list[tuple[Outcome, Outcome]]] = {}
    for outcome, plain in pairs(outcomes, matched):
        changed = outcome.case.theta.values.keys() - plain.case.theta.values.keys()
        if len(changed) == 1:
            groups.setdefault(changed.pop(), []).append((outcome, plain))
    groups = {name: group for name, group in groups.items() if seeds_differ([outcome for outcome, _ in group])}
    counted = {name: Paired.of([o.success for o, _ in g], [m.success for _, m in g]) for name, g in groups.items()}
    adjusted = dict(zip(counted, holm([paired.p for paired in counted.values()]), strict=True))
    effects = {
        name: FactorEffect(
            perturbed=Rate.of([o.success for o, _ in group]),
            matched=Rate.of([m.success for _, m in group]),
            paired=counted[name],
            p_holm=adjusted[name],
        )
        for name, group in groups.items()
    }
    return dict(sorted(effects.items(), key=lambda pair: (pair[1].paired.difference, pair[1].p_holm, pair[0])))


def by_factor(
    outcomes: Sequence[Outcome], factor: Factor, bins: int = 6, matched: Sequence[Outcome] = ()
) -> list[FactorBin]:
    """Success along one factor, in bins of equal width; cases whose θ leaves it unset are left out.

    Args:
        outcomes: What became of the cases.
        factor: Along which.
        bins: How many.
        matched: Outcomes of the matched cases, where they were run.
    """
    chosen = [o for o in outcomes if factor.name in o.case.theta.values]
    plain = [m.success for _, m in pairs(chosen, matched)] if matched else None
    edges = np.linspace(factor.low, factor.high, bins + 1)
    values = [o.case.theta.values[factor.name] for o in chosen]
    index = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, bins - 1)

    def rate(successes: Sequence[bool], b: int) -> Rate:
        return Rate.of([success for success, i in zip(successes, index, strict=True) if i == b])

    succeeded = [o.success for o in chosen]
    return [
        FactorBin(float(edges[b]), float(edges[b + 1]), rate(succeeded, b), None if plain is None else rate(plain, b))
        for b in range(bins)
    ]


def varied(outcomes: Sequence[Outcome], space: PerturbationSpace) -> list[Factor]:
    """The factors that take more than one value in these cases, in the order of the space."""
    values: dict[str, set[float]] = {}
    for outcome in outcomes:
        for name, value in outcome.case.theta.values.items():
            values.setdefault(name, set()).add(value)
    return [factor for factor in space.factors if len(values.get(factor.name, ())) > 1]


def paired_json(paired: Paired) -> Mapping[str, Any]:
    """The counts of a paired comparison, with what they say."""
    counts = {"wins": paired.wins, "losses": paired.losses, "ties": paired.ties}
    return {**counts, "difference": paired.difference, "p": paired.p}
