"""Ready settings of a run, by name, and what suits each world."""

from collections.abc import Mapping
from dataclasses import replace

from etude.core import Segmented, UnknownNameError
from etude.loop.arms import MORE_STEPS, RESEEDED
from etude.loop.config import LoopConfig, Narrow

_NARROW: Mapping[str, Narrow] = {
    "franka-stack": {
        "cube_red.y_m": (-0.14, 0.06),
        "front_camera.yaw_rad": (-0.3, 0.1),
        "light.intensity": (0.75, 1.3),
        "cube_red.hue": (-0.25, 0.1),
    },
}
"""World -> what its first demonstrations are narrow in, and broad in all else: as a person's first ones are, who puts
the cube where it is handy, with one camera mount, under one lamp, and with the cubes that lie on the table."""
_CORNERS: Mapping[str, Mapping[str, Narrow]] = {
    "state": {
        "franka-stack": {
            "cube_red.x_m": (0.42, 0.62),
            "cube_red.y_m": (-0.14, 0.08),
            "cube_blue.yaw_rad": (-1.0, 0.6),
            "cube.scale": (0.9, 1.07),
        },
        "franka-lift": {
            "cube_red.x_m": (0.46, 0.62),
            "cube_red.y_m": (-0.14, 0.05),
            "cube_red.yaw_rad": (-1.0, 0.6),
            "cube.scale": (0.9, 1.07),
        },
    },
    "images": {
        "franka-stack": {"cube_red.x_m": (0.42, 0.62), "cube_red.y_m": (-0.14, 0.09)},
        "franka-lift": {"cube_red.x_m": (0.43, 0.62), "cube_red.y_m": (-0.14, 0.08)},
    },
}
"""Preset -> the same, where neither cameras nor light nor colours vary: they leave out a corner."""
_EVERYWHERE = {"smoke": "image_size=48", "state": "state=objects", "images": "image_size=64,vary=layout+physics"}
_SETTINGS: Mapping[str, Mapping[str, str]] = {
    "franka-stack": {
        "smoke": "cubes=2,distractors=0,image_size=48",
        "state": "cubes=2,distractors=0,state=objects",
        "images": "cubes=2,distractors=0,image_size=64,vary=layout+physics",
        "demo": "cubes=2,distractors=0",
        "full": "cubes=3",
    },
    "franka-lift": {
        "smoke": "image_size=48",
        "state": "distractors=0,state=objects",
        "images": "distractors=0,image_size=64,vary=layout+physics",
    },
}
"""World -> preset -> settings of the task; other worlds have those of `_EVERYWHERE`."""


_DEMO = LoopConfig(
    task="",
    arms=(MORE_STEPS, "uniform", "failure", "targeted"),
    demonstrations=600,
    train_steps=4000,
    retrain_steps=1200,
    accepted=60,
    maker="generator",
    exam_cases=70,
    dev_cases=10,
    test_cases=80,
    diagnosis_rollouts=240,
    fresh_search=("failure",),
    execute=2,
)
_CORNER = replace(
    _DEMO,
    arms=(MORE_STEPS, "uniform", "failure"),
    retrain_steps=1000,
    accepted=20,
    new_share=0.25,
    search_rollouts=600,
    confirm_rollouts=24,
    diagnosis_rollouts=80,
    train_threads=1,
    exam_cases=150,
)
PRESETS: Mapping[str, LoopConfig] = {
    "smoke": replace(
        _DEMO,
        arms=(MORE_STEPS, "uniform", "targeted", "gradient"),
        fresh_search=("targeted",),
        demonstrations=12,
        train_steps=60,
        retrain_steps=20,
        batch_size=16,
        accepted=6,
        search_rollouts=24,
        confirm_rollouts=4,
        diagnosis_rollouts=40,
        train_threads=1,
        exam_cases=6,
        dev_cases=4,
        test_cases=8,
    ),
    "state": replace(_CORNER, train_steps=6000, retrain_steps=2000, test_cases=300, execute=8),
    "images": replace(_CORNER, narrow_layout=False, test_cases=150, execute=4),
    "demo": _DEMO,
    "full": replace(
        _DEMO,
        arms=(MORE_STEPS, RESEEDED, "uniform", "failure", "targeted"),
        fresh_search=(MORE_STEPS, "uniform", "failure"),
        maker="generator-or-expert",
        replicates=5,
        rounds=2,
        demonstrations=1000,
        train_steps=12_000,
        retrain_steps=3000,
        accepted=160,
        search_rollouts=1200,
        confirm_rollouts=40,
        diagnosis_rollouts=600,
        exam_cases=100,
        dev_cases=40,
    ),
}


def preset(name: str, task: str, seed: int) -> LoopConfig:
    """The named preset for a task.

    Raises:
        UnknownNameError: No such preset.
    """
    if name not in PRESETS:
        raise UnknownNameError("preset", name, PRESETS)
    world, colon, _ = task.partition(":")
    settings = _SETTINGS.get(world, _EVERYWHERE).get(name, "")
    task = task if colon or not settings else f"{task}:{settings}"

    from etude.sim import make_task  # heavy: not for the help

    made = make_task(task)
    bounds = _CORNERS.get(name, _NARROW).get(world, {})
    # a state policy's task varies no cameras, light or colours
    narrow = {factor: bounds[factor] for factor in bounds if factor in made.space.names}
    # where new demonstrations cannot be made from the first ones, the expert makes them
    maker = PRESETS[name].maker if isinstance(made, Segmented) and made.segments is not None else "expert"
    return replace(PRESETS[name], task=task, narrow=narrow, seed=seed, maker=maker)
