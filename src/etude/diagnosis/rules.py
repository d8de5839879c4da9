"""Rules: boxes of few factors that explain failures, chosen on some episodes and judged on others.

The episodes are cut into folds. All folds but one propose boxes (beam search, the leaves of a shallow tree, and both
with factors left out) and cover their failures with the best of them, one after another; the fold that is held out then
says how often the policy fails inside and outside. Pockets that a search confirmed with fresh rollouts come with that
judgement. All are corrected together (Holm), and of several rules for the same place the clearest is kept.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from math import comb, inf, log

import numpy as np
from scipy.stats import hypergeom

from etude.core import Bounds, ConfigError, PerturbationSpace, Pocket, Rate, holm
from etude.diagnosis.episodes import Episodes, Flags, Points, mask
from etude.diagnosis.tree import tree_boxes

type Propose = Callable[[PerturbationSpace, Points, Flags], Sequence[Bounds]]
"""Looks for boxes of failures among points of the unit cube, as the searches' beam search does."""

_INTERVAL_PRICE = 4.5  # nats: the logarithm of how many clearly different intervals a factor has
_PARSIMONY = 3.0  # nats: so much clearer a box must be than one of fewer factors
_ANEW = 0.25  # share of a rule's failures that must lie outside the rules before it
_EDGE = 0.05  # of a factor's range: how far an edge may be off


