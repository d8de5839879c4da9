"""Why a policy fails, as one typed record: what a report draws, and what the next round carries out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from math import isnan, nan
from pathlib import Path
from typing import Any, Literal, cast, get_args

from etude.core.bounds import Bounds
from etude.core.errors import ConfigError, EtudeError, UnknownNameError
from etude.core.files import read_json
from etude.core.space import Factor, PerturbationSpace
from etude.core.statistics import Rate

type Verdict = Literal["confirmed", "undecided", "refuted", "untested", "untestable"]
"""Confirmed: undoing it repairs more than the sham does. Refuted: not noticeably more. Undecided: too few rollouts to
tell. Untested: nothing was rolled out. Untestable: it cannot be undone in failures of the rule."""
VERDICTS: tuple[str, ...] = get_args(Verdict.__value__)

type Side = Literal["low", "high", "ends", "middle"]
"""Where in a factor's range failures gather, all else being equal."""


@dataclass(frozen=True, kw_only=True)
class MainEffect:
    """What one factor explains of the failures, all else being equal, in a logistic model with squares.

    Attributes:
        factor: Which.
        p: That it explains nothing, corrected for all factors (Holm).
        side: Where in its range failures gather.
    """

    factor: str
    p: float
    side: Side


@dataclass(frozen=True, kw_only=True)
class Effect:
    """What resetting one factor to nominal does to failures, the seed kept: the strongest evidence there is.

    Attributes:
        factor: Which one was reset.
        repaired: Failures that became successes, of those rolled out again.
        sham: The same failures rolled out again with every factor moved by at most 1 % of its range.
        difference: Share repaired less that of the sham, then its 95 % interval (low, high), paired; NaN without
            rollouts.
        p: One-sided exact McNemar, corrected for all effects of the diagnosis (Holm); 1 without rollouts.
        verdict: Whether the effect is proven; "untestable" where the reset world would be infeasible, or is nominal.
    """

    factor: str
    repaired: Rate
    sham: Rate
    difference: tuple[float, float, float]
    verdict: Verdict
    p: float = 1.0

    def __post_init__(self) -> None:
        if self.verdict not in VERDICTS:
            raise UnknownNameError("verdict", self.verdict, VERDICTS)


@dataclass(frozen=True, kw_only=True)
class Interaction:
    """What resetting two factors together repairs beyond what each does alone.

    Attributes:
        factors: The two.
        repaired: Failures that became successes when both were reset.
        difference: Share repaired together less the larger share of either alone, with its 95 % interval.
    """

    factors: tuple[str, str]
    repaired: Rate
    difference: tuple[float, float, float]


@dataclass(frozen=True, kw_only=True)
class Cause:
    """A rule that explains failures, and what counterfactual rollouts say of its factors.

    Attributes:
        name: Short, e.g. "cause-1".
        bounds: The rule: a box of few factors.
        inside: Failures inside.
        outside: Failures outside.
        p: That failures are as frequent outside as inside, corrected for all rules (Holm).
        failure_modes: Failure mode -> how many of the failures inside ended so.
        expert: The expert's successes where the policy failed inside, or was tried for that; 0/0 where nobody asked.
        volume: Share of the space inside, feasible or not; NaN where there is no space.
        origin: Who proposed the rule: "pocket" (a search, from fresh rollouts), "beam", "tree" or "logistic" (judged on
            held-out episodes).
        effects: One per factor in question, the rule's and a few others, the strongest first.
        interaction: Of the two strongest factors; None where it was not tested.
    """

    name: str
    bounds: Bounds
    inside: Rate
    outside: Rate
    p: float
    failure_modes: Mapping[str, int] = field(default_factory=dict[str, int])
    expert: Rate = field(default_factory=lambda: Rate(0, 0))
    volume: float = nan
    origin: str = ""
    effects: tuple[Effect, ...] = ()
    interaction: Interaction | None = None

    @property
    def verdict(self) -> Verdict:
        """Of the rule: confirmed where the effect of one of its factors is, refuted only where those of all are."""
        verdicts = {effect.verdict for effect in self.effects if effect.factor in self.bounds}
        for verdict in ("confirmed", "undecided", "untested", "untestable", "refuted"):
            if verdict in verdicts:
                return verdict
        return "untested"


