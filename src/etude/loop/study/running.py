"""A study: pilots, the choice, confirming replicates, the report; each replicate in a process of its own."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from etude.core import EtudeError, Executor, MismatchError, RunExistsError, StageFailedError, Task
from etude.loop.config import LoopConfig
from etude.loop.progress import Progress, silent
from etude.loop.run import check_config, replace_report
from etude.loop.study.analysis import Analysis, analyse
from etude.loop.study.choice import Choice, choose, load_choice, save_choice
from etude.loop.study.plan import PLAN, StudyPlan, load_plan, require_same_plan
from etude.loop.study.record import Failure, Replicate
from etude.loop.study.replicate import ReplicateJob, load_replicate, record_failure, run_replicate
from etude.loop.study.watching import watched

PILOT, CONFIRM = "pilot", "confirm"

type OnChoice = Callable[[Choice], None]
"""Told what the pilots chose, before the confirmation starts."""


@dataclass(frozen=True)
class FinishedStudy:
    """What is left of a study.

    Attributes:
        analysis: What it says.
        report: The page to open first.
    """

    analysis: Analysis
    report: Path


def run_study(
    plan: StudyPlan,
    task: Task,
    directory: Path,
    *,
    executor: Executor,
    command: str,
    progress: Progress = silent,
    on_choice: OnChoice | None = None,
) -> FinishedStudy:
    """Run every replicate that is not finished, and write the report.

    Args:
        plan: What to do, as `register` returned it: nothing runs that is not written down.
        task: The world that the plan names.
        directory: The study's folder.
        executor: Where replicates run, each as one job; it does not change the result.
        command: What a person types to do it again.
        progress: Shows how far every replicate is.
        on_choice: Told what the pilots chose.

    Raises:
        MismatchError: The folder holds another plan.
        StageFailedError: Not one replicate came to its end.
    """
    require_same_plan(directory, plan)
    run = _Phases(plan, task, directory, executor, command, progress)
    choice = load_choice(directory, plan)
    if plan.pilot and choice is None:
        choice = choose(plan, _finished(run.phase(PILOT, plan.pilot, plan.compared), directory))
        save_choice(directory, choice)
    if choice and on_choice:
        on_choice(choice)
    arms = (choice.arm,) if choice else plan.compared
    _finished(run.phase(CONFIRM, plan.replicates, arms), directory)
    return write_study(directory)


def register(
    plan: StudyPlan, task: Task, directory: Path, *, resume: bool = False, other_code: bool = False
) -> StudyPlan:
    """Write the plan down before anything runs, or compare it with the one that is there; returns the one that holds.

    Args:
        plan: What is to be done.
        task: The world that it names.
        directory: The study's folder.
        resume: Continue a study that was begun here.
        other_code: Go on although the code is another one than the registered one.

    Raises:
        RunExistsError: The folder holds something, and `resume` is false.
        MismatchError: The study was begun with another plan.
    """
    check_config(plan.config, task)
    if (directory / PLAN).exists():
        if not resume:
            raise RunExistsError(directory)
        require_same_plan(directory, plan, other_code=other_code)
        return load_plan(directory)
    if directory.exists() and any(not path.name.startswith(f".{PLAN}.") for path in directory.iterdir()):
        raise RunExistsError(directory, "it is not empty and holds no study; choose another name")
    plan.save(directory)
    return plan


def write_study(directory: Path) -> FinishedStudy:
    """Analyse what is finished of a study and write its report.

    Raises:
        EtudeError: No study there.
    """
    from etude.loop.study.page import write_study_report

    plan = load_plan(directory)
    choice = load_choice(directory, plan)
    results = {
        phase: [load_replicate(directory / phase / f"replicate-{index:02d}") for index in range(count)]
        for phase, count in ((PILOT, plan.pilot), (CONFIRM, plan.replicates))
    }
    _require_plan(plan, [*results[PILOT], *results[CONFIRM]])
    analysis = analyse(plan, choice, results[PILOT], results[CONFIRM])
    replace_report(directory / "report", partial(write_study_report, analysis))
    return FinishedStudy(analysis, directory / "report" / "index.html")


@dataclass(frozen=True)
class _Phases:
    """Runs the replicates of one phase after the other."""

    plan: StudyPlan
    task: Task
    directory: Path
    executor: Executor
    command: str
    progress: Progress

    def phase(self, name: str, count: int, arms: tuple[str, ...]) -> list[Replicate | Failure]:
        """All replicates of a phase; those that are finished are read, those that failed are tried again."""
        jobs = [self._job(name, index, self.plan.replicate(name, index, arms)) for index in range(count)]
        found = {job.name: load_replicate(job.directory) for job in jobs}
        due = [job for job in jobs if not isinstance(found[job.name], Replicate)]
        with watched({job.name: job.directory for job in due}, self.progress):
            for job, result in zip(due, self.executor.map(run_replicate, due, on_lost=_lost), strict=True):
                found[job.name] = result
        return [result for result in found.values() if result is not None]

    def _job(self, phase: str, index: int, config: LoopConfig) -> ReplicateJob:
        name = f"{phase}/replicate-{index:02d}"
        return ReplicateJob(
            config=config,
            task=self.task,
            study=self.directory,
            name=name,
            plan=self.plan.hash,
            baselines=self.plan.baselines,
            command=self.command,
        )


def _require_plan(plan: StudyPlan, results: Sequence[Replicate | Failure | None]) -> None:
    """Raise MismatchError where a replicate followed another plan than the one that is there."""
    for result in results:
        if isinstance(result, Replicate) and result.plan != plan.hash:
            raise MismatchError(
                f"'{result.name}' followed another plan (SHA-256 {result.plan[:12]}…) than plan.json is now "
                f"({plan.hash[:12]}…): put the registered one back."
            )


def _lost(job: ReplicateJob, error: EtudeError) -> Replicate | Failure:
    return record_failure(job, str(error))


def _finished(results: Sequence[Replicate | Failure], directory: Path) -> list[Replicate]:
    """Those that came to their end.

    Raises:
        StageFailedError: None did.
    """
    finished = [result for result in results if isinstance(result, Replicate)]
    if not finished:
        failures = [result for result in results if isinstance(result, Failure)]
        reasons = sorted({failure.why.strip().splitlines()[-1] for failure in failures})
        fix = [] if all(failure.final for failure in failures) else ["Put it right and go on with --resume."]
        raise StageFailedError(
            f"not one of {len(results)} replicates in '{directory}' came to its end: {' '.join([*reasons, *fix])}"
        )
    return finished
