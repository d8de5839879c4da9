"""Read a finished chain back into the records that its report draws."""

import hashlib
import platform
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from etude.core import Diagnosis, Outcome, Perturbation, PerturbationSpace, PolicyFactory, Rate, Suite, Task
from etude.core.files import read_json
from etude.data import DatasetMeta
from etude.evaluation import read_outcomes, record_video
from etude.loop.arms import BASELINE, Purpose
from etude.loop.chain import FOLLOW, FOLLOWED, FRESH_SEARCH, Chain
from etude.loop.diagnosing import DIAGNOSIS, load_diagnosis
from etude.loop.practice.choosing import practised
from etude.loop.practice.needs import NEEDS_FILE
from etude.loop.practice.practising import DIAGNOSE, SCORE
from etude.loop.practice.rounds import practice_rounds, write_round_pages
from etude.loop.pupil import DATASET, Pupil
from etude.loop.report import ArmResults, Budget, RunResults, SearchRow, VideoPair, foremost, write_page
from etude.loop.stage import MANIFEST, load_manifest
from etude.loop.stages import ARCHIVE, POCKETS, TESTS, load_pockets
from etude.search import Archive, FollowedPocket

_FILMED = {"fixed": 4, "newly lost": 3, "still failing": 3}
"""Category of films -> how many are made."""


def gather(
    chain: Chain, pupils: Mapping[str, Pupil], run_name: str, record: Mapping[str, Any], *, film: bool = True
) -> RunResults:
    """Everything the report shows of a finished chain.

    Args:
        chain: The chain.
        pupils: The last state of every arm, the baseline first.
        run_name: Name of the run.
        record: How the run was begun: its `command` and `provenance`, which a report written later still shows.
        film: Whether to film cases before and after practice.
    """
    archive = Archive.load(chain.search_directory / ARCHIVE, chain.task.space)
    rows = tuple(SearchRow.of(row) for row in archive.rows)
    files = {"exam": "exam", "dev": "dev", "uniform_test": "uniform", "nominal": "nominal"}
    stages = {stage for pupil in pupils.values() for stage in pupil.stages}
    purposes: dict[str, Purpose] = {name: chain.config.arm(name).purpose for name in pupils if name != BASELINE}
    arms = {name: _arm(pupil, purposes.get(name, "control"), chain.task.space) for name, pupil in pupils.items()}
    if any(arm.fresh_search for arm in arms.values()):  # to compare with
        arms[BASELINE] = replace(arms[BASELINE], fresh_search=_uniform_failures(chain.search_directory))
    return RunResults(
        run=run_name,
        task=chain.task.name,
        space=chain.task.space,
        arms=arms,
        suites={name: Suite.load(chain.suites_directory / f"{file}.json") for name, file in files.items()},
        pockets=load_pockets(chain.search_directory),
        diagnosis=_diagnosis(chain),
        archive=rows,
        narrow=chain.config.narrow,
        exclusions=sum(int(load_manifest(stage).result.get("excluded", 0)) for stage in stages),
        videos=films(chain, pupils, foremost(arms)) if film else (),
        seeds={"run": chain.config.seed, "replicate": chain.seed},
        config=chain.config.to_json(),
        provenance=record["provenance"],
        command=record["command"],
        pages=stage_pages(chain.directory) | write_round_pages(arms, chain.directory, chain.task.space),
    )


def stage_pages(directory: Path) -> dict[str, str]:
    """Write the pages of a chain's searches, diagnoses and measured needs into their folders.

    Returns:
        Folder of the stage -> link to its page from the report's folder.
    """
    found = {path.parent for name in (POCKETS, DIAGNOSIS, NEEDS_FILE) for path in directory.rglob(name)}
    stages = sorted(folder for folder in found if (folder / MANIFEST).exists())
    links: dict[str, str] = {}
    for stage in stages:
        name = stage.relative_to(directory).as_posix()
        links[name] = f"../{name}/{write_page(stage).name}"
    return links


def _diagnosis(chain: Chain) -> Diagnosis | None:
    """Why the baseline fails, where that was asked."""
    folder = chain.search_directory.parent / DIAGNOSE
    return load_diagnosis(folder) if folder.exists() else None


def _arm(pupil: Pupil, purpose: Purpose, space: PerturbationSpace) -> ArmResults:
    outcomes = {test: tuple(read_outcomes(evaluation(pupil) / f"{test}.parquet")) for test in TESTS}
    new = [stage for stage in pupil.stages if stage in pupil.collections]
    curves = read_json(pupil.train / "curves.json")
    return ArmResults(
        budget=_budget(pupil),
        purpose=purpose,
        exam=outcomes["exam"],
        uniform_test=outcomes["uniform_test"],
        nominal=outcomes["nominal"],
        new_data=tuple(theta for collection in new for theta in _practised(collection)),
        practice=practice_rounds(pupil, space),
        curves=_curves(curves),
        fresh_search=_fresh_search(pupil),
        followed=_followed(pupil),
    )


def _practised(collection: Path) -> list[Perturbation]:
    """θ of the demonstrations of a collection that were learned from."""
    episodes = DatasetMeta.open(collection / DATASET).episodes
    cases = [episodes[index].case for index in practised(collection)]
    return [case.theta for case in cases if case is not None]


