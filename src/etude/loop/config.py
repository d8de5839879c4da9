"""What a run of the loop is made of: one frozen config; `etude.loop.presets` has ready ones."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from etude.core import ConfigError, UnknownNameError
from etude.loop.arms import ARMS, MAKERS, MORE_STEPS, Arm, Maker, arm_from
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
    arms: tuple[str, ...] = (MORE_STEPS, "uniform", "failure")
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
            if self.arms.count(name) > 1:
                raise ConfigError(f"arm '{name}' is named twice: name each once.")
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
