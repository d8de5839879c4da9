"""Draws perturbations for new demonstrations: in and around the pockets, and a share everywhere."""

from dataclasses import dataclass

import numpy as np

from etude.core import Bounds, ConfigError, Perturbation, PerturbationSpace, Plan, Pocket, Practice
from etude.search.pockets import sample_inside
from etude.search.suites import EVERYWHERE


@dataclass(frozen=True, kw_only=True)
class TargetedSampler:
    """Every pocket has its own share, so that a large one does not starve the others.

    The share of a pocket is proportional to p(policy fails) · p(expert succeeds) inside it: effort goes where there is
    something to learn and somebody to learn it from.

    Attributes:
        space: Where to draw.
        pockets: Confirmed pockets; without any, and without a plan, all draws are uniform.
        plan: What a diagnosis recommends: its practices, their shares and how far around them take the place of the
            pockets'.
        inflate: How far around a pocket to draw as well, as a share of its width, on each side.
        uniform_fraction: Share of draws from the whole space.
    """

    space: PerturbationSpace
    pockets: tuple[Pocket, ...] = ()
    plan: Plan | None = None
    inflate: float = Plan.inflate
    uniform_fraction: float = 0.2

    def __post_init__(self) -> None:
        if self.inflate < 0 or not 0 <= self.uniform_fraction <= 1:
            raise ConfigError(
                f"needs inflate >= 0 and uniform_fraction in [0, 1], got {self.inflate:g}, {self.uniform_fraction:g}."
            )

    def shares(self) -> dict[str, float]:
        """Label -> probability that a draw comes from there."""
        if self.plan:
            return {label: practice.share for label, practice in self._practices().items()}
        weights = np.array([p.inside.value * p.expert.value for p in self.pockets])
        if not weights.any():
            return {EVERYWHERE: 1.0}
        aimed = (1 - self.uniform_fraction) * weights / weights.sum()
        return {
            **dict(zip([p.name for p in self.pockets], aimed.tolist(), strict=True)),
            EVERYWHERE: self.uniform_fraction,
        }

    def __call__(self, rng: np.random.Generator) -> Perturbation:
        """Draw a feasible θ."""
        return self.sample(rng)[0]

    def sample(self, rng: np.random.Generator) -> tuple[Perturbation, str]:
        """Draw a feasible θ, and the label of where it comes from.

        Raises:
            InfeasibleError: Hardly anything there is feasible.
        """
        shares = self.shares()
        label = list(shares)[int(rng.choice(len(shares), p=list(shares.values())))]
        places = self._practices() if self.plan else {pocket.name: pocket for pocket in self.pockets}
        bounds = self._around(places[label].bounds) if label in places else {}
        return sample_inside(self.space, bounds, rng), label

    def _practices(self) -> dict[str, Practice]:
        """The plan's practices by label."""
        practices = self.plan.practices if self.plan else ()
        return {f"practice-{i}" if one.bounds else EVERYWHERE: one for i, one in enumerate(practices, 1)}

    def _around(self, bounds: Bounds) -> Bounds:
        inflate, around = self.plan.inflate if self.plan else self.inflate, dict[str, tuple[float, float]]()
        for name, (low, high) in bounds.items():
            factor, margin = self.space[name], inflate * (high - low)
            around[name] = (max(factor.low, low - margin), min(factor.high, high + margin))
        return around
