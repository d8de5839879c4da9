"""What a run of the loop is made of: one frozen config, and the presets."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from etude.core import ConfigError, Segmented, UnknownNameError
from etude.loop.arms import ARMS, MAKERS, RESEEDED, Arm, Maker, arm_from
from etude.loop.elsewhere import LAYOUTS

_COUNTS = (
    "rounds", "replicates", "demonstrations", "train_steps", "retrain_steps", "batch_size", "accepted", "sources",
    "search_rollouts", "confirm_rollouts", "exam_cases", "test_cases", "execute", "train_threads",
)  # fmt: skip

type Narrow = Mapping[str, tuple[float, float]]
"""Factor -> the range that the first demonstrations keep to."""


@dataclass(frozen=True, kw_only=True)
class LoopConfig:
    """Settings of `etude loop`; everything that decides a result, nothing that does not.

    Attributes:
        task: Task with its settings, e.g. "franka-stack:cubes=2".
        policy: Policy type.
        seed: Root of all randomness.
        arms: Ways of choosing data, side by side at equal budget, by name.
        own_arms: A person's own ways, see `etude.loop.arms.load_arms`.
        rounds: Turns of the loop after the baseline.
        replicates: Independent repetitions of the whole chain.
        demonstrations: Episodes of the baseline's dataset.
        narrow: Factor -> range that the first demonstrations keep to; the other factors vary over their whole range.
        narrow_layout: Whether the first demonstrations keep to the task's published layouts, without distractors.
        train_steps: Gradient steps of the baseline.
        retrain_steps: Gradient steps of every arm in every round, from the arm's last checkpoint.
        batch_size: Windows per gradient step.
        accepted: New demonstrations per arm and round.
        maker: Who makes them, unless an arm says otherwise; the first demonstrations are always the expert's.
        sources: How many of the first demonstrations the generator makes new ones from.
        new_share: Sampling weight of an arm's new demonstrations in its mixture, those of all its rounds together.
        search_rollouts: Rollouts that the search may spend per round.
        confirm_rollouts: Fresh rollouts that confirm a pocket, inside and again outside.
        exam_cases: Size of the frozen exam.
        dev_cases: Size of the dev suite.
        test_cases: Size of the uniform and of the nominal test.
        uniform_share: Share of the targeted demonstrations drawn everywhere; the others lie in and around the pockets.
        diagnosis_rollouts: Counterfactual rollouts that may test the causes of failures per round; 0 leaves diagnosis
            out, and pockets are practised as the search found them.
        examine_rounds: Whether every arm sits the tests after each round, not only after its last.
        fresh_search: Arms whose last policy is searched afresh, at the cost of the first search: are the pockets gone?
        execute: Actions of a chunk executed before the policy looks again.
        train_threads: Threads of the training process; part of the result.
        elsewhere: Policies are trained elsewhere, on demonstrations in these layouts; none: they are trained here.
    """

    task: str
    policy: str = "flow"
    seed: int = 0
    arms: tuple[str, ...] = ("more-steps", "uniform", "failure")
    own_arms: tuple[Arm, ...] = ()
    rounds: int = 1
    replicates: int = 1
    demonstrations: int = 150
    narrow: Narrow = field(default_factory=dict[str, tuple[float, float]])
    narrow_layout: bool = True
    train_steps: int = 3000
    retrain_steps: int = 1000
    batch_size: int = 64
    accepted: int = 80
    maker: Maker = "expert"
    sources: int = 20
    new_share: float = 0.5
    search_rollouts: int = 400
    confirm_rollouts: int = 20
    exam_cases: int = 80
    dev_cases: int = 20
    test_cases: int = 100
    uniform_share: float = 0.2
    diagnosis_rollouts: int = 0
    examine_rounds: bool = False
    fresh_search: tuple[str, ...] = ()
    execute: int = 8
    train_threads: int = 2
    elsewhere: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        for name in (*self.arms, *self.fresh_search):
            self.arm(name)
        if self.maker not in MAKERS:
            raise UnknownNameError("maker", self.maker, MAKERS)
        for name in self.elsewhere:
            if name not in LAYOUTS:
                raise UnknownNameError("layout to train elsewhere with", name, LAYOUTS)
        for name in ("seed", "dev_cases", "diagnosis_rollouts"):
            if getattr(self, name) < 0:
                raise ConfigError(f"{name} must be at least 0, got {getattr(self, name)}.")
        for name in _COUNTS:
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} must be at least 1, got {getattr(self, name)}.")
        for name in ("new_share", "uniform_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name} must lie in [0, 1], got {getattr(self, name):g}.")

    def arm(self, name: str) -> Arm:
        """The arm of a name: a person's own, or a known one.

        Raises:
            UnknownNameError: There is none.
        """
        known = {**ARMS, **{arm.name: arm for arm in self.own_arms}}
        if name not in known:
            raise UnknownNameError("arm", name, known)
        return known[name]

    def maker_of(self, arm: Arm) -> Maker:
        """Who makes an arm's new demonstrations."""
        return arm.maker or self.maker

    @property
    def generates(self) -> bool:
        """Whether any arm's demonstrations are made from the first ones."""
        arms = [self.arm(name) for name in self.arms]
        return any(arm.practises and self.maker_of(arm) != "expert" for arm in arms)

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        own = [arm.to_json() for arm in self.own_arms]
        names = {"arms": list(self.arms), "fresh_search": list(self.fresh_search), "own_arms": own}
        names["elsewhere"] = list(self.elsewhere)
        return {**asdict(self), **names, "narrow": {k: list(v) for k, v in self.narrow.items()}}

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> "LoopConfig":
        """The inverse of to_json."""
        narrow = {name: (low, high) for name, (low, high) in record["narrow"].items()}
        arms = {name: tuple(record.get(name, ())) for name in ("arms", "fresh_search", "elsewhere")}
        own = [dict(arm) for arm in record.get("own_arms", ())]
        fields: dict[str, Any] = {**record, **arms, "narrow": narrow}
        fields["own_arms"] = tuple(arm_from(arm.pop("name"), arm) for arm in own)
        return LoopConfig(**fields)


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

