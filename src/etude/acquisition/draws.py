"""What all candidates of a scoring share: where in an episode it is looked, and with which noise and times."""

from dataclasses import dataclass
from typing import get_args

import numpy as np
from jaxtyping import Float32, Float64, Int64
from numpy.typing import NDArray

from etude.core import ConfigError, stream
from etude.policies.placing import Device


@dataclass(frozen=True, kw_only=True)
class ScoreSettings:
    """How closely episodes are looked at.

    Attributes:
        anchors: Moments of each episode, m; even, for `split` compares one half of them with the other.
        draws: Pairs of noise and time at each anchor, K.
        head: Names of the head's parameters ("*" stands for anything); None is all of the head that the policy's kind
            names. For a policy of another kind the pattern is needed.
        seed: Fixes anchors, noise and times.
        rows: Rows (anchor × draw) computed at once, at most, and at least one episode: it bounds the memory.
        threads: Threads that torch computes with.
        device: "auto" is a GPU where there is one, else the processor.
    """

    anchors: int = 8
    draws: int = 16
    head: str | None = None
    seed: int = 0
    rows: int = 4096
    threads: int = 1
    device: Device = "cpu"

    def __post_init__(self) -> None:
        if self.anchors < 2 or self.anchors % 2:
            raise ConfigError(f"anchors = {self.anchors} must be even and at least 2: half of them check the others.")
        for name in ("draws", "rows", "threads"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} = {getattr(self, name)} must be at least 1.")
        if self.device not in get_args(Device.__value__):
            raise ConfigError(f"device = '{self.device}' must be one of {get_args(Device.__value__)}.")


@dataclass(frozen=True, eq=False)
class SharedDraws:
    """The same for every candidate, so that candidates differ by what they show alone.

    Anchors come in the order 0, 2, 4, …, 1, 3, 5, …: the two halves that `split` compares follow one another, each
    spread over the whole episode.

    Attributes:
        positions: Where anchors are, as a fraction of the episode, one in each of m equal parts, (m,).
        noise: Standard normal, (m, K, H, A); every second draw is the one before with its sign changed, so that what is
            odd in the noise cancels in their mean.
        time: In [0, 1), at each anchor one in each of K equal parts, (m, K).
    """

    positions: Float64[NDArray[np.float64], " m"]
    noise: Float32[NDArray[np.float32], "m K H A"]
    time: Float32[NDArray[np.float32], "m K"]

    @staticmethod
    def of(settings: ScoreSettings, horizon: int, action_size: int) -> "SharedDraws":
        """The draws that belong to the settings' seed."""
        anchors, draws = settings.anchors, settings.draws
        order = np.concatenate([np.arange(0, anchors, 2), np.arange(1, anchors, 2)])
        jitter = stream(settings.seed, "anchors").random(anchors)
        rng = stream(settings.seed, "draws", draws)
        half = rng.standard_normal((anchors, (draws + 1) // 2, horizon, action_size), np.float32)
        noise = np.stack([half, -half], 2).reshape(anchors, -1, horizon, action_size)[:, :draws]
        time = ((np.arange(draws) + rng.random((anchors, draws))) / draws).astype(np.float32)
        below_one = np.nextafter(np.float32(1), np.float32(0))
        return SharedDraws(((np.arange(anchors) + jitter) / anchors)[order], noise, np.minimum(time, below_one))

    def frames(self, lengths: Int64[NDArray[np.int64], " N"]) -> Int64[NDArray[np.int64], "N m"]:
        """Where the anchors are in episodes of these lengths [frames]."""
        frames = (self.positions * lengths[:, None]).astype(np.int64)
        return np.minimum(frames, lengths[:, None] - 1)
