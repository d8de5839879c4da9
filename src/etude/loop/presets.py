"""Ready settings of a run, by name, and what suits each world."""

from collections.abc import Mapping
from dataclasses import replace

from etude.core import Segmented, UnknownNameError
from etude.loop.arms import MORE_STEPS, RESEEDED
from etude.loop.config import LoopConfig, Narrow

_CORNERS: Mapping[str, Narrow] = {
    "franka-stack": {"cube_red.x_m": (0.42, 0.62), "cube_red.y_m": (-0.14, 0.09)},
    "franka-lift": {"cube_red.x_m": (0.43, 0.62), "cube_red.y_m": (-0.14, 0.08)},
}
"""World -> what its first demonstrations are narrow in, and broad in all else: as a person's first ones are, who puts
the cube where it is handy and leaves out a corner of the table."""
_STATE_CORNERS: Mapping[str, Narrow] = {
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
}
"""The same for a policy that is told where the objects are: such a one also fails at what it has not seen of turns and
sizes."""
_SIGHT = "image_size=64,vary=layout+physics"
_EVERYWHERE = {"smoke": "image_size=48", "state": "state=objects", "images": _SIGHT, "demo": _SIGHT}
_SETTINGS: Mapping[str, Mapping[str, str]] = {
    "franka-stack": {
        "smoke": "cubes=2,distractors=0,image_size=48",
        "state": "cubes=2,distractors=0,state=objects",
        "images": f"cubes=2,distractors=0,{_SIGHT}",
        "demo": f"cubes=2,distractors=0,{_SIGHT}",
        "full": "cubes=3",
    },
    "franka-lift": {
        "smoke": "image_size=48",
        "state": "distractors=0,state=objects",
        "images": f"distractors=0,{_SIGHT}",
        "demo": f"distractors=0,{_SIGHT}",
    },
}
"""World -> preset -> settings of the task; other worlds have those of `_EVERYWHERE`."""


_IMAGES = LoopConfig(
    task="",
    arms=(MORE_STEPS, "uniform", "failure"),
    demonstrations=600,
    narrow_layout=False,
    train_steps=4000,
    retrain_steps=1000,
    accepted=20,
    new_share=0.25,
    maker="generator",
    search_rollouts=600,
    confirm_rollouts=24,
    diagnosis_rollouts=80,
    exam_cases=150,
    dev_cases=10,
    test_cases=150,
    fresh_search=("failure",),
    execute=4,
    train_threads=1,
)
_DEMO = replace(
    _IMAGES, arms=(*_IMAGES.arms, "targeted"), diagnosis_rollouts=240, exam_cases=100, test_cases=100, train_threads=2
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
    "state": replace(_IMAGES, narrow_layout=True, train_steps=6000, retrain_steps=2000, test_cases=300, execute=8),
    "images": _IMAGES,
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
    bounds = (_STATE_CORNERS if name == "state" else _CORNERS).get(world, {})
    narrow = {factor: bounds[factor] for factor in bounds if factor in made.space.names}
    # where no corner is known, the first demonstrations keep to published layouts: something must be left to learn
    published = PRESETS[name].narrow_layout or not narrow
    # where new demonstrations cannot be made from the first ones, the expert makes them
    maker = PRESETS[name].maker if isinstance(made, Segmented) and made.segments is not None else "expert"
    return replace(PRESETS[name], task=task, narrow=narrow, narrow_layout=published, seed=seed, maker=maker)
