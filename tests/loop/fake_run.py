"""Made-up runs for the report's tests, from a seed: never results."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import av
import numpy as np

from etude.core import Case, Factor, Outcome, Perturbation, PerturbationSpace, Pocket, Rate, Suite
from etude.loop.report import ArmResults, Budget, RunResults, SearchRow, VideoPair

ARMS = ("baseline", "same-data-more-steps", "uniform", "targeted")
MODES = ("missed_grasp", "dropped", "misplaced", "knocked_over", "timeout", "no_reach")
NOMINAL = Perturbation()

_FACTORS = (
    ("cube_red.x_m", "m", 0.4, 0.6, 0.5, "layout"),
    ("cube_red.y_m", "m", -0.1, 0.1, 0.0, "layout"),
    ("cube_blue.x_m", "m", 0.4, 0.6, 0.5, "layout"),
    ("cube_blue.y_m", "m", -0.1, 0.1, 0.0, "layout"),
    ("cubes.gap_m", "m", 0.0, 0.12, 0.06, "layout"),
    ("front_camera.yaw_rad", "rad", -0.3, 0.3, 0.0, "camera"),
    ("front_camera.pitch_rad", "rad", -0.2, 0.2, 0.0, "camera"),
    ("front_camera.distance_m", "m", 0.9, 1.3, 1.1, "camera"),
    ("front_camera.fovy_rad", "rad", 0.7, 0.95, 0.8, "camera"),
    ("wrist_camera.yaw_rad", "rad", -0.2, 0.2, 0.0, "camera"),
    ("light.intensity", "1", 0.2, 1.2, 0.8, "lighting"),
    ("light.azimuth_rad", "rad", -3.1, 3.1, 0.0, "lighting"),
    ("cube_red.hue", "1", -0.08, 0.08, 0.0, "appearance"),
    ("cube_red.brightness", "1", 0.5, 1.3, 1.0, "appearance"),
    ("table.brightness", "1", 0.4, 1.4, 1.0, "appearance"),
    ("cube.scale", "1", 0.85, 1.15, 1.0, "physics"),
    ("table.friction", "1", 0.4, 1.6, 1.0, "physics"),
)
SPACE = PerturbationSpace(
    "fake-stack",
    tuple(
        Factor(name=n, unit=u, low=lo, high=hi, nominal=mid, kind=kind, description=f"What changes with {n}.")
        for n, u, lo, hi, mid, kind in _FACTORS
    ),
)
POCKETS = (
    Pocket(
        name="pocket-1",
        bounds={"front_camera.yaw_rad": (0.12, 0.29), "light.intensity": (0.2, 0.55)},
        inside=Rate(26, 30),
        outside=Rate(21, 120),
        expert=Rate(29, 30),
        volume=0.099,
    ),
    Pocket(
        name="pocket-2",
        bounds={"cubes.gap_m": (0.0, 0.014), "cube_red.y_m": (-0.02, 0.1), "cube.scale": (0.98, 1.15)},
        inside=Rate(27, 30),
        outside=Rate(25, 120),
        expert=Rate(27, 30),
        volume=0.041,
    ),
)
NARROW = {"front_camera.yaw_rad": (-0.05, 0.05), "light.intensity": (0.7, 0.9), "cubes.gap_m": (0.04, 0.12)}


def outcome(case: Case, success: bool, rng: np.random.Generator) -> Outcome:
    """One made-up episode."""
    mode = "" if success else str(rng.choice(MODES, p=[0.4, 0.2, 0.2, 0.1, 0.06, 0.04]))
    progress = 1.0 if success else float(rng.choice([0.1, 0.35, 0.6, 0.8])) + 0.1 * float(rng.random())
    length = int(rng.integers(60, 200))
    return Outcome(
        case=case,
        success=success,
        progress=progress,
        stage="stack_1" if success else "",
        failure_mode=mode,
        length=length,
        total_reward=progress,
    )


def suite(name: str, thetas: Sequence[Perturbation], labels: Sequence[str] = ()) -> Suite:
    """Cases with running seeds."""
    cases = tuple(Case(theta, 1000 + index) for index, theta in enumerate(thetas))
    return Suite(name=name, task="fake-stack:cubes=2", space_hash=SPACE.hash, cases=cases, labels=tuple(labels))


def sat(suite: Suite, solved: Callable[[int, Case], bool], rng: np.random.Generator) -> tuple[Outcome, ...]:
    """Outcomes of a suite, success as `solved` says."""
    return tuple(outcome(case, solved(index, case), rng) for index, case in enumerate(suite.cases))


def inside(pocket: Pocket, rng: np.random.Generator) -> Perturbation:
    """A random θ in a pocket."""
    values = dict(SPACE.sample(rng).values)
    return Perturbation({**values, **{name: rng.uniform(*bounds) for name, bounds in pocket.bounds.items()}})


def fake_run(seed: int = 0, *, folder: Path | None = None) -> RunResults:
    """A whole run with four arms and two pockets, from nothing but a seed."""
    rng = np.random.default_rng(seed)
    exam_thetas = [inside(POCKETS[i % 2], rng) for i in range(80)]
    suites = {
        "exam": suite("exam", exam_thetas, [f"pocket-{1 + i % 2}" for i in range(80)]),
        "dev": suite("dev", [inside(POCKETS[i % 2], rng) for i in range(40)]),
        "uniform_test": suite("uniform_test", [SPACE.sample(rng) for _ in range(80)]),
        "nominal": suite("nominal", [NOMINAL] * 60),
    }
    arms = {name: _arm(name, suites, rng) for name in ARMS}
    return RunResults(
        run="made-up",
        task="fake-stack:cubes=2,image_size=96",
        space=SPACE,
        arms=arms,
        suites=suites,
        pockets=POCKETS,
        archive=tuple(_search_row(i, rng) for i in range(400)),
        narrow=NARROW,
        exclusions=7,
        videos=() if folder is None else _videos(suites["exam"], folder),
        seeds={"run": seed},
        config={"preset": "none", "train": {"steps": 100, "batch_size": 64, "widths": [16, 32]}},
        provenance={"python": "3.12", "machine": {"cores": 2}},
        command="etude loop fake-stack --run made-up",
    )


def with_outcomes(run: RunResults, arm: str, test: str, solved: Sequence[bool]) -> RunResults:
    """The same run with other results of one arm on one test."""
    rng = np.random.default_rng(1)
    changed = sat(run.suites[test], lambda index, _case: solved[index], rng)
    return replace(run, arms={**run.arms, arm: replace(run.arms[arm], **{test: changed})})


def write_video(path: Path, frames: int, colour: int) -> Path:
    """A short clip of one colour that brightens."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=20, options={"preset": "ultrafast", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = 96, 96, "yuv420p"
        for index in range(frames):
            image = np.full((96, 96, 3), 40, dtype=np.uint8)
            image[:, : 4 + index, colour] = 220
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return path


