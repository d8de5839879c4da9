"""One replicate of a study: a whole chain in one process, and what the study keeps of it."""

import json
import time
import traceback
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from etude.compute import SerialExecutor
from etude.core import EtudeError, Rate, StageFailedError, Suite, Task, derive_seed
from etude.core.files import read_json, write_bytes, write_json
from etude.evaluation import read_outcomes
from etude.loop.arms import BASELINE
from etude.loop.chain import FOLLOW, FRESH_SEARCH, Chain
from etude.loop.config import LoopConfig
from etude.loop.order import begin, run_chain
from etude.loop.practice.regime import RegimeLimits
from etude.loop.progress import Update
from etude.loop.pupil import Pupil
from etude.loop.report import write_report
from etude.loop.results import gather, provenance
from etude.loop.run import replace_report
from etude.loop.stage import load_manifest
from etude.loop.stages import TESTS, load_pockets
from etude.loop.study.record import ArmRecord, Failure, Point, Replicate, simulator_steps
from etude.loop.study.watching import WORKING

RESULT, FAILED, PASSED_OVER = "result.json", "failed.json", "passed-over"
TRAIN = "train"
_TOLD_S = 1.0


class NoPocketError(StageFailedError):
    """None of the baselines that a replicate may draw has a pocket: the same plan has no other end."""


@dataclass(frozen=True, kw_only=True)
class ReplicateJob:
    """What a worker is sent.

    Attributes:
        config: Settings of the chain.
        task: The world.
        study: The study's folder.
        name: The replicate's folder in it.
        plan: Hash of the plan.
        baselines: How many may be drawn until one has a pocket, see `StudyPlan`.
        command: What a person types to run the study, for the replicate's report.
    """

    config: LoopConfig
    task: Task
    study: Path
    name: str
    plan: str
    baselines: int
    command: str

    @property
    def directory(self) -> Path:
        """Where the chain's stages go."""
        return self.study / self.name

    def __repr__(self) -> str:
        return f"replicate '{self.name}'"


def run_replicate(job: ReplicateJob) -> Replicate | Failure:
    """Do what is not done yet of a replicate; what goes wrong is written down and ends no study."""
    (job.directory / FAILED).unlink(missing_ok=True)
    try:
        replicate = _run(job)
    except EtudeError as error:
        return record_failure(job, str(error), final=isinstance(error, NoPocketError))
    except Exception as error:  # noqa: BLE001 - recorded, with where it happened; the other replicates go on
        return record_failure(job, "".join(traceback.format_exception(error)))
    finally:
        (job.directory / WORKING).unlink(missing_ok=True)
    write_json(job.directory / RESULT, replicate.to_json())
    return replicate


def record_failure(job: ReplicateJob, why: str, *, final: bool = False) -> Failure:
    """Write down that a replicate did not come to its end; the next call tries again."""
    failure = Failure(name=job.name, seed=job.config.seed, why=why, final=final)
    write_json(job.directory / FAILED, vars(failure))
    return failure


def load_replicate(directory: Path) -> Replicate | Failure | None:
    """What became of a replicate: its record, why it failed, or None where it is not finished."""
    if (directory / RESULT).exists():
        return Replicate.from_json(read_json(directory / RESULT))
    return Failure(**read_json(directory / FAILED)) if (directory / FAILED).exists() else None


def _run(job: ReplicateJob) -> Replicate:
    chain = _chain_with_pocket(job)
    pupils = run_chain(chain)
    code = provenance()
    results = gather(chain, pupils, job.name, {"provenance": code, "command": job.command}, film=False)
    replace_report(job.directory / "report", partial(write_report, results))
    return Replicate(
        name=job.name,
        seed=chain.seed,
        arms={name: arm_record(chain, pupils[BASELINE], pupil) for name, pupil in pupils.items()},
        pockets=len(load_pockets(chain.search_directory)),
        exam=Suite.load(chain.suites_directory / "exam.json").hash,
        code={name: code[name] for name in ("etude", "commit")},
        plan=job.plan,
        passed_over=_passed_over(job),
    )