_STATE_NARROW: Mapping[str, Narrow] = {
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
"""The same for a policy that is told where the objects are: what it does not see cannot surprise it."""


def preset(name: str, task: str, seed: int) -> LoopConfig:
    """The named preset for a task.

    Raises:
        UnknownNameError: No such preset.
    """
    if name not in PRESETS:
        raise UnknownNameError("preset", name, PRESETS)
    world, colon, _ = task.partition(":")
    settings = _SETTINGS.get(world, _OTHER_SETTINGS).get(name, "")
    task = task if colon or not settings else f"{task}:{settings}"

    from etude.sim import make_task  # heavy: not for the help

    made = make_task(task)
    bounds = (_STATE_NARROW if name == "state" else _NARROW).get(world, {})
    # a state policy's task varies no cameras, light or colours
    narrow = {factor: bounds[factor] for factor in bounds if factor in made.space.names}
    # where new demonstrations cannot be made from the first ones, the expert makes them
    maker = PRESETS[name].maker if isinstance(made, Segmented) and made.segments is not None else "expert"
    return replace(PRESETS[name], task=task, narrow=narrow, seed=seed, maker=maker)


_OTHER_SETTINGS = {"smoke": "image_size=48", "state": "state=objects"}
_SETTINGS = {
    "franka-stack": {
        "smoke": "cubes=2,distractors=0,image_size=48",
        "state": "cubes=2,distractors=0,state=objects",
        "demo": "cubes=2,distractors=0",
        "full": "cubes=3",
    },
    "franka-lift": {**_OTHER_SETTINGS, "state": "distractors=0,state=objects"},
}
_DEMO = LoopConfig(
    task="",
    arms=("more-steps", "uniform", "failure", "targeted"),
    demonstrations=600,
    train_steps=4000,
    retrain_steps=1200,
    accepted=200,
    maker="generator",
    exam_cases=70,
    dev_cases=10,
    test_cases=80,
    diagnosis_rollouts=240,
    fresh_search=("failure",),
    execute=2,
)
PRESETS: Mapping[str, LoopConfig] = {
    "smoke": replace(
        _DEMO,
        arms=("more-steps", "uniform", "targeted", "gradient"),
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
    "state": replace(
        _DEMO,
        demonstrations=600,
        train_steps=6000,
        retrain_steps=1000,
        accepted=40,
        new_share=0.25,
        search_rollouts=600,
        confirm_rollouts=24,
        diagnosis_rollouts=80,
        train_threads=1,
        exam_cases=150,
        test_cases=300,
        execute=8,
    ),
    "demo": _DEMO,
    "full": replace(
        _DEMO,
        arms=("more-steps", RESEEDED, "uniform", "failure", "targeted"),
        fresh_search=("more-steps", "uniform", "failure"),
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
