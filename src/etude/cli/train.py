"""`etude train`: a policy from one or more datasets."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from tyro.conf import arg

from etude.cli.output import resumable_folder
from etude.cli.policy import checkpoint_features
from etude.cli.terminal import show, show_json, show_next, watch
from etude.cli.usage import require_at_least
from etude.core import ConfigError, MismatchError
from etude.policies.features import Features

if TYPE_CHECKING:
    from etude.training.fitting import WeightedDataset


@dataclass(frozen=True, kw_only=True)
class Options:
    """Fit a policy to one dataset, or to a weighted mixture of several, and keep the best checkpoint.

    A share of the episodes is held out to choose it by. The checkpoint is in LeRobot's layout. A training that was
    stopped goes on with --resume and ends with the same weights.

    Examples:
        etude train --dataset data/first --policy flow --out runs/first
        etude train --dataset data/first:1 data/targeted:3 --warm-start runs/first --steps 1000 --out runs/second
        etude train --dataset data/first --policy act --steps 2000 --out runs/act

    Attributes:
        dataset: Datasets to learn from, each with its weight in the mixture (1 by default).
        out: Folder for the checkpoint, the curves and what --resume needs.
        policy: Kind of policy.
        steps: Gradient steps.
        batch_size: Windows per gradient step.
        warm_start: Checkpoint to go on from; its normalisation is kept, and --policy is not used.
        seed: Fixes all randomness.
        threads: Threads to compute with; part of the result, to the last bit.
        resume: Continue a training that was begun with the same options.
        json: Print the result as one line of JSON, and nothing else.
    """

    dataset: Annotated[tuple[str, ...], arg(metavar="DIR[:WEIGHT] …")]
    out: Path
    policy: str = "flow"
    steps: int = 3000
    batch_size: int = 64
    warm_start: Path | None = None
    seed: int = 0
    threads: int = 2
    resume: bool = False
    json: bool = False

    def __post_init__(self) -> None:
        require_at_least(1, steps=self.steps, batch_size=self.batch_size, threads=self.threads)
        require_at_least(0, seed=self.seed)


def run(options: Options) -> None:
    """Train."""
    datasets = parse_datasets(options.dataset)

    from etude.loop.wiring import find_checkpoint
    from etude.policies.names import check_policy_name
    from etude.training import TrainConfig
    from etude.training.fitting import PolicyChoice, train_on

    check_policy_name(options.policy)
    warm_start = find_checkpoint(options.warm_start) if options.warm_start else None
    task = require_one_kind(datasets, warm_start)
    with (
        resumable_folder(options.out, _settings(options), resume=options.resume) as out,
        watch()("training", options.steps) as update,
    ):
        result = train_on(
            datasets,
            out,
            config=TrainConfig(
                steps=options.steps, batch_size=options.batch_size, seed=options.seed, threads=options.threads
            ),
            policy=PolicyChoice(name=options.policy, warm_start=warm_start),
            resume=options.resume,
            progress=lambda step, _total, loss: update(step, f"loss {loss:.3f}"),
        )
    if options.json:
        best = {"best_step": result.best_step, "best_loss": result.best_loss}
        show_json({"checkpoint": str(out / "checkpoint"), **best})
        return
    show(f"best checkpoint: step {result.best_step}, validation loss {result.best_loss:.4f}: {out / 'checkpoint'}")
    show_next(f"etude eval {task or 'TASK'} --policy {out} --episodes 50 --out results/{out.name}")


def _settings(options: Options) -> dict[str, Any]:
    """What decides the result, as JSON values."""
    names = ("dataset", "policy", "steps", "batch_size", "warm_start", "seed", "threads")
    values = {name: getattr(options, name) for name in names}
    warm_start = str(options.warm_start) if options.warm_start else None
    return {**values, "dataset": list(options.dataset), "warm_start": warm_start}


def require_one_kind(datasets: "Sequence[WeightedDataset]", warm_start: Path | None) -> str:
    """Raise unless all datasets have the same features and space, and the checkpoint to start from can read them.

    Returns:
        The task of the first dataset; "" where Etude did not write it.

    Raises:
        MismatchError: They differ; the message says where.
    """
    from etude.data import DatasetMeta, require_equal_features

    metas = [DatasetMeta.open(dataset.root) for dataset in datasets]
    require_equal_features({meta.root: meta.features for meta in metas})
    first, *others = metas
    for meta in others:
        if first.space_hash and meta.space_hash and first.space_hash != meta.space_hash:
            raise MismatchError(
                f"datasets '{first.root}' and '{meta.root}' are of different spaces: {first.task} "
                f"({first.space_hash}) and {meta.task} ({meta.space_hash})."
            )
    if warm_start is not None:
        given = Features.from_shapes({name: feature.shape for name, feature in first.features.items()})
        checkpoint_features(warm_start).check(given, f"dataset '{first.root}'")
    return first.task


def parse_datasets(texts: Sequence[str]) -> "list[WeightedDataset]":
    """Read "DIR" and "DIR:WEIGHT".

    Raises:
        ConfigError: None given, no such folder, or a weight that is not a positive number.
    """
    from etude.training.fitting import WeightedDataset

    if not texts:
        raise ConfigError("--dataset needs at least one folder.")
    datasets: list[WeightedDataset] = []
    for text in texts:
        root, _, weight = text.rpartition(":") if not Path(text).exists() and ":" in text else (text, "", "1")
        if not Path(root).is_dir():
            raise ConfigError(f"--dataset {text}: there is no folder '{root}'; make one with `etude collect`.")
        try:
            share = float(weight)
        except ValueError:
            raise ConfigError(f"--dataset {text}: the weight '{weight}' is not a number.") from None
        if not 0 < share < float("inf"):
            raise ConfigError(f"--dataset {text}: a weight must be positive.")
        datasets.append(WeightedDataset(Path(root), share))
    return datasets
