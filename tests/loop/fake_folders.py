"""Made-up folders as commands leave them, from a seed: never results."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from loop.fake_run import POCKETS, SPACE, inside, outcome, write_video

from etude.acquisition.budget import divide_budget, plan_practice
from etude.acquisition.needs import estimate_need
from etude.core import (
    Case,
    Cause,
    Diagnosis,
    Effect,
    Interaction,
    Outcome,
    Perturbation,
    Plan,
    Pocket,
    Practice,
    Rate,
    Suite,
)
from etude.core.diagnosis import MainEffect
from etude.core.files import write_bytes, write_json
from etude.data.parquet import encode_columns
from etude.evaluation import write_outcomes
from etude.evaluation.comparison import Stopping
from etude.evaluation.comparison.analysis import analyse
from etude.loop.scoring import Summary, chance_correlation, rank_correlation, rank_correlations
from etude.search import Archive, ArchiveRow, FollowedPocket

TASK = "fake-stack:cubes=2"
EVIL = "<script>alert('x')</script> & \"quotes\""

type Change = Callable[[Outcome], Outcome]


def settings(folder: Path, command: str, **values: Any) -> None:
    """What a command notes in its folder."""
    record = {"command": command, "options": {}, "settings": {"task": TASK, "policy": "runs/first", **values}}
    write_json(folder / "settings.json", record)


def outcomes(n: int, rng: np.random.Generator, rate: float = 0.7) -> list[Outcome]:
    """Episodes at random perturbations, with smoothness and sub-tasks."""
    made = [outcome(Case(SPACE.sample(rng), 100 + i), bool(rng.random() < rate), rng) for i in range(n)]
    return [
        replace(o, smoothness=-1 - 3 * float(rng.random()), subtasks={"grasp": o.progress > 0.3, "stack": o.success})
        for o in made
    ]


def evaluation(folder: Path, found: list[Outcome], matched: list[Outcome] | None = None, **values: Any) -> Path:
    """A folder of `etude eval`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_outcomes(folder / "outcomes.parquet", found)
    if matched is not None:
        write_outcomes(folder / "matched.parquet", matched)
    write_json(folder / "summary.json", {})
    latency = {"calls": 12, "observations_per_call": 2.0, "median_s": 0.0123, "p95_s": 0.034}
    write_json(folder / "timing.json", {"latency": latency})
    settings(folder, "eval", drawn={"seed": 0, "space": "uniform", "theta": []}, **values)
    return folder


def filmed(folder: Path, found: list[Outcome]) -> None:
    """Videos of some of an evaluation's episodes, one of them missing and one broken."""
    listed = [{"file": f"{i}.mp4", **o.case.to_json(), "failure_mode": o.failure_mode} for i, o in enumerate(found[:4])]
    for i in range(2):
        write_video(folder / "videos" / f"{i}.mp4", 12, i)
    (folder / "videos" / "2.mp4").write_bytes(b"not a video")
    write_json(folder / "videos" / "videos.json", listed)


def one_factor_each(rng: np.random.Generator, count: int = 12) -> tuple[list[Outcome], list[Outcome]]:
    """Cases that vary one factor alone, of which the first does harm, and the unperturbed ones."""
    names = SPACE.names[:3]
    drawn = [
        outcome(Case(Perturbation({name: float(SPACE[name].high)}), i), name != names[0], rng)
        for name in names
        for i in range(count)
    ]
    return drawn, [outcome(Case(Perturbation(), i), True, rng) for i in range(count)]


def grid_outcomes(rng: np.random.Generator, names: tuple[str, ...]) -> list[Outcome]:
    """A full grid of 3 values of each factor, twice each."""
    values = {name: np.linspace(SPACE[name].low, SPACE[name].high, 3).tolist() for name in names}
    cells: list[dict[str, float]] = [{}]
    for name in names:
        cells = [{**cell, name: value} for cell in cells for value in values[name]]
    return [outcome(Case(Perturbation(cell), i), bool(rng.random() < 0.5), rng) for cell in cells for i in range(2)]


