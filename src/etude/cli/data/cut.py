"""`etude data cut`: episodes cut into sub-skills."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from etude.cli.data.trim import tell
from etude.cli.data.writing import open_dataset
from etude.cli.output import require_free, whole_folder
from etude.cli.terminal import show, show_next, watch
from etude.core import ConfigError

if TYPE_CHECKING:
    from etude.data.editing.pieces import Piece


@dataclass(frozen=True, kw_only=True)
class Options:
    """Write a dataset with one episode for each sub-task that an episode does, cut where it is marked as done.

    A part goes from the mark before to its own; what comes after the last mark is left out. Its task is its sub-task in
    words, and its origin says which frames of which episode it is.

    Examples:
        etude data cut data/demo --out data/skills
        etude data cut data/demo --out data/skills --subtasks grasp --texts "grasp=pick up the red cube"

    Attributes:
        dataset: Folder of the dataset, or its name on the Hugging Face hub; with Etude's column "subtasks".
        out: Folder of the new dataset.
        subtasks: Sub-tasks whose marks to cut at; by default all.
        texts: What the tasks of the parts are in words; by default the sub-tasks' names.
        after_s: How long to go on after a mark [s].
        least_s: Leave out parts that are shorter [s].
        json: Print one line of JSON per part, and nothing else.
    """

    dataset: Annotated[Positional[str], arg(metavar="DATASET")]
    out: Path
    subtasks: Annotated[tuple[str, ...], arg(metavar="NAME …")] = ()
    texts: Annotated[tuple[str, ...], arg(metavar="NAME=TEXT …")] = ()
    after_s: float = 0.0
    least_s: float = 0.2
    json: bool = False

    def __post_init__(self) -> None:
        for text in self.texts:
            if not all(text.partition("=")[::2]):
                raise ConfigError(f'--texts "{text}": write NAME=TEXT, with the name of a sub-task.')
        for name in ("after_s", "least_s"):
            if getattr(self, name) < 0:
                raise ConfigError(f"--{name.replace('_', '-')} {getattr(self, name):g}: must not be negative.")


def run(options: Options) -> None:
    """Cut."""
    from etude.data.editing.cutting import cut

    require_free(options.out, resumable=False)
    meta = open_dataset(options.dataset)
    pieces: list[Piece] = []
    with whole_folder(options.out) as partial, watch()("episodes", meta.total_episodes) as update:

        def on_piece(piece: "Piece") -> None:
            pieces.append(piece)
            update(piece.episode + 1, f"{len(pieces)} parts")

        cut(
            meta,
            partial,
            subtasks=options.subtasks,
            texts={name: words for name, _, words in (text.partition("=") for text in options.texts)},
            after_s=options.after_s,
            least_s=options.least_s,
            on_piece=on_piece,
        )
    tell(pieces, meta.fps, as_json=options.json)
    if not options.json:
        show(f"{len(pieces)} parts, {sum(piece.end - piece.first for piece in pieces)} frames: {options.out}")
        show_next(
            f"etude data check {options.out}", f"etude train --dataset {options.out} --policy flow --out runs/skills"
        )
