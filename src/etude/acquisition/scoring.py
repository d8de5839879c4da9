"""Scoring the episodes of a dataset by a checkpoint, a bounded number at a time."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from etude.acquisition.anchors import Anchors, Indices
from etude.acquisition.disagreement import disagree
from etude.acquisition.draws import ScoreSettings
from etude.acquisition.evidence import Evidence
from etude.acquisition.gradients import head_gradients
from etude.acquisition.record import read_evidence, write_evidence
from etude.acquisition.scores import SCORES, Measured, Need, Values, require_scores
from etude.core import ShapeError, stream
from etude.policies.checkpoint import load_model
from etude.policies.model import ChunkModel
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
    name: str,
    checkpoint: Path,
    dataset: Path,
    *,
    episodes: Sequence[int] | None = None,
    settings: ScoreSettings | None = None,
    pockets: Path | None = None,
    ensemble: Sequence[Path] = (),
    failure: Sequence[float] | None = None,
    record: Path | None = None,
    progress: Told | None = None,
) -> Float64[NDArray[np.float64], " N"]:
    """Score episodes: the more, the more there is to learn from one.

    Args:
        name: One of SCORES.
        checkpoint: The policy as it is now.
        dataset: The episodes.
        episodes: Which of them; by default all.
        settings: How closely they are looked at.
        pockets: Demonstrations inside failing pockets, for `align`.
        ensemble: Other checkpoints, for `disagreement`.
        failure: Estimated p(fail | θ) of each episode, (N,), for `failure` and `failure-split`.
        record: File that what was measured is kept in as it goes; what it holds is not measured again.
        progress: Told how far it is.
    Raises:
        ConfigError: The score needs what is not given, or the policy has no loss to differentiate.
        MismatchError: The dataset does not fit the policy.
    """
    return score_all(
        [name],
        checkpoint,
        dataset,
        episodes=episodes,
        settings=settings,
        pockets=pockets,
        ensemble=ensemble,
        failure=failure,
        record=record,
        progress=progress,
    ).values[name]


def score_all(
    names: Sequence[str],
    checkpoint: Path,
    dataset: Path,
    *,
    episodes: Sequence[int] | None = None,
    settings: ScoreSettings | None = None,
    pockets: Path | None = None,
    ensemble: Sequence[Path] = (),
    failure: Sequence[float] | None = None,
    record: Path | None = None,
    progress: Told | None = None,
) -> Scores:
    """Score episodes in several ways, all from one pass over them; see `score_episodes`."""
    settings = settings or ScoreSettings()
    given: dict[Need, bool] = {
        "loss": True,
        "pockets": pockets is not None,
        "ensemble": bool(ensemble),
        "failure": failure is not None,
    }
    require_scores(names, [need for need, there in given.items() if there])
    needed = {need for name in names for need in SCORES[name].needs}
    model = load_model(checkpoint)
    anchors = Anchors(dataset, model, settings)
    chosen = anchors.chosen(None if episodes is None else np.asarray(episodes, np.int64))
    chances = None if failure is None else _chances(failure, len(chosen))
    loss = disagreement = None
    with torch_threads(settings.threads):
        if "loss" in needed:
            aim = pockets if "pockets" in needed else None
            loss = _measure(model, anchors, chosen, settings, aim, record, progress)
        if "ensemble" in needed:
            disagreement = disagree([model, *map(load_model, ensemble)], anchors, chosen)
    unguided = stream(settings.seed, "random scores").random(len(anchors.lengths))[chosen]
    measured = Measured(random=unguided, loss=loss, disagreement=disagreement, failure=chances)
    values = {name: SCORES[name].values(measured) for name in names}
    return Scores(episodes=chosen, lengths=anchors.lengths[chosen], values=values)


def _measure(
    model: ChunkModel,
    anchors: Anchors,
    episodes: Indices,
    settings: ScoreSettings,
    pockets: Path | None,
    record: Path | None,
    progress: Told | None,
) -> Evidence:
    """What the loss says of each episode, in order."""
    gradients = head_gradients(model, anchors.draws, settings)
    direction = _mean_gradient(model, pockets, settings) if pockets else None
    known = read_evidence(record)
    left = np.array([episode for episode in episodes.tolist() if episode not in known], np.int64)
    for part, batch in anchors.batches(left):
        measured = gradients.evidence(batch, direction)
        known |= dict(zip(part.tolist(), measured.each(), strict=True))
        write_evidence(record, known)
        if progress:
            progress(len(known), len(episodes))
    return Evidence.join([known[episode] for episode in episodes.tolist()])


def _mean_gradient(model: ChunkModel, dataset: Path, settings: ScoreSettings) -> dict[str, torch.Tensor]:
    """The gradient of the mean loss over a dataset's episodes."""
    anchors = Anchors(dataset, model, settings)
    gradients, total = head_gradients(model, anchors.draws, settings), dict[str, torch.Tensor]()
    for part, batch in anchors.batches(anchors.chosen(None)):
        share = len(part) / len(anchors.lengths)
        for name, gradient in gradients.mean(batch).items():
            total[name] = total.get(name, torch.zeros_like(gradient)) + share * gradient
    return total


def _chances(failure: Sequence[float], count: int) -> Values:
    chances = np.asarray(failure, np.float64)
    if chances.shape != (count,) or not ((chances >= 0) & (chances <= 1)).all():
        raise ShapeError("p(fail | θ) of the episodes", f"({count},) in [0, 1]", f"{chances.shape}")
    return chances