def search(
    folder: Path, rng: np.random.Generator, *, rate: float = 0.6, pockets: tuple[Pocket, ...] = POCKETS, n: int = 60
) -> Path:
    """A folder of `etude search`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[ArchiveRow] = []
    for i in range(n):
        success = bool(rng.random() < rate)
        rows.append(
            ArchiveRow(
                case=Case(SPACE.sample(rng), i),
                severity=0.0 if success else 0.5,
                success=success,
                expert=None if success else bool(rng.random() < 0.9),
                searcher="uniform" if i < n // 2 else "cross-entropy",
            )
        )
    Archive(SPACE, rows).save(folder / "archive.parquet")
    refuted = [replace(POCKETS[0], name="box-3", inside=Rate(4, 20)).to_json()]
    write_json(folder / "pockets.json", {"pockets": [p.to_json() for p in pockets], "refuted": refuted})
    cases = tuple(Case(inside(POCKETS[0], rng), i) for i in range(4))
    for name in ("exam", "dev", "uniform", "nominal"):
        Suite(name=name, task=TASK, space_hash=SPACE.hash, cases=cases, labels=("pocket-1",) * 4).save(
            folder / f"{name}.json"
        )
    counts = {"pocket-1": 7}
    building = {"drawn": counts, "accepted": counts, "without_witness": {}, "uniform_drawn": 4}
    write_json(folder / "building.json", {**building, "policy_rollouts": 30, "expert_rollouts": 12, "complete": True})
    settings(folder, "search", budget=n)
    return folder


def estimated(folder: Path, *, divided: bool = True) -> Path:
    """A folder of `etude estimate`: a pocket that is known, one that is not, and one that the expert cannot solve."""
    folder.mkdir(parents=True, exist_ok=True)
    rates = ({0: 3, 10: 12, 40: 19}, {0: 1, 10: 2, 40: 2}, {})
    needs = [
        estimate_need(
            replace(POCKETS[0], name=f"pocket-{i}"),
            Rate(20 if measured else 3, 20),
            {count: Rate(k, 20) for count, k in measured.items()},
        )
        for i, measured in enumerate(rates, 1)
    ]
    write_json(folder / "needs.json", {"needs": [need.to_json() for need in needs]})
    if divided:
        plan, notes = plan_practice(needs, 60), divide_budget(needs, 60).notes
        write_json(folder / "practice.json", replace(diagnosis(), causes=(), plan=plan, notes=notes).to_json())
    settings(folder, "estimate", budget=60)
    return folder


def scored(folder: Path, rng: np.random.Generator, *, alike: bool = False, n: int = 24) -> Path:
    """A folder of `etude score`: two scores, and 20 factors of which one may decide about the first."""
    folder.mkdir(parents=True, exist_ok=True)
    scores = {"norm": rng.random(n) ** 4, "random": rng.random(n)}
    factors = {f"thing.{i}_m": rng.random(n) for i in range(20)}
    if alike:
        factors["thing.0_m"] = -scores["norm"]
    lengths = rng.integers(30, 60, n)
    columns = {f"factor:{name}": column for name, column in factors.items()}
    table = {"episode_index": np.arange(n), "length": lengths, **scores, **columns}
    write_bytes(folder / "scores.parquet", encode_columns(table))
    summary = Summary(
        episodes=n,
        quantiles={name: tuple(np.quantile(v, (0, 0.25, 0.5, 0.75, 1)).tolist()) for name, v in scores.items()},
        effective=dict.fromkeys(scores, 5.0),
        correlations=tuple(rank_correlations(scores)),
        lengths={name: rank_correlation(v, lengths.astype(np.float64)) for name, v in scores.items()},
        factors={name: {f: rank_correlation(v, c) for f, c in factors.items()} for name, v in scores.items()},
        chance={name: chance_correlation(v, list(factors.values()), rng) for name, v in scores.items()},
        references={},
    )
    summary.write(folder / "scores.json")
    settings(folder, "score", dataset="data/more", policy="runs/first", anchors=8, draws=16)
    return folder


def comparison(
    folder: Path,
    rng: np.random.Generator,
    *,
    n: int = 64,
    seeds: int = 1,
    sequential: bool = False,
    name: str = "first",
) -> Path:
    """A folder of `etude compare`."""
    folder.mkdir(parents=True, exist_ok=True)
    names = SPACE.names[:2]  # each costs a permutation test
    cases = [Case(Perturbation({name: SPACE.sample(rng).values[name] for name in names}), i) for i in range(n)]
    sides = [
        [[outcome(case, bool(rng.random() < rate), rng) for case in cases] for _ in range(seeds)] for rate in (0.9, 0.4)
    ]
    analysis = analyse(*sides, stopping=Stopping() if sequential else None, planned=2 * n)
    record = {"task": TASK, "suite": None, "drawn": None, "alpha": 0.05, "margin": 0.05 if sequential else None}
    record |= json.loads(json.dumps(analysis.to_json()))
    for side, title in (("a", name), ("b", "second")):
        record[side]["policies"] = [f"{title}-{i}" for i in range(seeds)]
    write_json(folder / "comparison.json", record)
    settings(folder, "compare")
    return folder


def diagnosis(**changes: Any) -> Diagnosis:
    """Two causes, one proven, with a plan."""
    first, second = (pocket.bounds for pocket in POCKETS)
    yaw, light = list(first)
    proven = Effect(
        factor=yaw, repaired=Rate(18, 20), sham=Rate(1, 20), difference=(0.85, 0.6, 0.95), verdict="confirmed", p=0.0004
    )
    nothing = Effect(
        factor=light, repaired=Rate(2, 20), sham=Rate(1, 20), difference=(0.05, -0.1, 0.2), verdict="refuted", p=1.0
    )
    nan = float("nan")
    untested = Effect(
        factor="cubes.gap_m", repaired=Rate(0, 0), sham=Rate(0, 0), difference=(nan, nan, nan), verdict="untestable"
    )
    causes = (
        Cause(
            name="cause-1",
            bounds=first,
            inside=Rate(26, 30),
            outside=Rate(21, 120),
            p=0.0002,
            failure_modes={"missed_grasp": 20, "dropped": 6},
            expert=Rate(19, 20),
            volume=0.099,
            origin="pocket",
            effects=(proven, nothing),
            interaction=Interaction(factors=(yaw, light), repaired=Rate(19, 20), difference=(0.05, -0.1, 0.2)),
        ),
        Cause(name="cause-2", bounds=second, inside=Rate(9, 12), outside=Rate(21, 120), p=0.04, effects=(untested,)),
    )
    practices = (
        Practice(bounds=first, share=0.6, why="undoing the yaw repairs failures there"),
        Practice(bounds={}, share=0.4, why="to keep what works"),
    )
    whole: Mapping[str, Any] = {
        "task": TASK,
        "space_hash": SPACE.hash,
        "policy": "runs/first",
        "factors": tuple(SPACE[name] for name in (*first, *second)),
        "failures": Rate(47, 150),
        "causes": causes,
        "plan": Plan(practices=practices),
        "main_effects": (MainEffect(factor=yaw, p=0.001, side="high"), MainEffect(factor=light, p=0.8, side="ends")),
        "rollouts": 80,
        "notes": ("Too few episodes tell more.",),
    }
    return Diagnosis(**{**whole, **changes})


def diagnosed(folder: Path, found: Diagnosis) -> Path:
    """A folder of `etude diagnose`."""
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "diagnosis.json", found.to_json())
    settings(folder, "diagnose")
    return folder


def lockstep(folder: Path, *, parting: bool = True, video: bool = True, thing: str = "gripper") -> Path:
    """A folder of `etude lockstep`."""
    folder.mkdir(parents=True, exist_ok=True)
    partings = [
        {"thing": thing, "step": 3, "for_good": 5, "position_m": 0.031, "rotation_rad": 0.1, "during": "grasp_1",
         "time_s": 0.15},
        {"thing": "cube_red", "step": 9, "for_good": None, "position_m": 0.05, "rotation_rad": 0.2, "during": "",
         "time_s": 0.45},
    ]  # fmt: skip
    ending = {"success": True, "progress": 1.0, "stage": "stack_1", "failure_mode": "", "length": 20}
    record = {
        "dataset": "data/first", "episode": 3, "policy_name": "runs/first", "execution": {}, "task": TASK,
        "case": {"theta": {}, "seed": 1}, "fps": 20, "start_step": 0, "tolerance": {"m": 0.02, "rad": 0.2},
        "replay": {"bit_equal": False, "parted": 2, "largest": 1e-7, "success": True},
        "demonstration": ending,
        "policy": {**ending, "success": False, "failure_mode": "dropped", "progress": 0.4},
        "partings": partings if parting else [],
        "subtasks": {"grasp_1": {"demonstration": 5, "policy": None}},
        "series": {
            "position_m": {thing: [0.0, 0.01, None, 0.03]}, "path_m": {thing: [0.0, 0.01]},
            "rotation_rad": {}, "state": {"m": [0.0, 0.1]},
            "action": [0.0, 0.1], "action_in_the_demonstrations_place": [],
            "progress": {"demonstration": [0, 0.5, 1], "policy": [0, 0.2, 0.4]},
            "stage": {"demonstration": [], "policy": []},
        },
    }  # fmt: skip
    write_json(folder / "lockstep.json", record)
    if video:
        write_video(folder / "lockstep.mp4", 12, 0)
    return folder


def followed() -> tuple[FollowedPocket, ...]:
    """A pocket that is gone, and a new one."""
    return (
        FollowedPocket(pocket=POCKETS[0], fate="gone", before=Rate(18, 20), after=Rate(2, 20)),
        FollowedPocket(pocket=replace(POCKETS[1], name="fresh-1"), fate="new", before=Rate(3, 20), after=Rate(17, 20)),
    )
