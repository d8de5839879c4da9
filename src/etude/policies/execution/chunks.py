"""Asking a trained model: whole chunks, whose bits do not depend on who else is in the batch."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from etude.core import ActionChunk, MismatchError, Observation, ShapeError
from etude.policies.execution.latency import Meter
from etude.policies.features import IMAGE_PREFIX, STATE_KEY, Features
from etude.policies.threads import torch_threads


class Predictor(Protocol):
    """A trained model."""

    @property
    def features(self) -> Features:
        """What it was made for."""
        ...

    @property
    def horizon(self) -> int:
        """Actions in a chunk, H."""
        ...

    @property
    def observed(self) -> int:
        """Observations in a row that it looks at, the present among them."""
        ...

    def predict(self, batch: Mapping[str, Tensor], noise: Tensor) -> Tensor:
        """Chunks (B, H, A) for images and states under LeRobot's keys, and noise (B, H, A).

        Where several observations are looked at, images and states have an axis of time, (B, observed, …).
        """
        ...


class ChunkPolicy:
    """A core Policy over a model; an episode's memory is the generator that draws its noise.

    Every batch is padded to one size, so that the same kernels work on every observation wherever it stands.

    Args:
        model: In eval mode.
        batch_size: Observations per call of the network.
        threads: Threads that torch computes with.
        meter: Notes how long the model takes.
    """

    def __init__(self, model: Predictor, *, batch_size: int, threads: int, meter: Meter | None = None) -> None:
        self._model, self._features = model, model.features
        self._image_sizes = self._features.image_sizes
        self._batch_size, self._threads = batch_size, threads
        self._meter = meter or Meter()

    def begin(self, rng: np.random.Generator) -> np.random.Generator:
        """The episode's stream is all that is remembered."""
        return rng

    def act(
        self, observations: Sequence[Observation], memories: Sequence[np.random.Generator]
    ) -> Sequence[ActionChunk]:
        """One chunk per observation, (H, A) float32."""
        return self.act_on([(observation,) for observation in observations], memories)

    def act_on(
        self, histories: Sequence[Sequence[Observation]], memories: Sequence[np.random.Generator]
    ) -> Sequence[ActionChunk]:
        """One chunk per row of observations, the present last; all rows as long as the model looks back."""
        shape = (self._model.horizon, self._features.action_size)
        noise = [rng.standard_normal(shape, dtype=np.float32) for rng in memories]
        chunks: list[ActionChunk] = []
        with torch_threads(self._threads):
            for start in range(0, len(histories), self._batch_size):
                window = slice(start, start + self._batch_size)
                chunks.extend(self._predict(histories[window], noise[window]))
        return chunks

    def _predict(self, histories: Sequence[Sequence[Observation]], noise: Sequence[NDArray[Any]]) -> list[ActionChunk]:
        batch: dict[str, Tensor] = {}
        if self._features.state_size:
            batch[STATE_KEY] = self._stack([_over_time([self._state(o) for o in history]) for history in histories])
        for camera in self._features.cameras:
            images = self._stack([_over_time([self._image(o, camera) for o in history]) for history in histories])
            batch[IMAGE_PREFIX + camera] = images.movedim(-1, -3)
        begun = time.perf_counter()
        chunks = self._model.predict(batch, self._stack(noise)).numpy()
        self._meter.add(time.perf_counter() - begun, len(histories))
        return list(chunks[: len(histories)])

    def _stack(self, rows: Sequence[NDArray[Any]]) -> Tensor:
        """Stack, repeating the first row up to the batch size."""
        return torch.from_numpy(np.stack([*rows, *[rows[0]] * (self._batch_size - len(rows))]))

    def _state(self, observation: Observation) -> NDArray[Any]:
        expected = (self._features.state_size,)
        if observation.state.shape != expected:
            raise ShapeError("observation.state", expected, observation.state.shape)
        return np.asarray(observation.state, dtype=np.float32)

    def _image(self, observation: Observation, camera: str) -> NDArray[Any]:
        if camera not in observation.images:
            raise MismatchError(
                f"the checkpoint looks through camera '{camera}'; the observation has "
                f"{', '.join(observation.images) or 'no camera'}."
            )
        image, expected = observation.images[camera], (*self._image_sizes[camera], 3)
        if image.shape != expected:
            raise ShapeError(f"image of camera '{camera}'", expected, image.shape)
        return image


def _over_time(rows: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """One observation as it is, several with an axis of time before."""
    return rows[0] if len(rows) == 1 else np.stack(rows)
