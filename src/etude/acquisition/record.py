"""What was measured of episodes, in a Parquet file that grows while they are measured."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from etude.acquisition.evidence import Evidence
from etude.core import EtudeError
from etude.core.files import write_bytes
from etude.data.parquet import encode_rows, read_rows

_HALVES = {"product_aa": (0, 0), "product_ab": (0, 1), "product_ba": (1, 0), "product_bb": (1, 1)}
"""Column -> which two halves of the anchors it multiplies."""


def read_evidence(path: Path | None) -> dict[int, Evidence]:
    """Episode -> what is known of it; nothing where there is no file.

    Raises:
        EtudeError: It is another file.
    """
    if path is None or not path.exists():
        return {}
    try:
        return {int(row["episode"]): _evidence(row) for row in read_rows([path])}
    except KeyError as error:
        raise EtudeError(f"'{path}' is no record of a scoring ({error} is missing): remove it.") from error


def write_evidence(path: Path | None, known: Mapping[int, Evidence]) -> None:
    """Write all that is known, whole or not at all; nowhere where there is no path."""
    if path is None:
        return
    rows = [
        {
            "episode": episode,
            **{name: float(each.products[(0, *halves)]) for name, halves in _HALVES.items()},
            "loss": float(each.losses[0]),
            "along": float(each.along[0]),
        }
        for episode, each in sorted(known.items())
    ]
    write_bytes(path, encode_rows(rows))


def _evidence(row: Mapping[str, float]) -> Evidence:
    products = np.empty((1, 2, 2))
    for name, halves in _HALVES.items():
        products[(0, *halves)] = row[name]
    return Evidence(products=products, losses=np.array([row["loss"]]), along=np.array([row["along"]]))
