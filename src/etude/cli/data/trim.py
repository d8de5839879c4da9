"""`etude data trim`: episodes without idle heads and tails, ended at their success."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from etude.cli.data.writing import new_folder, open_dataset
from etude.cli.terminal import show, show_json, show_next
from etude.core import ConfigError

if TYPE_CHECKING:
    from etude.data.editing.pieces import Piece


@dataclass(frozen=True, kw_only=True)
class Options:
    """Write a dataset whose episodes begin when the robot begins to move and end when it is done.

    The robot is idle while every joint, of state and action, moves slower than --idle-speed. With --at-success an
    episode ends a fixed time after its success: where `next.success` first holds, or where the last of its sub-tasks is
    done.

    Examples:
        etude data trim data/demo --out data/trimmed
        etude data trim data/demo --out data/trimmed --at-success --after-s 0.5

    Attributes:
        dataset: Folder of the dataset, or its name on the Hugging Face hub.
        out: Folder of the new dataset.
        idle_speed: What is slower is idle [of the joint's range in the dataset, per s].
        margin_s: How much of the idle time to keep before and after [s].
        at_success: End each episode a fixed time after its success.
        after_s: How long to go on after the success [s].
        json: Print one line of JSON per episode, and nothing else.
    """

    dataset: Annotated[Positional[str], arg(metavar="DATASET")]
    out: Path
    idle_speed: float = 0.15
    margin_s: float = 0.25
    at_success: bool = False
    after_s: float = 0.5
    json: bool = False

    def __post_init__(self) -> None:
        for name in ("idle_speed", "margin_s", "after_s"):
            if getattr(self, name) < 0:
                raise ConfigError(f"--{name.replace('_', '-')} {getattr(self, name):g}: must not be negative.")


def run(options: Options) -> None:
    """Trim."""
    from etude.data.editing.trimming import TrimConfig, trim

    meta = open_dataset(options.dataset)
    config = TrimConfig(
        idle_speed=options.idle_speed,
        margin_s=options.margin_s,
        at_success=options.at_success,
        after_s=options.after_s,
    )
    pieces: list[Piece] = []
    with new_folder(options.out, meta.total_episodes) as (folder, on_saved):

        def on_piece(piece: "Piece") -> None:
            pieces.append(piece)
            on_saved(len(pieces))

        trim(meta, folder, config, on_piece)
    tell(pieces, meta.fps, as_json=options.json)
    if not options.json:
        kept, of = sum(piece.end - piece.first for piece in pieces), sum(piece.length for piece in pieces)
        show(f"{len(pieces)} episodes, {kept} of {of} frames ({kept / max(of, 1):.0%}): {options.out}")
        show_next(f"etude data check {options.out}", f"etude view {options.out} --episode 0")


def tell(pieces: "list[Piece]", fps: int, *, as_json: bool) -> None:
    """Say what was cut, one line per piece."""
    for piece in pieces:
        if as_json:
            show_json(vars(piece))
            continue
        head, tail = piece.first / fps, (piece.length - piece.end) / fps
        words = f"episode {piece.episode}: {piece.first} to {piece.end - 1} of {piece.length} frames"
        show(f"{words}, {head:.2f} s before and {tail:.2f} s after cut" + (f"; {piece.why}" if piece.why else ""))
