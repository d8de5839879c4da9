"""What to do with a number of demonstrations, once it is known what every pocket takes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from etude.acquisition.needs import Need
from etude.core import ConfigError, Perturbation, PerturbationSpace, Plan, Pocket, Practice


@dataclass(frozen=True, kw_only=True)
class Division:
    """A budget, divided.

    Attributes:
        demonstrations: Name of a pocket -> demonstrations from inside it; every pocket is named.
        left: Those that no pocket can use, or is known to; they are best drawn everywhere.
        notes: What a person should know, in sentences.
    """

    demonstrations: Mapping[str, int]
    left: int
    notes: tuple[str, ...] = ()


def divide_budget(needs: Sequence[Need], budget: int) -> Division:
    """Give every demonstration to the pocket whose success it is expected to raise most.

    Pockets that the expert cannot solve, and those that are solved, get none; the others get no more than reach their
    target, nor than their curves tell of. Expected success bends downwards, so one demonstration after the other is as
    good as all at once.

    Args:
        needs: One per pocket.
        budget: Demonstrations in all.
    """
    if budget < 0:
        raise ConfigError(f"a budget of {budget} demonstrations cannot be divided: give 0 or more.")
    given = {need.pocket.name: 0 for need in needs}
    open_needs = [need for need in needs if need.verdict in ("known", "unclear") and need.expected]
    left = budget
    while left and (wanting := [n for n in open_needs if given[n.pocket.name] < min(n.demonstrations, _end(n))]):
        best = max(wanting, key=lambda need: _gain(need, given[need.pocket.name]))
        given[best.pocket.name] += 1
        left -= 1
    return Division(demonstrations=given, left=left, notes=tuple(_notes(needs, budget, given)))


def plan_practice(needs: Sequence[Need], budget: int, *, uniform_share: float = 0.2) -> Plan:
    """A divided budget as the plan that a targeted sampler carries out.

    Args:
        needs: One per pocket.
        budget: Demonstrations in all.
        uniform_share: Share of them drawn everywhere, come what may.
    """
    if not 0 <= uniform_share <= 1:
        raise ConfigError(f"uniform_share must lie in [0, 1], got {uniform_share:g}.")
    aimed = round((1 - uniform_share) * budget)
    division = divide_budget(needs, aimed)
    practices = [
        Practice(bounds=need.pocket.bounds, share=count / budget, why=f"{need.pocket.name}: {need.describe()}")
        for need in needs
        if (count := division.demonstrations[need.pocket.name])
    ]
    everywhere = 1 - sum(practice.share for practice in practices)
    if everywhere > 1e-9:
        practices.append(Practice(bounds={}, share=everywhere, why="to stay good everywhere"))
    return Plan(practices=tuple(practices), inflate=0.0)  # what a pocket takes was measured with those from inside


def pocket_weights(
    thetas: Sequence[Perturbation], pockets: Sequence[Pocket], space: PerturbationSpace, weight: float
) -> tuple[float, ...]:
    """Sampling weights of demonstrations: those from inside a pocket count `weight` times as much as the others.

    Args:
        thetas: Where each demonstration was made.
        pockets: What counts more.
        space: Of both.
        weight: How much more, per frame.

    Returns:
        One weight per demonstration, as `WeightedDataset.episode_weights` takes them.
    """
    if not weight > 0:
        raise ConfigError(f"a pocket's weight must be positive, got {weight:g}.")
    return tuple(weight if any(p.contains(theta, space) for p in pockets) else 1.0 for theta in thetas)


def _gain(need: Need, count: int) -> float:
    return need.success(count + 1) - need.success(count)


def _end(need: Need) -> int:
    """Where a pocket's curve ends [demonstrations]; 0 where there is none."""
    return need.expected[-1].count if need.expected else 0


def _notes(needs: Sequence[Need], budget: int, given: Mapping[str, int]) -> list[str]:
    """Pockets on which the whole budget would be too little, or would be lost."""
    notes: list[str] = []
    for need in needs:
        if need.verdict == "unsolvable":
            notes.append(f"{need.pocket.name} gets none: {need.describe()}.")
        elif need.verdict == "known" and need.demonstrations > budget:
            notes.append(f"{need.pocket.name} takes more than the whole budget of {budget}: {need.describe()}.")
        elif need.verdict == "unclear" and given[need.pocket.name] == _end(need) > 0:
            notes.append(
                f"{need.pocket.name} gets no more than {_end(need)}, where its curve ends; what is left is drawn "
                f"everywhere: {need.describe()}."
            )
        elif need.verdict == "unclear":
            notes.append(f"{need.pocket.name} may take more than it gets: {need.describe()}.")
    return notes
