"""How long the network takes to answer. Outcomes repeat and times do not: they are told beside them, never in them."""

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from etude.core import ActionChunk, Memory, Observation, Policy

_KEPT = 10_000


@dataclass(frozen=True)
class NetworkCall:
    """One call of the network.

    Attributes:
        seconds: From tensors to actions, normalisation included; without drawing the images.
        observations: How many it answered.
    """

    seconds: float
    observations: int


class Meter:
    """Collects calls; the oldest are forgotten when nobody takes them."""

    def __init__(self) -> None:
        self._calls: deque[NetworkCall] = deque(maxlen=_KEPT)

    def add(self, seconds: float, observations: int) -> None:
        """Note one call."""
        self._calls.append(NetworkCall(seconds, observations))

    def take(self) -> tuple[NetworkCall, ...]:
        """All calls since the last time, which are then forgotten."""
        calls = tuple(self._calls)
        self._calls.clear()
        return calls


class Metered:
    """A policy that can say how long its network took.

    Args:
        policy: The policy, with whatever is wrapped around it.
        meter: What its network's calls are noted in.
    """

    def __init__(self, policy: Policy, meter: Meter) -> None:
        self._policy, self._meter = policy, meter

    def begin(self, rng: np.random.Generator) -> Memory:
        """As the policy within."""
        return self._policy.begin(rng)

    def act(self, observations: Sequence[Observation], memories: Sequence[Memory]) -> Sequence[ActionChunk]:
        """As the policy within."""
        return self._policy.act(observations, memories)

    def take_calls(self) -> tuple[NetworkCall, ...]:
        """Calls of the network since this was last asked."""
        return self._meter.take()


@dataclass(frozen=True, kw_only=True)
class Latency:
    """What many calls of the network took.

    Attributes:
        calls: How many.
        observations: Answered per call, on average.
        median_s: Half of the calls took longer.
        p95_s: One in twenty took longer.
    """

    calls: int
    observations: float
    median_s: float
    p95_s: float

    @classmethod
    def of(cls, calls: Sequence[NetworkCall]) -> Self | None:
        """Summarise; None where the policy has no network, or nothing was asked."""
        if not calls:
            return None
        seconds = np.array([call.seconds for call in calls])
        return cls(
            calls=len(calls),
            observations=float(np.mean([call.observations for call in calls])),
            median_s=float(np.median(seconds)),
            p95_s=float(np.quantile(seconds, 0.95)),
        )

    def __str__(self) -> str:
        return (
            f"network: {1000 * self.median_s:.1f} ms a call (median), {1000 * self.p95_s:.1f} ms (p95), "
            f"{self.observations:.1f} observations a call, {self.calls} calls"
        )

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "calls": self.calls,
            "observations_per_call": self.observations,
            "median_s": self.median_s,
            "p95_s": self.p95_s,
        }

    @classmethod
    def from_json(cls, record: Mapping[str, Any]) -> Self:
        """The inverse of to_json."""
        return cls(
            calls=record["calls"],
            observations=record["observations_per_call"],
            median_s=record["median_s"],
            p95_s=record["p95_s"],
        )
