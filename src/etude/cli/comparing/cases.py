"""The cases that both sides of a comparison run."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import arg

from etude.cli.drawing import Spread, draw_cases, make_draw, told_theta
from etude.cli.usage import require_at_least
from etude.core import Case, ConfigError, Suite, Task

_DRAWN = 200


@dataclass(frozen=True, kw_only=True)
class SharedCases:
    """Cases of a frozen suite, or drawn.

    Attributes:
        episodes: How many cases; by default all of the suite, or 200.
        suite: File of a frozen suite, instead of drawing cases.
        seed: Fixes the cases that are drawn; with --sequential, the order in which a suite's cases come.
        space: Where perturbations come from: the nominal world, or all of the feasible space.
        theta: Factors to fix, in physical units, or a JSON file of them; `etude tasks show TASK` lists them.
    """

    episodes: Annotated[int | None, arg(metavar="INT")] = None
    suite: Annotated[Path | None, arg(metavar="FILE")] = None
    seed: int = 0
    space: Spread = "nominal"
    theta: Annotated[tuple[str, ...], arg(metavar="FACTOR=VALUE|FILE …")] = ()

    def __post_init__(self) -> None:
        require_at_least(1, episodes=1 if self.episodes is None else self.episodes)
        require_at_least(0, seed=self.seed)
        if self.suite and (self.theta or self.space != "nominal"):
            raise ConfigError("--suite says which cases: leave out --theta and --space.")


def choose_shared(options: SharedCases, task: Task, suite: Suite | None) -> Sequence[Case]:
    """The cases that the options ask for.

    Args:
        options: What a person typed.
        task: Where.
        suite: What `--suite` names.

    Raises:
        ConfigError: More than the suite has.
    """
    if suite is None:
        draw = make_draw(task.space, options.space, options.theta)
        return draw_cases(draw, _DRAWN if options.episodes is None else options.episodes, options.seed)
    count = len(suite.cases) if options.episodes is None else options.episodes
    if count > len(suite.cases):
        raise ConfigError(f"--episodes {count}: suite '{options.suite}' has {len(suite.cases)} cases.")
    return suite.cases[:count]


def shared_settings(options: SharedCases, suite: Suite | None) -> dict[str, Any]:
    """Which cases they are, as JSON values."""
    drawn = {"seed": options.seed, "space": options.space, "theta": told_theta(options.theta)}
    return {"suite": {"name": suite.name, "hash": suite.hash} if suite else None, "drawn": None if suite else drawn}
