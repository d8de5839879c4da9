"""Training batches from weighted datasets, each a pure function of (seed, step)."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64, Int64, UInt8
from numpy.typing import NDArray

from etude.core import ConfigError, stream
from etude.data.caching import FrameCache, Frames
from etude.data.mapping import require_equal_arrays


@dataclass(frozen=True, kw_only=True, eq=False)
class WindowBatch:
    """B observations, each with the H actions that follow it.

    Attributes:
        images: Camera name -> (B, H, W, 3) uint8.
        state: Proprioception, (B, S).
        action: Actions from the observation on, (B, H, A); past the episode's end its last action is repeated.
        is_pad: Whether an action lies past the episode's end, (B, H).
        source: Index of the source each window comes from, (B,).
        episode: Index of the episode in its dataset, (B,).
        frame: Index of the frame in its episode, (B,).
    """

    images: Mapping[str, UInt8[NDArray[np.uint8], "B H W 3"]]
    state: Float32[NDArray[np.float32], "B S"]
    action: Float32[NDArray[np.float32], "B H A"]
    is_pad: Bool[NDArray[np.bool_], "B H"]
    source: Int64[NDArray[np.int64], " B"]
    episode: Int64[NDArray[np.int64], " B"]
    frame: Int64[NDArray[np.int64], " B"]


@dataclass(frozen=True, eq=False)
class MixtureSource:
    """A dataset with its share of the windows.

    Attributes:
        cache: The dataset's frames.
        weight: Its share of the windows, relative to those of the other sources, however large it is.
        episodes: Indices of the episodes to use; by default all.
        episode_weights: One relative weight per frame of each episode used; by default all frames count the same.
    """

    cache: FrameCache
    weight: float = 1.0
    episodes: Sequence[int] | Int64[NDArray[np.int64], " E"] | None = None
    episode_weights: Sequence[float] | Float64[NDArray[np.float64], " E"] | None = None


class Mixture:
    """Draws windows from weighted sources: exact shares in expectation, the same batch for the same (seed, step).

    Each batch is stratified: sample i falls into the i-th of B equal parts of the total weight. So every source gets
    its share to within one sample in *every* batch, and a batch spreads evenly over the episodes.

    Args:
        sources: Datasets of equal states, actions and cameras, as `remap` makes them, with their shares.
        horizon: Actions per window.
        batch_size: Windows per batch.
        seed: Root of the randomness.

    Raises:
        MismatchError: Sources of different features; the message tells how to map one to the other.
        ConfigError: Nothing to draw from.
    """

    def __init__(
        self, sources: Sequence[MixtureSource], *, horizon: int = 16, batch_size: int = 64, seed: int = 0
    ) -> None:
        if horizon < 1 or batch_size < 1 or not sources:
            raise ConfigError(
                f"a mixture needs sources, horizon >= 1, batch_size >= 1; got {len(sources)}, {horizon}, {batch_size}."
            )
        require_equal_arrays([source.cache for source in sources])
        self.sources, self.horizon, self.batch_size, self.seed = tuple(sources), horizon, batch_size, seed
        segments = [_segments(index, source) for index, source in enumerate(sources) if source.weight != 0]
        if not segments:
            raise ConfigError("a mixture needs a source of positive weight, got only zeros.")
        self._source, self._episode = (np.concatenate([s[k] for s in segments]) for k in (0, 1))
        self._start, self._length = (np.concatenate([s[k] for s in segments]) for k in (2, 3))
        self._share = np.concatenate([s[4] for s in segments])
        self._share /= self._share.sum()
        self._upper = np.cumsum(self._share)
        self._upper[-1] = 1.0
        self._lower = np.concatenate([[0.0], self._upper[:-1]])

    @property
    def frames(self) -> int:
        """Windows there are."""
        return int(self._length.sum())

    def batch(self, step: int) -> WindowBatch:
        """The batch of a training step, whichever were drawn before."""
        rng = stream(self.seed, "mixture", step)
        u = (np.arange(self.batch_size) + rng.random(self.batch_size)) / self.batch_size
        segment = np.minimum(np.searchsorted(self._upper, u, side="right"), len(self._upper) - 1)
        within = (u - self._lower[segment]) / (self._upper[segment] - self._lower[segment])
        length = self._length[segment]
        frame = np.clip((within * length).astype(np.int64), 0, length - 1)
        return self._gather(segment, frame)

    def sweep(self) -> Iterator[WindowBatch]:
        """Every window once, episode by episode, in batches of at most `batch_size`."""
        segment = np.repeat(np.arange(len(self._length)), self._length)
        frame = np.arange(len(segment)) - np.repeat(np.cumsum(self._length) - self._length, self._length)
        for first in range(0, len(segment), self.batch_size):
            part = slice(first, first + self.batch_size)
            yield self._gather(segment[part], frame[part])

    def windows(self, episode: Int64[NDArray[np.int64], " B"], frame: Int64[NDArray[np.int64], " B"]) -> WindowBatch:
        """Windows at given frames.

        Args:
            episode: Positions among the episodes used (those of weight 0 are not), source after source, not decreasing
                in their source.
            frame: Index of the frame in its episode.
        """
        return self._gather(episode, frame)

    def _gather(self, segment: Int64[NDArray[np.int64], " B"], frame: Int64[NDArray[np.int64], " B"]) -> WindowBatch:
        source, first, length = self._source[segment], self._start[segment], self._length[segment]
        ahead = frame[:, None] + np.arange(self.horizon)  # (B, H), frame in the episode
        is_pad = ahead >= length[:, None]
        rows = first + frame
        windows = first[:, None] + np.minimum(ahead, length[:, None] - 1)
        bounds = np.searchsorted(source, np.arange(len(self.sources) + 1))  # sources follow one another in a batch
        parts = [
            (cache.cache, slice(low, high))
            for cache, low, high in zip(self.sources, bounds[:-1], bounds[1:], strict=True)
            if low < high
        ]
        cameras = self.sources[0].cache.images
        return WindowBatch(
            images={c: _take_images([(cache.images[c], rows[part]) for cache, part in parts]) for c in cameras},
            state=_take([(cache.state, rows[part]) for cache, part in parts]),
            action=_take([(cache.action, windows[part]) for cache, part in parts]),
            is_pad=is_pad,
            source=source,
            episode=self._episode[segment],
            frame=frame,
        )


def split_episodes(
    episodes: int, fraction: float, seed: int
) -> tuple[Int64[NDArray[np.int64], " train"], Int64[NDArray[np.int64], " held_out"]]:
    """Hold out a share of a dataset's episodes, whole episodes at random.

    Args:
        episodes: How many there are.
        fraction: Share to hold out, in [0, 1); at least one episode where it is positive and two exist.
        seed: Root of the choice.

    Returns:
        Indices to train on and indices held out, both sorted.
    """
    if not 0 <= fraction < 1:
        raise ConfigError(f"fraction held out = {fraction:g} must lie in [0, 1).")
    held = min(max(round(episodes * fraction), 1 if fraction > 0 else 0), episodes - 1)
    order = stream(seed, "held-out").permutation(episodes)
    return np.sort(order[max(held, 0) :]), np.sort(order[: max(held, 0)])


def _segments(index: int, source: MixtureSource) -> tuple[NDArray[Any], ...]:
    """Per episode used: source, episode, first frame, length, share of the source's weight times that weight."""
    cache = source.cache
    used = np.arange(len(cache.lengths)) if source.episodes is None else np.asarray(source.episodes, dtype=np.int64)
    if len(used) == 0 or used.min() < 0 or used.max() >= len(cache.lengths):
        raise ConfigError(f"episodes of '{cache.meta.root}' to use must be some of 0 to {len(cache.lengths) - 1}.")
    weights = np.ones(len(used)) if source.episode_weights is None else np.asarray(source.episode_weights, np.float64)
    if weights.shape != used.shape:
        raise ConfigError(f"'{cache.meta.root}' has {weights.size} episode weights for {used.size} episodes.")
    if not source.weight >= 0 or not np.isfinite(source.weight) or not (weights >= 0).all() or not weights.sum() > 0:
        raise ConfigError(f"weights of '{cache.meta.root}' must not be negative, nor all zero.")
    used, weights = used[weights > 0], weights[weights > 0]
    lengths = cache.lengths[used]
    mass = weights * lengths
    return np.full(len(used), index), used, cache.starts[used], lengths, source.weight * mass / mass.sum()


def _take_images(parts: Sequence[tuple[Frames, NDArray[np.int64]]]) -> UInt8[NDArray[np.uint8], "B H W 3"]:
    """Gather images of several datasets into one new array."""
    out, filled = np.empty((sum(len(rows) for _, rows in parts), *parts[0][0].shape[1:]), np.uint8), 0
    for frames, rows in parts:
        frames.take(rows, out=out[filled : filled + len(rows)])
        filled += len(rows)
    return out


def _take(parts: Sequence[tuple[NDArray[Any], NDArray[Any]]]) -> NDArray[Any]:
    """Gather rows of several arrays into one new array."""
    if len(parts) == 1:
        array, rows = parts[0]
        return array.take(rows, axis=0, mode="clip")
    first = parts[0][0]
    shape = (sum(len(rows) for _, rows in parts), *parts[0][1].shape[1:], *first.shape[1:])
    out, filled = np.empty(shape, first.dtype), 0
    for array, rows in parts:
        array.take(rows, axis=0, mode="clip", out=out[filled : filled + len(rows)])  # "raise" would copy twice
        filled += len(rows)
    return out
