"""What a policy sees and is shown at the anchors of episodes."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray

from etude.acquisition.draws import ScoreSettings, SharedDraws
from etude.core import MismatchError
from etude.data import DatasetMeta, FrameCache, Mixture, MixtureSource
from etude.policies.batches import to_tensors
from etude.policies.features import IMAGE_PREFIX, Features
from etude.policies.model import ChunkModel

type Indices = Int64[NDArray[np.int64], " N"]


class Anchors:
    """The windows at the anchors of a dataset's episodes, a bounded number at a time.

    Args:
        dataset: A LeRobot dataset.
        model: The policy that looks at them.
        settings: How many anchors there are, and how many rows are computed at once.
        others: Policies that look at them too.

    Raises:
        MismatchError: The dataset does not show what the policy looks at, or chunks are of different lengths.
    """

    def __init__(
        self, dataset: Path, model: ChunkModel, settings: ScoreSettings, others: Sequence[ChunkModel] = ()
    ) -> None:
        model.features.check(shown(DatasetMeta.open(dataset)), f"dataset '{dataset}'")
        models = [model, *others]
        horizons = sorted({each.horizon for each in models})
        if len(horizons) > 1:
            told = " and ".join(map(str, horizons))
            raise MismatchError(f"policies that predict {told} actions cannot be compared: give some of equal horizon.")
        sizes = {each.inputs.fitted.inputs.early_size if each.inputs else None for each in models}
        self._device = next(model.module.parameters()).device
        self._cache = FrameCache.open(dataset, image_size=sizes.pop() if len(sizes) == 1 else None)
        self.draws = SharedDraws.of(settings, model.horizon, model.features.action_size)
        self._mixture = Mixture([MixtureSource(self._cache)], horizon=model.horizon, batch_size=1)
        self._at_once = max(1, settings.rows // (settings.anchors * settings.draws))
        self._texts = [str(next(iter(row.get("tasks") or [""]))) for row in self._cache.meta.rows]

    @property
    def lengths(self) -> Indices:
        """Frames of each episode of the dataset."""
        return self._cache.lengths

    @property
    def action_scale(self) -> NDArray[np.float32]:
        """Deviation of each number of an action over the dataset, (A,)."""
        return self._cache.action.std(0)

    def batches(self, episodes: Indices) -> Iterator[tuple[Indices, dict[str, Any]]]:
        """Some episodes at a time, with their windows in the data's units, (episodes · m, …), episode by episode.

        They are where the policy is. With "task", a text for each window, for policies that follow words.
        """
        for first in range(0, len(episodes), self._at_once):
            part = episodes[first : first + self._at_once]
            frames = self.draws.frames(self.lengths[part])
            of_row = part.repeat(frames.shape[1])
            texts = [self._texts[episode] for episode in of_row.tolist()]
            yield part, {**to_tensors(self._mixture.windows(of_row, frames.ravel()), self._device), "task": texts}


def shown(meta: DatasetMeta) -> Features:
    """What a dataset shows, its images as large as they were recorded."""
    shapes = {name: feature.shape for name, feature in meta.features.items()}
    return Features.from_shapes(shapes | {IMAGE_PREFIX + camera: size for camera, size in meta.image_shapes.items()})
