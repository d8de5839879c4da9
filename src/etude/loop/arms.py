"""Ways of choosing what to practise, as values: a table of the known ones, and a person's own from a file.

# arms.toml
[bold]
draw = "distributions"
score = "split"
oversample = 5
"""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from etude.acquisition.scores import SCORES
from etude.core import ConfigError, EtudeError, UnknownNameError

type Draws = Literal["nothing", "uniform", "pockets", "plan", "needs", "distributions", "adaptive"]
"""Where new demonstrations lie: there are none; everywhere; in the pockets that a search confirmed; where a diagnosis
recommends; in the pockets, each given what it is measured to take; where the scores of earlier rounds point; or
whichever of these the regime calls for."""
DRAWS: tuple[str, ...] = get_args(Draws.__value__)

type Maker = Literal["expert", "generator", "generator-or-expert"]
"""Who makes new demonstrations: the task's scripted expert, the generator from the first demonstrations, or the expert
wherever the generator fails."""
MAKERS: tuple[str, ...] = get_args(Maker.__value__)

type Purpose = Literal["control", "spread", "aim"]
"""What an arm is for: it makes no demonstrations, makes them anywhere, or where or of what kind they help."""


@dataclass(frozen=True, kw_only=True)
class Arm:
    """One way of choosing data; everything else is the same for all arms of a run.

    Attributes:
        name: What it is called.
        draw: How the perturbations of its new demonstrations are drawn.
        score: What its demonstrations are chosen by among the candidates; "" takes them as they come.
        oversample: Candidates made for each demonstration chosen.
        others: Share of the chosen that are drawn evenly from the candidates that score lower.
        maker: Who makes its demonstrations; "" is the run's own choice.
        new_share: Sampling weight of its new demonstrations, of all rounds, in the mixture; None is the run's own,
            equal for all arms.
        pocket_weight: How much more often frames of new demonstrations inside a pocket are sampled than others.
        restart: Whether it trains from scratch with another seed, as many steps as the others have had in all.
    """

    name: str
    draw: Draws = "uniform"
    score: str = ""
    oversample: int = 1
    others: float = 0.1
    maker: Maker | Literal[""] = ""
    new_share: float | None = None
    pocket_weight: float = 1.0
    restart: bool = False

    def __post_init__(self) -> None:
        self._check_names()
        if type(self.oversample) is not int or self.oversample < 1:
            raise self._error(f"oversample = {self.oversample} must be a whole number of at least 1")
        if not 0 <= self.others <= 1 or not 0 <= (self.new_share or 0.0) <= 1:
            raise self._error(f"others and new_share must lie in [0, 1], got {self.others:g} and {self.new_share}")
        if not 0 < self.pocket_weight < float("inf"):
            raise self._error(f"pocket_weight = {self.pocket_weight:g} must be a positive number")
        if bool(self.score) != (self.oversample > 1):
            raise self._error("a score chooses among candidates: set both score and oversample > 1, or neither")
        if self.draw == "distributions" and not self.score:
            raise self._error('draw = "distributions" follows scores: set score as well')
        if self.draw in ("nothing", "adaptive") and self.chooses:
            raise self._error(f'draw = "{self.draw}" leaves nothing to score or to weigh')
        if self.restart and self.draw != "nothing":
            raise self._error('restart goes with draw = "nothing": the same data, another seed')

    @property
    def practises(self) -> bool:
        """Whether it makes new demonstrations."""
        return self.draw != "nothing"

    @property
    def purpose(self) -> Purpose:
        """What it is for."""
        if not self.practises:
            return "control"
        return "spread" if self.draw == "uniform" and not self.chooses else "aim"

    @property
    def chooses(self) -> bool:
        """Whether not all that is made counts alike: some is left out, or weighs more."""
        return bool(self.score) or self.pocket_weight != 1

    @property
    def needs_search(self) -> bool:
        """Whether it must know where the policy fails, and pays for finding out."""
        needs = SCORES[self.score].needs if self.score else ()
        drawn = self.draw in ("pockets", "plan", "needs", "adaptive")
        return drawn or "pockets" in needs or "failure" in needs or self.pocket_weight != 1

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return asdict(self)

    def _check_names(self) -> None:
        named = {"draw": DRAWS, "score": ("", *SCORES), "maker": ("", *MAKERS)}
        for setting, valid in named.items():
            value = getattr(self, setting)
            if value not in valid:
                raise UnknownNameError(f"{setting} of arm '{self.name}'", value, [name for name in valid if name])
        if not self.name or not all(c.isalnum() or c == "-" for c in self.name):
            raise ConfigError(f"arm '{self.name}': a name is made of letters, digits and hyphens.")

    def _error(self, what: str) -> ConfigError:
        return ConfigError(f"arm '{self.name}': {what}.")


