"""`etude study`: which way of choosing what to practise is better, fairly, over replicates of the whole chain."""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from etude.cli.executing import WorkerOptions, make_executor
from etude.cli.output import nothing_if_nothing
from etude.cli.terminal import show, show_json, show_next, watch
from etude.cli.usage import require_at_least
from etude.core import ConfigError
from etude.loop.config import LoopConfig
from etude.loop.presets import preset

if TYPE_CHECKING:
    from etude.loop.study.choice import Choice
    from etude.loop.study.running import FinishedStudy


@dataclass(frozen=True, kw_only=True)
class Options(WorkerOptions):
    """Compare ways of choosing what to practise with uniform practice, at equal budget, over whole replicates.

    A replicate is everything: first demonstrations, baseline, search, a frozen exam, then every arm from that baseline.
    What will be compared, and what counts as an answer, is written to OUT/plan.json and hashed before anything runs.
    With --pilot the first replicates choose the best arm, and fresh ones confirm it. Same data with more steps, and a
    reseeded baseline, are always among the arms. A study that was stopped goes on with --resume, and a replicate that
    fails is named and ends nothing.

    Examples:
        etude study franka-stack --arms targeted gradient --replicates 10 --pilot 3 --rounds 3 --out studies/a
        etude study franka-stack --preset smoke --arms targeted --replicates 2 --out studies/try --processes 1
        etude study franka-stack --arms targeted gradient --replicates 10 --pilot 3 --rounds 3 --out studies/a --resume

    Attributes:
        task: Task, with settings if they differ from those of the preset: NAME:key=value,key=value.
        arms: Ways of choosing what to practise that are compared with uniform practice.
        arms_file: TOML file with arms of your own, one table each.
        replicates: Confirming replicates; a claim takes 5 at least.
        pilot: Replicates before them that choose the arm to confirm; 0 confirms every arm.
        baselines: How many baselines a replicate may draw until the search confirms a pocket of one, for without one
            there is nothing to aim at; 1 takes the first as it is.
        rounds: Turns of the loop in each, instead of the preset's.
        budget: New demonstrations of every arm over all rounds, instead of the preset's.
        exam_cases: Cases of each replicate's exam, instead of the preset's; a claim takes 200 at least.
        preset: How big a replicate is, as for etude loop.
        seed: Fixes all randomness.
        out: Folder for the study.
        resume: Continue a study that was begun with the same plan.
        other_code: Continue it although Etude's code is not the registered one; the report says so.
        processes: How many replicates run at once, each in a process of its own.
        json: Print the study's summary as JSON, and nothing else.
    """

    task: Annotated[Positional[str], arg(metavar="TASK")]
    out: Path
    arms: Annotated[tuple[str, ...], arg(metavar="ARM …")] = ("failure",)
    arms_file: Annotated[Path | None, arg(metavar="FILE")] = None
    replicates: int = 5
    pilot: int = 0
    baselines: int = 1
    rounds: Annotated[int | None, arg(metavar="INT")] = None
    budget: Annotated[int | None, arg(metavar="INT")] = None
    exam_cases: Annotated[int | None, arg(metavar="INT")] = None
    preset: str = "demo"
    seed: int = 0
    resume: bool = False
    other_code: bool = False
    json: bool = False

    def __post_init__(self) -> None:
        WorkerOptions.__post_init__(self)
        optional = {"rounds": self.rounds, "budget": self.budget, "exam_cases": self.exam_cases}
        counts = {name: value for name, value in optional.items() if value is not None}
        require_at_least(1, replicates=self.replicates, baselines=self.baselines, **counts)
        require_at_least(0, seed=self.seed, pilot=self.pilot)


def run(options: Options) -> None:
    """Run the study."""
    from etude.sim import make_task

    config = make_config(options)
    task = make_task(config.task)

    from etude.loop.results import provenance
    from etude.loop.study.plan import PLAN, StudyPlan
    from etude.loop.study.running import register, run_study

    known = provenance()
    code = {name: known[name] for name in ("etude", "commit")}
    plan = StudyPlan.of(
        config, replicates=options.replicates, pilot=options.pilot, baselines=options.baselines, code=code
    )
    with nothing_if_nothing(options.out, options.out / PLAN):
        plan = register(plan, task, options.out, resume=options.resume, other_code=options.other_code)
    if not options.json:
        show(f"plan: {options.out / PLAN}, SHA-256 {plan.hash}", plan.hypotheses["primary"], "")
    with make_executor(options, held=1) as executor:
        finished = run_study(
            plan,
            task,
            options.out,
            executor=executor,
            command=command_line(options),
            progress=watch(),
            on_choice=None if options.json else tell_choice,
        )
    tell(finished, json=options.json)


def make_config(options: Options) -> LoopConfig:
    """The preset with what the options change.

    Raises:
        UnknownNameError: No such preset or arm.
        ConfigError: A budget that is not the same in every round.
    """
    from etude.loop.arms import load_arms

    config = preset(options.preset, options.task, options.seed)
    own = load_arms(options.arms_file) if options.arms_file else ()
    rounds = options.rounds or config.rounds
    budget = options.budget or rounds * config.accepted
    if budget % rounds:
        raise ConfigError(
            f"--budget {budget}: not the same number in each of {rounds} rounds; take {budget - budget % rounds} or "
            f"{budget - budget % rounds + rounds}."
        )
    return replace(
        config,
        arms=options.arms,
        own_arms=own,
        rounds=rounds,
        accepted=budget // rounds,
        exam_cases=options.exam_cases or config.exam_cases,
    )


def tell_choice(choice: "Choice") -> None:
    """Say what the pilots chose, and how many replicates it takes to see what they saw."""
    show(f"the pilots choose '{choice.arm}': {100 * choice.effects[choice.arm]:+.1f} points above uniform on the exam")
    for question, needed in choice.power.items():
        count = "more than 1000 replicates" if needed is None else f"{needed} replicates"
        show(f"  80 % power for {question}: {count}")


def tell(finished: "FinishedStudy", *, json: bool = False) -> None:
    """Print every verdict, and where the report is."""
    from etude.loop.study.summary import summary
    from etude.loop.study.verdict import judge

    if json:
        show_json(summary(finished.analysis))
        return
    for arm in finished.analysis.compared:
        verdict = judge(finished.analysis, arm)
        show("", verdict.headline, *(f"  {answer.state}: {answer.sentence}" for answer in verdict.answers))
    for failure in finished.analysis.failures:
        show(f"failed: {failure.name}: {failure.why.strip().splitlines()[-1]}")
    show("", f"report: {finished.report}")
    show_next(f"xdg-open {finished.report}")


def command_line(options: Options) -> str:
    """What a person types to get the same result, wherever it goes."""
    words: list[object] = ["etude", "study", options.task, "--arms", *options.arms]
    words += ["--replicates", options.replicates, "--pilot", options.pilot]
    words += ["--baselines", options.baselines, "--preset", options.preset]
    words += ["--seed", options.seed, "--out", options.out]
    for name in ("arms_file", "rounds", "budget", "exam_cases"):
        value = getattr(options, name)
        words += [] if value is None else [f"--{name.replace('_', '-')}", value]
    return shlex.join(str(word) for word in words)
