"""From boxes to pockets: fresh rollouts decide, inside and outside, for the policy and for the expert."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import comb

import numpy as np

from etude.core import (
    Bounds,
    Case,
    ConfigError,
    InfeasibleError,
    Perturbation,
    PerturbationSpace,
    Pocket,
    Rate,
    Roll,
    holm,
)
from etude.search.boxes import Box
from etude.search.places import same_place

_MAX_TRIES = 20_000


@dataclass(frozen=True, kw_only=True)
class ConfirmConfig:
    """How much evidence makes a pocket.

    Attributes:
        inside: Fresh rollouts inside each box.
        outside: Fresh rollouts outside all boxes.
        alpha: Level of the test that failures are more frequent inside (Fisher's exact, Holm over boxes).
        min_expert: Lowest success rate of the expert inside: below it, the place is hard, not the policy weak.
        volume_draws: Draws that estimate how much of the feasible space a box is.
    """

    inside: int = 20
    outside: int = 40
    alpha: float = 0.05
    min_expert: float = 0.5
    volume_draws: int = 1000

    def __post_init__(self) -> None:
        if min(self.inside, self.outside, self.volume_draws) < 1 or not 0 < self.alpha < 1:
            raise ConfigError("inside, outside and volume_draws must be >= 1, and alpha in (0, 1).")


@dataclass(frozen=True, kw_only=True)
class Confirmation:
    """What fresh rollouts made of the boxes.

    Attributes:
        pockets: Confirmed, by failures inside times the expert's success there, the worst first.
        refuted: Measured in the same way, and not confirmed.
        policy_rollouts: Spent on the policy.
        expert_rollouts: Spent on the expert.
    """

    pockets: tuple[Pocket, ...]
    refuted: tuple[Pocket, ...]
    policy_rollouts: int
    expert_rollouts: int


def confirm_pockets(
    space: PerturbationSpace,
    boxes: Sequence[Box],
    roll_policy: Roll,
    roll_expert: Roll,
    config: ConfirmConfig,
    rng: np.random.Generator,
) -> Confirmation:
    """Roll out afresh inside every box and outside all of them.

    Of boxes that are the same place only the first is looked at, and none in which hardly anything is feasible. A
    policy that fails everywhere has no pockets: nowhere does it fail clearly more often than elsewhere.

    Args:
        space: The space of the boxes.
        boxes: From `find_boxes`.
        roll_policy: Runs the policy.
        roll_expert: Runs the expert.
        config: How much evidence is needed.
        rng: Draws perturbations and seeds.
    """
    boxes, inside = _drawn_inside(space, _distinct(space, boxes), config.inside, rng)
    if not boxes:
        return Confirmation(pockets=(), refuted=(), policy_rollouts=0, expert_rollouts=0)
    outside = _drawn_outside(space, boxes, config.outside, rng)
    failed = [not outcome.success for outcome in roll_policy([*inside, *outside])]
    expert = [outcome.success for outcome in roll_expert(inside)]
    rest = Rate.of(failed[len(inside) :])
    measured = [
        Pocket(
            name="",
            bounds=box.bounds,
            inside=Rate.of(failed[i * config.inside : (i + 1) * config.inside]),
            outside=rest,
            expert=Rate.of(expert[i * config.inside : (i + 1) * config.inside]),
            volume=volume(space, box.bounds, rng, config.volume_draws),
        )
        for i, box in enumerate(boxes)
    ]
    p_values = holm([more_frequent_p(pocket.inside, pocket.outside) for pocket in measured])
    clear = [p < config.alpha and m.expert.value >= config.min_expert for p, m in zip(p_values, measured, strict=True)]
    return Confirmation(
        pockets=_named("pocket", [m for m, ok in zip(measured, clear, strict=True) if ok]),
        refuted=_named("refuted", [m for m, ok in zip(measured, clear, strict=True) if not ok]),
        policy_rollouts=len(failed),
        expert_rollouts=len(expert),
    )


def why_refuted(box: Pocket, min_expert: float = ConfirmConfig.min_expert) -> str:
    """Why fresh rollouts did not make a pocket of a box."""
    if box.expert.n and box.expert.value < min_expert:
        return f"hard for the expert, too, who succeeds {box.expert}"
    return "not clearly more often than outside"


def sample_inside(space: PerturbationSpace, bounds: Bounds, rng: np.random.Generator) -> Perturbation:
    """Draw a full, feasible θ uniformly inside a box.

    Raises:
        InfeasibleError: Hardly anything inside is feasible.
    """
    for _ in range(_MAX_TRIES):
        theta = _draw(space, bounds, rng)
        if space.infeasible(theta) is None:
            return theta
    raise InfeasibleError(f"no feasible point in {_MAX_TRIES} draws of the box over {', '.join(bounds)}")


def volume(space: PerturbationSpace, bounds: Bounds, rng: np.random.Generator, draws: int = 1000) -> float:
    """Share of the feasible space that lies in a box.

    P(box | feasible) = P(box) P(feasible | box) / P(feasible): both feasibilities are estimated, so that even tiny
    boxes get a precise volume.
    """
    widths = [(high - low) / (space[name].high - space[name].low) for name, (low, high) in bounds.items()]
    within = sum(space.infeasible(_draw(space, bounds, rng)) is None for _ in range(draws))
    overall = sum(space.infeasible(_draw(space, {}, rng)) is None for _ in range(draws))
    return min(1.0, float(np.prod(widths)) * within / overall) if overall else 0.0


def more_frequent_p(inside: Rate, outside: Rate) -> float:
    """One-sided p-value of Fisher's exact test that events are more frequent inside than outside."""
    events, trials = inside.k + outside.k, inside.n + outside.n
    ways = sum(
        comb(inside.n, k) * comb(outside.n, events - k)
        for k in range(inside.k, min(inside.n, events) + 1)
        if events - k <= outside.n
    )
    return ways / comb(trials, events)


def _named(kind: str, pockets: Sequence[Pocket]) -> tuple[Pocket, ...]:
    worst_first = sorted(pockets, key=lambda p: -p.inside.value * p.expert.value)
    return tuple(replace(pocket, name=f"{kind}-{rank}") for rank, pocket in enumerate(worst_first, 1))


def _draw(space: PerturbationSpace, bounds: Bounds, rng: np.random.Generator) -> Perturbation:
    ranges = [bounds.get(f.name, (f.low, f.high)) for f in space.factors]
    low, high = np.array(ranges).T
    return space.perturbation(np.clip(low + rng.random(len(ranges)) * (high - low), low, high))


def _distinct(space: PerturbationSpace, boxes: Sequence[Box]) -> list[Box]:
    kept: list[Box] = []
    for box in boxes:
        if not any(same_place(box.bounds, other.bounds, space) for other in kept):
            kept.append(box)
    return kept


def _drawn_inside(
    space: PerturbationSpace, boxes: Sequence[Box], count: int, rng: np.random.Generator
) -> tuple[list[Box], list[Case]]:
    """The boxes that can be drawn from, and so many cases of each."""
    kept: list[Box] = []
    cases: list[Case] = []
    for box in boxes:
        try:
            cases += [_case(sample_inside(space, box.bounds, rng), rng) for _ in range(count)]
        except InfeasibleError:
            continue
        kept.append(box)
    return kept, cases


def _drawn_outside(space: PerturbationSpace, boxes: Sequence[Box], count: int, rng: np.random.Generator) -> list[Case]:
    """Cases outside all boxes; fewer, where the boxes leave hardly anything."""
    cases: list[Case] = []
    for _ in range(_MAX_TRIES):
        if len(cases) == count:
            break
        theta = space.sample(rng)
        if not any(box.contains(theta, space) for box in boxes):
            cases.append(_case(theta, rng))
    return cases


def _case(theta: Perturbation, rng: np.random.Generator) -> Case:
    return Case(theta, int(rng.integers(2**31)))
