"""Many episodes at once: cases become jobs, jobs run on an executor, outcomes come back in the order of the cases."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import batched, islice
from math import ceil
from pathlib import Path

from etude.core import CRASHED, Case, ConfigError, EtudeError, Executor, Outcome, PolicyFactory, Task, rollout_many
from etude.evaluation.bench import bench
from etude.evaluation.journal import Journal
from etude.evaluation.smoothness import SmoothnessMeter
from etude.policies.execution.latency import Metered, NetworkCall

type Progress = Callable[[Sequence[Outcome]], None]
"""Told all outcomes so far, after every job."""

type OnCalls = Callable[[Sequence[NetworkCall]], None]
"""Told how long the policy's network took, job by job."""


@dataclass(frozen=True, kw_only=True)
class Job:
    """Cases that one worker runs with one batched policy. Picklable; its outcomes depend on nothing else."""

    task: Task
    policy: PolicyFactory
    cases: tuple[Case, ...]
    slots: int

    def __repr__(self) -> str:
        return f"{len(self.cases)} cases of {self.task.name} from seed {self.cases[0].seed} with {self.policy!r}"


@dataclass(frozen=True)
class JobResult:
    """What a job comes back with.

    Attributes:
        outcomes: In the order of its cases.
        calls: How long the policy's network took, call by call; none where it has none.
    """

    outcomes: list[Outcome]
    calls: tuple[NetworkCall, ...] = ()


def run_job(job: Job) -> JobResult:
    """Run a job's cases, in order, on this process's own environments and policy."""
    environments, policy = bench(job.task, job.policy, min(job.slots, len(job.cases)))
    meters = [SmoothnessMeter(job.task.state_names, job.task.fps) for _ in job.cases]
    outcomes = dict(rollout_many(environments, policy, job.cases, lambda index, _case: [meters[index]]))
    calls = policy.take_calls() if isinstance(policy, Metered) else ()
    return JobResult([replace(outcomes[i], smoothness=meter.smoothness) for i, meter in enumerate(meters)], calls)


@dataclass(frozen=True)
class Runner:
    """Runs one policy on one task.

    How cases are cut into jobs does not depend on the executor, so neither do the outcomes. A case that ends its worker
    three times has failed, in the mode "crashed"; the others of its job are run without it.

    Attributes:
        task: Where.
        policy: Who.
        executor: On what.
        slots: Episodes under way at a time per process, around one policy call.
        cases_per_job: Cases cut off per job, at most; few cases are cut in two, so that two processes share them.
    """

    task: Task
    policy: PolicyFactory
    executor: Executor
    slots: int = 8
    cases_per_job: int = 16

    def __post_init__(self) -> None:
        if min(self.slots, self.cases_per_job) < 1:
            raise ConfigError(f"slots and cases_per_job must be >= 1, got {self.slots} and {self.cases_per_job}.")

    def run(
        self,
        cases: Sequence[Case],
        *,
        progress: Progress | None = None,
        journal: Path | None = None,
        on_calls: OnCalls | None = None,
    ) -> list[Outcome]:
        """Run all cases and return their outcomes, in order.

        Args:
            cases: What to run.
            progress: Told after every job.
            journal: A file that keeps finished jobs, so that a killed evaluation continues where it was; what it
                holds already was not timed.
            on_calls: Told how long the policy's network took.

        Raises:
            MismatchError: The journal belongs to another task, policy or list of cases.
        """
        outcomes: list[Outcome] = []
        for some in self.stream(cases, journal=journal, on_calls=on_calls):
            outcomes.extend(some)
            if progress:
                progress(outcomes)
        return outcomes

    def stream(
        self, cases: Sequence[Case], *, journal: Path | None = None, on_calls: OnCalls | None = None
    ) -> Iterator[list[Outcome]]:
        """Yield the outcomes of one job after the other, in the order of the cases; see `run`."""
        book = Journal.open(journal, self._identity(cases)) if journal else None
        done = book.read() if book else []
        yield from done
        jobs = islice(self._jobs(cases), len(done), None)
        for result in self.executor.map(run_job, jobs, on_lost=self._case_by_case):
            if book:
                book.append(result.outcomes)
            if on_calls and result.calls:
                on_calls(result.calls)
            yield result.outcomes

    def _case_by_case(self, job: Job, error: EtudeError) -> JobResult:
        """What comes of a job that ended its worker again and again: only the case that does it is lost."""
        if len(job.cases) == 1:
            return _crashed(job, error)
        alone = (replace(job, cases=(case,)) for case in job.cases)
        results = list(self.executor.map(run_job, alone, on_lost=_crashed))
        return JobResult(
            [outcome for result in results for outcome in result.outcomes],
            tuple(call for result in results for call in result.calls),
        )

    def _jobs(self, cases: Sequence[Case]) -> Iterator[Job]:
        for some in batched(cases, self._job_size(cases)):
            yield Job(task=self.task, policy=self.policy, cases=some, slots=self.slots)

    def _job_size(self, cases: Sequence[Case]) -> int:
        return max(1, min(self.cases_per_job, ceil(len(cases) / 2)))

    def _identity(self, cases: Sequence[Case]) -> dict[str, object]:
        return {
            "task": self.task.name,
            "policy": repr(self.policy),
            "cases_per_job": self._job_size(cases),
            "cases": [case.to_json() for case in cases],
        }


def _crashed(job: Job, _error: EtudeError) -> JobResult:
    """Every case of the job failed without a step."""
    subtasks = dict.fromkeys(job.task.subtasks, False)
    return JobResult([
        Outcome(
            case=case, success=False, progress=0.0, stage="", failure_mode=CRASHED, length=0, total_reward=0.0,
            subtasks=subtasks,
        )
        for case in job.cases
    ])  # fmt: skip
