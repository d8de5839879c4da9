"""From datasets to a trained policy: what it learns from, what it is judged by, and the training itself."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from etude.core import stream
from etude.data import FrameCache, Mixture, MixtureSource, split_episodes, statistics
from etude.policies.features import Features
from etude.training.config import TrainConfig

if TYPE_CHECKING:
    from etude.data import WindowBatch
    from etude.policies.model import ChunkModel
    from etude.training.train import Evaluate, Report, Track, TrainResult

HELD_OUT = 0.08
"""Share of every dataset's episodes that chooses the best checkpoint."""
VALIDATION_BATCHES = 4


@dataclass(frozen=True)
class WeightedDataset:
    """A dataset with its share of the training samples.

    Attributes:
        root: Its folder.
        weight: Its share, relative to those of the others.
    """

    root: Path
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True)
class PolicyChoice:
    """Which policy is trained, and what it starts from.

    Attributes:
        name: Policy type, for a new policy.
        options: Fields of its config that differ from its defaults.
        warm_start: Checkpoint to go on from, with its normaliser's statistics kept; the others are then not used.
    """

    name: str = "flow"
    options: Mapping[str, Any] = field(default_factory=dict[str, Any])
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
    def parameters(self) -> int:
        """Numbers that are learned."""
        return sum(p.numel() for p in self.model.module.parameters() if p.requires_grad)

    def mixture(self, config: TrainConfig) -> Mixture:
        """The batches of a training."""
        return Mixture(self.learned, horizon=self.model.horizon, batch_size=config.batch_size, seed=config.seed)

    def validation(self, config: TrainConfig) -> "list[WindowBatch]":
        """The batches that checkpoints are compared by."""
        held = Mixture(self.held_out, horizon=self.model.horizon, batch_size=config.batch_size, seed=config.seed)
        return [held.batch(i) for i in range(VALIDATION_BATCHES)]


def prepare(
    datasets: Sequence[WeightedDataset], policy: PolicyChoice, *, seed: int, held_out: float = HELD_OUT
) -> Exercise:
    """Open the datasets, hold episodes out, and make the policy.

    Args:
        datasets: What to learn from; features must agree.
        policy: What to train.
        seed: Draws the initial weights and the episodes held out.
        held_out: Share of every dataset's episodes that is not learned from.

    Raises:
        MismatchError: Datasets, or dataset and checkpoint, differ in features.
    """
    from etude.policies.checkpoint import build_policy, load_model

    caches = [FrameCache.open(dataset.root) for dataset in datasets]
    features = Features.from_shapes({name: f.shape for name, f in caches[0].meta.features.items()})
    if policy.warm_start is not None:
        model = load_model(policy.warm_start, features)
    else:
        means = statistics(*caches, pixels=False)
        model = build_policy(policy.name, features, means, stream(seed, "initial weights"), **policy.options)
    learned, held = _split(datasets, caches, held_out, seed)
    return Exercise(model=model, learned=learned, held_out=held)


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
    """Sources to learn from and sources to validate on; a single episode serves as both."""
    learned: list[MixtureSource] = []
    held: list[MixtureSource] = []
    for dataset, cache in zip(datasets, caches, strict=True):
        training, validation = split_episodes(len(cache.lengths), fraction, seed)
        learned.append(MixtureSource(cache, weight=dataset.weight, episodes=training))
        held.append(MixtureSource(cache, weight=dataset.weight, episodes=validation if len(validation) else training))
    return tuple(learned), tuple(held)
