"""`etude train`: a policy from one or more datasets."""

from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import arg

from etude.cli.choosing import parse_settings, require_kind_of
from etude.cli.configuration import options_of
from etude.cli.datasets import parse_datasets, require_one_space
from etude.cli.drawing import Spread
from etude.cli.executing import WorkerOptions
from etude.cli.inputs import image_inputs
from etude.cli.output import SETTINGS, resumable_folder
from etude.cli.policy import require_fit
from etude.cli.rollouts import Exam, executor_for
from etude.cli.terminal import show, show_json, show_next, watch
from etude.cli.usage import require_at_least
from etude.core import ConfigError, UnknownNameError
from etude.core.files import read_json
from etude.policies.placing import Device
from etude.training.config import OptimizerName, Precision, TrainConfig

if TYPE_CHECKING:
    from etude.training.fitting import Exercise, PolicyChoice
    from etude.training.train import Track, TrainResult

_ALIKE = ("executor", "processes", "ray_address", "wandb")
"""Options that do not change the result."""

_BOX = "CAMERA=LEFT,TOP,RIGHT,BOTTOM …"


@dataclass(frozen=True, kw_only=True)
class Options(WorkerOptions):
    """Fit a policy to one dataset, or to a weighted mixture of several, and keep the best checkpoint.

    A share of the episodes, drawn at random, is held out to choose it by; with --eval-task the policy is also rolled
    out, and the best by success is kept in `checkpoint`. Checkpoints are in LeRobot's layout. A training that was
    stopped goes on with --resume and ends with the same weights. Several GPUs: accelerate launch -m etude train …

    Examples:
        etude train --dataset data/first --policy flow --out runs/first
        etude train --dataset data/first:1 data/targeted:3 --warm-start runs/first --steps 1000 --out runs/second
        etude train --dataset data/first --policy act --set chunk_size=32 --steps 2000 --out runs/act
        etude train --dataset data/first --image-size 96 --crop front=0.1,0,0.9,1 --jitter 0.1 --out runs/cropped
        etude train --dataset data/first --eval-task franka-stack:cubes=2 --eval-every 1000 --out runs/judged

    Attributes:
        dataset: Datasets to learn from, each with its weight in the mixture (1 by default).
        out: Folder for the checkpoint, the curves and what --resume needs.
        policy: Kind of policy.
        set: Fields of the policy's configuration that differ from its defaults.
        inputs: JSON file of what the network sees of the images: size, crops, masks, shift, colour jitter. The
            checkpoint remembers it; the six options that follow come on top.
        image_size: What images are resized to [px]: one number, or height and width. Where nothing is cropped this is
            done once, when the dataset is decoded.
        crop: The part of a camera's images that is cut out, in fractions of width and height.
        keep: Boxes of a camera's images outside which everything is grey.
        hide: Boxes of a camera's images that are grey.
        shift: Largest random shift of images while training, as a fraction of the image.
        jitter: Largest random change of contrast and colours while training, as a fraction.
        map: Mapping of a dataset's features to those of the others, a JSON file: what is padded, selected, renamed.
        episode_weights: Weight of each episode of a dataset, a JSON list.
        warm_start: Checkpoint to go on from; its normalisation is kept, and --policy is not used.
        held_out: Share of every dataset's episodes that chooses the best checkpoint.
        steps: Gradient steps.
        batch_size: Windows per gradient step, in all processes together; `auto` measures what fits into the memory.
        accumulate: Parts that a batch is computed in, one after another, to save memory.
        optimizer: What takes the steps; adam8bit needs a GPU and etude[8bit].
        learning_rate: The highest; it rises over the first steps and falls to a hundredth.
        weight_decay: Of matrices and filters.
        warmup_steps: Steps over which the learning rate rises.
        gradient_clip: Largest norm of a gradient; 0 for none.
        ema: Decay of the averaged weights, which are saved; 0 to save the last ones as they are.
        validate_every: Steps between validations.
        keep_last: Checkpoints to keep besides the best, in `checkpoints`: the last that were validated.
        eval_task: Task to roll the policy out in while it is trained.
        eval_episodes: Episodes of each evaluation, always the same cases.
        eval_every: Steps between evaluations.
        eval_space: Where their perturbations come from: the nominal world, or all of the feasible space.
        execute: Actions of a predicted chunk to execute before the policy looks again, in these episodes.
        device: Where to compute; `auto` is a GPU where there is one.
        precision: Numbers to compute in; `auto` is bfloat16 where that is fast.
        wandb: Project of Weights & Biases to send the curves to.
        seed: Fixes all randomness.
        threads: Threads to compute with; part of the result, to the last bit.
        resume: Continue a training that was begun with the same options.
        json: Print the result as one line of JSON, and nothing else.
    """

    dataset: Annotated[tuple[str, ...], arg(metavar="DATASET[:WEIGHT] …")]
    out: Path
    policy: str = "flow"
    set: Annotated[tuple[str, ...], arg(metavar="KEY=VALUE …")] = ()
    inputs: Annotated[Path | None, arg(metavar="FILE")] = None
    image_size: Annotated[tuple[int, ...], arg(metavar="PX | HEIGHT WIDTH")] = ()
    crop: Annotated[tuple[str, ...], arg(metavar=_BOX)] = ()
    keep: Annotated[tuple[str, ...], arg(metavar=_BOX)] = ()
    hide: Annotated[tuple[str, ...], arg(metavar=_BOX)] = ()
    shift: Annotated[float | None, arg(metavar="SHARE")] = None
    jitter: Annotated[float | None, arg(metavar="SHARE")] = None
    map: Annotated[tuple[str, ...], arg(metavar="DATASET=FILE …")] = ()
    episode_weights: Annotated[tuple[str, ...], arg(metavar="DATASET=FILE …")] = ()
    warm_start: Annotated[Path | None, arg(metavar="DIR")] = None
    held_out: Annotated[float, arg(metavar="SHARE")] = 0.08
    steps: int = TrainConfig.steps
    batch_size: Annotated[int | Literal["auto"], arg(metavar="INT|auto")] = TrainConfig.batch_size
    accumulate: int = TrainConfig.accumulate
    optimizer: OptimizerName = TrainConfig.optimizer
    learning_rate: float = TrainConfig.learning_rate
    weight_decay: float = TrainConfig.weight_decay
    warmup_steps: int = TrainConfig.warmup_steps
    gradient_clip: float = TrainConfig.gradient_clip
    ema: float = TrainConfig.ema_decay
    validate_every: int = TrainConfig.validate_every
    keep_last: int = TrainConfig.keep_last
    eval_task: Annotated[str | None, arg(metavar="TASK")] = None
    eval_episodes: int = 20
    eval_every: int = TrainConfig.evaluate_every
    eval_space: Spread = "nominal"
    execute: int = 8
    device: Device = "auto"
    precision: Precision = "auto"
    wandb: Annotated[str | None, arg(metavar="PROJECT")] = None
    seed: int = 0
    threads: int = TrainConfig.threads
    resume: bool = False
    json: bool = False

    def __post_init__(self) -> None:
        WorkerOptions.__post_init__(self)
        names = ("steps", "accumulate", "validate_every", "eval_episodes", "eval_every", "execute")
        require_at_least(1, **{name: getattr(self, name) for name in names}, threads=self.threads)
        require_at_least(1, batch_size=1 if self.batch_size == "auto" else self.batch_size)
        require_at_least(0, seed=self.seed, keep_last=self.keep_last)
        if not 0 <= self.held_out < 1:
            raise ConfigError(f"--held-out {self.held_out:g}: a share from 0 to below 1, e.g. 0.1.")


