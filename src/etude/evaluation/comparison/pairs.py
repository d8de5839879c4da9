"""Which cases only one of two policies solved."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from etude.core import Case, MismatchError, Outcome, Paired


@dataclass(frozen=True)
class Comparison:
    """Which cases only one of two policies solved.

    Attributes:
        paired: The counts, with what they prove.
        won: Cases that only the first solved.
        lost: Cases that only the second solved.
    """

    paired: Paired
    won: tuple[Case, ...]
    lost: tuple[Case, ...]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        counts = {"wins": self.paired.wins, "losses": self.paired.losses, "ties": self.paired.ties}
        return {**counts, "p": self.paired.p, "e_value": self.paired.e_value, "difference": self.paired.difference}


def compare(first: Sequence[Outcome], second: Sequence[Outcome]) -> Comparison:
    """Compare case by case.

    Raises:
        MismatchError: The cases are not the same, in the same order.
    """
    if [o.case for o in first] != [o.case for o in second]:
        raise MismatchError(
            f"a paired comparison needs the same cases in the same order, got {len(first)} and {len(second)} outcomes "
            "of different cases; evaluate both policies on one suite."
        )
    return Comparison(
        Paired.of([o.success for o in first], [o.success for o in second]),
        tuple(a.case for a, b in zip(first, second, strict=True) if a.success and not b.success),
        tuple(a.case for a, b in zip(first, second, strict=True) if b.success and not a.success),
    )
