"""Both policies on a few more cases at a time, until it can be said which is better."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import batched
from typing import Any, Literal

from etude.core import Case, ConfigError, Outcome, Paired, Roll

type Decision = Literal["a", "b", "equal"]


@dataclass(frozen=True, kw_only=True)
class Stopping:
    """When to stop; all its statements together are wrong with probability at most alpha, however often one looks.

    Attributes:
        alpha: That probability.
        margin: Success rates that certainly differ by less than this are called equal; 0 never does.
        batch: Cases between two looks.
    """

    alpha: float = 0.05
    margin: float = 0.05
    batch: int = 16

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 1 or not 0 <= self.margin < 1 or self.batch < 1:
            raise ConfigError(
                f"stopping needs 0 < alpha < 1, 0 <= margin < 1 and batch >= 1, got {self.alpha:g}, {self.margin:g} "
                f"and {self.batch}."
            )

    def look(self, paired: Paired) -> "Look":
        """What can be said by now, if anything."""
        low, high = paired.anytime_interval(self.alpha)
        decision: Decision | None = "equal" if -self.margin < low and high < self.margin else None
        if paired.two_sided_e_value >= 1 / self.alpha:
            decision = "a" if paired.wins > paired.losses else "b"
        return Look(paired, (low, high), decision)


@dataclass(frozen=True)
class Look:
    """What was known after some of the cases.

    Attributes:
        paired: The first policy against the second.
        interval: Of the difference, valid at all looks at once.
        decision: What could be said.
    """

    paired: Paired
    interval: tuple[float, float]
    decision: Decision | None

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        counts = {"n": self.paired.n, "won": self.paired.wins, "lost": self.paired.losses}
        low, high = self.interval
        return {**counts, "e_value": self.paired.two_sided_e_value, "low": low, "high": high}


def looks(first: Sequence[bool], second: Sequence[bool], stopping: Stopping) -> list[Look]:
    """Every look at two lists of successes on the same cases, up to the first at which something can be said."""
    taken: list[Look] = []
    for end in [*range(stopping.batch, len(first), stopping.batch), len(first)]:
        taken.append(stopping.look(Paired.of(first[:end], second[:end])))
        if taken[-1].decision:
            break
    return taken


def compare_in_turns(
    cases: Sequence[Case],
    first: Roll,
    second: Roll,
    stopping: Stopping,
    on_look: Callable[[Look], None] | None = None,
) -> tuple[list[Outcome], list[Outcome]]:
    """Run both policies, a batch of cases at a time, until something can be said or the cases are used up.

    Args:
        cases: All that may be used, in an order that nothing about them decides: drawn, or shuffled.
        first: Runs the one policy.
        second: Runs the other.
        stopping: When to stop.
        on_look: Told after every batch.

    Returns:
        The outcomes of both, on the same first so many of the cases.
    """
    a: list[Outcome] = []
    b: list[Outcome] = []
    for some in batched(cases, stopping.batch):
        a += first(some)
        b += second(some)
        look = stopping.look(Paired.of([o.success for o in a], [o.success for o in b]))
        if on_look:
            on_look(look)
        if look.decision:
            break
    return a, b