@dataclass(frozen=True, kw_only=True)
class Practice:
    """One thing to do about a cause: demonstrations in a region.

    Attributes:
        bounds: Where; everywhere if empty.
        share: Of the new demonstrations, in (0, 1].
        why: In words, for a person.
    """

    bounds: Bounds
    share: float
    why: str

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise ConfigError(f"a practice's share must lie in (0, 1], got {self.share:g}.")


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What the next round carries out without a person.

    Attributes:
        practices: Where, and how much; their shares add up to 1.
        inflate: How far around a practice's box to draw as well, as a share of its width, on each side.
    """

    practices: tuple[Practice, ...]
    inflate: float = 0.15

    def __post_init__(self) -> None:
        total = sum(practice.share for practice in self.practices)
        if not self.practices or abs(total - 1) > 1e-6:
            raise ConfigError(f"the shares of a plan must add up to 1, got {total:g}.")


@dataclass(frozen=True, kw_only=True)
class Diagnosis:
    """Where and why a policy fails, and what to do.

    Attributes:
        task: Name of the task with its settings, or of the dataset.
        space_hash: Hash of the perturbation space, or of what was measured where no simulator knows of it.
        policy: As a person named it.
        factors: Those in question: all that differ between the episodes.
        failures: Among all episodes that were looked at.
        causes: Those confirmed first, then those refuted; within each the clearest rule first.
        main_effects: What each factor explains by itself, the clearest first; empty where too few episodes tell.
        plan: What to practise.
        rollouts: Spent on counterfactuals.
        notes: What a person should know, one sentence each.
    """

    task: str
    space_hash: str
    policy: str
    factors: tuple[Factor, ...]
    failures: Rate
    causes: tuple[Cause, ...]
    plan: Plan
    main_effects: tuple[MainEffect, ...] = ()
    rollouts: int = 0
    notes: tuple[str, ...] = ()

    @property
    def space(self) -> PerturbationSpace:
        """What the factors in question span, without a rule of what is feasible."""
        return PerturbationSpace("diagnosed", self.factors)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values; `docs/diagnosis.schema.json` describes them."""
        return _plain(self)

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> "Diagnosis":
        """The inverse of to_json."""
        return Diagnosis(
            task=record["task"],
            space_hash=record["space_hash"],
            policy=record["policy"],
            factors=tuple(Factor(**factor) for factor in record["factors"]),
            failures=_rate(record["failures"]),
            causes=tuple(_cause(cause) for cause in record["causes"]),
            plan=_plan(record["plan"]),
            main_effects=tuple(MainEffect(**effect) for effect in record["main_effects"]),
            rollouts=int(record["rollouts"]),
            notes=tuple(record["notes"]),
        )

    @staticmethod
    def load(path: Path) -> "Diagnosis":
        """Read diagnosis.json.

        Raises:
            EtudeError: The file is missing, or not a diagnosis.
        """
        record = read_json(path)
        try:
            return Diagnosis.from_json(record)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise EtudeError(
                f"'{path}' is not a diagnosis ({error!r}): name the diagnosis.json that `etude diagnose` wrote."
            ) from error


def _plain(value: Any) -> Any:
    """Records as mappings of their fields, rates as {"k", "n"}, NaN as null."""
    if isinstance(value, Rate):
        return {"k": value.k, "n": value.n}
    if is_dataclass(value):
        return {f.name: _plain(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, Mapping):
        return {key: _plain(each) for key, each in cast("Mapping[str, Any]", value).items()}
    if isinstance(value, tuple):
        return [_plain(each) for each in cast("tuple[Any, ...]", value)]
    return None if isinstance(value, float) and isnan(value) else value


def _plan(record: Mapping[str, Any]) -> Plan:
    practices = tuple(_practice(practice) for practice in record["practices"])
    return Plan(practices=practices, inflate=float(record.get("inflate", Plan.inflate)))


def _rate(record: Mapping[str, int]) -> Rate:
    return Rate(record["k"], record["n"])


def _bounds(record: Mapping[str, Any]) -> Bounds:
    return {name: (float(low), float(high)) for name, (low, high) in record.items()}


def _difference(record: Sequence[float | None]) -> tuple[float, float, float]:
    value, low, high = (nan if number is None else float(number) for number in record)
    return value, low, high


def _cause(record: Mapping[str, Any]) -> Cause:
    rates = {name: _rate(record[name]) for name in ("inside", "outside", "expert")}
    effects = tuple(
        Effect(
            factor=effect["factor"],
            repaired=_rate(effect["repaired"]),
            sham=_rate(effect["sham"]),
            difference=_difference(effect["difference"]),
            verdict=effect["verdict"],
            p=effect["p"],
        )
        for effect in record["effects"]
    )
    return Cause(
        name=record["name"],
        bounds=_bounds(record["bounds"]),
        p=record["p"],
        failure_modes=dict(record["failure_modes"]),
        volume=nan if record["volume"] is None else record["volume"],
        origin=record["origin"],
        effects=effects,
        interaction=_interaction(record["interaction"]),
        **rates,
    )


def _interaction(record: Mapping[str, Any] | None) -> Interaction | None:
    if record is None:
        return None
    first, second = record["factors"]
    return Interaction(
        factors=(first, second), repaired=_rate(record["repaired"]), difference=_difference(record["difference"])
    )


def _practice(record: Mapping[str, Any]) -> Practice:
    return Practice(bounds=_bounds(record["bounds"]), share=record["share"], why=record["why"])
