"""The training of one arm: here, or handed over to be done elsewhere."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from etude.core import derive_seed
from etude.loop.accepting import take_over
from etude.loop.chain import Chain
from etude.loop.elsewhere import CHECKPOINT, hand_over_of, trained_policy
from etude.loop.handing import HandOver
from etude.loop.practice.choosing import CHOOSE, episode_weights
from etude.loop.pupil import DATASET, Pupil
from etude.loop.stage import load_manifest
from etude.training import TrainConfig
from etude.training.fitting import PolicyChoice, WeightedDataset, train_on


def train(
    chain: Chain,
    pupil: Pupil,
    directory: Path,
    name: str,
    *,
    steps: int,
    warm_start: bool,
    new_share: float | None = None,
) -> Pupil:
    """Train on everything an arm has, from its last checkpoint or from scratch.

    Args:
        chain: Whose arm it is.
        pupil: The arm so far.
        directory: Where the training goes.
        name: What it is called, which its randomness depends on.
        steps: How many.
        warm_start: Whether from the last checkpoint.
        new_share: Sampling weight of what it practised, all rounds alike; None is the run's.

    Raises:
        AwaitingPolicyError: Policies are trained elsewhere, and none came yet.
    """
    first, *practised = pupil.collections
    share = (chain.config.new_share if new_share is None else new_share) if practised else 0.0
    training = _Training(
        chain=chain,
        pupil=pupil,
        name=name,
        weights={first: 1 - share} | {path: share / len(practised) for path in practised},
        config=TrainConfig(
            steps=steps,
            batch_size=chain.config.batch_size,
            seed=derive_seed(chain.seed, "train", name),
            threads=chain.config.train_threads,
        ),
        warm_start=warm_start,
    )
    if chain.config.elsewhere:
        training.elsewhere(directory)
    else:
        training.here(directory)
    return replace(pupil.charged(directory), train=directory)


@dataclass(frozen=True, kw_only=True)
class _Training:
    """What is learned from, with its weights, and how."""

    chain: Chain
    pupil: Pupil
    name: str
    weights: Mapping[Path, float]
    config: TrainConfig
    warm_start: bool

    def here(self, directory: Path) -> None:
        """A stage of its own."""
        start = self.pupil.train / CHECKPOINT if self.warm_start else None

        def work(folder: Path) -> Mapping[str, Any]:
            with self.chain.progress(f"{self.name}: training", self.config.steps) as update:
                result = train_on(
                    self.datasets,
                    folder,
                    config=self.config,
                    policy=PolicyChoice(name=self.chain.config.policy, warm_start=start),
                    resume=True,
                    progress=lambda step, _total, loss: update(step, f"loss {loss:.3f}"),
                )
            return {"train_steps": self.config.steps, "best_step": result.best_step, "best_loss": result.best_loss}

        how = {"policy": self.chain.config.policy, "train": asdict(self.config)}
        self.chain.stage(directory, {**how, **self.data}, work)

    def elsewhere(self, directory: Path) -> None:
        """Hand the demonstrations over, and take the policy that comes back."""
        hand_over = HandOver(
            name=self.name,
            task=self.chain.task,
            datasets=self.datasets,
            layouts=self.chain.config.elsewhere,
            start=trained_policy(self.pupil.train) if self.warm_start else None,
            steps=self.config.steps,
            progress=self.chain.progress,
        )
        handed = directory.with_name(hand_over_of(directory.name))
        self.chain.stage(handed, {**self.data, "layouts": self.chain.config.elsewhere}, hand_over.write)
        take_over(handed, directory, self.chain.directory, self.chain.arena, self.chain.config)

    @property
    def datasets(self) -> list[WeightedDataset]:
        """All that the arm has."""
        first = self.pupil.collections[0]
        return [
            WeightedDataset(
                path / DATASET, self.weights[path], episode_weights=episode_weights(path), validates=path == first
            )
            for path in self.pupil.collections
        ]

    @property
    def data(self) -> Mapping[str, Any]:
        """What tells this training's data, and its beginning, from another's."""
        paths = self.pupil.collections
        key: dict[str, Any] = {
            "datasets": {load_manifest(path).hash: self.weights[path] for path in paths},
            "warm_start": load_manifest(self.pupil.train).hash if self.warm_start else None,
        }
        choices = [path.with_name(CHOOSE) for path in paths if path.with_name(CHOOSE).exists()]
        return key | ({"choices": [load_manifest(path).hash for path in choices]} if choices else {})
