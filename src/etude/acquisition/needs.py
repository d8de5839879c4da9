"""How many demonstrations a pocket needs: a curve through a few measured rates, with what it leaves open.

Success inside a pocket after n demonstrations from inside it is taken to close the gap to the expert as a power of n:

    s(n) = e - (e - s0) (1 + n / (β τ))^-β        e: the expert's success, s0: without, τ: scale, β: exponent

All curves of one τ begin with the same slope; with a small β they flatten soon, with a large one they are exponential.
The four rates or so that are affordable do not fix three numbers. So none is chosen: the posterior over a grid of
(s0, τ, β) is carried through to the number that is asked for, and its width is told. Evenly spread before any data are
s0 from 0 to e, log τ from 3 to 1000 demonstrations, log β from 0.4 to 10.

Source: power laws after Hestness et al. 2017; curves per factor after factored scaling curves, 2025.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.core import ConfigError, Pocket, Rate

type Verdict = Literal["known", "solved", "unsolvable", "unclear"]
"""Known: so many demonstrations. Solved: the policy is there already. Unsolvable: the expert seldom succeeds there, so
there is nobody to learn from. Unclear: the rates do not tell, or only by extrapolating too far."""

LEVEL = 0.9
"""Of intervals."""
_TRAINING_SD = 0.06
"""Of a success rate between trainings that differ in their seed, at a rate of ½: rates of one training each are worth
less than their rollouts."""
_STARTS, _SCALES, _EXPONENTS = 31, 36, 9
_SCALE_RANGE, _EXPONENT_RANGE = (3.0, 1000.0), (0.4, 10.0)
_NEGLIGIBLE = 1e-5
_FARTHEST = 10  # times the largest number measured


@dataclass(frozen=True, kw_only=True)
class NeedConfig:
    """What is asked for.

    Attributes:
        target: Success wanted inside the pocket, as a share of the expert's there.
        least_expert: Success of the expert below which a pocket counts as not solvable.
    """

    target: float = 0.8
    least_expert: float = 0.5

    def __post_init__(self) -> None:
        for name in ("target", "least_expert"):
            if not 0 < getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name):g} must lie between 0 and 1.")


@dataclass(frozen=True)
class Expected:
    """Success after a number of demonstrations: mean and interval of the posterior."""

    count: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Need:
    """What a pocket takes.

    Attributes:
        pocket: Which.
        expert: The expert's successes inside.
        measured: Demonstrations from inside -> the policy's successes inside after learning from them too.
        config: What was asked.
        demonstrations: Median of how many reach the target; infinite where nothing was measured.
        low, high: Its interval, `LEVEL`.
        expected: The curve, up to ten times the largest number measured; empty where nothing was measured.
    """

    pocket: Pocket
    expert: Rate
    measured: Mapping[int, Rate]
    config: NeedConfig = field(default_factory=NeedConfig)
    demonstrations: float = float("inf")
    low: float = 0.0
    high: float = float("inf")
    expected: tuple[Expected, ...] = ()

    @property
    def target(self) -> float:
        """Success wanted inside."""
        return self.config.target * self.expert.value

    @property
    def verdict(self) -> Verdict:
        """What can be said."""
        if self.expert.value < self.config.least_expert:
            return "unsolvable"
        if self.demonstrations < 1:
            return "solved"
        return "known" if self.high <= _FARTHEST * max(self.measured, default=0) else "unclear"

    def success(self, count: float) -> float:
        """Success expected after so many demonstrations, on straight lines between `expected`."""
        if not self.expected:
            return 0.0
        return float(np.interp(count, [e.count for e in self.expected], [e.mean for e in self.expected]))

    def describe(self) -> str:
        """The need in words, without its pocket: "about 120 demonstrations (70-260)"."""
        if self.verdict == "unsolvable":
            return f"not solvable by the expert ({self.expert.k}/{self.expert.n})"
        if self.verdict == "solved":
            return f"none: the policy reaches {self.target:.0%} there already"
        if self.verdict == "known":
            low, about, high = (rounded(count) for count in (self.low, self.demonstrations, self.high))
            return f"about {about} demonstrations ({low}–{high})"
        if not self.measured:
            return "not measured"
        least = rounded(self.low)
        return "cannot be told from so little" + (f": at least {least} demonstrations" if least else "")

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values; null for what is infinite."""
        bounds = {name: value if np.isfinite(value := getattr(self, name)) else None for name in _BOUNDS}
        return {
            "pocket": self.pocket.to_json(),
            "expert": self.expert.to_json(),
            "measured": {str(count): rate.to_json() for count, rate in self.measured.items()},
            "target": self.config.target,
            "least_expert": self.config.least_expert,
            "verdict": self.verdict,
            **bounds,
            "expected": [[e.count, e.mean, e.low, e.high] for e in self.expected],
        }

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> "Need":
        """The inverse of to_json."""
        bounds = {name: float("inf") if record[name] is None else float(record[name]) for name in _BOUNDS}
        return Need(
            pocket=Pocket.from_json(record["pocket"]),
            expert=_rate(record["expert"]),
            measured={int(count): _rate(rate) for count, rate in record["measured"].items()},
            config=NeedConfig(target=record["target"], least_expert=record["least_expert"]),
            expected=tuple(Expected(*row) for row in record["expected"]),
            **bounds,
        )