@dataclass(frozen=True, kw_only=True)
class RuleConfig:
    """What counts as a rule.

    Attributes:
        max_rules: At most so many.
        folds: Parts that the episodes are cut into; each judges what the others propose.
        min_support: Fewest episodes inside, where a rule is proposed and where it is judged.
        min_score: Smallest log-likelihood gained where it is proposed, less its price [nats], see `_score`.
        alpha: Level of the test that failures are more frequent inside (Fisher's exact, Holm over all rules).
    """

    max_rules: int = 6
    folds: int = 4
    min_support: int = 4
    min_score: float = 2.0
    alpha: float = 0.05

    def __post_init__(self) -> None:
        if min(self.max_rules, self.min_support) < 1 or self.folds < 2 or not 0 < self.alpha < 1:
            raise ConfigError("max_rules and min_support must be >= 1, folds >= 2, and alpha in (0, 1).")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A box that explains failures, and the evidence.

    Attributes:
        bounds: The box.
        inside: Failures inside, among episodes that did not choose it.
        outside: Failures outside all rules that were chosen with it, likewise.
        p: That they are as frequent outside, corrected for all rules.
        origin: "pocket", "beam" or "tree".
        score: How clear it was where it was chosen.
    """

    bounds: Bounds
    inside: Rate
    outside: Rate
    p: float
    origin: str
    score: float


def find_rules(
    episodes: Episodes,
    propose: Propose,
    rng: np.random.Generator,
    *,
    pockets: Sequence[Pocket] = (),
    config: RuleConfig = RuleConfig(),
) -> list[Rule]:
    """Find the rules that explain the failures of a policy, the clearest first.

    Args:
        episodes: What it did.
        propose: Looks for boxes.
        rng: Cuts the episodes into folds.
        pockets: Boxes that fresh rollouts confirmed.
        config: What counts as a rule.
    """
    folds = _folds(episodes.weaknesses, rng, config.folds)
    known = [
        Rule(bounds=p.bounds, inside=p.inside, outside=p.outside, p=_more_frequent(p.inside, p.outside),
             origin="pocket", score=_score(p.inside, p.outside, len(p.bounds), len(episodes.space.factors)))
        for p in pockets
    ]  # fmt: skip
    own = [rule for fold in folds for rule in _judged_by(episodes, fold, propose, config)]
    rules = [*known, *own]
    corrected = [replace(rule, p=p) for rule, p in zip(rules, holm([rule.p for rule in rules]), strict=True)]
    clear = [rule for rule in corrected if rule.p < config.alpha]
    ranked = sorted(clear, key=lambda rule: (rule.origin != "pocket", -rule.score))
    return _distinct(episodes, ranked, config.alpha)[: config.max_rules]


def _folds(failed: Flags, rng: np.random.Generator, folds: int) -> list[Flags]:
    """Parts with the same share of failures, as masks of shape (N,)."""
    part = np.zeros(len(failed), dtype=int)
    for group in (np.flatnonzero(failed), np.flatnonzero(~failed)):
        part[rng.permutation(group)] = np.arange(len(group)) % folds
    return [part == fold for fold in range(folds)]


def _judged_by(episodes: Episodes, fold: Flags, propose: Propose, config: RuleConfig) -> list[Rule]:
    """What all other folds propose, judged by one."""
    chosen = _cover(episodes, ~fold, propose, config)
    boxes = [episodes.inside(bounds) for bounds, _, _ in chosen]
    rest = fold & ~np.logical_or.reduce([np.zeros(len(fold), dtype=bool), *boxes])
    outside = _failures(episodes.weaknesses, rest)
    rules: list[Rule] = []
    for (bounds, origin, score), box in zip(chosen, boxes, strict=True):
        inside = _failures(episodes.weaknesses, box & fold)
        p = _more_frequent(inside, outside) if inside.n >= config.min_support else 1.0
        rules.append(Rule(bounds=bounds, inside=inside, outside=outside, p=p, origin=origin, score=score))
    return rules


def _cover(episodes: Episodes, among: Flags, propose: Propose, config: RuleConfig) -> list[tuple[Bounds, str, float]]:
    """The boxes that explain most failures among some episodes, each outside those before: (box, origin, score)."""
    space, points, failed = episodes.space, episodes.points[among], episodes.weaknesses[among]
    chosen: list[tuple[Bounds, str, float]] = []
    left = np.ones(len(points), dtype=bool)
    while len(chosen) < config.max_rules and 0 < failed[left].sum() < left.sum():
        proposed = [(bounds, "beam") for bounds in propose(space, points[left], failed[left])]
        proposed += [(b, "tree") for b in tree_boxes(space, points[left], failed[left], min_leaf=config.min_support)]
        scored = [
            (_score(inside, _failures(failed, left & ~box), len(bounds), len(space.factors)), bounds, origin)
            for whole, origin in proposed
            for bounds in _parts(whole)
            if (inside := _failures(failed, left & (box := mask(points, bounds, space)))).n >= config.min_support
        ]
        best = max((score for score, _, _ in scored), default=-inf)
        if best < config.min_score:
            break
        fewest = [one for one in scored if one[0] >= best - _PARSIMONY]
        score, bounds, origin = min(fewest, key=lambda one: (len(one[1]), -one[0]))
        chosen.append((bounds, origin, score))
        left &= ~mask(points, bounds, space)
    return chosen


def _parts(bounds: Bounds) -> list[Bounds]:
    """A box, and what is left of it without some of its factors."""
    return [
        {name: bounds[name] for name in names}
        for count in range(len(bounds), 0, -1)
        for names in combinations(bounds, count)
    ]


def _distinct(episodes: Episodes, ranked: Sequence[Rule], alpha: float) -> list[Rule]:
    """The rules that explain failures which no clearer rule explains."""
    kept: list[Rule] = []
    failed, left = episodes.weaknesses, np.ones(len(episodes), dtype=bool)
    for rule in ranked:
        box = episodes.inside(rule.bounds)
        inside, outside = _failures(failed, left & box), _failures(failed, left & ~box)
        if inside.k >= _ANEW * (failed & box).sum() and _more_frequent(inside, outside) < alpha:
            kept.append(rule)
            left &= ~episodes.inside(_widened(rule.bounds, episodes.space))
    return kept


def _widened(bounds: Bounds, space: PerturbationSpace) -> Bounds:
    """The box with its edges as far out as they may be off."""
    spans = {name: _EDGE * (space[name].high - space[name].low) for name in bounds}
    return {name: (low - spans[name], high + spans[name]) for name, (low, high) in bounds.items()}


def _failures(failed: Flags, among: Flags) -> Rate:
    return Rate(int(failed[among].sum()), int(among.sum()))


def _score(inside: Rate, outside: Rate, factors: int, among: int) -> float:
    """How much likelier a rate inside and one outside make the failures than one rate for all, less the box's price.

    The price is the logarithm of how many boxes there are of so many factors: by chance alone the best of them seldom
    gains more [nats]. The searches' beam judges alike (a scan statistic, Kulldorff 1997).
    """
    if not inside.n or not outside.n or inside.value <= outside.value:
        return -inf
    both = Rate(inside.k + outside.k, inside.n + outside.n)
    price = log(comb(among, factors)) + factors * _INTERVAL_PRICE
    return _likelihood(inside) + _likelihood(outside) - _likelihood(both) - price


def _likelihood(rate: Rate) -> float:
    """Logarithm, of k failures in n episodes at the rate k / n."""
    k, n = rate.k, rate.n
    return k * log(k / n) + (n - k) * log(1 - k / n) if 0 < k < n else 0.0


def _more_frequent(inside: Rate, outside: Rate) -> float:
    """One-sided p-value of Fisher's exact test that failures are more frequent inside."""
    k, n = inside.k + outside.k, inside.n + outside.n
    return float(hypergeom.sf(inside.k - 1, n, k, inside.n))
