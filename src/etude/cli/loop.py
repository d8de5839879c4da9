"""`etude loop`: all of it, as one run that can be stopped and continued."""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from etude.cli.executing import WorkerOptions, make_executor
from etude.cli.report import tell
from etude.cli.terminal import watch
from etude.cli.usage import require_at_least
from etude.core import ConfigError
from etude.loop.config import LoopConfig, preset


@dataclass(frozen=True, kw_only=True)
class Options(WorkerOptions):
    """Train a baseline, find where it fails, freeze an exam, practise in several ways at equal budget, and report.

    Everything goes into one run directory. A run that was stopped, or killed, goes on with --resume and ends with the
    same result.

    Examples:
        etude loop franka-stack --preset smoke --run smoke
        etude loop franka-stack --preset demo --run demo --seed 0
        etude loop franka-stack --preset demo --run demo --seed 0 --resume

    Attributes:
        task: Task, with settings if they differ from those of the preset: NAME:key=value,key=value.
        preset: How big: smoke (a minute, to try it), demo (a quarter of an hour), full (hours).
        run: Name of the run, a folder in --runs-dir.
        seed: Fixes all randomness.
        arms: Ways of choosing what to practise, instead of the preset's.
        rounds: Turns of the loop, instead of the preset's.
        runs_dir: Where runs are.
        resume: Continue a run that was begun with the same options.
    """

    task: Annotated[Positional[str], arg(metavar="TASK")]
    run: str
    preset: str = "demo"
    seed: int = 0
    arms: Annotated[tuple[str, ...], arg(metavar="ARM …")] = ()
    rounds: Annotated[int | None, arg(metavar="INT")] = None
    runs_dir: Path = Path("runs")
    resume: bool = False

    def __post_init__(self) -> None:
        WorkerOptions.__post_init__(self)
        require_at_least(1, rounds=1 if self.rounds is None else self.rounds)
        require_at_least(0, seed=self.seed)
        if not self.run or Path(self.run).name != self.run:
            raise ConfigError(f"--run {self.run}: a name, not a path; --runs-dir says where runs are.")


def run(options: Options) -> None:
    """Run the loop."""
    from etude.sim import make_task

    config = make_config(options)
    task = make_task(config.task)

    from etude.loop.run import run_loop

    with make_executor(options) as executor:
        finished = run_loop(
            config,
            task,
            options.runs_dir / options.run,
            executor=executor,
            command=command_line(options),
            progress=watch(),
            resume=options.resume,
        )
    tell(finished)


def make_config(options: Options) -> LoopConfig:
    """The preset with what the options change.

    Raises:
        UnknownNameError: No such preset or arm.
    """
    config = preset(options.preset, options.task, options.seed)
    if options.arms:
        config = replace(config, arms=options.arms)
    return config if options.rounds is None else replace(config, rounds=options.rounds)


def command_line(options: Options) -> str:
    """What a person types to get the same result, wherever it goes."""
    words = ["etude", "loop", options.task, "--preset", options.preset, "--run", options.run, "--seed", options.seed]
    arms = ["--arms", *options.arms] if options.arms else []
    rounds = [] if options.rounds is None else ["--rounds", options.rounds]
    return shlex.join(str(word) for word in (*words, *arms, *rounds))
