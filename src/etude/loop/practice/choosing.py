"""The choose stage: which candidates become practice, how much they weigh, and where the next ones are made."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from etude.acquisition.budget import pocket_weights
from etude.acquisition.choosing import Choice, choose_demonstrations
from etude.acquisition.distributions import MutationDistributions
from etude.core import MismatchError, Perturbation, PerturbationSpace, Pocket
from etude.core.files import read_json, write_json
from etude.data import DatasetMeta
from etude.loop.arms import Arm
from etude.loop.exercise import Scores
from etude.loop.pupil import DATASET

SCORES_FILE, CHOSEN, BEFORE, DISTRIBUTIONS = "scores.json", "chosen.json", "before.json", "distributions.json"
CHOOSE = "choose"
"""Folder of the stage, beside that of the candidates."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Candidates:
    """Demonstrations to choose among, in the dataset's order.

    Attributes:
        thetas: Their perturbations.
        points: The same in the unit cube, (N, D).
        sources: Episode of the source demonstration each was made from; −1 where an expert made it.
        lengths: Frames, (N,).
    """

    thetas: tuple[Perturbation, ...]
    points: Float64[NDArray[np.float64], "N D"]
    sources: Int64[NDArray[np.int64], " N"]
    lengths: Int64[NDArray[np.int64], " N"]

    @staticmethod
    def load(dataset: Path, space: PerturbationSpace) -> "Candidates":
        """Read them from a dataset's sidecar.

        Raises:
            MismatchError: Episodes that do not say at which θ they were made.
        """
        meta = DatasetMeta.open(dataset)
        thetas = [episode.case.theta for episode in meta.episodes if episode.case is not None]
        if len(thetas) < meta.total_episodes:
            raise MismatchError(f"the episodes of '{dataset}' do not say at which (theta, seed) they were made.")
        return Candidates(
            thetas=tuple(thetas),
            points=np.array([space.to_unit(theta) for theta in thetas]),
            sources=np.array([episode.source_episode for episode in meta.episodes]),
            lengths=np.array(meta.lengths),
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Chosen:
    """What a choose stage left.

    Attributes:
        episodes: The chosen candidates, ascending.
        elites: Those of them that scored best, the best first.
        weights: One relative weight per frame of every candidate, 0 for those left out, (N,).
        effective: How many candidates the scores really speak for; see `Choice`.
    """

    episodes: tuple[int, ...]
    elites: tuple[int, ...]
    weights: tuple[float, ...]
    effective: float

    @staticmethod
    def load(stage: Path) -> "Chosen":
        """Read them from the stage's folder."""
        record = read_json(stage / CHOSEN)
        fields: dict[str, Any] = {name: tuple(record[name]) for name in ("episodes", "elites", "weights")}
        return Chosen(**fields, effective=float(record["effective"]))


def choose(
    out: Path,
    candidates: Candidates,
    scores: Scores | None,
    arm: Arm,
    *,
    count: int,
    space: PerturbationSpace,
    pockets: tuple[Pocket, ...],
    before: MutationDistributions | None,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Choose, and leave chosen.json, and where the distributions were and went, in `out`.

    Args:
        out: A folder that is there.
        candidates: Whom to choose among.
        scores: What each would teach; None takes the first ones.
        arm: How it chooses.
        count: How many.
        space: Of the candidates' perturbations.
        pockets: Where the policy fails, for the weights.
        before: The distributions that the candidates were drawn from, if they were.
        rng: Draws those that are no elites.

    Returns:
        The stage's result.
    """
    choice = _first(count) if scores is None else choose_demonstrations(scores, count, rng, others=arm.others)
    weights = np.array(pocket_weights(candidates.thetas, pockets, space, arm.pocket_weight))
    chosen = choice.chosen
    weights[np.setdiff1d(np.arange(len(weights)), chosen)] = 0.0
    record = {"episodes": chosen.tolist(), "weights": weights.tolist(), **choice.to_json()}
    write_json(out / CHOSEN, record)
    if before is not None and scores is not None:
        before.save(out / BEFORE)
        before.updated(candidates.sources, candidates.points, scores).save(out / DISTRIBUTIONS)
    frames = int(candidates.lengths[chosen].sum())
    return {"accepted": len(chosen), "frames": frames, "effective": round(choice.effective, 6)}


def _first(count: int) -> Choice:
    return Choice(elites=np.arange(count), others=np.arange(0), effective=float(count))


def episode_weights(collection: Path) -> tuple[float, ...] | None:
    """How much each episode of a collection weighs in training, if a stage beside it chose; None where all do alike."""
    stage = collection.with_name(CHOOSE)
    return Chosen.load(stage).weights if stage.exists() else None


def practised(collection: Path) -> list[int]:
    """The episodes of a collection that are learned from."""
    weights = episode_weights(collection)
    total = DatasetMeta.open(collection / DATASET).total_episodes if weights is None else 0
    return list(range(total)) if weights is None else [i for i, weight in enumerate(weights) if weight > 0]