def run(options: Options) -> None:
    """Train."""
    from etude.training.team import is_first

    datasets = parse_datasets(options.dataset, options.map, options.episode_weights)
    task = require_one_space(datasets, resized=bool(options.image_size or options.inputs or options.warm_start))
    choice = _choice(options)

    from etude.training.fitting import fit, prepare

    exam = _exam(options)
    exercise = prepare(datasets, choice, seed=options.seed, held_out=options.held_out)
    if exam:
        require_fit(exercise.model.features, exam.task)
    config = _config(options, exercise)
    if not is_first():  # the first process speaks and writes for all
        fit(exercise, options.out, config=config, resume=options.resume)
        return
    result = _train(options, exercise, config, exam)
    if options.json:
        show_json(_record(options, result))
    else:
        _tell_result(options, result, exam.task.name if exam else task)


def _train(options: Options, exercise: "Exercise", config: TrainConfig, exam: Exam | None) -> "TrainResult":
    """Train in a folder that says how, telling how far it is."""
    from etude.cli.learning import Watcher, describe, draw, tell
    from etude.training.fitting import fit

    settings, progress = _settings(options, config), watch()
    with ExitStack() as stack:
        out = stack.enter_context(resumable_folder(options.out, settings, resume=options.resume))
        tell(describe(exercise, config))
        executor = stack.enter_context(executor_for(exam, options))
        result = fit(
            exercise,
            out,
            config=config,
            resume=options.resume,
            track=stack.enter_context(_track(options.wandb, out, settings)),
            evaluate=exam.judge(executor, progress) if exam and executor else None,
            progress=Watcher(out, config, stack.enter_context(progress("training", config.steps))),
        )
        draw(out)
    return result


