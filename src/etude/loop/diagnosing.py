"""The stage between a search and practice: why the policy fails, by rules and by rolling out again."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from etude.core import (
    Bounds,
    Diagnosis,
    MismatchError,
    Outcome,
    Perturbation,
    PerturbationSpace,
    Pocket,
    PolicyFactory,
    Roll,
    Task,
)
from etude.core.files import write_json
from etude.diagnosis import CounterfactualConfig, DiagnosisConfig, Episodes, diagnose
from etude.diagnosis.episodes import Flags, Points
from etude.diagnosis.table import write_counterfactuals
from etude.loop.stages import ARCHIVE, KEPT, Arena, load_pockets
from etude.search import Archive, BoxConfig, TargetedSampler, find_boxes

DIAGNOSIS, COUNTERFACTUALS = "diagnosis.json", "counterfactuals.parquet"


@dataclass(frozen=True, kw_only=True)
class DiagnosisSettings:
    """What a diagnosis may spend, and what it recommends.

    Attributes:
        rollouts: Counterfactual rollouts of the policy; 0 leaves everything untested.
        uniform_share: Share of the recommended demonstrations that lie everywhere.
        seed: Fixes what is drawn.
    """

    rollouts: int = 300
    uniform_share: float = 0.2
    seed: int = 0

    def config(self) -> DiagnosisConfig:
        """The settings as the diagnosis takes them."""
        counterfactuals = CounterfactualConfig(rollouts=self.rollouts)
        return DiagnosisConfig(counterfactuals=counterfactuals, uniform_share=self.uniform_share)


def searched_episodes(search: Path, space: PerturbationSpace) -> Episodes:
    """What a search tried, whoever proposed it."""
    rows = Archive.load(search / ARCHIVE, space).rows
    return Episodes(
        space=space,
        cases=tuple(row.case for row in rows),
        success=tuple(row.success for row in rows),
        expert=tuple(row.expert for row in rows),
    )


def evaluated_episodes(outcomes: Sequence[Outcome], space: PerturbationSpace) -> Episodes:
    """What an evaluation tried."""
    return Episodes(
        space=space,
        cases=tuple(o.case for o in outcomes),
        success=tuple(o.success for o in outcomes),
        failure_modes=tuple(o.failure_mode for o in outcomes),
    )


def diagnose_failures(
    episodes: Episodes,
    out: Path,
    *,
    task: str,
    policy: str,
    settings: DiagnosisSettings,
    pockets: Sequence[Pocket] = (),
    roll: Roll | None = None,
) -> Diagnosis:
    """Find out why a policy fails, and leave `diagnosis.json` and `counterfactuals.parquet` in `out`.

    Args:
        episodes: What it did.
        out: A folder that is there.
        task: Name of the task, or of the dataset.
        policy: As a person named it.
        settings: What it may spend.
        pockets: Boxes that fresh rollouts confirmed.
        roll: Runs the policy again, None where there is no simulator.
    """
    diagnosis, rolled = diagnose(
        episodes,
        beam,
        task=task,
        policy=policy,
        seed=settings.seed,
        roll=roll if settings.rollouts else None,
        pockets=pockets,
        config=settings.config(),
    )
    write_counterfactuals(out / COUNTERFACTUALS, rolled)
    write_json(out / DIAGNOSIS, diagnosis.to_json())
    shutil.rmtree(out / KEPT, ignore_errors=True)
    return diagnosis


def diagnose_search(
    arena: Arena, policy: PolicyFactory, search: Path, out: Path, *, named: str, settings: DiagnosisSettings, title: str
) -> Diagnosis:
    """Find out why a policy fails where a search found that it does; what a killed try rolled out is not rolled again.

    Args:
        arena: Where it is tried again.
        policy: The policy that was searched.
        search: What the search left.
        out: Gets the diagnosis.
        named: The policy as a person names it.
        settings: What it may spend.
        title: What the progress is called.
    """
    return diagnose_failures(
        searched_episodes(search, arena.task.space),
        out,
        task=arena.task.name,
        policy=named,
        settings=settings,
        pockets=load_pockets(search),
        roll=arena.policy(policy, title, keep=out / KEPT),
    )


def load_diagnosis(folder: Path) -> Diagnosis:
    """The diagnosis that a stage or `etude diagnose` left in its folder.

    Raises:
        EtudeError: There is none, or it is something else.
    """
    return Diagnosis.load(folder / DIAGNOSIS)


@dataclass(frozen=True)
class PlanDraw:
    """Draws the θ of new demonstrations where a diagnosis recommends them."""

    sampler: TargetedSampler

    @staticmethod
    def of(path: Path, task: Task) -> "PlanDraw":
        """The draw that a diagnosis.json plans for its task.

        Raises:
            EtudeError: No diagnosis.
            MismatchError: It is of another space, or of a dataset.
        """
        diagnosis = Diagnosis.load(path)
        if diagnosis.space_hash != task.space.hash:
            raise MismatchError(
                f"diagnosis '{path}' is of {diagnosis.task} (space {diagnosis.space_hash}); {task.name} has space "
                f"{task.space.hash}: give the task that was diagnosed."
            )
        return PlanDraw(TargetedSampler(space=task.space, plan=diagnosis.plan))

    def __call__(self, rng: np.random.Generator) -> Perturbation:
        """Draw one θ."""
        return self.sampler.sample(rng)[0]


def beam(space: PerturbationSpace, points: Points, failed: Flags) -> Sequence[Bounds]:
    """What the search's beam proposes: the clearest box, even a weak one, for rules are judged on other episodes."""
    return [box.bounds for box in find_boxes(space, points, failed, BoxConfig(max_boxes=1, min_score=-6.0))]
