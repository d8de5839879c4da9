"""After practice: are a policy's pockets gone, or have its failures only moved?

The final policy is searched afresh at the cost of the first search. That alone would mislead: a search that finds
nothing may have been unlucky, and one that finds something new may only have found what the first overlooked. So the
policies before and after roll out the same fresh cases inside every pocket, old and new.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from etude.core import Case, Paired, PerturbationSpace, Pocket, Rate, Roll, UnknownNameError
from etude.search.places import same_place
from etude.search.pockets import sample_inside

type Fate = Literal["gone", "remaining", "unclear", "new", "overlooked"]
FATES: tuple[str, ...] = get_args(Fate.__value__)

_ALPHA = 0.05


@dataclass(frozen=True, kw_only=True)
class FollowedPocket:
    """A pocket of the policy before or after practice, and what became of it.

    Attributes:
        pocket: As the search that found it confirmed it; those of the fresh search are called "fresh-1", ….
        fate: Of a pocket before practice: "remaining" where the fresh search confirmed one at the same place; else
            "gone" where the policy now clearly fails less often inside, "unclear" where that does not show. Of a pocket
            that only the fresh search found: "new" where the policy before clearly failed less often inside (the
            failures moved), else "overlooked" (they were there before).
        before: *Failures* of the policy before practice inside, on fresh cases.
        after: Those of the policy after practice, on the same cases.
    """

    pocket: Pocket
    fate: Fate
    before: Rate
    after: Rate

    def __post_init__(self) -> None:
        if self.fate not in FATES:
            raise UnknownNameError("fate of a pocket", self.fate, FATES)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        rates = {"before": [self.before.k, self.before.n], "after": [self.after.k, self.after.n]}
        return {"pocket": self.pocket.to_json(), "fate": self.fate, **rates}

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> "FollowedPocket":
        """The inverse of to_json."""
        return FollowedPocket(
            pocket=Pocket.from_json(record["pocket"]),
            fate=record["fate"],
            before=Rate(*record["before"]),
            after=Rate(*record["after"]),
        )


def follow_pockets(
    space: PerturbationSpace,
    before: Sequence[Pocket],
    after: Sequence[Pocket],
    roll_before: Roll,
    roll_after: Roll,
    rng: np.random.Generator,
    *,
    cases: int = 20,
) -> tuple[FollowedPocket, ...]:
    """Say what became of every pocket, those before practice first; "clearly" is McNemar's exact test at 5 %.

    Args:
        space: The space of the pockets.
        before: Pockets of the policy before practice.
        after: Pockets that a fresh search confirmed of the policy after practice.
        roll_before: Runs the policy before practice.
        roll_after: Runs the policy after practice.
        rng: Draws perturbations and seeds.
        cases: Fresh cases inside each pocket, the same for both policies.
    """
    fresh = [
        replace(pocket, name=f"fresh-{index}")
        for index, pocket in enumerate(after, 1)
        if not any(same_place(pocket.bounds, old.bounds, space) for old in before)
    ]
    pockets = [*before, *fresh]
    drawn = [
        Case(sample_inside(space, pocket.bounds, rng), int(rng.integers(2**31)))
        for pocket in pockets
        for _ in range(cases)
    ]
    succeeded = [[outcome.success for outcome in roll(drawn)] if drawn else [] for roll in (roll_before, roll_after)]
    followed: list[FollowedPocket] = []
    for i, pocket in enumerate(pockets):
        first, last = (solved[i * cases : (i + 1) * cases] for solved in succeeded)
        if i >= len(before):
            fate: Fate = "new" if _clearly_better(first, last) else "overlooked"
        elif any(same_place(pocket.bounds, found.bounds, space) for found in after):
            fate = "remaining"
        else:
            fate = "gone" if _clearly_better(last, first) else "unclear"
        followed.append(FollowedPocket(pocket=pocket, fate=fate, before=_failures(first), after=_failures(last)))
    return tuple(followed)


def _clearly_better(a: Sequence[bool], b: Sequence[bool]) -> bool:
    paired = Paired.of(a, b)
    return paired.wins > paired.losses and paired.p < _ALPHA


def _failures(succeeded: Sequence[bool]) -> Rate:
    return Rate.of([not success for success in succeeded])
