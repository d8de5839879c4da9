"""From datasets to a trained policy: what it learns from, what it is judged by, and the training itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int64
from numpy.typing import NDArray

from etude.core import ConfigError, MismatchError, stream
from etude.data import FrameCache, Mixture, MixtureSource, split_episodes, statistics
from etude.data.mapping import FeatureMapping, remap, require_equal_arrays
from etude.policies.features import IMAGE_PREFIX, Features
from etude.policies.inputs import ImageInputs
from etude.training.config import TrainConfig

if TYPE_CHECKING:
    from etude.data import WindowBatch
    from etude.policies.model import ChunkModel
    from etude.training.train import Evaluate, Report, Track, TrainResult

HELD_OUT = 0.08
"""Share of a dataset's episodes that chooses the best checkpoint."""
VALIDATION_BATCHES = 4


@dataclass(frozen=True)
class WeightedDataset:
    """A dataset with its share of the training samples.

    Attributes:
        root: Its folder.
        weight: Its share, relative to those of the others.
        mapping: What its features become, where they are not those of the others.
        episode_weights: One relative weight per frame of each episode; by default all frames count the same.
        validates: Whether some of its episodes are held out to choose the best checkpoint; of a few that are added to
            many, one or two would choose by chance, and be missed.
    """

    root: Path
    weight: float = 1.0
    mapping: FeatureMapping | None = None
    episode_weights: tuple[float, ...] | None = None
    validates: bool = True

    def open(self, image_size: tuple[int, int] | None = None) -> FrameCache:
        """Its frames, decoded if they never were, as the mapping says.

        Args:
            image_size: Height and width [px] to resize images to.

        Raises:
            ConfigError: Weights of another number of episodes.
        """
        cache = FrameCache.open(self.root, image_size=image_size)
        if self.episode_weights is not None and len(self.episode_weights) != len(cache.lengths):
            raise ConfigError(
                f"'{self.root}' has {len(cache.lengths)} episodes, and {len(self.episode_weights)} weights for them."
            )
        return cache if self.mapping is None else remap(cache, self.mapping)

    def source(self, cache: FrameCache, episodes: Int64[NDArray[np.int64], " E"]) -> MixtureSource:
        """Some of its episodes, with their weights."""
        weights = None if self.episode_weights is None else np.array(self.episode_weights)[episodes]
        return MixtureSource(cache, weight=self.weight, episodes=episodes, episode_weights=weights)


@dataclass(frozen=True, kw_only=True)
class PolicyChoice:
    """Which policy is trained, and what it starts from.

    Attributes:
        name: Policy type, for a new policy.
        options: Fields of its config that differ from its defaults.
        inputs: What its network sees of the images; None is all of them, as they come.
        warm_start: Checkpoint to go on from, with its normaliser's statistics kept; the others are then not used.
    """

    name: str = "flow"
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
    inputs: ImageInputs | None = None
    warm_start: Path | None = None


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """A policy, and the episodes it learns from and is judged by.

    Attributes:
        model: Fresh, or loaded to start warm.
        learned: Episodes it learns from.
        held_out: Episodes that choose its best checkpoint.
    """

    model: "ChunkModel"
    learned: tuple[MixtureSource, ...]
    held_out: tuple[MixtureSource, ...]

    @property
    def episodes(self) -> tuple[int, int]:
        """How many it learns from, and how many are held out."""
        parts = (self.learned, self.held_out)
        learned, held = (sum(len(s.episodes) for s in part if s.episodes is not None) for part in parts)
        return learned, held

    @property
    def frames(self) -> int:
        """Frames of the episodes it learns from."""
        return Mixture(self.learned, horizon=1, batch_size=1).frames

    @property
    def parameters(self) -> int:
        """Numbers that are learned."""
        return sum(p.numel() for p in self.model.module.parameters() if p.requires_grad)

    def mixture(self, config: TrainConfig) -> Mixture:
        """The batches of a training."""
        return Mixture(self.learned, horizon=self.model.horizon, batch_size=config.batch_size, seed=config.seed)

    def some_windows(self, batch_size: int) -> "WindowBatch":
        """A batch of any size, to measure with."""
        return Mixture(self.learned, horizon=self.model.horizon, batch_size=batch_size).batch(0)

    def validation(self, config: TrainConfig) -> "list[WindowBatch]":
        """The batches that checkpoints are compared by."""
        held = Mixture(self.held_out, horizon=self.model.horizon, batch_size=config.batch_size, seed=config.seed)
        return [held.batch(i) for i in range(VALIDATION_BATCHES)]


