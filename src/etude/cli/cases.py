"""Which cases a command runs: options that say so, and the cases they mean."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from tyro.conf import arg

from etude.cli.drawing import draw_cases, make_draw, parse_theta, told_theta
from etude.cli.usage import require_at_least
from etude.core import Case, ConfigError, Perturbation, PolicyFactory, Suite, Task

type CaseSpread = Literal["nominal", "uniform", "factors"]

_DRAWN, _EACH = 50, 20


@dataclass(frozen=True, kw_only=True)
class CaseOptions:
    """Cases, drawn or from a file.

    Attributes:
        episodes: How many cases; by default all of the suite, or 50; of each factor or cell of a grid, 20.
        suite: File of a frozen suite, instead of drawing cases.
        seed: Fixes the cases that are drawn.
        space: Where perturbations come from: the nominal world, all of the feasible space, or one factor at a time.
        theta: Factors to fix, in physical units, or a JSON file of them; `etude tasks show TASK` lists them.
        factors: With --space factors: which; by default all of the task.
        grid: Run a grid: FACTOR=LOW:HIGH:COUNT or FACTOR=VALUE,VALUE; of several, all combinations.
        matched: Also run the unperturbed world of every seed, to compare with; --space factors always does.
    """

    episodes: Annotated[int | None, arg(metavar="INT")] = None
    suite: Annotated[Path | None, arg(metavar="FILE")] = None
    seed: int = 0
    space: CaseSpread = "nominal"
    theta: Annotated[tuple[str, ...], arg(metavar="FACTOR=VALUE|FILE …")] = ()
    factors: Annotated[tuple[str, ...], arg(metavar="FACTOR …")] = ()
    grid: Annotated[tuple[str, ...], arg(metavar="FACTOR=VALUES …")] = ()
    matched: bool = False

    def __post_init__(self) -> None:
        require_at_least(1, episodes=1 if self.episodes is None else self.episodes)
        require_at_least(0, seed=self.seed)
        if self.suite and (self.theta or self.space != "nominal"):
            raise ConfigError("--suite says which cases: leave out --theta and --space.")
        if self.grid and (self.suite or self.space != "nominal"):
            raise ConfigError("--grid says which cases: leave out --suite and --space.")
        if self.factors and self.space != "factors":
            raise ConfigError(f"--factors {' '.join(self.factors)}: goes with --space factors.")

    @property
    def plain(self) -> bool:
        """Whether nothing says which worlds to run in."""
        return not (self.suite or self.theta or self.grid) and self.space == "nominal"


@dataclass(frozen=True, kw_only=True)
class Chosen:
    """What the options ask for.

    Attributes:
        cases: What to run.
        matched: The unperturbed case of every seed, or none.
        suite: The suite they are from.
        grid: Whether they are the cells of a grid.
        infeasible: Cells that the world cannot take, each with why not.
    """

    cases: tuple[Case, ...]
    matched: tuple[Case, ...] = ()
    suite: Suite | None = None
    grid: bool = False
    infeasible: tuple[tuple[Perturbation, str], ...] = ()

    @property
    def labels(self) -> tuple[str, ...]:
        """One label per case, where the suite has them."""
        return self.suite.labels[: len(self.cases)] if self.suite else ()


def choose_cases(options: CaseOptions, task: Task, policy: PolicyFactory) -> Chosen:
    """The cases that the options ask for; a replay's own where they ask for nothing special.

    Raises:
        EtudeError: More than there are, or factors that do not exist, are out of range, or make the world infeasible.
    """
    from etude.evaluation import Replay, matched_cases

    if options.plain and isinstance(policy, Replay):
        chosen, base = Chosen(cases=_first(policy.cases(), options, policy.dataset)), None
    elif options.suite:
        chosen, base = _from_suite(options, options.suite, task), None
    elif options.grid:
        chosen, base = _from_grid(options, task), parse_theta(options.theta)
    elif options.space == "factors":
        chosen, base = _one_at_a_time(options, task), parse_theta(options.theta)
    else:
        draw = make_draw(task.space, options.space, options.theta)
        chosen = Chosen(cases=tuple(draw_cases(draw, options.episodes or _DRAWN, options.seed)))
        base = draw.fixed if options.space == "uniform" else None
    if not (options.matched or options.space == "factors"):
        return chosen
    matched = matched_cases(chosen.cases, base)
    if set(matched) >= set(chosen.cases):
        raise ConfigError("--matched: these cases are unperturbed themselves; choose others with --space or --theta.")
    return replace(chosen, matched=tuple(matched))


def case_settings(options: CaseOptions, chosen: Chosen) -> dict[str, Any]:
    """Which cases, as JSON values; None for what is not asked for, as in settings that do not know of it."""
    drawn: dict[str, Any] = {"seed": options.seed, "space": options.space, "theta": told_theta(options.theta)}
    extra = {"factors": list(options.factors), "grid": list(options.grid)}
    suite = chosen.suite
    return {
        "suite": {"name": suite.name, "hash": suite.hash} if suite else None,
        "drawn": None if suite else {**drawn, **{key: value for key, value in extra.items() if value}},
        "unperturbed": len(chosen.matched) or None,
    }


def _first(cases: "list[Case] | tuple[Case, ...]", options: CaseOptions, source: object) -> tuple[Case, ...]:
    count = len(cases) if options.episodes is None else options.episodes
    if count > len(cases):
        raise ConfigError(
            f"--episodes {count}: '{source}' has no more than {len(cases)}; leave out --episodes, or ask for fewer."
        )
    return tuple(cases[:count])


def _from_suite(options: CaseOptions, path: Path, task: Task) -> Chosen:
    from etude.loop.stages import load_suite

    suite = load_suite(path, task)
    return Chosen(cases=_first(suite.cases, options, path), suite=suite)


def _from_grid(options: CaseOptions, task: Task) -> Chosen:
    from etude.evaluation import Axis, Grid

    fixed = make_draw(task.space, "uniform", options.theta).fixed  # checked, and possible together with something
    grid = Grid.of(task.space, [Axis.parse(text, task.space) for text in options.grid], fixed)
    cases = grid.cases(options.episodes or _EACH, options.seed)
    return Chosen(cases=tuple(cases), grid=True, infeasible=grid.infeasible)


def _one_at_a_time(options: CaseOptions, task: Task) -> Chosen:
    from etude.evaluation import one_at_a_time

    fixed = make_draw(task.space, "nominal", options.theta).fixed
    names = options.factors or tuple(name for name in task.space.names if name not in fixed.values)
    twice = [name for i, name in enumerate(names) if name in names[:i] or name in fixed.values]
    if twice:
        raise ConfigError(f"--factors {twice[0]}: name it once, and not in --theta too.")
    cases = one_at_a_time(task.space, names, options.episodes or _EACH, options.seed, fixed)
    return Chosen(cases=tuple(cases))
