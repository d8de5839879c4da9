"""Rules: boxes of few factors that explain failures, chosen on one half of the episodes and judged on the other.

Each half proposes boxes (beam search, the leaves of a shallow tree) and covers its failures with the best of them, one
after another; the other half then says how often the policy fails inside and outside. Pockets that a search confirmed
with fresh rollouts come with that judgement. All are corrected together (Holm), and a rule is kept only where it
explains failures that the rules before it do not.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import sqrt

import numpy as np
from scipy.stats import hypergeom

from etude.core import Bounds, ConfigError, PerturbationSpace, Pocket, Rate, holm
from etude.diagnosis.episodes import Episodes, Flags, Points, mask
from etude.diagnosis.tree import tree_boxes

type Propose = Callable[[PerturbationSpace, Points, Flags], Sequence[Bounds]]
"""Looks for boxes of failures among points of the unit cube, as the searches' beam search does."""

_FACTOR_PRICE = 0.7  # in units of z: more factors offer more chances to look good


@dataclass(frozen=True, kw_only=True)
class RuleConfig:
    """What counts as a rule.

    Attributes:
        max_rules: At most so many.
        min_support: Fewest episodes inside, in the half that proposes and in the half that judges.
        min_score: Smallest z in the half that proposes, less a price per factor.
        alpha: Level of the test that failures are more frequent inside (Fisher's exact, Holm over all rules).
    """

    max_rules: int = 6
    min_support: int = 6
    min_score: float = 2.0
    alpha: float = 0.05

    def __post_init__(self) -> None:
        if min(self.max_rules, self.min_support) < 1 or not 0 < self.alpha < 1:
            raise ConfigError("max_rules and min_support must be >= 1, and alpha in (0, 1).")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """A box that explains failures, and the evidence.

    Attributes:
        bounds: The box.
        inside: Failures inside, among episodes that did not choose it.
        outside: Failures outside all rules of the same half, likewise.
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
        rng: Cuts the episodes into halves.
        pockets: Boxes that fresh rollouts confirmed.
        config: What counts as a rule.
    """
    halves = _halves(episodes.weaknesses, rng)
    known = [
        Rule(bounds=p.bounds, inside=p.inside, outside=p.outside, p=_more_frequent(p.inside, p.outside),
             origin="pocket", score=_score(p.inside, p.outside.value, len(p.bounds)))
        for p in pockets
    ]  # fmt: skip
    own = [rule for first in halves for rule in _from_half(episodes, first, propose, config)]
    rules = [*known, *own]
    corrected = [replace(rule, p=p) for rule, p in zip(rules, holm([rule.p for rule in rules]), strict=True)]
    clear = [rule for rule in corrected if rule.p < config.alpha]
    ranked = sorted(clear, key=lambda rule: (rule.origin != "pocket", -rule.score))
    return _distinct(episodes, ranked, config)


def _halves(failed: Flags, rng: np.random.Generator) -> tuple[Flags, Flags]:
    """Two halves with the same share of failures, as masks of shape (N,)."""
    first = np.zeros(len(failed), dtype=bool)
    for group in (np.flatnonzero(failed), np.flatnonzero(~failed)):
        first[rng.permutation(group)[: (len(group) + 1) // 2]] = True
    return first, ~first


def _from_half(episodes: Episodes, half: Flags, propose: Propose, config: RuleConfig) -> list[Rule]:
    """What one half proposes, judged by the other."""
    chosen = _cover(episodes, half, propose, config)
    boxes = [episodes.inside(bounds) for bounds, _, _ in chosen]
    rest = ~half & ~np.logical_or.reduce([np.zeros(len(half), dtype=bool), *boxes])
    outside = _failures(episodes.weaknesses, rest)
    rules: list[Rule] = []
    for (bounds, origin, score), box in zip(chosen, boxes, strict=True):
        inside = _failures(episodes.weaknesses, box & ~half)
        p = _more_frequent(inside, outside) if inside.n >= config.min_support else 1.0
        rules.append(Rule(bounds=bounds, inside=inside, outside=outside, p=p, origin=origin, score=score))
    return rules


def _cover(episodes: Episodes, half: Flags, propose: Propose, config: RuleConfig) -> list[tuple[Bounds, str, float]]:
    """The boxes that explain most failures of one half, each looked for outside those before: (box, origin, score)."""
    space, points, failed = episodes.space, episodes.points[half], episodes.weaknesses[half]
    chosen: list[tuple[Bounds, str, float]] = []
    left = np.ones(len(points), dtype=bool)
    while len(chosen) < config.max_rules and 0 < failed[left].sum() < left.sum():
        proposed = [(bounds, "beam") for bounds in propose(space, points[left], failed[left])]
        proposed += [(b, "tree") for b in tree_boxes(space, points[left], failed[left], min_leaf=config.min_support)]
        overall = float(failed[left].mean())
        scored = [
            (_score(inside, overall, len(bounds)), bounds, origin)
            for bounds, origin in proposed
            if (inside := _failures(failed, left & mask(points, bounds, space))).n >= config.min_support
        ]
        score, bounds, origin = max(scored, key=lambda one: one[0], default=(0.0, {}, ""))
        if score < config.min_score:
            break
        chosen.append((bounds, origin, score))
        left &= ~mask(points, bounds, space)
    return chosen


def _distinct(episodes: Episodes, ranked: Sequence[Rule], config: RuleConfig) -> list[Rule]:
    """The rules that explain failures outside all rules before them."""
    kept: list[Rule] = []
    left = np.ones(len(episodes), dtype=bool)
    for rule in ranked:
        box = episodes.inside(rule.bounds)
        inside, outside = _failures(episodes.weaknesses, left & box), _failures(episodes.weaknesses, left & ~box)
        anew = inside.n >= config.min_support and _more_frequent(inside, outside) < config.alpha
        if (not kept or anew or rule.origin == "pocket") and len(kept) < config.max_rules:
            kept.append(rule)
            left &= ~box
    return kept


def _failures(failed: Flags, among: Flags) -> Rate:
    return Rate(int(failed[among].sum()), int(among.sum()))


def _score(inside: Rate, overall: float, factors: int) -> float:
    """How far the failures inside exceed what the overall rate gives, as z, less the price of the factors."""
    p = min(max(overall, 1e-6), 1 - 1e-6)
    return (inside.k - inside.n * p) / sqrt(inside.n * p * (1 - p)) - factors * _FACTOR_PRICE if inside.n else 0.0


def _more_frequent(inside: Rate, outside: Rate) -> float:
    """One-sided p-value of Fisher's exact test that failures are more frequent inside."""
    k, n = inside.k + outside.k, inside.n + outside.n
    return float(hypergeom.sf(inside.k - 1, n, k, inside.n))
