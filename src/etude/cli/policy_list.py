"""`etude policy list`: the policies and their backbones, with what each takes on this machine."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.table import Table

from etude.cli.terminal import show, show_json, show_next, watch
from etude.cli.usage import require_at_least
from etude.core import ConfigError, EtudeError, stream
from etude.policies.act.backbones import BACKBONES
from etude.policies.features import Features

_CHOICES: tuple[tuple[str, str, str], ...] = (
    ("flow", "", "flow matching, light network of its own"),
    *(("act", name, choice.about) for name, choice in BACKBONES.items()),
    ("diffusion", "", "Diffusion Policy, LeRobot's; needs etude[diffusion]"),
    ("vinn", "", "the chunks that followed the most similar moments"),
)
"""Policy, its backbone where there is a choice, and what that is."""
_CAMERAS = ("front", "left", "right", "top")


@dataclass(frozen=True, kw_only=True)
class Options:
    """List the policies and backbones there are, with parameters, memory and speed measured here and now.

    Each is built with its default settings for cameras, states and actions as given, and trained on noise for a few
    steps: about five seconds each. Names of other LeRobot policies follow.

    Examples:
        etude policy list
        etude policy list --image-size 224 --cameras 1 --batch-size 8
        etude policy list --no-measure --json

    Attributes:
        image_size: Height and width of the images [px].
        cameras: How many there are, 1 to 4.
        joints: Size of states and of actions.
        batch_size: Windows per training step.
        threads: Threads to compute with.
        no_measure: Only count parameters; memory and speed are not measured.
        json: Print one line of JSON, and nothing else.
    """

    image_size: int = 96
    cameras: int = 2
    joints: int = 14
    batch_size: int = 32
    threads: int = 2
    no_measure: bool = False
    json: bool = False

    def __post_init__(self) -> None:
        require_at_least(32, image_size=self.image_size)
        require_at_least(1, cameras=self.cameras, joints=self.joints, batch_size=self.batch_size, threads=self.threads)
        if self.cameras > len(_CAMERAS):
            raise ConfigError(f"--cameras {self.cameras} must be at most {len(_CAMERAS)}.")


def run(options: Options) -> None:
    """List."""
    from etude.policies.names import lerobot_names, policy_names

    rows: list[dict[str, Any]] = []
    with watch()("policies", len(_CHOICES)) as update:
        for done, (policy, backbone, about) in enumerate(_CHOICES, 1):
            rows.append({"policy": policy, "backbone": backbone, "about": about, **_cost(policy, backbone, options)})
            update(done, policy)
    others = [name for name in lerobot_names() if name not in policy_names()]
    if options.json:
        show_json({"policies": rows, "others": others})
        return
    show(_table(rows, measured=not options.no_measure), "", *_notes(options))
    show("", f"LeRobot's other policies, by name (some need an extra of LeRobot's): {', '.join(others)}.")
    show_next("etude train --dataset DIR --policy act --set backbone=light --out runs/act")


def _cost(policy: str, backbone: str, options: Options) -> dict[str, Any]:
    """What one takes, or why that cannot be told: one that cannot be made must not hide the others."""
    from etude.training import TrainConfig
    from etude.training.measuring import measure, untrained

    features = Features(
        cameras=_CAMERAS[: options.cameras],
        image_size=(options.image_size, options.image_size),
        state_size=options.joints,
        action_size=options.joints,
    )
    try:
        model = untrained(policy, features, stream(0, "weights"), backbone=backbone)
        counted = {"parameters": sum(p.numel() for p in model.module.parameters()), "chunk": model.horizon}
        if options.no_measure:
            return counted
        cost = measure(model, TrainConfig(batch_size=options.batch_size, threads=options.threads))
    except EtudeError as error:
        return {"error": str(error)}
    memory = cost.memory.fixed + options.batch_size * cost.memory.per_window
    return {**counted, "training_bytes": memory, "act_s": cost.act_s, "train_s_per_window": cost.train_s}


def _table(rows: Sequence[Mapping[str, Any]], *, measured: bool) -> Table:
    headers = ("M param.", "chunk", *(("train MB", "train ms", "act ms") if measured else ()))
    table = Table("policy", "backbone", box=None, header_style="bold")
    for header in headers:
        table.add_column(header, justify="right")
    table.add_column("what it is")
    for row in rows:
        if "error" in row:
            table.add_row(row["policy"], row["backbone"], *[""] * len(headers), row["error"])
            continue
        numbers = [f"{row['parameters'] / 1e6:.2f}", str(row["chunk"])]
        if measured:
            times = (row["train_s_per_window"], row["act_s"])
            numbers += [f"{row['training_bytes'] / 1e6:,.0f}", *(f"{1e3 * seconds:.1f}" for seconds in times)]
        table.add_row(row["policy"], row["backbone"], *numbers, row["about"])
    return table


def _notes(options: Options) -> list[str]:
    """What the numbers mean."""
    if options.no_measure:
        return []
    seen = f"{options.cameras} cameras of {options.image_size} px, {options.joints} joints, {options.threads} threads"
    return [
        f"Measured here and now with {seen}; other work on this machine makes it slower.",
        f"train MB: weights, gradients, moments, averages, and what a batch of {options.batch_size} keeps; "
        "train ms: per window; act ms: a chunk for one observation.",
    ]
