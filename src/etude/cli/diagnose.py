"""`etude diagnose`: why a policy fails, by rules and by rolling its failures out again."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from etude.cli.executing import WorkerOptions, make_executor
from etude.cli.made import known_execution, known_settings
from etude.cli.output import resumable_folder
from etude.cli.policy import ExecutionOptions, resolve_policy
from etude.cli.terminal import show, show_json, show_next, watch
from etude.cli.usage import require_at_least
from etude.core import ConfigError, Diagnosis, EtudeError, Pocket, Task, describe_bounds

if TYPE_CHECKING:
    from etude.diagnosis import Episodes


@dataclass(frozen=True, kw_only=True)
class Options(WorkerOptions):
    """Say why a policy fails: rules over factors, proved by counterfactual rollouts, and what to practise.

    Rules are chosen on one half of the episodes and judged on the other. Then failures of each rule are rolled out
    again on the same seed with one factor undone, against a sham that changes next to nothing. A dataset has no
    simulator: its rules are told, their counterfactuals are untested. Writes diagnosis.json and
    counterfactuals.parquet.

    Examples:
        etude diagnose search/first --out diagnosis/first
        etude diagnose results/uniform --rollouts 500 --out diagnosis/uniform
        etude diagnose data/robot --factors data/robot-factors.csv --out diagnosis/robot

    Attributes:
        source: Folder of a search or of an evaluation, or a LeRobot dataset.
        out: Folder for the diagnosis.
        policy: Where the policy is now; by default where the search or the evaluation found it.
        rollouts: Counterfactual rollouts, at most; 0 only looks for rules.
        factors: For a dataset: table (CSV or Parquet) with the columns episode_index, success and one per factor.
        seed: Fixes all randomness.
        resume: Continue a diagnosis that was begun with the same options.
        json: Print the diagnosis as one line of JSON, and nothing else.
    """

    source: Annotated[Positional[Path], arg(metavar="DIR")]
    out: Path
    policy: Annotated[str | None, arg(metavar="POLICY")] = None
    rollouts: int = 300
    factors: Annotated[Path | None, arg(metavar="FILE")] = None
    seed: int = 0
    resume: bool = False
    json: bool = False

    def __post_init__(self) -> None:
        WorkerOptions.__post_init__(self)
        require_at_least(0, rollouts=self.rollouts, seed=self.seed)


@dataclass(frozen=True, kw_only=True)
class _Source:
    """What is diagnosed.

    Attributes:
        episodes: What the policy did.
        task: Name of the task, or of the dataset.
        policy: As a person names it.
        world: The task, where it can be rolled out again.
        execution: How the policy's chunks were executed.
        pockets: Those that a search confirmed.
    """

    episodes: "Episodes"
    task: str
    policy: str
    world: Task | None = None
    execution: ExecutionOptions = field(default_factory=ExecutionOptions)
    pockets: tuple[Pocket, ...] = ()


def run(options: Options) -> None:
    """Diagnose."""
    source = _read(options)
    policy = resolve_policy(source.policy, source.world, source.execution) if source.world else None

    from etude.loop.diagnosing import DiagnosisSettings, diagnose_failures
    from etude.loop.fingerprint import fingerprint
    from etude.loop.stages import KEPT, Arena

    settings = DiagnosisSettings(rollouts=options.rollouts, seed=options.seed)
    asked = {
        "source": str(options.source),
        "task": source.task,
        "policy": source.policy,
        "fingerprint": fingerprint(source.world, policy) if source.world and policy else None,
        "factors": str(options.factors) if options.factors else None,
        "rollouts": options.rollouts,
        "seed": options.seed,
    }
    with resumable_folder(options.out, asked, resume=options.resume) as out, make_executor(options) as executor:
        roll = None
        if source.world and policy:
            roll = Arena(source.world, executor, watch()).policy(policy, "counterfactuals", keep=out / KEPT)
        diagnosis = diagnose_failures(
            source.episodes,
            out,
            task=source.task,
            policy=source.policy,
            settings=settings,
            pockets=source.pockets,
            roll=roll,
        )
    if options.json:
        show_json(diagnosis.to_json())
    else:
        _tell(options, source, diagnosis)


def _read(options: Options) -> _Source:
    """What the folder holds.

    Raises:
        EtudeError: Nothing that can be diagnosed.
        ConfigError: An option that does not go with it.
    """
    source = options.source
    if (source / "meta" / "info.json").exists():
        from etude.loop.labelled import labelled_episodes

        if options.policy:
            raise ConfigError(f"--policy {options.policy}: '{source}' is a dataset, whose episodes are not rolled out.")
        return _Source(episodes=labelled_episodes(source, options.factors), task=str(source), policy=str(source))
    if options.factors:
        raise ConfigError(f"--factors {options.factors}: goes with a dataset; '{source}' knows its factors.")
    if (source / "archive.parquet").exists() or (source / "outcomes.parquet").exists():
        return _rolled_out(source, options.policy)
    raise EtudeError(
        f"'{source}' cannot be diagnosed: give a folder of `etude search` (archive.parquet), of `etude eval` "
        "(outcomes.parquet), or a LeRobot dataset (meta/info.json)."
    )


def _rolled_out(source: Path, policy: str | None) -> _Source:
    """What a search or an evaluation left."""
    from etude.evaluation import read_outcomes
    from etude.loop.diagnosing import evaluated_episodes, searched_episodes
    from etude.loop.stages import load_pockets
    from etude.sim import make_task

    known = known_settings(source)
    world = make_task(known["task"])
    named = policy or known.get("policy")
    if not named:
        raise ConfigError(f"'{source}' does not say whose failures these are: give --policy.")
    execution = known_execution(known)
    searched = (source / "archive.parquet").exists()
    if searched:
        episodes = searched_episodes(source, world.space)
    else:
        episodes = evaluated_episodes(read_outcomes(source / "outcomes.parquet"), world.space)
    return _Source(
        episodes=episodes,
        task=world.name,
        policy=named,
        world=world,
        execution=execution,
        pockets=load_pockets(source) if searched and (source / "pockets.json").exists() else (),
    )


def _tell(options: Options, source: _Source, diagnosis: Diagnosis) -> None:
    from etude.diagnosis.wording import describe_cause, describe_effect, describe_interaction, describe_practice

    failures = diagnosis.failures
    show(f"the policy fails in {failures.k} of {failures.n} episodes of {options.source}", "")
    for cause in diagnosis.causes:
        show(describe_cause(cause, diagnosis))
        if cause.failure_modes:
            ended = ", ".join(f"{mode.replace('_', ' ')} {count}" for mode, count in cause.failure_modes.items())
            show(f"  failures end as: {ended}")
        show(*(f"  {describe_effect(effect)}" for effect in cause.effects if effect.verdict != "untested"))
        if cause.interaction:
            show(f"  {describe_interaction(cause.interaction)}")
    show(*diagnosis.notes)
    untested = any(effect.verdict == "untested" for cause in diagnosis.causes for effect in cause.effects)
    if untested:
        more = " (--rollouts)" if source.world else ""
        show(f"untested: what was not rolled out again{more} may go along with a cause instead of being one")
    show("", "practise:")
    for practice in diagnosis.plan.practices:
        show(f"  {describe_practice(practice.share, practice.why, describe_bounds(practice.bounds, diagnosis.space))}")
    show("", f"diagnosis.json and counterfactuals.parquet ({diagnosis.rollouts} rollouts) in {options.out}")
    if source.world:
        aimed = f"--plan {options.out}/diagnosis.json --out data/{options.out.name}"
        show_next(f"etude collect {source.task} --episodes 100 {aimed}")
    else:
        show("record demonstrations there, train on them too, and diagnose what fails then")