def prepare(
    datasets: Sequence[WeightedDataset],
    policy: PolicyChoice,
    *,
    seed: int,
    held_out: float = HELD_OUT,
) -> Exercise:
    """Open the datasets, hold episodes out, and make the policy.

    Args:
        datasets: What to learn from; features must agree.
        policy: What to train.
        seed: Draws the initial weights and the episodes held out.
        held_out: Share of the episodes that is not learned from, of every dataset that validates.

    Raises:
        MismatchError: Datasets, or dataset and checkpoint, differ in features; or a number is missing.
        ConfigError: No dataset validates.
    """
    from etude.policies.checkpoint import build_policy, load_model

    model = load_model(policy.warm_start) if policy.warm_start else None
    inputs = (model.inputs.fitted.inputs if model.inputs else None) if model else policy.inputs
    caches = [dataset.open(inputs.early_size if inputs else None) for dataset in datasets]
    require_equal_arrays(caches)
    for dataset, cache in zip(datasets, caches, strict=True):
        _require_numbers(dataset, cache)
    features = features_of(caches)
    if model is not None:
        model.features.check(features, f"what '{policy.warm_start}' is given")
    else:
        means = statistics(*caches, pixels=False)
        rng = stream(seed, "initial weights")
        model = build_policy(policy.name, features, means, rng, inputs=policy.inputs, **policy.options)
    learned, held = _split(datasets, caches, held_out, seed)
    return Exercise(model=model, learned=learned, held_out=held)


def _require_numbers(dataset: WeightedDataset, cache: FrameCache) -> None:
    """Raise, before anything is learned from them, for states and actions that are not finite."""
    for name, array in (("state", cache.state), ("action", cache.action)):
        frames = np.flatnonzero(~np.isfinite(array).all(1))
        if len(frames):
            episode = int(np.searchsorted(np.cumsum(cache.lengths), frames[0], side="right"))
            raise MismatchError(
                f"'{dataset.root}', episode {episode}: its {name} holds what is not a number, in {len(frames)} frames "
                f"of the dataset. `etude data check {dataset.root}` finds such episodes, `etude data delete` writes a "
                "dataset without them."
            )


def features_of(caches: Sequence[FrameCache]) -> Features:
    """What a policy will be given and do that learns from these frames.

    Its images are as large as those of the datasets, however small they lie in the caches; where the datasets differ in
    that, as large as in the caches.
    """
    first = caches[0]
    shapes = {name: feature.shape for name, feature in first.meta.features.items()}
    if all(dict(cache.recorded_sizes) == dict(first.recorded_sizes) for cache in caches):
        shapes |= {IMAGE_PREFIX + camera: (*size, 3) for camera, size in first.recorded_sizes.items()}
    return Features.from_shapes(shapes)


def train_on(
    datasets: Sequence[WeightedDataset],
    out: Path,
    *,
    config: TrainConfig,
    policy: PolicyChoice,
    resume: bool = False,
    progress: "Report | None" = None,
) -> "TrainResult":
    """Fit a policy to a mixture of datasets, some of whose episodes are held out to choose the best checkpoint.

    Args:
        datasets: What to learn from; features must agree.
        out: Where checkpoint, curves and the state for resuming go.
        config: Steps, batch size and the rest.
        policy: What to train.
        resume: Continue what a killed training left in `out`.
        progress: Told after every step.

    Raises:
        MismatchError: Datasets, or dataset and checkpoint, differ in features.
    """
    return fit(prepare(datasets, policy, seed=config.seed), out, config=config, resume=resume, progress=progress)


def fit(
    exercise: Exercise,
    out: Path,
    *,
    config: TrainConfig,
    resume: bool = False,
    progress: "Report | None" = None,
    evaluate: "Evaluate | None" = None,
    track: "Track | None" = None,
) -> "TrainResult":
    """Train what was prepared; see `etude.training.train.train` for the arguments."""
    from etude.training.train import train

    return train(
        exercise.model,
        exercise.mixture(config),
        exercise.validation(config),
        config,
        out,
        resume=resume,
        progress=progress,
        evaluate=evaluate,
        track=track,
    )


def _split(
    datasets: Sequence[WeightedDataset], caches: Sequence[FrameCache], fraction: float, seed: int
) -> tuple[tuple[MixtureSource, ...], tuple[MixtureSource, ...]]:
    """Sources to learn from and to validate on, of the episodes that have weight; a single one serves as both."""
    learned: list[MixtureSource] = []
    held: list[MixtureSource] = []
    for dataset, cache in zip(datasets, caches, strict=True):
        weights = dataset.episode_weights
        used = np.arange(len(cache.lengths)) if weights is None else np.flatnonzero(weights)
        if not dataset.validates:
            learned.append(dataset.source(cache, used))
            continue
        training, validation = (used[part] for part in split_episodes(len(used), fraction, seed))
        learned.append(dataset.source(cache, training))
        held.append(dataset.source(cache, validation if len(validation) else training))
    if not held:
        raise ConfigError("no dataset validates: of one at least episodes must be held out, to choose a checkpoint by.")
    return tuple(learned), tuple(held)
