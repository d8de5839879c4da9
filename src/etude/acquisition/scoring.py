"""Scoring the episodes of a dataset by a checkpoint, a bounded number at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Int64
from numpy.typing import NDArray

from etude.acquisition.anchors import Anchors, Indices, shown
from etude.acquisition.disagreement import disagree
from etude.acquisition.draws import ScoreSettings
from etude.acquisition.evidence import Evidence
from etude.acquisition.gradients import Direction, HeadGradients, head_gradients
from etude.acquisition.record import read_evidence, write_evidence
from etude.acquisition.scores import SCORES, Grounds, Measured, Values, require_scores
from etude.core import ConfigError, EtudeError, ShapeError, stream
from etude.data import DatasetMeta
from etude.policies.checkpoint import load_model
from etude.policies.features import Features
from etude.policies.model import ChunkModel
from etude.policies.placing import place, resolve_device
from etude.policies.threads import torch_threads

type Told = Callable[[int, int], None]
"""(episodes measured, episodes in all)."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scores:
    """Several scores of the same episodes.

    Attributes:
        episodes: Indices in the dataset, (N,).
        lengths: Frames, (N,).
        values: Name of the score -> (N,).
    """

    episodes: Int64[NDArray[np.int64], " N"]
    lengths: Int64[NDArray[np.int64], " N"]
    values: Mapping[str, Values]


def score_episodes(
    names: Sequence[str],
    dataset: Path,
    grounds: Grounds,
    *,
    episodes: Sequence[int] | None = None,
    settings: ScoreSettings | None = None,
    record: Path | None = None,
    progress: Told | None = None,
) -> Scores:
    """Score episodes: the more, the more there is to learn from one. All scores come from one pass over them.

    Args:
        names: Of SCORES.
        dataset: The episodes.
        grounds: What they are judged by; a score that asks no policy is had without one.
        episodes: Which of them; by default all.
        settings: How closely they are looked at.
        record: File that what was measured is kept in as it goes; what it holds is not measured again.
        progress: Told how far it is.

    Raises:
        ConfigError: A score needs what is not given, the policy has no loss to differentiate, or a chance of failing is
            none.
        MismatchError: The dataset does not fit a policy, or policies do not fit each other.
    """
    settings = settings or ScoreSettings()
    require_scores(names, grounds.needs)
    needed = {need for name in names for need in SCORES[name].needs}
    meta = DatasetMeta.open(dataset)
    lengths = np.array(meta.lengths)
    chosen = _chosen(dataset, len(lengths), episodes)
    chances = None if grounds.failure is None else _chances(grounds.failure, chosen)
    loss = disagreement = None
    if grounds.policy is not None and any(SCORES[name].asks_policy for name in names):
        model = _load(grounds.policy, settings)
        compared = grounds.ensemble if "ensemble" in needed else ()
        others = [_load(checkpoint, settings, shown(meta)) for checkpoint in compared]
        anchors = Anchors(dataset, model, settings, others)
        with torch_threads(settings.threads):
            if "loss" in needed:
                direction = _mean_gradient(model, grounds.pockets, settings) if "pockets" in needed else None
                gradients = head_gradients(model, anchors.draws, settings)
                loss = _measure(gradients, anchors, chosen, direction, record, progress)
            if "ensemble" in needed:
                disagreement = disagree([model, *others], anchors, chosen)
    unguided = stream(settings.seed, "random scores").random(len(lengths))[chosen]
    measured = Measured(random=unguided, loss=loss, disagreement=disagreement, failure=chances)
    values = {name: SCORES[name].values(measured) for name in names}
    return Scores(episodes=chosen, lengths=lengths[chosen], values=values)


def _load(checkpoint: Path, settings: ScoreSettings, features: Features | None = None) -> ChunkModel:
    """A policy, where it is to compute; with features, only if it can look at them."""
    model = load_model(checkpoint, features)
    place(model, resolve_device(settings.device))
    return model


def _measure(
    gradients: HeadGradients,
    anchors: Anchors,
    episodes: Indices,
    direction: Direction | None,
    record: Path | None,
    progress: Told | None,
) -> Evidence:
    """What the loss says of each episode, in order."""
    known = read_evidence(record)
    left = np.array([episode for episode in episodes.tolist() if episode not in known], np.int64)
    for part, batch in anchors.batches(left):
        measured = gradients.evidence(batch, direction)
        known |= dict(zip(part.tolist(), measured.each(), strict=True))
        write_evidence(record, known)
        if progress:
            progress(len(known), len(episodes))
    return Evidence.join([known[episode] for episode in episodes.tolist()])


def _mean_gradient(model: ChunkModel, dataset: Path | None, settings: ScoreSettings) -> Direction:
    """The gradient of the mean loss over a dataset's episodes."""
    assert dataset is not None
    anchors = Anchors(dataset, model, settings)
    gradients, total = head_gradients(model, anchors.draws, settings), dict[str, torch.Tensor]()
    for part, batch in anchors.batches(np.arange(len(anchors.lengths))):
        share = len(part) / len(anchors.lengths)
        for name, gradient in gradients.mean(batch).items():
            total[name] = total.get(name, torch.zeros_like(gradient)) + share * gradient
    return total


def _chosen(dataset: Path, count: int, episodes: Sequence[int] | None) -> Indices:
    """The episodes meant: all of them where none are named."""
    chosen = np.arange(count) if episodes is None else np.asarray(episodes, np.int64)
    strange = chosen[(chosen < 0) | (chosen >= count)]
    if len(strange) or not len(chosen):
        what = f"has no episode {strange[0]}" if len(strange) else "was asked for no episode"
        raise EtudeError(f"'{dataset}' {what}: its episodes are 0 to {count - 1}.")
    return chosen


def _chances(failure: Sequence[float], episodes: Indices) -> Values:
    chances = np.asarray(failure, np.float64)
    if chances.shape != episodes.shape:
        raise ShapeError("p(fail | θ) of the episodes", f"{episodes.shape} in [0, 1]", f"{chances.shape}")
    strange = np.flatnonzero(~((chances >= 0) & (chances <= 1)))
    if len(strange):
        raise ConfigError(
            f"p(fail | θ) of episode {episodes[strange[0]]} is {chances[strange[0]]:g}: give a number from 0 to 1 for "
            "every episode, such as 0.35 for 35 %."
        )
    return chances
