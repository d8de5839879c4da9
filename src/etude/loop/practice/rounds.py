"""Read back what an arm practised, round by round, for the report."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from etude.acquisition.distributions import MutationDistributions
from etude.core import PerturbationSpace
from etude.core.files import read_json, write_bytes
from etude.loop.chain import SEARCH_STAGE
from etude.loop.practice.choosing import BEFORE, CHOOSE, DISTRIBUTIONS, SCORES_FILE, Candidates, Chosen
from etude.loop.practice.practising import GENERATE, REGIME_STAGE, SCORE
from etude.loop.practice.regime import Regime
from etude.loop.pupil import DATASET, Pupil
from etude.loop.report import ArmResults, PracticeRound, round_page
from etude.loop.stage import load_manifest
from etude.loop.stages import load_pockets
from etude.search.drawing import EVERYWHERE


def practice_rounds(pupil: Pupil, space: PerturbationSpace) -> tuple[PracticeRound, ...]:
    """Every round in which an arm made demonstrations."""
    folders = [stage.parent for stage in pupil.stages if stage in pupil.collections and stage.name == GENERATE]
    return tuple(
        replace(_round(index, folder, space), without_pocket=_without_pocket(folder, pupil))
        for index, folder in enumerate(folders, 1)
    )


def write_round_pages(arms: Mapping[str, ArmResults], directory: Path, space: PerturbationSpace) -> dict[str, str]:
    """Write the picture of every round that was aimed by scores, as a page in the folder of its choice.

    Args:
        arms: Arm, by the name of its folder -> what it practised.
        directory: Of the chain.
        space: Of the perturbations.

    Returns:
        Folder of the stage -> link to its page from the report's folder.
    """
    links: dict[str, str] = {}
    for name, arm in arms.items():
        for practice in arm.practice:
            if practice.scores:
                folder = Path(f"round-{practice.index:02d}", name, CHOOSE)
                write_bytes(directory / folder / "index.html", round_page(name, practice, space).encode())
                links[folder.as_posix()] = f"../{folder.as_posix()}/index.html"
    return links


def _round(index: int, folder: Path, space: PerturbationSpace) -> PracticeRound:
    made = load_manifest(folder / GENERATE).result
    regime = folder / REGIME_STAGE
    return PracticeRound(
        index=index,
        places={label: (done, tried) for label, (done, tried) in made["places"].items()},
        by_expert=int(made["by_expert"]),
        regime=Regime.load(regime).why if regime.exists() else "",
        **_choice(folder, space),
    )


def _without_pocket(folder: Path, pupil: Pupil) -> bool:
    """Whether an arm that paid for a search, its own or at first the baseline's, had no pocket to aim at."""
    paid = [stage for stage in pupil.stages if stage.name == SEARCH_STAGE]
    searches = sorted(paid, key=lambda stage: stage.parent != folder)  # its own first
    drawn = set(load_manifest(folder / GENERATE).result["places"])
    return bool(searches) and drawn == {EVERYWHERE} and not load_pockets(searches[0])


def _choice(folder: Path, space: PerturbationSpace) -> dict[str, Any]:
    """What is told of a choice by scores; nothing where there was none."""
    if not (folder / SCORE).exists():
        return {}
    scored, choice = read_json(folder / SCORE / SCORES_FILE), folder / CHOOSE
    chosen = Chosen.load(choice)
    files = {"before": choice / BEFORE, "after": choice / DISTRIBUTIONS}
    return {
        "score": str(scored["score"]),
        "candidates": Candidates.load(folder / GENERATE / DATASET, space).thetas,
        "scores": tuple(float(score) for score in scored["scores"]),
        "chosen": chosen.episodes,
        "elites": chosen.elites,
        "effective": chosen.effective,
        **{when: MutationDistributions.load(path) for when, path in files.items() if path.exists()},
    }
