"""Which regime a policy is in: do its failures sit where practice can be aimed, or is uniform practice the right one?

A policy that fails everywhere has no pockets, and imprecision spread over the whole space is mended by any data alike;
aiming pays where a policy fails much more often in a small, solvable region than elsewhere, however few of all failures
that region holds: uniform practice hardly ever gets there (docs/results.md).
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from etude.core import Pocket, Rate
from etude.core.files import read_json

REGIME = "regime.json"
DIFFUSE, CONCENTRATED = "uniform", "failure"
"""The arms that are chosen between."""


@dataclass(frozen=True, kw_only=True)
class RegimeLimits:
    """Where one regime ends.

    Attributes:
        failures: Share of uniform rollouts; a policy that fails more often is not ready for aiming.
        concentration: Least ratio of the share of failures in pockets to the share of the space that these are.
        expert: Least success of the expert in the pockets.
    """

    failures: float = 0.6
    concentration: float = 2.0
    expert: float = 0.5


@dataclass(frozen=True, kw_only=True)
class Regime:
    """What was measured, and what follows.

    Attributes:
        failures: Of uniform rollouts.
        share: Of all failures, those in confirmed pockets; from fresh rollouts inside and outside.
        volume: Share of the space that the pockets are.
        expert: The expert's successes in the pockets.
        arm: What to do: DIFFUSE or CONCENTRATED.
        why: In words.
    """

    failures: Rate
    share: float
    volume: float
    expert: Rate
    arm: str
    why: str

    @property
    def concentration(self) -> float:
        """How many times more frequent failures are in the pockets than their volume alone would have it."""
        return self.share / self.volume if self.volume else 0.0

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {**asdict(self), "failures": _counts(self.failures), "expert": _counts(self.expert)}

    @staticmethod
    def load(stage: Path) -> "Regime":
        """Read what a regime stage left in its folder."""
        record: dict[str, Any] = read_json(stage / REGIME)
        rates = {name: Rate(*record[name]) for name in ("failures", "expert")}
        fields: dict[str, Any] = {**record, **rates}
        return Regime(**fields)


def judge_regime(failures: Rate, pockets: Sequence[Pocket], limits: RegimeLimits | None = None) -> Regime:
    """Measure the regime from a search's result.

    Args:
        failures: Of its uniform rollouts.
        pockets: That it confirmed.
        limits: Where one regime ends.
    """
    limits = limits or RegimeLimits()
    volume = min(sum(pocket.volume for pocket in pockets), 1.0)
    inside = sum(pocket.volume * pocket.inside.value for pocket in pockets)
    outside = (1 - volume) * pockets[0].outside.value if pockets else failures.value
    share = inside / (inside + outside) if inside + outside else 0.0
    expert = Rate(sum(p.expert.k for p in pockets), sum(p.expert.n for p in pockets))
    measured = Regime(failures=failures, share=share, volume=volume, expert=expert, arm=DIFFUSE, why="")
    against = _against(measured, limits)
    told = (
        f"{share:.0%} of the failures lie in pockets that are {volume:.1%} of the space, and the expert succeeds there "
        f"in {expert.k} of {expert.n}: practice is aimed at them"
    )
    arm, why = (DIFFUSE, f"{against}: practice is uniform") if against else (CONCENTRATED, told)
    return Regime(failures=failures, share=share, volume=volume, expert=expert, arm=arm, why=f"{why}.")


def _against(regime: Regime, limits: RegimeLimits) -> str:
    """Why aiming would not pay; "" where it would."""
    failures = regime.failures
    if failures.value > limits.failures:
        return f"the policy fails in {failures.k} of {failures.n} uniform rollouts, almost everywhere"
    if not regime.volume:
        return f"no pocket was confirmed among failures in {failures.k} of {failures.n} uniform rollouts"
    if regime.concentration < limits.concentration:
        return f"only {regime.share:.0%} of the failures lie in pockets, which are {regime.volume:.1%} of the space"
    if regime.expert.value < limits.expert:
        return f"the expert itself succeeds in only {regime.expert.k} of {regime.expert.n} cases of the pockets"
    return ""


def _counts(rate: Rate) -> list[int]:
    return [rate.k, rate.n]
