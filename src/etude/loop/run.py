"""A run of the loop: its folder, its record, one chain per replicate, and the report."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from etude.compute import SerialExecutor
from etude.core import EtudeError, Executor, MismatchError, RunExistsError, Task, derive_seed
from etude.core.files import read_json, write_json
from etude.generation.cutting import segment_plan
from etude.loop.chain import Chain
from etude.loop.config import LoopConfig
from etude.loop.order import run_chain
from etude.loop.progress import Progress, silent
from etude.loop.report import RunResults, write_overview, write_report
from etude.loop.results import gather, provenance
from etude.loop.stage import differences

RECORD = "run.json"


@dataclass(frozen=True)
class FinishedRun:
    """What is left of a run.

    Attributes:
        results: One per replicate.
        report: The page to open first.
    """

    results: Sequence[RunResults]
    report: Path


def run_loop(
    config: LoopConfig,
    task: Task,
    directory: Path,
    *,
    executor: Executor,
    command: str,
    progress: Progress = silent,
    resume: bool = False,
) -> FinishedRun:
    """Run every stage of the loop that is not done yet, and write the report.

    Args:
        config: Settings; a run is resumed only with the same ones.
        task: The world that `config.task` names.
        directory: The run's folder.
        executor: Where episodes run; it does not change the result.
        command: What a person types to do it again, for the report.
        progress: Shows how far it is.
        resume: Continue a run that was begun here.

    Raises:
        RunExistsError: The folder holds a run, and `resume` is false.
        MismatchError: The run was begun with another config; the message says what differs.
    """
    check_config(config, task)
    record = directory / RECORD
    if record.exists():
        if not resume:
            raise RunExistsError(directory)
        require_same_config(directory, config)
    else:
        for leftover in directory.glob(f".{RECORD}.*.tmp"):  # of a run that was killed while it began
            leftover.unlink()
        if directory.exists() and any(directory.iterdir()):
            raise RunExistsError(directory, "it is not empty and holds no run; choose another name")
        write_json(record, {"config": config.to_json(), "provenance": provenance(), "command": command})
    return _finish(directory, config, _chains(config, task, directory, executor=executor, progress=progress))


def read_run(directory: Path, config: LoopConfig, task: Task) -> FinishedRun:
    """Write the report of a finished run again.

    Raises:
        EtudeError: The run is not finished.
    """
    chains = _chains(config, task, directory, executor=SerialExecutor(), finished=True)
    return _finish(directory, config, chains)


def check_config(config: LoopConfig, task: Task) -> None:
    """Raise where the task has not what the config names: factors, ranges, a way to cut its demonstrations."""
    task.space.narrowed(config.narrow)
    if config.generates:
        segment_plan(task)


def require_same_config(directory: Path, config: LoopConfig) -> None:
    """Raise MismatchError, saying what differs, unless the run in `directory` was begun with this config."""
    begun = LoopConfig.from_json(read_json(directory / RECORD)["config"])  # by an older version: with fewer settings
    changed = differences(begun.to_json(), config.to_json())
    if changed:
        raise MismatchError(
            f"cannot resume '{directory}' with another config: {'; '.join(changed)}. "
            "Use the same options, or another run name."
        )


def load_config(directory: Path) -> LoopConfig:
    """The config that a run was begun with.

    Raises:
        EtudeError: No run there.
    """
    if not (directory / RECORD).exists():
        raise EtudeError(f"'{directory}' holds no run: it has no {RECORD}. Start one with `etude loop`.")
    return LoopConfig.from_json(read_json(directory / RECORD)["config"])


def _chains(
    config: LoopConfig,
    task: Task,
    directory: Path,
    *,
    executor: Executor,
    progress: Progress = silent,
    finished: bool = False,
) -> list[Chain]:
    """One chain per replicate; a single one lives in the run's own folder."""
    single = config.replicates == 1
    return [
        Chain(
            config=config,
            task=task,
            seed=config.seed if single else derive_seed(config.seed, "replicate", index),
            directory=directory if single else directory / f"replicate-{index:02d}",
            executor=executor,
            progress=progress,
            finished=finished,
        )
        for index in range(config.replicates)
    ]


def _finish(directory: Path, config: LoopConfig, chains: Sequence[Chain]) -> FinishedRun:
    record = read_json(directory / RECORD)
    results: list[RunResults] = []
    for chain in chains:
        results.append(gather(chain, run_chain(chain), directory.name, record))
        replace_report(chain.directory / "report", partial(write_report, results[-1]))
    if len(chains) > 1:
        pages = [f"../{chain.directory.name}/report/index.html" for chain in chains]
        replace_report(directory / "report", partial(write_overview, results, pages))
    return FinishedRun(results, directory / "report" / "index.html")


def replace_report(out: Path, write: Callable[[Path], Path]) -> None:
    """Write a report beside the old one, then put it in its place."""
    draft = out.with_name(f"{out.name}.partial")
    shutil.rmtree(draft, ignore_errors=True)
    write(draft)
    shutil.rmtree(out, ignore_errors=True)
    draft.replace(out)
