"""The score stage: what every candidate would teach the policy as it is now."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.acquisition.scores import SCORES, Grounds
from etude.core import ConfigError, MismatchError, Perturbation, PerturbationSpace, Pocket, Rate
from etude.core.files import read_json
from etude.data import DatasetMeta
from etude.loop.elsewhere import checkpoint_of
from etude.loop.searching import SEARCH
from etude.loop.stages import POCKETS, load_pockets

type Scores = Float64[NDArray[np.float64], " N"]
type Told = Callable[[int, int], None]
"""(candidates scored, candidates in all)."""

EVIDENCE = "evidence.parquet"


@dataclass(frozen=True, kw_only=True)
class Exercise:
    """What is to be scored, and by what.

    Attributes:
        score: One of `etude.acquisition.scores.SCORES`.
        train: Folder of the training whose policy is asked.
        dataset: The candidates.
        space: Of their perturbations.
        seed: Fixes the draws of noise and time, the same for all candidates.
        companions: Folders of trainings with other seeds, for scores that need several policies.
        aim: Demonstrations inside pockets, for scores that ask whether a candidate helps there.
        pockets: Where the policy fails, for scores that ask how often it fails at a candidate's θ.
        failures: Of uniform rollouts, for the same.
    """

    score: str
    train: Path
    dataset: Path
    space: PerturbationSpace
    seed: int
    companions: tuple[Path, ...] = ()
    aim: Path | None = None
    pockets: tuple[Pocket, ...] = ()
    failures: Rate = field(default_factory=lambda: Rate(0, 0))


type Scorer = Callable[[Exercise, Path, Told], Scores]
"""Scores every candidate, (N,), in the dataset's order; keeps what it has measured in the folder given."""


def score_candidates(exercise: Exercise, out: Path, told: Told) -> Scores:
    """Score candidates with the policy that a training left; some scores ask no policy, and go with one on a server.

    Args:
        exercise: What is to be scored.
        out: Keeps what was measured, so that a killed scoring goes on.
        told: Told how far it is.

    Raises:
        ConfigError: The policy's gradients cannot be had.
    """
    from etude.acquisition.draws import ScoreSettings
    from etude.acquisition.scoring import score_episodes

    scores = score_episodes(
        [exercise.score],
        exercise.dataset,
        _grounds(exercise),
        settings=ScoreSettings(seed=exercise.seed),
        record=out / EVIDENCE,
        progress=told,
    )
    return scores.values[exercise.score]


def _grounds(exercise: Exercise) -> Grounds:
    """What the score needs, and no more."""
    score = SCORES[exercise.score]
    remain = [name for name, other in SCORES.items() if not other.asks_policy]

    def checkpoint(train: Path) -> Path:
        return checkpoint_of(train, f"the score {exercise.score}", remain)

    failure = None
    if "failure" in score.needs:
        thetas = [episode.case.theta for episode in DatasetMeta.open(exercise.dataset).episodes if episode.case]
        failure = chances(thetas, exercise.pockets, exercise.failures, exercise.space)
    return Grounds(
        policy=checkpoint(exercise.train) if score.asks_policy else None,
        ensemble=[checkpoint(train) for train in exercise.companions],
        pockets=exercise.aim,
        failure=failure,
    )


def chances(
    thetas: Sequence[Perturbation], pockets: Sequence[Pocket], failures: Rate, space: PerturbationSpace
) -> list[float]:
    """Estimated p(fail | θ): as often as fresh rollouts failed in the pockets that θ lies in, or outside all.

    Args:
        thetas: Where.
        pockets: Confirmed ones.
        failures: Of uniform rollouts, where there are no pockets.
        space: Of the θ.
    """
    outside = pockets[0].outside.value if pockets else failures.value
    found: list[float] = []
    for theta in thetas:
        inside = [pocket.inside.value for pocket in pockets if pocket.contains(theta, space)]
        found.append(max(inside, default=outside))
    return found


def searched_chances(search: Path, dataset: DatasetMeta, space: PerturbationSpace) -> list[float]:
    """Estimated p(fail | θ) of a dataset's episodes by what a finished search found, as the loop estimates it.

    Args:
        search: Folder of the search.
        dataset: The episodes.
        space: Of the search's task.

    Raises:
        ConfigError: The folder is no search's, or the episodes do not know their θ.
        MismatchError: They are of another space.
    """
    for name in (POCKETS, SEARCH):
        if not (search / name).exists():
            raise ConfigError(f"'{search}' has no {name}: give a folder of `etude search`, or a table.")
    thetas = [episode.case.theta for episode in dataset.episodes if episode.case]
    if len(thetas) < dataset.total_episodes:
        raise ConfigError(
            f"'{dataset.root}' does not know the θ of its episodes; give a table with the columns "
            "episode_index and p_fail."
        )
    if dataset.space_hash != space.hash:
        raise MismatchError(
            f"'{search}' searched space {space.hash}, and '{dataset.root}' was recorded in "
            f"{dataset.task or 'another world'} (space {dataset.space_hash}): search the dataset's own task."
        )
    failures = read_json(search / SEARCH)["failures"]
    return chances(thetas, load_pockets(search), Rate(failures["k"], failures["n"]), space)
