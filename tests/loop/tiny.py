"""The smallest loop there is: a point that moves to a goal, and settings that take seconds.

As a script it runs `etude loop` on it again and again, stopping it at one moment after the other:

python tiny.py RUNS kill:round-00/collect interrupt:round-00/train.partial full:round-00/search.partial …

A moment has come when its path, in the run's folder, exists and the command is about to open or to rename another file.
"""

import errno
import json
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))

from toys import PointTask

from etude.compute import SerialExecutor
from etude.core import Executor
from etude.core.files import read_json
from etude.loop.config import LoopConfig
from etude.loop.run import FinishedRun, run_loop

TASK = PointTask(max_steps=12)
TINY = LoopConfig(
    task=TASK.name,
    arms=("same-data-more-steps", "uniform", "targeted", "gradient"),
    demonstrations=6,
    narrow={"light.intensity": (0.7, 0.9)},
    train_steps=6,
    retrain_steps=3,
    batch_size=4,
    accepted=4,
    search_rollouts=16,
    confirm_rollouts=4,
    exam_cases=4,
    dev_cases=2,
    test_cases=4,
    diagnosis_rollouts=24,
    fresh_search=("targeted",),
    train_threads=1,
)
COMMAND = ["loop", TASK.name, "--preset", "tiny", "--run", "r", "--processes", "1"]


def run_tiny(
    directory: Path, *, config: LoopConfig = TINY, executor: Executor | None = None, resume: bool = False
) -> FinishedRun:
    """Run the loop here."""
    told = "etude loop"
    return run_loop(config, TASK, directory, executor=executor or SerialExecutor(), command=told, resume=resume)


def everything(run: Path) -> dict[str, Any]:
    """All that a run leaves, but for what may differ between equal runs: wall times, the command that was typed, the
    commit of a checkout that somebody works on meanwhile."""
    return {str(path.relative_to(run)): _lasting(path) for path in sorted(run.rglob("*")) if path.is_file()}


def _lasting(path: Path) -> Any:
    # Pages and settings tell wall times and the command that was typed; films are not compressed to the bit.
    if path.name in ("index.html", "settings.json") or path.parent.name == "videos":
        return None
    if path.name not in ("manifest.json", "summary.json", "run.json"):
        return path.read_bytes()
    record = read_json(path)
    for spent in (record, *record.get("budget", {}).values()):
        for time in ("wall_s", "score_s"):
            spent.pop(time, None)
    record.pop("command", None)
    record.get("provenance", {}).pop("commit", None)
    return record


class StopsAfter:
    """An executor that is interrupted after some jobs."""

    def __init__(self, jobs: int) -> None:
        self.left = jobs

    def map[J, R](self, function: Callable[[J], R], jobs: Iterable[J], **_: object) -> Iterator[R]:
        for job in jobs:
            if self.left == 0:
                raise KeyboardInterrupt
            self.left -= 1
            yield function(job)


def _stop(run: Path, action: str, moment: str) -> None:
    """Watch what this process does to files, and act when the moment has come."""
    acted = False

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal acted
        if event not in ("open", "os.rename") or not (acted or any(run.glob(moment))):
            return
        if action == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        elif action == "interrupt" and not acted:
            acted = True
            signal.raise_signal(signal.SIGINT)
        elif action == "full" and event == "open" and arguments[2] & os.O_CREAT and _is_in(run, arguments[0]):
            acted = True
            raise OSError(errno.ENOSPC, "No space left on device", arguments[0])

    sys.addaudithook(hook)


def _is_in(run: Path, path: Any) -> bool:
    return str(path).startswith(str(run))


def _attempt(runs: Path, action: str, moment: str) -> int:
    """`etude loop … --resume` in a child of this process, which imported all it needs; its exit code, or -signal."""
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    os.dup2(os.open(runs / "told", os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 2)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    from etude.cli import main

    _stop(runs / "r", action, moment)
    code = main([*COMMAND, "--runs-dir", str(runs), "--resume"])
    sys.stderr.flush()
    os._exit(code)


def _main(runs: Path, moments: Iterable[str]) -> None:
    for name in ("cli.loop", "evaluation.film", "loop.run", "policies.checkpoint", "training.train"):
        import_module(f"etude.{name}")  # once, for all children; by itself LeRobot takes seconds
    from etude.cli import loop
    from etude.sim import registry

    loop.preset = lambda _name, _task, seed: replace(TINY, seed=seed)
    registry._OWN = {**registry._OWN, "toy-point": PointTask}
    runs.mkdir(parents=True)
    for told in moments:
        action, _, moment = told.partition(":")
        code = _attempt(runs, action, moment)
        print(json.dumps({"moment": told, "code": code, "told": (runs / "told").read_text()}), flush=True)


if __name__ == "__main__":
    _main(Path(sys.argv[1]), sys.argv[2:])