def _fresh_search(pupil: Pupil) -> Rate | None:
    """Failures of an arm's last policy among uniform rollouts, where it was searched afresh."""
    folder = pupil.train.parent / FRESH_SEARCH
    return _uniform_failures(folder) if folder.exists() else None


def _uniform_failures(search: Path) -> Rate:
    """Failures of a search's policy among the uniform rollouts."""
    return Rate(*load_manifest(search).result["uniform_failures"])


def _followed(pupil: Pupil) -> tuple[FollowedPocket, ...]:
    path = pupil.train.parent / FOLLOW / FOLLOWED
    return tuple(FollowedPocket.from_json(one) for one in read_json(path)["pockets"]) if path.exists() else ()


def evaluation(pupil: Pupil) -> Path:
    """Where the outcomes of an arm's tests are."""
    return pupil.train.parent / "evaluate"


def _budget(pupil: Pupil) -> Budget:
    manifests = [load_manifest(stage) for stage in pupil.stages]

    def spent(name: str) -> int:
        return sum(int(manifest.result.get(name, 0)) for manifest in manifests)

    names = ("attempts", "generated", "accepted", "frames", "train_steps", "rollouts")
    return Budget(
        **{name: spent(name) for name in names},
        score_s=sum(load_manifest(stage).wall_s for stage in pupil.stages if stage.name == SCORE),
        wall_s=sum(manifest.wall_s for manifest in manifests),
    )


def _curves(record: Mapping[str, Any]) -> dict[str, tuple[tuple[int, float], ...]]:
    return {name: tuple((int(step), float(loss)) for step, loss in points) for name, points in record.items()}


@dataclass(frozen=True)
class _Shot:
    task: Task
    policy: PolicyFactory
    outcome: Outcome
    path: Path


def films(chain: Chain, pupils: Mapping[str, Pupil], after: str | None) -> tuple[VideoPair, ...]:
    """Film the baseline and an arm that practised on the same cases: some fixed, lost, still failing."""
    if after is None or not chain.config.arm(after).practises or not chain.task.cameras:
        return ()
    folder = pupils[after].train.parent / "videos"
    chosen = [
        (category, test, before, outcome)
        for category, most in _FILMED.items()
        for test, before, outcome in _pairs(pupils[BASELINE], pupils[after], category)[:most]
    ]

    def work(partial: Path) -> Mapping[str, Any]:
        policies = {"before": chain.policy(pupils[BASELINE]), "after": chain.policy(pupils[after])}
        shots = [
            _Shot(chain.task, policy, outcome, partial / f"{index:02d}-{when}.mp4")
            for index, (_, _, _, outcome) in enumerate(chosen)
            for when, policy in policies.items()
        ]
        with chain.progress("videos before and after", len(shots)) as update:
            for done, _ in enumerate(chain.executor.map(_shoot, shots), start=1):
                update(done, "")
        return {"videos": len(shots)}

    key = {
        "before": load_manifest(evaluation(pupils[BASELINE])).hash,
        "after": load_manifest(evaluation(pupils[after])).hash,
    }
    chain.stage(folder, key, work)
    return tuple(
        VideoPair(
            case=outcome.case,
            category=category,
            label=f"{test.replace('_', ' ')}: {_ended(before)} → {_ended(outcome)}",
            before=folder / f"{index:02d}-before.mp4",
            after=folder / f"{index:02d}-after.mp4",
        )
        for index, (category, test, before, outcome) in enumerate(chosen)
    )


def _pairs(baseline: Pupil, pupil: Pupil, category: str) -> list[tuple[str, Outcome, Outcome]]:
    found: list[tuple[str, Outcome, Outcome]] = []
    for test in TESTS:
        before, after = (read_outcomes(evaluation(p) / f"{test}.parquet") for p in (baseline, pupil))
        found += [(test, b, a) for b, a in zip(before, after, strict=True) if _category(b, a) == category]
    return found


def _category(before: Outcome, after: Outcome) -> str:
    if before.success:
        return "unchanged" if after.success else "newly lost"
    return "fixed" if after.success else "still failing"


def _ended(outcome: Outcome) -> str:
    return "success" if outcome.success else outcome.failure_mode.replace("_", " ")


def _shoot(shot: _Shot) -> None:
    record_video(shot.task, shot.policy, shot.outcome.case, shot.path)


def provenance() -> dict[str, str]:
    """Versions, machine and commit."""
    packages = ("etude", "gymnasium", "lerobot", "mujoco", "numpy", "torch")
    versions = {name: version(name) for name in packages}
    return {**versions, "python": platform.python_version(), "machine": _machine(), "commit": _commit()}


def _machine() -> str:
    return f"{platform.system()} {platform.machine()}"


def _commit() -> str:
    """The commit of Etude's own checkout, with a hash of the changes to its code; "" outside a checkout."""
    try:
        _git("ls-files", "--error-unmatch", __file__)  # installed, it may lie in a checkout of somebody else's
        commit, changes = _git("describe", "--always", "--exclude", "*").strip(), _git("diff", "HEAD", "--", ".")
    except (OSError, subprocess.SubprocessError):
        return ""
    return f"{commit}-dirty-{hashlib.sha256(changes.encode()).hexdigest()[:8]}" if changes else commit


def _git(*arguments: str) -> str:
    """What git says of this package's folder."""
    package = Path(__file__).parents[1]
    done = subprocess.run(["git", *arguments], cwd=package, capture_output=True, text=True, timeout=10, check=True)
    return done.stdout
