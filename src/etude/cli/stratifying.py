"""From `--stratify` to parts of the space, and what came of every part."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from etude.cli.drawing import Draw, make_draw, parse_theta
from etude.core import ConfigError, InfeasibleError, PerturbationSpace, Rate

if TYPE_CHECKING:
    from etude.loop.making.quotas import Ranges

_BINS, _MOST_BINS = 4, 20


@dataclass(frozen=True, kw_only=True)
class Strata:
    """Parts of a space that are to have equal numbers of demonstrations.

    Attributes:
        ranges: Of every part.
        draws: Draws in every part; None where no world is feasible.
        each: Demonstrations wanted of each.
    """

    ranges: "tuple[Ranges, ...]"
    draws: tuple[Draw | None, ...]
    each: int

    @staticmethod
    def of(space: PerturbationSpace, stratify: Sequence[str], theta: Sequence[str], accepted: int) -> "Strata":
        """What the options ask for.

        Args:
            space: What can vary.
            stratify: `--stratify`: "factor" or "factor:bins" each.
            theta: `--theta`.
            accepted: `--accepted`.

        Raises:
            EtudeError: They do not go together, or no part has a feasible world.
        """
        from etude.loop.making.quotas import divide

        bins = parse_bins(stratify)
        fixed = [name for name in bins if name in parse_theta(theta).values]
        if fixed:
            raise ConfigError(f"--stratify {fixed[0]}: --theta fixes it; leave out one of the two.")
        ranges = tuple(divide(space, bins))
        each, rest = divmod(accepted, len(ranges))
        if rest or not each:
            below = f"{accepted - rest} or " if each else ""
            raise ConfigError(
                f"--accepted {accepted}: not divisible into the {len(ranges)} parts of --stratify; choose {below}"
                f"{(each + 1) * len(ranges)}."
            )
        draws = tuple(_draw_in(space, part, theta) for part in ranges)
        if not any(draws):
            raise InfeasibleError(f"no part of --stratify {' '.join(stratify)} has a feasible world")
        return Strata(ranges=ranges, draws=draws, each=each)

    def to_json(self, rates: Sequence[Rate]) -> list[dict[str, Any]]:
        """Every part with what came of it, as plain JSON values."""
        return [
            {
                "ranges": {name: list(bounds) for name, bounds in part.items()},
                "wanted": self.each,
                "rate": rate.to_json(),
            }
            for part, rate in zip(self.ranges, rates, strict=True)
        ]

    def told(self, rates: Sequence[Rate]) -> list[str]:
        """What to say of the parts: those that stayed holes, or that there is none."""
        holes = [
            f"hole: {_range_text(part)}: {f'{rate.k}/{rate.n} attempts succeeded' if draw else 'no feasible world'}"
            for part, draw, rate in zip(self.ranges, self.draws, rates, strict=True)
            if rate.k < self.each
        ]
        full = len(self.ranges) - len(holes)
        return [f"{full} of {len(self.ranges)} parts of the space have the {self.each} demonstrations wanted", *holes]


def parse_bins(stratify: Sequence[str]) -> dict[str, int]:
    """Read "factor" or "factor:bins" settings: factor -> number of bins, by default 4.

    Raises:
        ConfigError: A setting of another form, or a factor named twice.
    """
    bins: dict[str, int] = {}
    for setting in stratify:
        name, colon, number = setting.partition(":")
        if not name or (colon and not (number.isdecimal() and 2 <= int(number) <= _MOST_BINS)):
            raise ConfigError(
                f"--stratify {setting}: expected FACTOR or FACTOR:BINS with 2 to {_MOST_BINS} bins, e.g. cube.scale:4."
            )
        if name in bins:
            raise ConfigError(f"--stratify names factor '{name}' twice.")
        bins[name] = int(number) if colon else _BINS
    return bins


def _draw_in(space: PerturbationSpace, part: "Ranges", theta: Sequence[str]) -> Draw | None:
    try:
        return make_draw(space.narrowed(part), "uniform", theta)
    except InfeasibleError:
        return None


def _range_text(part: Mapping[str, tuple[float, float]]) -> str:
    return ", ".join(f"{name} {low:.3g} to {high:.3g}" for name, (low, high) in part.items())
