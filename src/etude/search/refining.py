"""Boxes sharpened by rollouts before they are confirmed.

A search draws most of its samples near failures. In a box of two factors all of them may then lie near each other in a
third, too, and nothing in them says that this third one matters; nor do they say where a box ends in places the search
never went. Fresh draws all over the box do. So each box is drawn from, and refitted inside itself with what was known.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64
from numpy.typing import NDArray

from etude.core import Case, InfeasibleError, PerturbationSpace, Roll
from etude.search.boxes import Box, BoxConfig, fit_inside
from etude.search.pockets import sample_inside


@dataclass(frozen=True)
class RefineConfig:
    """How much is spent on sharpening.

    Attributes:
        draws: Fresh rollouts inside each box and round.
        rounds: At most so many.
        enough: A box in which this share of the fresh draws fails is sharp.
    """

    draws: int = 20
    rounds: int = 2
    enough: float = 0.8


@dataclass(frozen=True)
class Refined:
    """Sharpened boxes, and what they cost.

    Attributes:
        boxes: In the order given; boxes in which hardly anything is feasible are left out.
        policy_rollouts: Spent on the policy.
        expert_rollouts: Spent on the expert, who tries where the policy failed.
    """

    boxes: tuple[Box, ...]
    policy_rollouts: int
    expert_rollouts: int


def refine_boxes(
    space: PerturbationSpace,
    boxes: Sequence[Box],
    points: Float64[NDArray[np.float64], "N D"],
    failures: Bool[NDArray[np.bool_], " N"],
    roll_policy: Roll,
    roll_expert: Roll,
    rng: np.random.Generator,
    config: RefineConfig = RefineConfig(),
) -> Refined:
    """Sharpen boxes with fresh rollouts inside them; what these show is shared by all.

    Args:
        space: Of the boxes.
        boxes: From `find_boxes`.
        points: What was known, in the unit cube, shape (N, D).
        failures: Which of them are the policy's own failures, shape (N,).
        roll_policy: Runs the policy.
        roll_expert: Runs the expert where the policy failed: where it fails too, that is no weakness.
        rng: Draws perturbations and seeds.
        config: What may be spent.
    """
    current, blunt = list(boxes), set(range(len(boxes)))
    spent = [0, 0]
    for _ in range(config.rounds):
        drawn = {i: cases for i in sorted(blunt) if (cases := _cases(space, current[i], config.draws, rng))}
        blunt &= set(drawn)
        if not blunt:
            break
        cases = [case for own in drawn.values() for case in own]
        weak, asked = _weaknesses(cases, roll_policy, roll_expert)
        spent = [spent[0] + len(cases), spent[1] + asked]
        points = np.vstack([points, [space.to_unit(case.theta) for case in cases]])
        failures = np.concatenate([failures, weak])
        for place, i in enumerate(drawn):
            if weak[place * config.draws : (place + 1) * config.draws].mean() >= config.enough:
                blunt.discard(i)
            elif (sharper := fit_inside(space, current[i], points, failures, BoxConfig(min_score=0.0))) is not None:
                current[i] = sharper
    return Refined(tuple(current), spent[0], spent[1])


def _cases(space: PerturbationSpace, box: Box, count: int, rng: np.random.Generator) -> list[Case]:
    """Drawn inside a box; none where hardly anything is feasible."""
    try:
        return [Case(sample_inside(space, box.bounds, rng), int(rng.integers(2**31))) for _ in range(count)]
    except InfeasibleError:
        return []


def _weaknesses(
    cases: Sequence[Case], roll_policy: Roll, roll_expert: Roll
) -> tuple[Bool[NDArray[np.bool_], " N"], int]:
    """Where the policy fails and the expert does not, shape (N,), and how many cases the expert was asked."""
    failed = [case for case, outcome in zip(cases, roll_policy(cases), strict=True) if not outcome.success]
    beyond = {outcome.case for outcome in roll_expert(failed) if not outcome.success} if failed else set[Case]()
    weak = set(failed) - beyond
    return np.array([case in weak for case in cases], dtype=bool), len(failed)
