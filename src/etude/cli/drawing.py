"""From `--space` and `--theta` to perturbations and cases."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from os.path import isfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from etude.core import (
    Case,
    ConfigError,
    InfeasibleError,
    Perturbation,
    PerturbationSpace,
    Task,
    derive_seed,
    stream,
)
from etude.core.files import read_json

if TYPE_CHECKING:
    from etude.search import KeepsAway

type Spread = Literal["nominal", "uniform"]
type Draw = Callable[[np.random.Generator], Perturbation]
"""Draws one perturbation."""

_TRIES = 10_000


@dataclass(frozen=True)
class ThetaDraw:
    """Draws θ: some factors fixed, the others nominal or uniform over the feasible space.

    Attributes:
        space: What can vary.
        spread: What the factors do that are not fixed.
        fixed: Values that every draw has.
    """

    space: PerturbationSpace
    spread: Spread = "nominal"
    fixed: Perturbation = field(default_factory=Perturbation)

    def __call__(self, rng: np.random.Generator) -> Perturbation:
        """Draw one θ.

        Raises:
            InfeasibleError: The fixed values leave no feasible world.
        """
        if self.spread == "nominal":
            return self.fixed
        reason = ""
        for _ in range(_TRIES):
            theta = Perturbation({**self.space.sample(rng).values, **self.fixed.values})
            reason = self.space.infeasible(theta)
            if reason is None:
                return theta
        raise InfeasibleError(
            f"with these factors fixed no draw of {_TRIES} was feasible, the last because {reason}; give --theta other "
            "values, or fewer"
        )


def make_draw(space: PerturbationSpace, spread: Spread, theta: Sequence[str]) -> ThetaDraw:
    """The draw that options describe.

    Args:
        space: What can vary.
        spread: `--space`.
        theta: `--theta`: "factor=value" or a file of such values each, physical units.

    Raises:
        ConfigError: A setting that is neither.
        EtudeError: A factor that does not exist, is out of range, or makes the world infeasible.
    """
    fixed = parse_theta(theta)
    for name, value in fixed.values.items():
        space[name].check(value)
    if spread == "nominal":
        space.check(fixed)
    draw = ThetaDraw(space, spread, fixed)
    draw(np.random.default_rng(0))  # an impossible combination shows here, before anything is written
    return draw


def draw_one_factor(space: PerturbationSpace, theta: Sequence[str]) -> Draw:
    """Draws that vary one factor alone, any with the same probability, over its range.

    Args:
        space: What can vary.
        theta: `--theta`: what all draws have.

    Raises:
        EtudeError: Settings as of `make_draw`, or a factor of which hardly any value is feasible.
    """
    from etude.evaluation import vary_one

    fixed = make_draw(space, "nominal", theta).fixed
    free = [factor for factor in space.factors if factor.name not in fixed.values]
    if not free:
        raise ConfigError("--space factors: --theta fixes all of them.")
    for factor in free:
        vary_one(space, factor, fixed, np.random.default_rng(0))  # what is impossible shows before anything is written

    def draw(rng: np.random.Generator) -> Perturbation:
        return vary_one(space, free[rng.integers(len(free))], fixed, rng)

    return draw


def keep_away(draw: Draw, path: Path, task: Task) -> "KeepsAway":
    """The same draws, but for those too near a case of an exam whose pockets lie beside it, or in its run's search.

    Raises:
        EtudeError: Of a file that is missing, or no suite.
        MismatchError: An exam that was changed, or of another task.
    """
    from etude.loop.stages import POCKETS, load_pockets, load_suite
    from etude.search import Exclusion, KeepsAway

    exam = load_suite(path, task)
    searches = [folder for folder in (path.parent, path.parent.parent / "search") if (folder / POCKETS).exists()]
    if not searches:
        raise ConfigError(f"--keep-away {path}: {POCKETS} must lie beside it, as `etude search` leaves it.")
    return KeepsAway(draw, Exclusion.of(exam, load_pockets(searches[0]), task.space))


def parse_theta(settings: Sequence[str]) -> Perturbation:
    """Read "factor=value" settings, and files of such values.

    Raises:
        ConfigError: A setting of another form, a file that holds something else, or a factor set twice.
        EtudeError: A file that is not JSON.
    """
    values: dict[str, float] = {}
    for setting in settings:
        for name, value in _values(setting).items():
            if name in values:
                raise ConfigError(f"--theta sets factor '{name}' twice.")
            values[name] = value
    return Perturbation(values)


def told_theta(settings: Sequence[str]) -> list[str]:
    """The same settings with what a file holds in its place, for the record: the file may change."""
    told: list[str] = []
    for setting in settings:
        told += [f"{name}={value}" for name, value in _values(setting).items()] if isfile(setting) else [setting]
    return told


def _values(setting: str) -> Mapping[str, float]:
    """What one setting says: factor -> value."""
    if isfile(setting):
        return _values_in(Path(setting))
    name, _, number = setting.partition("=")
    try:
        return {name: float(number)}
    except ValueError:
        raise ConfigError(
            f"--theta {setting}: expected factor=number, e.g. light.intensity=0.5, or a file of such values as JSON; "
            "there is no such file."
        ) from None


def _values_in(path: Path) -> Mapping[str, float]:
    """A perturbation as the project writes it: factor -> value, by itself or as a record's "theta"."""
    record: Any = read_json(path)
    theta: Any = record.get("theta", record) if isinstance(record, dict) else None
    if not isinstance(theta, dict) or any(type(value) not in (int, float) for value in theta.values()):
        raise ConfigError(f'--theta {path}: expected one perturbation as JSON, e.g. {{"light.intensity": 0.5}}.')
    return {str(name): float(value) for name, value in theta.items()}


def draw_cases(draw: Draw, count: int, seed: int) -> list[Case]:
    """The cases that (draw, seed) fixes: case i is the same whatever the count."""
    return [Case(draw(stream(seed, "theta", i)), derive_seed(seed, "case", i)) for i in range(count)]