_BOUNDS = ("demonstrations", "low", "high")


def estimate_need(pocket: Pocket, expert: Rate, measured: Mapping[int, Rate], config: NeedConfig | None = None) -> Need:
    """How many demonstrations from inside a pocket bring the policy to the target there.

    Args:
        pocket: Which.
        expert: The expert's successes inside.
        measured: Demonstrations from inside -> the policy's successes inside after learning from them too.
        config: The target.
    """
    config = config or NeedConfig()
    measured = dict(sorted(measured.items()))
    need = Need(pocket=pocket, expert=expert, measured=measured, config=config)
    if need.verdict == "unsolvable" or not measured:
        return need
    posterior = Posterior.of(expert.value, measured)
    tail = (1 - LEVEL) / 2
    low, median, high = posterior.quantiles(posterior.counts_for(need.target), (tail, 0.5, 1 - tail))
    last = _FARTHEST * max(max(measured), 1)
    counts = np.unique(np.geomspace(1, last + 1, 48).astype(int) - 1)
    expected = tuple(posterior.expected(int(count)) for count in counts)
    return Need(
        pocket=pocket, expert=expert, measured=measured, config=config, demonstrations=median, low=low, high=high,
        expected=expected,
    )  # fmt: skip


@dataclass(frozen=True, eq=False)
class Posterior:
    """Weights of the curves on the grid; all arrays are (G,).

    Attributes:
        ceiling: The expert's success, e.
        start: Success without demonstrations from inside, s0.
        scale: τ, in demonstrations.
        exponent: β.
        weight: Of each curve; they add up to 1.
    """

    ceiling: float
    start: Float64[NDArray[np.float64], " G"]
    scale: Float64[NDArray[np.float64], " G"]
    exponent: Float64[NDArray[np.float64], " G"]
    weight: Float64[NDArray[np.float64], " G"]

    @staticmethod
    def of(ceiling: float, measured: Mapping[int, Rate]) -> "Posterior":
        """What rates leave of the curves, all being equally likely before."""
        axes = (
            np.linspace(0, ceiling, _STARTS),
            np.geomspace(*_SCALE_RANGE, _SCALES),
            np.geomspace(*_EXPONENT_RANGE, _EXPONENTS),
        )
        start, scale, exponent = (axis.ravel() for axis in np.meshgrid(*axes, indexing="ij"))
        prior = Posterior(ceiling, start, scale, exponent, np.full(start.size, 1 / start.size))
        log_likelihood = np.zeros(start.size)
        for count, rate in measured.items():
            p = np.clip(prior.success(count), 1e-4, 1 - 1e-4)
            worth = 1 / (1 + (rate.n - 1) * _TRAINING_SD**2 / 0.25)  # of a rollout, as they share one training
            log_likelihood += worth * (rate.k * np.log(p) + (rate.n - rate.k) * np.log(1 - p))
        weight = np.exp(log_likelihood - log_likelihood.max())
        likely = weight > _NEGLIGIBLE
        weight = weight[likely] / weight[likely].sum()
        return Posterior(ceiling, start[likely], scale[likely], exponent[likely], weight)

    def success(self, count: float) -> Float64[NDArray[np.float64], " G"]:
        """Success of every curve after so many demonstrations."""
        slowed = 1 + count / (self.exponent * self.scale)
        return self.ceiling - (self.ceiling - self.start) * slowed**-self.exponent

    def counts_for(self, target: float) -> Float64[NDArray[np.float64], " G"]:
        """Demonstrations with which every curve reaches a success below the expert's."""
        left = (self.ceiling - target) / np.maximum(self.ceiling - self.start, 1e-12)
        slowed = np.minimum(left, 1.0) ** (-1 / self.exponent)
        return self.exponent * self.scale * (slowed - 1)

    def expected(self, count: int) -> Expected:
        """Success after so many demonstrations."""
        success, tail = self.success(count), (1 - LEVEL) / 2
        low, high = self.quantiles(success, (tail, 1 - tail))
        return Expected(count, float(success @ self.weight), low, high)

    def quantiles(self, values: Float64[NDArray[np.float64], " G"], levels: Sequence[float]) -> list[float]:
        """Quantiles of what the curves give."""
        order = np.argsort(values)
        mass = np.cumsum(self.weight[order])
        return [float(values[order[min(np.searchsorted(mass, level), len(order) - 1)]]) for level in levels]


def rounded(count: float) -> int:
    """A number of demonstrations as precise as it is known: two digits."""
    digits = max(len(str(int(count))) - 2, 0)
    return int(round(count, -digits))


def _rate(record: Mapping[str, Any]) -> Rate:
    return Rate(record["k"], record["n"])