def _chain_with_pocket(job: ReplicateJob) -> Chain:
    """The chain of the first baseline of which the search confirms a pocket; those before it are set aside.

    Raises:
        NoPocketError: None of those that may be drawn has one.
    """
    while True:
        before = _passed_over(job)
        seed = derive_seed(job.config.seed, "baseline", before) if before else job.config.seed
        chain = Chain(
            config=replace(job.config, seed=seed),
            task=job.task,
            seed=seed,
            directory=job.directory,
            executor=SerialExecutor(),
            progress=_Told(job.directory / WORKING),
        )
        if job.baselines == 1:
            return chain
        begin(chain)
        if load_pockets(chain.search_directory):
            return chain
        if before + 1 == job.baselines:
            searches = [*job.directory.glob(f"{PASSED_OVER}-*/search"), chain.search_directory]
            counts = [load_manifest(search).result["uniform_failures"] for search in searches]
            raise NoPocketError(why_no_pocket(job.baselines, Rate(*map(sum, zip(*counts, strict=True)))))
        (job.directory / "round-00").rename(job.directory / f"{PASSED_OVER}-{before}")


def why_no_pocket(baselines: int, failures: Rate) -> str:
    """What to do depends on whether the baselines fail too often or too seldom to have pockets."""
    if failures.value > RegimeLimits().failures:
        why = "nearly everywhere: only a policy that mostly succeeds has places to aim at"
        fix = "Take a preset that trains longer, on more first demonstrations"
    else:
        why = "too seldom, or without a place of their own"
        fix = "Take a harder task, or a preset that searches longer"
    return (
        f"the search confirmed a pocket of none of {baselines} baselines, which fail in {failures.k} of {failures.n} "
        f"uniform rollouts, {why}. {fix}, or baselines without pockets (--baselines 1), with another --out."
    )


def _passed_over(job: ReplicateJob) -> int:
    """How many baselines were set aside."""
    return len(list(job.directory.glob(f"{PASSED_OVER}-*")))


def arm_record(chain: Chain, baseline: Pupil, pupil: Pupil) -> ArmRecord:
    """Read what an arm came to from the folders of its stages."""
    start = _point([], baseline.train.parent, chain.task.max_steps)
    points = [start, *(_rounds(pupil, chain.task.max_steps) if pupil.train != baseline.train else ())]
    last = pupil.train.parent
    fresh, follow = last / FRESH_SEARCH, last / FOLLOW
    return ArmRecord(
        points=tuple(points),
        progress=tuple(outcome.progress for outcome in read_outcomes(last / "evaluate" / "uniform_test.parquet")),
        pockets=len(load_pockets(fresh)) if fresh.exists() else None,
        fates=dict(load_manifest(follow).result) if follow.exists() else {},
    )


def _rounds(pupil: Pupil, max_steps: int) -> list[Point]:
    """The arm after every round whose policy sat the tests; a stage is charged from the round in which it ran."""
    ends = [index for index, stage in enumerate(pupil.stages) if (stage.parent / "evaluate").exists()]
    ends = [index for index in ends if pupil.stages[index].name == TRAIN]
    return [_point(pupil.stages[: end + 1], pupil.stages[end].parent, max_steps) for end in ends]


def _point(stages: Sequence[Path], folder: Path, max_steps: int) -> Point:
    manifests = [load_manifest(stage) for stage in stages]

    def spent(name: str) -> int:
        return sum(int(manifest.result.get(name, 0)) for manifest in manifests)

    return Point(
        demonstrations=spent("accepted"),
        attempts=spent("attempts"),
        frames=spent("frames"),
        steps=sum(simulator_steps(manifest.result, max_steps) for manifest in manifests),
        rollouts=spent("rollouts"),
        train_steps=sum(int(load_manifest(stage).result["train_steps"]) for stage in stages if stage.name == TRAIN),
        wall_s=sum(manifest.wall_s for manifest in manifests),
        solved={test: _bits(folder / "evaluate" / f"{test}.parquet") for test in TESTS},
    )


def _bits(outcomes: Path) -> str:
    return "".join("1" if outcome.success else "0" for outcome in read_outcomes(outcomes))


class _Told:
    """Progress written to a file now and then, for the process that watches all replicates."""

    def __init__(self, file: Path) -> None:
        self._file, self._told = file, 0.0

    @contextmanager
    def __call__(self, title: str, total: int) -> Generator[Update]:
        """Tell of one piece of work of `total` units."""

        def update(done: int, note: str) -> None:
            now = time.monotonic()
            if now - self._told >= _TOLD_S or done == total:
                self._told = now
                record: Mapping[str, Any] = {"title": title, "total": total, "done": done, "note": note}
                write_bytes(self._file, json.dumps(record).encode())

        yield update
