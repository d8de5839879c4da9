"""`etude collect`: demonstrations of a task's expert, as a LeRobot dataset."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import Positional, arg

from etude.cli.drawing import Draw, Spread, keep_away, make_draw, told_theta
from etude.cli.executing import WorkerOptions, make_executor
from etude.cli.output import nothing_if_nothing, remember_settings, require_free_or_own, require_same_settings
from etude.cli.terminal import show, show_json, show_next, watch
from etude.cli.usage import require_at_least
from etude.core import ConfigError, Outcome, Task
from etude.loop.progress import Update

if TYPE_CHECKING:
    from etude.loop.making.collecting import Collected, OnAttempt
    from etude.loop.making.maker import Made
    from etude.search import KeepsAway

SETTINGS = Path("meta/etude/collect.json")


@dataclass(frozen=True, kw_only=True)
class Options(WorkerOptions):
    """Make demonstrations with a task's scripted expert and write them as a LeRobot v3 dataset.

    Failed attempts are not kept. Every episode is safely on disk before the next one counts: a collection that was
    stopped goes on with --resume and ends with the same dataset.

    Examples:
        etude collect franka-stack:cubes=2 --episodes 50 --out data/first
        etude collect franka-stack:cubes=2 --episodes 50 --out data/broad --space uniform --seed 1
        etude collect franka-stack:cubes=2 --episodes 20 --out data/dark --theta light.intensity=0.4
        etude collect franka-stack:cubes=2 --episodes 10 --out data/human --style human
        etude collect franka-stack:cubes=2 --episodes 80 --out data/more --space uniform --keep-away search/a/exam.json
        etude collect franka-stack:cubes=2 --episodes 80 --out data/aimed --plan diagnosis/first/diagnosis.json

    Attributes:
        task: Task, with settings if they differ from its defaults: NAME:key=value,key=value.
        episodes: Demonstrations that the dataset shall hold.
        out: Folder of the dataset.
        seed: Fixes all randomness.
        style: The expert as it is scripted, or with a human-like hand: it shakes, goes its own ways, and pauses.
        space: Where perturbations come from: the nominal world, or all of the feasible space.
        theta: Factors to fix, in physical units, or a JSON file of them; `etude tasks show TASK` lists them.
        narrow: Draw as the loop's first demonstrations do: broad in most factors, narrow in a few.
        plan: A diagnosis whose plan says where demonstrations lie, as the loop's targeted arm carries it out.
        keep_away: An exam that `etude search` froze; no demonstration comes too near one of its cases, so that a policy
            trained on them can sit it. Its pockets.json must lie beside it; needs --space uniform or --plan.
        resume: Continue a dataset that was begun with the same options; --episodes may be larger.
        json: Print one line of JSON per episode once it is on disk, and nothing else.
    """

    task: Annotated[Positional[str], arg(metavar="TASK")]
    episodes: int
    out: Path
    seed: int = 0
    style: Literal["script", "human"] = "script"
    space: Spread = "nominal"
    theta: Annotated[tuple[str, ...], arg(metavar="FACTOR=VALUE|FILE …")] = ()
    narrow: bool = False
    plan: Annotated[Path | None, arg(metavar="FILE")] = None
    keep_away: Path | None = None
    resume: bool = False
    json: bool = False

    def __post_init__(self) -> None:
        WorkerOptions.__post_init__(self)
        require_at_least(1, episodes=self.episodes)
        require_at_least(0, seed=self.seed)


def run(options: Options) -> None:
    """Collect."""
    from etude.loop.making.collecting import collect
    from etude.sim import make_task

    task = make_task(options.task)
    draw = _draw(options, task)
    kept = keep_away(draw, options.keep_away, task) if options.keep_away else None
    settings = _settings(options, task, kept)
    require_free_or_own(options.out, SETTINGS, resume=options.resume)
    require_same_settings(options.out / SETTINGS, settings)
    with (
        nothing_if_nothing(options.out, SETTINGS),
        make_executor(options) as executor,
        watch()("demonstrations", options.episodes) as update,
    ):
        collected = collect(
            task,
            options.out,
            accepted=options.episodes,
            draw=kept or draw,
            seed=options.seed,
            executor=executor,
            **_hand(options),
            on_saved=_telling(options, update),
            on_attempt=_remembering(options, settings),
        )
    if not options.json:
        _tell(options, collected, kept)


def _settings(options: Options, task: Task, kept: "KeepsAway | None") -> dict[str, Any]:
    """What decides the result; an option that came later is left out where it is not used."""
    return {
        "task": task.name,
        "seed": options.seed,
        "space": options.space,
        "theta": sorted(told_theta(options.theta)),
        "narrow": options.narrow,
        **({"style": options.style} if options.style != "script" else {}),
        **({"plan": str(options.plan)} if options.plan else {}),
        **({"keep_away": kept.exclusion.exam.hash} if kept else {}),
    }


def _remembering(options: Options, settings: Mapping[str, Any]) -> "OnAttempt":
    """What is done before an episode is on disk, so that none ever is without what made it."""

    def on_attempt(_number: int, made: "Made") -> None:
        if made.outcome.success:
            remember_settings(options.out / SETTINGS, settings)

    return on_attempt


def _telling(options: Options, update: Update) -> Callable[[int, Outcome], None]:
    """What is done once an episode is on disk."""

    def on_saved(index: int, outcome: Outcome) -> None:
        if options.json:
            show_json({"saved": index, "seed": outcome.case.seed, "length": outcome.length})
        update(index + 1, "")

    return on_saved


def _tell(options: Options, collected: "Collected", kept: "KeepsAway | None") -> None:
    """What was made, and what to do with it."""
    from etude.loop.making.collecting import attempt_stream

    show(
        f"{collected.accepted} demonstrations, {collected.frames} frames, from {collected.attempts} attempts: "
        f"{options.out}"
    )
    if kept:
        refused = sum(kept.counted(attempt_stream(options.seed, i))[1] for i in range(collected.attempts))
        show(f"{refused} draws refused for lying too near a case of {options.keep_away}")
    if options.style == "human":
        show_next(f"etude annotate {options.out} --auto --out {options.out}-annotated")
    else:
        show_next(f"etude train --dataset {options.out} --policy flow --out runs/{options.out.name}")


def _hand(options: Options) -> dict[str, Any]:
    """Who makes the demonstrations, where it is not the expert as it is."""
    if options.style == "script":
        return {}
    from etude.loop.making.human import HumanMaker

    return {"maker": HumanMaker(), "generator": "human-like"}


def _draw(options: Options, task: Task) -> Draw:
    if options.keep_away and not options.plan and (options.narrow or options.space != "uniform"):
        raise ConfigError(
            "--keep-away needs --space uniform or --plan: else the seed draws part of the world, and no θ says how "
            "near it is."
        )
    if options.plan:
        if options.narrow or options.theta or options.space != "nominal":
            raise ConfigError("--plan says where all perturbations come from: leave out --narrow, --theta and --space.")
        from etude.loop.diagnosing import PlanDraw

        return PlanDraw.of(options.plan, task)
    if not options.narrow:
        return make_draw(task.space, options.space, options.theta)
    if options.theta or options.space != "nominal":
        raise ConfigError("--narrow says where all perturbations come from: leave out --theta and --space.")
    from etude.loop.making.placing import FirstDemonstrations
    from etude.loop.presets import preset

    return FirstDemonstrations(task, preset("demo", task.name, options.seed))