def _scored(name: str, score: str) -> Arm:
    return Arm(name=name, draw="distributions", score=score, oversample=3)


BASELINE = "baseline"
"""What every arm starts from; no arm may be called so."""
MORE_STEPS, RESEEDED, UNIFORM = "same-data-more-steps", "reseeded", "uniform"
"""The arms that others are measured against."""
ARMS: Mapping[str, Arm] = {
    arm.name: arm
    for arm in (
        Arm(name=MORE_STEPS, draw="nothing"),
        Arm(name=RESEEDED, draw="nothing", restart=True),
        Arm(name=UNIFORM, draw="uniform"),
        Arm(name="targeted", draw="plan"),
        Arm(name="failure", draw="pockets"),
        Arm(name="needs", draw="needs"),
        Arm(name="adaptive", draw="adaptive"),
        _scored("gradient", "norm"),
        _scored("split", "split"),
        _scored("align", "align"),
        _scored("loss", "loss"),
        _scored("disagreement", "disagreement"),
        _scored("failure-split", "failure-split"),
    )
}
"""The known arms by name."""


def load_arms(path: Path) -> tuple[Arm, ...]:
    """Read a person's own arms: one TOML table each, its keys the attributes of `Arm`.

    Raises:
        EtudeError: The file is missing, is no TOML, or holds something else than tables.
        ConfigError: An unknown or impossible setting, or the name of a known arm.
    """
    try:
        record = tomllib.loads(path.read_text())
    except FileNotFoundError as error:
        raise EtudeError(f"--arms-file {path}: there is no such file.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, IsADirectoryError) as error:
        raise EtudeError(f"--arms-file {path}: not valid TOML: {error}.") from error
    try:
        return tuple(_read(name, table) for name, table in record.items())
    except (ConfigError, UnknownNameError) as error:
        raise ConfigError(f"--arms-file {path}: {error}") from error


def _read(name: str, table: Any) -> Arm:
    if name in (*ARMS, BASELINE):
        raise ConfigError(f"'{name}' is a known arm: give your own another name.")
    if not isinstance(table, dict):
        raise ConfigError(f"'{name}' stands outside a table: write [{name}] and its settings below.")
    settings: dict[str, Any] = {str(key): value for key, value in table.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType]
    return arm_from(name, settings)


def arm_from(name: str, settings: Mapping[str, Any]) -> Arm:
    """An arm of a name and settings that somebody wrote.

    Raises:
        UnknownNameError: A setting that arms have not.
        ConfigError: A value of another type, or that cannot work.
    """
    for key, value in settings.items():
        if key not in _SETTINGS:
            raise UnknownNameError(f"setting of arm '{name}'", key, _SETTINGS)
        types, words = _SETTINGS[key]
        if type(value) not in types:
            raise ConfigError(f"arm '{name}': {key} = {value!r} should be {words}.")
    return Arm(name=name, **settings)


_TEXT, _NUMBER = ((str,), "a text"), ((int, float), "a number")
_SETTINGS: Mapping[str, tuple[tuple[type, ...], str]] = {
    "draw": _TEXT,
    "score": _TEXT,
    "maker": _TEXT,
    "oversample": ((int,), "a whole number"),
    "others": _NUMBER,
    "new_share": ((int, float, type(None)), "a number"),
    "pocket_weight": _NUMBER,
    "restart": ((bool,), "a truth value: true or false"),
}
"""What a person may set of an arm -> the types of its values, and these in words."""
