"""Counterfactual rollouts: the failures of a rule once more on the same seed, with one factor undone.

To undo a factor is to leave it out of θ: it is nominal then, or for a layout the seed's draw. What that repairs counts
only beyond what a sham repairs, because a policy near its limits succeeds now and then whatever is changed: the sham
moves every factor by at most 1 % of its range. Both are rolled out for the same failures: their difference is paired.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import inf, nan

import numpy as np

from etude.core import (
    Bounds,
    Case,
    ConfigError,
    Effect,
    Interaction,
    Outcome,
    Paired,
    Perturbation,
    PerturbationSpace,
    Rate,
    Roll,
    Verdict,
    holm,
)

SHAM = "sham"
_JITTER = 0.01
_TRIES = 20


@dataclass(frozen=True, kw_only=True)
class CounterfactualConfig:
    """How much is rolled out, and what counts as proof.

    Attributes:
        rollouts: At most so many in all.
        per_cause: Failures of a rule that are rolled out again, at most.
        enough: Failures of a rule that the budget must allow: among fewer an idle factor is not refuted. The clearest
            rules come first; where the budget ends, the others stay untested.
        fewest: Failures below which a rule is not tested, for they would tell nothing.
        alpha: Level of the tests, corrected over all of them (Holm).
        noticeable: Smallest effect that matters: a factor is refuted where the interval lies below it.
    """

    rollouts: int = 300
    per_cause: int = 30
    enough: int = 12
    fewest: int = 6
    alpha: float = 0.05
    noticeable: float = 0.25

    def __post_init__(self) -> None:
        if self.rollouts < 0 or not 1 <= self.fewest <= self.enough <= self.per_cause:
            raise ConfigError(
                f"needs rollouts >= 0 and 1 <= fewest <= enough <= per_cause, got {self.rollouts}, {self.fewest}, "
                f"{self.enough}, {self.per_cause}."
            )


@dataclass(frozen=True, kw_only=True)
class Question:
    """The failures of one rule, and the factors that may be behind them.

    Attributes:
        cause: Name of the cause.
        bounds: Its rule.
        cases: Its failures.
        factors: What is undone, one at a time.
    """

    cause: str
    bounds: Bounds
    cases: tuple[Case, ...]
    factors: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Counterfactual:
    """One rollout.

    Attributes:
        cause: Name of the cause.
        undone: The factors that were undone; ("sham",) for the sham.
        case: The failure it starts from.
        outcome: What became of it.
    """

    cause: str
    undone: tuple[str, ...]
    case: Case
    outcome: Outcome


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What the rollouts say of one question: effects, the strongest first, and the interaction of the first two."""

    effects: tuple[Effect, ...]
    interaction: Interaction | None


def untested(question: Question) -> Answer:
    """The answer where nothing can be rolled out."""
    return Answer(effects=tuple(_effect(factor, {}, {}, "untested") for factor in question.factors), interaction=None)


def ask(
    space: PerturbationSpace,
    questions: Sequence[Question],
    roll: Roll,
    rng: np.random.Generator,
    config: CounterfactualConfig = CounterfactualConfig(),
) -> tuple[list[Answer], list[Counterfactual]]:
    """Roll out every question's failures again: with one factor undone, with a sham, then with two undone.

    Args:
        space: The space of all cases.
        questions: What to find out; their failures are drawn from at random.
        roll: Runs the policy. It is called twice, with all cases of a kind.
        rng: Draws failures and jitters.
        config: How much, and what counts as proof.

    Returns:
        An answer per question, and all rollouts.
    """
    chosen = _chosen(questions, rng, config)
    singles = [
        (q.cause, names, case, changed)
        for q, cases in zip(questions, chosen, strict=True)
        for case in cases
        for names, changed in _singles(space, q, case, rng)
    ]
    rolled = _roll(roll, singles)
    effects = _judge(questions, chosen, rolled, config)
    pairs = [_strongest(ranked) for ranked in effects]
    doubles = [
        (q.cause, pair, case, changed)
        for q, cases, pair in zip(questions, chosen, pairs, strict=True)
        if pair
        for case in cases
        if (changed := undone(space, q.bounds, case, *pair)) is not None
    ]
    rolled += _roll(roll, doubles)
    answers = [
        Answer(effects=tuple(ranked), interaction=_interaction(_repaired(rolled, q.cause), ranked, pair))
        for q, ranked, pair in zip(questions, effects, pairs, strict=True)
    ]
    return answers, rolled


