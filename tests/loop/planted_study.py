"""Made-up replicates of a study whose truth is known: never results."""

from collections.abc import Mapping

import numpy as np

from etude.loop.config import LoopConfig
from etude.loop.study.plan import StudyPlan
from etude.loop.study.record import ArmRecord, Point, Replicate

CODE = {"etude": "0.1.0", "commit": "c0ffee"}
CONFIG = LoopConfig(task="toy-point", arms=("uniform", "gradient", "targeted"), rounds=3, accepted=40, exam_cases=200)
PLAN = StudyPlan.of(CONFIG, replicates=6, pilot=2, code=CODE)
START, END = 0.2, 0.45
"""Exam success of the baseline, and of uniform in the end."""
GAINS = {"gradient": 0.22, "targeted": 0.05}
"""Arm -> what it has above uniform in the end."""


def planted(
    name: str,
    rng: np.random.Generator,
    *,
    gains: Mapping[str, float] = GAINS,
    plan: StudyPlan = PLAN,
    spread: float = 0.05,
    pockets: Mapping[str, int] | None = None,
) -> Replicate:
    """One replicate: every arm has the gain it should have, and the luck of its training.

    Args:
        name: Of the replicate.
        rng: For the cases and for the luck.
        gains: Arm -> true gain above uniform on the exam.
        plan: Rounds, cases, controls.
        spread: Deviation of an arm's success from training to training.
        pockets: Arm -> pockets after a fresh search; the baseline has 4.
    """
    ends = {"baseline": START, "same-data-more-steps": 0.3, "reseeded": 0.31, "uniform": END}
    ends |= {arm: END + gain for arm, gain in gains.items()}
    hard = {test: rng.random(n) for test, n in _sizes(plan).items()}
    arms = {arm: _arm(arm, end + spread * rng.standard_normal(), hard, plan, rng) for arm, end in ends.items()}
    after = dict.fromkeys(("uniform", *gains), 3) | dict(pockets or {})
    for arm, count in after.items():
        fates = {"gone": 4 - count, "remaining": count, "new": 0}
        arms[arm] = ArmRecord(points=arms[arm].points, progress=arms[arm].progress, pockets=count, fates=fates)
    return Replicate(name=name, seed=1, arms=arms, pockets=4, exam="e" * 16, code=CODE, plan=plan.hash)


def replicates(count: int, seed: int = 0, phase: str = "confirm", **truth: object) -> list[Replicate]:
    """Several of them."""
    rng = np.random.default_rng(seed)
    return [planted(f"{phase}/replicate-{i:02d}", rng, **truth) for i in range(count)]  # pyright: ignore[reportArgumentType]


def _sizes(plan: StudyPlan) -> dict[str, int]:
    return {"exam": plan.config.exam_cases, "uniform_test": 100, "nominal": 100}


def _arm(name: str, end: float, hard: Mapping[str, np.ndarray], plan: StudyPlan, rng: np.random.Generator) -> ArmRecord:
    practises = name not in ("baseline", "same-data-more-steps", "reseeded")
    rounds = 0 if name == "baseline" else plan.config.rounds
    made = plan.config.accepted if practises else 0
    points = [_point(0, 0, START, hard, rng)]
    for index in range(1, rounds + 1):
        level = START + (end - START) * (index / rounds) ** 0.7
        points.append(_point(index * made, index * plan.config.retrain_steps, level, hard, rng))
    progress = np.clip(hard["uniform_test"] + 0.2 * rng.random(100), 0, 1)
    return ArmRecord(points=tuple(points), progress=tuple(progress.tolist()))


def _point(made: int, steps: int, level: float, hard: Mapping[str, np.ndarray], rng: np.random.Generator) -> Point:
    levels = {"exam": level, "uniform_test": 0.5 + level / 3, "nominal": 0.92}
    solved = {
        test: "".join("1" if (luck + 0.15 * rng.random()) % 1 < levels[test] else "0" for luck in cases)
        for test, cases in hard.items()
    }
    return Point(
        demonstrations=made,
        attempts=round(1.3 * made),
        frames=37 * made,
        steps=120 * made,
        rollouts=0,
        train_steps=steps,
        wall_s=1.5 * made,
        solved=solved,
    )
