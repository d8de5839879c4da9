"""When two boxes are the same place: by the share of one that lies in the other, exact for boxes.

Feasibility is left out: it would need draws, and two boxes have it in common where they overlap.
"""

from etude.core import Bounds, PerturbationSpace

_SAME = 0.5


def share_within(box: Bounds, other: Bounds, space: PerturbationSpace) -> float:
    """Share of a box that lies in another."""
    share = 1.0
    for name, (low, high) in other.items():
        factor = space[name]
        first, last = box.get(name, (factor.low, factor.high))
        if last > first:
            share *= max(0.0, min(last, high) - max(first, low)) / (last - first)
        elif not low <= first <= high:
            return 0.0
    return share


def same_place(a: Bounds, b: Bounds, space: PerturbationSpace) -> bool:
    """Whether two boxes share a factor, and at least half of one of them lies in the other.

    A factor in common is asked for because two wide boxes of different factors always overlap, by chance alone.
    """
    overlap = max(share_within(a, b, space), share_within(b, a, space))
    return bool(set(a) & set(b)) and overlap >= _SAME