def _chosen(
    questions: Sequence[Question], rng: np.random.Generator, config: CounterfactualConfig
) -> list[tuple[Case, ...]]:
    """Which failures of each question are rolled out: as many for each, and none where the budget has too few."""
    left, chosen = config.rollouts, list[tuple[Case, ...]]()
    costs = [len(q.factors) + 2 for q in questions]  # each factor alone, the sham, and two together
    for i, q in enumerate(questions):
        share = max(left // sum(costs[i:]), config.enough)
        count = min(share, left // costs[i], config.per_cause, len(q.cases))
        if count < max(config.fewest, min(config.enough, len(q.cases))):
            count = 0
        picked = sorted(rng.permutation(len(q.cases))[:count].tolist())
        chosen.append(tuple(q.cases[j] for j in picked))
        left -= count * costs[i]
    return chosen


def _singles(
    space: PerturbationSpace, question: Question, case: Case, rng: np.random.Generator
) -> list[tuple[tuple[str, ...], Case]]:
    """The sham of a failure, and the failure with each factor undone that can be."""
    each = [((factor,), undone(space, question.bounds, case, factor)) for factor in question.factors]
    return [((SHAM,), jittered(space, case, rng)), *((name, changed) for name, changed in each if changed)]


def undone(space: PerturbationSpace, bounds: Bounds, case: Case, *factors: str) -> Case | None:
    """The case without some factors; None where that leaves one as it is, or the world cannot be so."""
    theta = case.theta.without(*factors)
    if not all(_moves(space, bounds, case.theta, name) for name in factors) or space.infeasible(theta) is not None:
        return None
    return Case(theta, case.seed)


def _moves(space: PerturbationSpace, bounds: Bounds, theta: Perturbation, name: str) -> bool:
    """Whether undoing a factor changes it, and takes it out of the rule where its nominal value is known."""
    factor = space[name]
    if name not in theta.values or factor.kind in ("layout", "distractor"):
        return name in theta.values  # the seed draws another value
    low, high = bounds.get(name, (inf, -inf))
    return theta.values[name] != factor.nominal and not low <= factor.nominal <= high


def jittered(space: PerturbationSpace, case: Case, rng: np.random.Generator) -> Case:
    """The case with every factor that is set moved by at most 1 % of its range; as it is where that cannot be."""
    for _ in range(_TRIES):
        moved: dict[str, float] = {}
        for name, value in case.theta.values.items():
            f = space[name]
            moved[name] = float(np.clip(value + _JITTER * (f.high - f.low) * rng.uniform(-1, 1), f.low, f.high))
        theta = Perturbation(moved)
        if space.infeasible(theta) is None:
            return Case(theta, case.seed)
    return case


def _roll(roll: Roll, changed: Sequence[tuple[str, tuple[str, ...], Case, Case]]) -> list[Counterfactual]:
    outcomes = roll([case for *_, case in changed]) if changed else ()
    return [
        Counterfactual(cause=cause, undone=names, case=case, outcome=outcome)
        for (cause, names, case, _), outcome in zip(changed, outcomes, strict=True)
    ]


type _Repaired = Mapping[Case, bool]


def _repaired(rolled: Sequence[Counterfactual], cause: str) -> dict[tuple[str, ...], dict[Case, bool]]:
    """What was undone -> failure -> whether that repaired it."""
    found: dict[tuple[str, ...], dict[Case, bool]] = {}
    for one in rolled:
        if one.cause == cause:
            found.setdefault(one.undone, {})[one.case] = one.outcome.success
    return found


def _judge(
    questions: Sequence[Question],
    chosen: Sequence[Sequence[Case]],
    rolled: Sequence[Counterfactual],
    config: CounterfactualConfig,
) -> list[list[Effect]]:
    """The effects of every question's factors, the strongest first, corrected over all of them together."""
    found = [_repaired(rolled, q.cause) for q in questions]
    tested = [
        (i, factor)
        for i, q in enumerate(questions)
        for factor in q.factors
        if len(found[i].get((factor,), {})) >= config.fewest
    ]
    pairs = [_paired(found[i][(factor,)], found[i][(SHAM,)]) for i, factor in tested]
    p_values = dict(zip(tested, holm([_more_p(pair) for pair in pairs]), strict=True))
    effects: list[list[Effect]] = []
    for i, q in enumerate(questions):
        own: list[Effect] = []
        for factor in q.factors:
            repaired, sham = found[i].get((factor,), {}), found[i].get((SHAM,), {})
            p = p_values.get((i, factor))
            if p is None:
                own.append(_effect(factor, repaired, sham, "untestable" if chosen[i] else "untested"))
            else:
                own.append(_effect(factor, repaired, sham, _verdict(_paired(repaired, sham), p, config), p))
        effects.append(sorted(own, key=lambda effect: -np.nan_to_num(effect.difference[0], nan=-2.0)))
    return effects


def _verdict(pair: Paired, p: float, config: CounterfactualConfig) -> Verdict:
    if p < config.alpha:
        return "confirmed"
    return "refuted" if pair.interval()[1] < config.noticeable else "undecided"


def _effect(factor: str, repaired: _Repaired, sham: _Repaired, verdict: Verdict, p: float = 1.0) -> Effect:
    same = {case: sham[case] for case in repaired}
    return Effect(
        factor=factor,
        repaired=Rate.of(list(repaired.values())),
        sham=Rate.of(list(same.values())),
        difference=_difference(_paired(repaired, same)),
        verdict=verdict,
        p=p,
    )


def _strongest(effects: Sequence[Effect]) -> tuple[str, str] | None:
    """The two factors with the strongest effects; None unless at least one is proven and two were tested."""
    tested = [effect for effect in effects if effect.verdict in ("confirmed", "refuted", "undecided")]
    if len(tested) < 2 or tested[0].verdict != "confirmed":
        return None
    return tested[0].factor, tested[1].factor


def _interaction(
    found: Mapping[tuple[str, ...], _Repaired], effects: Sequence[Effect], pair: tuple[str, str] | None
) -> Interaction | None:
    """What undoing two factors repairs beyond the better of the two alone, on the same failures."""
    if pair is None or not (both := found.get(pair, {})):
        return None
    alone = found[(pair[0],)]  # effects are ranked: the first repairs most
    same = {case: success for case, success in both.items() if case in alone}
    return Interaction(
        factors=pair, repaired=Rate.of(list(both.values())), difference=_difference(_paired(same, alone))
    )


def _paired(first: _Repaired, second: _Repaired) -> Paired:
    """Two ways of changing the same failures; `second` may have more of them."""
    return Paired.of(list(first.values()), [second[case] for case in first])


def _more_p(pair: Paired) -> float:
    """One-sided: that the first repairs no more than the second."""
    return pair.p / 2 if pair.wins > pair.losses else 1.0


def _difference(pair: Paired) -> tuple[float, float, float]:
    low, high = pair.interval() if pair.n else (nan, nan)
    return pair.difference, low, high
