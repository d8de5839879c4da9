"""`etude loop`: all of it, as one run that can be stopped and continued."""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from tyro.conf import Positional, arg

from etude.cli.executing import WorkerOptions, make_executor
from etude.cli.output import tell_if_nothing_saved
from etude.cli.report import tell
from etude.cli.terminal import show, show_next, watch
from etude.cli.usage import require_at_least
from etude.core import ConfigError
from etude.loop.arms import load_arms
from etude.loop.config import LoopConfig
from etude.loop.presets import preset

if TYPE_CHECKING:
    from etude.loop.elsewhere import AwaitingPolicyError
    from etude.loop.stages import Arena

WAITING = 3
"""Exit code of a run that waits for a policy."""


@dataclass(frozen=True, kw_only=True)
class Options(WorkerOptions):
    """Train a baseline, find where it fails, freeze an exam, practise in several ways at equal budget, and report.

    Everything goes into one run directory. A run that was stopped, or killed, goes on with --resume and ends with the
    same result.

    Examples:
        etude loop franka-stack --preset smoke --run smoke
        etude loop franka-stack --preset demo --run demo --seed 0
        etude loop franka-stack --preset demo --run demo --seed 0 --resume
        etude loop franka-stack --preset demo --run own --arms uniform bold --arms-file arms.toml
        etude loop franka-stack --preset demo --run vla --elsewhere groot
        etude loop franka-stack --preset demo --run vla --elsewhere groot --resume --trained tcp://127.0.0.1:5555

    Attributes:
        task: Task, with settings if they differ from those of the preset: NAME:key=value,key=value.
        preset: How big: smoke (a minute, to try it), state (minutes; a policy without cameras), images (half an hour;
            cameras and light are bolted down), demo (a quarter of an hour), full (hours).
        run: Name of the run, a folder in --runs-dir.
        seed: Fixes all randomness.
        arms: Ways of choosing what to practise, instead of the preset's.
        arms_file: Your own ways, a TOML file with a table for each; --arms names those to use.
        maker: Who makes new demonstrations, instead of the preset's choice: expert, generator, or generator-or-expert,
            the expert only where the generator fails.
        rounds: Turns of the loop, instead of the preset's.
        elsewhere: Train policies elsewhere: hand demonstrations over in these layouts (lerobot, groot, robomimic), and
            wait, which ends the command with exit code 3, for what --trained names.
        trained: Policy that came back: a checkpoint folder, ws://HOST:PORT or tcp://HOST:PORT; goes with --resume.
        runs_dir: Where runs are.
        resume: Continue a run that was begun with the same options.
    """

    task: Annotated[Positional[str], arg(metavar="TASK")]
    run: str
    preset: str = "demo"
    seed: int = 0
    arms: Annotated[tuple[str, ...], arg(metavar="ARM …")] = ()
    arms_file: Annotated[Path | None, arg(metavar="FILE")] = None
    maker: Literal["expert", "generator", "generator-or-expert"] | None = None
    rounds: Annotated[int | None, arg(metavar="INT")] = None
    elsewhere: Annotated[tuple[str, ...], arg(metavar="LAYOUT …")] = ()
    trained: Annotated[str | None, arg(metavar="POLICY")] = None
    runs_dir: Path = Path("runs")
    resume: bool = False

    def __post_init__(self) -> None:
        WorkerOptions.__post_init__(self)
        require_at_least(1, rounds=1 if self.rounds is None else self.rounds)
        require_at_least(0, seed=self.seed)
        if not self.run or Path(self.run).name != self.run:
            raise ConfigError(f"--run {self.run}: a name, not a path; --runs-dir says where runs are.")
        if self.trained and not (self.elsewhere and self.resume):
            raise ConfigError(f"--trained {self.trained}: goes with --elsewhere and --resume, as the run was begun.")


def run(options: Options) -> None:
    """Run the loop."""
    from etude.sim import make_task

    config = make_config(options)
    task = make_task(config.task)

    from etude.loop.elsewhere import AwaitingPolicyError
    from etude.loop.run import run_loop
    from etude.loop.stages import Arena

    directory = options.runs_dir / options.run
    if options.trained and not directory.exists():
        raise ConfigError(f"--trained {options.trained}: no run '{directory}' waits for a policy.")
    tell_if_nothing_saved(directory, resume=options.resume)
    with make_executor(options) as executor:
        if options.trained:
            _take(options.trained, directory, Arena(task, executor), config)
        try:
            finished = run_loop(
                config,
                task,
                directory,
                executor=executor,
                command=command_line(options),
                progress=watch(),
                resume=options.resume,
            )
        except AwaitingPolicyError as waiting:
            _tell_waiting(options, waiting)
            raise SystemExit(WAITING) from None
    tell(finished)


def _take(trained: str, directory: Path, arena: "Arena", config: LoopConfig) -> None:
    """Take a policy that was trained elsewhere as the one that the run waits for.

    Raises:
        EtudeError: The run waits for none, or the policy does not fit.
    """
    from etude.loop.accepting import accept
    from etude.loop.elsewhere import answer
    from etude.loop.run import require_same_config

    require_same_config(directory, config)
    answer(directory, trained, lambda name: accept(name, directory, arena, config))


def _tell_waiting(options: Options, waiting: "AwaitingPolicyError") -> None:
    show(*(f"demonstrations to train on elsewhere: {folder}" for folder in waiting.folders))
    show(*(f"what to do: {folder / 'instructions.md'}" for folder in waiting.folders))
    where = "" if options.runs_dir == Path("runs") else f" --runs-dir {shlex.quote(str(options.runs_dir))}"
    command = f"{command_line(options)}{where} --resume"
    show_next(*(f"{command} --trained {given}" for given in ("CHECKPOINT-FOLDER", "ws://HOST:PORT")))


def make_config(options: Options) -> LoopConfig:
    """The preset with what the options change.

    Raises:
        UnknownNameError: No such preset or arm.
    """
    config = replace(preset(options.preset, options.task, options.seed), elsewhere=options.elsewhere)
    if options.arms_file:
        config = replace(config, own_arms=load_arms(options.arms_file))
    if options.arms:
        config = replace(config, arms=options.arms)
    if options.maker:
        config = replace(config, maker=options.maker)
    return config if options.rounds is None else replace(config, rounds=options.rounds)


def command_line(options: Options) -> str:
    """What a person types to get the same result, wherever it goes."""
    words = ["etude", "loop", options.task, "--preset", options.preset, "--run", options.run, "--seed", options.seed]
    arms = ["--arms", *options.arms] if options.arms else []
    arms += ["--arms-file", options.arms_file] if options.arms_file else []
    arms += ["--maker", options.maker] if options.maker else []
    rounds = [] if options.rounds is None else ["--rounds", options.rounds]
    elsewhere = ["--elsewhere", *options.elsewhere] if options.elsewhere else []
    return shlex.join(str(word) for word in (*words, *arms, *rounds, *elsewhere))