def _arm(name: str, suites: dict[str, Suite], rng: np.random.Generator) -> ArmResults:
    exam = {"baseline": 0.2, "same-data-more-steps": 0.31, "uniform": 0.6, "targeted": 0.76}[name]
    elsewhere = {"baseline": 0.72, "same-data-more-steps": 0.72, "uniform": 0.8, "targeted": 0.79}[name]

    def solved(_index: int, case: Case) -> bool:
        hit = case.theta.values and any(pocket.contains(case.theta, SPACE) for pocket in POCKETS)
        return bool(rng.random() < (exam if hit else elsewhere))

    count = 60 if name in ("uniform", "targeted") else 0
    aimed = name == "targeted"
    new = tuple(inside(POCKETS[i % 2], rng) if aimed and i % 4 else SPACE.sample(rng) for i in range(count))
    steps = range(0, 3000, 60)
    scale = 0.9 if name == "baseline" else 0.3
    train = tuple((s, scale * (0.05 + float(np.exp(-s / 600)) + 0.05 * float(rng.random()))) for s in steps)
    held_out = tuple((s, scale * (0.1 + float(np.exp(-s / 600)))) for s in steps[::5])
    return ArmResults(
        purpose="aim" if aimed else "spread" if name == "uniform" else "control",
        budget=Budget(
            attempts=round(count * 1.3), accepted=count, frames=count * 104, train_steps=3000, rollouts=400, wall_s=81.5
        ),
        new_data=new,
        curves={"training": train, "held out": held_out},
        exam=sat(suites["exam"], solved, rng),
        uniform_test=sat(suites["uniform_test"], solved, rng),
        nominal=sat(suites["nominal"], solved, rng),
    )


def _search_row(index: int, rng: np.random.Generator) -> SearchRow:
    theta = inside(POCKETS[index % 2], rng) if index % 5 == 0 else SPACE.sample(rng)
    hit = any(pocket.contains(theta, SPACE) for pocket in POCKETS)
    success = bool(rng.random() < (0.15 if hit else 0.8))
    return SearchRow(theta=theta, seed=index, severity=0.0 if success else float(rng.uniform(0.2, 1)), success=success)


def _videos(exam: Suite, folder: Path) -> tuple[VideoPair, ...]:
    categories = ("fixed", "fixed", "still failing", "newly lost")
    pairs: list[VideoPair] = []
    for index, category in enumerate(categories):
        before = write_video(folder / f"{index}-a.mp4", 20 + 5 * index, 0)
        after = folder / "nowhere.mp4" if category == "newly lost" else write_video(folder / f"{index}-b.mp4", 30, 1)
        label = f"Exam case {index}, {exam.labels[index]}"
        pairs.append(VideoPair(case=exam.cases[index], category=category, label=label, before=before, after=after))
    return tuple(pairs)