def _choice(options: Options) -> "PolicyChoice":
    """The policy that the options ask for.

    Raises:
        UnknownNameError: No such policy.
        EtudeError: No such checkpoint, or image inputs that cannot be.
    """
    from etude.loop.wiring import find_checkpoint
    from etude.policies.kinds import find_kind
    from etude.policies.names import check_policy_name
    from etude.training.fitting import PolicyChoice

    check_policy_name(options.policy)
    inputs = image_inputs(
        options.inputs,
        size=options.image_size,
        crop=options.crop,
        keep=options.keep,
        hide=options.hide,
        shift=options.shift,
        jitter=options.jitter,
    )
    if options.warm_start and (options.set or inputs):
        raise ConfigError(
            "--warm-start goes on from a policy as it is: leave out --set, --inputs and what belongs to it."
        )
    settings = parse_settings(options.set)
    known = find_kind(options.policy).config.__dataclass_fields__ if settings else {}
    for name, value in settings.items():
        if name not in known:
            raise UnknownNameError(f"option of policy '{options.policy}'", name, known)
        require_kind_of(known[name].default, name, value)
    return PolicyChoice(
        name=options.policy,
        options=settings,
        inputs=inputs,
        warm_start=find_checkpoint(options.warm_start) if options.warm_start else None,
    )


def _exam(options: Options) -> Exam | None:
    if options.eval_task is None:
        return None
    return Exam.draw(
        options.eval_task,
        episodes=options.eval_episodes,
        space=options.eval_space,
        execute=options.execute,
        seed=options.seed,
    )


def _config(options: Options, exercise: "Exercise") -> TrainConfig:
    """Settings of the training, with the batch size that fits where that is asked for."""
    same = ("steps", "accumulate", "optimizer", "learning_rate", "weight_decay", "warmup_steps", "gradient_clip")
    fields: dict[str, Any] = {name: getattr(options, name) for name in same}
    return TrainConfig(
        **fields,
        batch_size=_batch_size(options, exercise),
        ema_decay=options.ema,
        validate_every=options.validate_every,
        evaluate_every=options.eval_every,
        keep_last=options.keep_last,
        device=options.device,
        precision=options.precision,
        seed=options.seed,
        threads=options.threads,
    )


def _batch_size(options: Options, exercise: "Exercise") -> int:
    """The batch size asked for, measured, or measured when the training began.

    Raises:
        ConfigError: It is to be measured by several processes, which could differ.
    """
    if options.batch_size != "auto":
        return options.batch_size
    from etude.cli.learning import tell
    from etude.training.advising import advise_batch_size
    from etude.training.team import team_size

    if team_size() > 1:
        raise ConfigError("--batch-size auto: measure it in one process, then give the number to several.")
    begun = options.out / SETTINGS
    if options.resume and begun.exists():
        return int(read_json(begun)["settings"]["batch_size"])
    settings = TrainConfig(device=options.device, precision=options.precision)
    advice = advise_batch_size(exercise.model, exercise.some_windows, settings)
    tell(str(advice))
    return max(advice.batch_size, options.accumulate)


def _track(project: str | None, out: Path, settings: dict[str, Any]) -> "AbstractContextManager[Track | None]":
    from etude.training.tracking import wandb_track

    return wandb_track(project, out, settings) if project else nullcontext()


def _settings(options: Options, config: TrainConfig) -> dict[str, Any]:
    """What decides the result, as JSON values."""
    told = {name: value for name, value in options_of(options).items() if name not in _ALIKE}
    return {**told, "batch_size": config.batch_size}


def _record(options: Options, result: "TrainResult") -> dict[str, Any]:
    rate = result.best_rate
    success = {"success": rate.to_json()} if rate else {}
    best = {"best_step": result.best_step, "best_loss": result.best_loss, **success}
    return {"checkpoint": str(options.out / "checkpoint"), **best}


def _tell_result(options: Options, result: "TrainResult", task: str) -> None:
    success = f"success {result.best_rate}, " if result.best_rate else ""
    show(
        f"best checkpoint: step {result.best_step}, {success}validation loss {result.best_loss:.4f}: "
        f"{options.out / 'checkpoint'}",
        f"curves: {options.out / 'curves.svg'}",
    )
    show_next(f"etude eval {task or 'TASK'} --policy {options.out} --episodes 50 --out results/{options.out.name}")
