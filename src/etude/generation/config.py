"""How new demonstrations are put together."""

from dataclasses import dataclass

from etude.core import ConfigError
from etude.generation.selecting import STRATEGIES, Strategy


@dataclass(frozen=True, kw_only=True)
class GenerationConfig:
    """The choices of one generation.

    Attributes:
        select: How source demonstrations are chosen.
        per_subtask: Choose anew for every segment; else once for an attempt.
        noise: Standard deviation of what is added to the arm's numbers of every action, as a share of half their range.
            None on fingers, and none on the way between segments.
        lift_m: How far above the lowest that the gripper is in any source the way rises before it goes aside, to meet
            nothing; 0 goes straight.
        hold_steps: Control steps to wait for the success after the last segment.
    """

    select: Strategy = "random"
    per_subtask: bool = False
    noise: float = 0.0
    lift_m: float = 0.1
    hold_steps: int = 25

    def __post_init__(self) -> None:
        if self.select not in STRATEGIES:
            raise ConfigError(f"select = {self.select}: choose one of {', '.join(STRATEGIES)}.")
        if not 0.0 <= self.noise <= 1.0:
            raise ConfigError(f"noise = {self.noise:g} is out of range: choose 0 to 1.")
        for name in ("lift_m", "hold_steps"):
            if not getattr(self, name) >= 0:
                raise ConfigError(f"{name} = {getattr(self, name):g} must be at least 0.")
