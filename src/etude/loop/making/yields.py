"""How many attempts at a demonstration succeed: in all, by source demonstration, by place and by factor.

A success filter leaves holes where attempts fail, in what a policy will learn from: the bins show them.
"""

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from etude.core import PerturbationSpace, Rate
from etude.core.files import write_bytes, write_json
from etude.core.space import PICTURES_ONLY
from etude.loop.making.maker import Made

BINS = 4
"""Equal parts into which a factor's range, and every axis of the layout, is divided."""

type Cells = Mapping[tuple[float, float], Rate]
"""Middle of a bin of the layout, x and y [m] -> the yield there."""


@dataclass(frozen=True, kw_only=True)
class AttemptRecord:
    """One attempt, as it is written down.

    Attributes:
        attempt: Its number, from 0.
        theta: What was perturbed.
        seed: Of its case.
        source: The source episode, or −1.
        success: Whether it is a demonstration.
        length: Control steps.
        stuck: Where it failed, or "".
        start: Object -> x and y at the reset, [m].
    """

    attempt: int
    theta: Mapping[str, float]
    seed: int
    source: int
    success: bool
    length: int
    stuck: str
    start: Mapping[str, tuple[float, float]] = field(default_factory=dict[str, tuple[float, float]])

    @staticmethod
    def of(attempt: int, made: Made) -> "AttemptRecord":
        """What is written down of an attempt."""
        case = made.outcome.case
        return AttemptRecord(
            attempt=attempt,
            theta=dict(case.theta.values),
            seed=case.seed,
            source=made.source,
            success=made.outcome.success,
            length=made.outcome.length,
            stuck=made.stuck,
            start=made.start,
        )


class AttemptLog:
    """A file of attempts, a line each; one that is made again after a stop takes the place of what was written of it.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def add(self, record: AttemptRecord) -> None:
        """Write one down."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                file.write(b"" if file.read() == b"\n" else b"\n")  # behind a line that a kill cut short
            file.write(_line(record).encode())

    def settle(self, attempts: int) -> list[AttemptRecord]:
        """The first `attempts` attempts; from now on the file holds one line of each and nothing else."""
        records = self.read(attempts)
        if records:
            write_bytes(self._path, "".join(_line(record) for record in records).encode())
        return records

    def read(self, attempts: int) -> list[AttemptRecord]:
        """The first `attempts` attempts, in order; a line that a kill cut short is left out."""
        found: dict[int, AttemptRecord] = {}
        for line in self._path.read_text().splitlines() if self._path.exists() else ():
            try:
                record = json.loads(line)
            except ValueError:
                continue
            found[record["attempt"]] = AttemptRecord(**record)
        return [found[number] for number in sorted(found) if number < attempts]


def _line(record: AttemptRecord) -> str:
    return json.dumps(asdict(record)) + "\n"


@dataclass(frozen=True, kw_only=True)
class Yields:
    """Accepted of attempted.

    Attributes:
        overall: All.
        sources: Source episode -> its.
        factors: Factor that was varied -> (low, high, yield) of every bin of its range.
        places: Object -> the yield by where it lay.
        stuck: Where attempts failed -> how many, most first.
        unseen: Factors that were varied and cannot have changed an attempt, whose maker saw no images: they have no
            yields, for a difference there would be chance.
    """

    overall: Rate
    sources: Mapping[int, Rate]
    factors: Mapping[str, tuple[tuple[float, float, Rate], ...]]
    places: Mapping[str, Cells]
    stuck: Mapping[str, int]
    unseen: tuple[str, ...] = ()

    @staticmethod
    def of(records: Sequence[AttemptRecord], space: PerturbationSpace, *, blind: bool = False) -> "Yields":
        """Count attempts.

        Args:
            records: The attempts.
            space: What could vary.
            blind: Whether what made them sees no images.
        """
        sources = sorted({r.source for r in records if r.source >= 0})
        varied = [f.name for f in space.factors if len({r.theta[f.name] for r in records if f.name in r.theta}) > 1]
        unseen = [name for name in varied if blind and space[name].kind in PICTURES_ONLY]
        objects = dict.fromkeys(name for r in records for name in r.start)
        return Yields(
            overall=_rate(records),
            sources={source: _rate([r for r in records if r.source == source]) for source in sources},
            factors={name: tuple(_bins(records, name, space)) for name in varied if name not in unseen},
            places={name: _cells([(r.start[name], r) for r in records if name in r.start]) for name in objects},
            stuck=dict(Counter(r.stuck for r in records if not r.success).most_common()),
            unseen=tuple(unseen),
        )

    def save(self, path: Path) -> None:
        """Write them as JSON."""
        write_json(path, self.to_json())

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "overall": self.overall.to_json(),
            "sources": {str(source): rate.to_json() for source, rate in self.sources.items()},
            "factors": {
                name: [{"low": low, "high": high, "rate": rate.to_json()} for low, high, rate in bins]
                for name, bins in self.factors.items()
            },
            "places": {
                name: [{"x_m": x, "y_m": y, "rate": rate.to_json()} for (x, y), rate in cells.items()]
                for name, cells in self.places.items()
            },
            "stuck": dict(self.stuck),
            "unseen": list(self.unseen),
        }

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> "Yields":
        """The inverse of to_json."""

        def rate(counts: Mapping[str, Any]) -> Rate:
            return Rate(counts["k"], counts["n"])

        return Yields(
            overall=rate(record["overall"]),
            sources={int(source): rate(counts) for source, counts in sorted(record["sources"].items(), key=_number)},
            factors={
                name: tuple((part["low"], part["high"], rate(part["rate"])) for part in parts)
                for name, parts in record["factors"].items()
            },
            places={
                name: {(cell["x_m"], cell["y_m"]): rate(cell["rate"]) for cell in cells}
                for name, cells in record["places"].items()
            },
            stuck=dict(Counter(record["stuck"]).most_common()),
            unseen=tuple(record.get("unseen", ())),
        )

    def worst(self, least: int = 5) -> tuple[str, tuple[float, float, Rate]] | None:
        """The factor and its bin with the lowest yield among those with at least `least` attempts."""
        bins = [(name, b) for name, row in self.factors.items() for b in row if b[2].n >= least]
        return min(bins, key=lambda pair: pair[1][2].value, default=None)


def _number(pair: tuple[str, Any]) -> int:
    """Files have names sorted as words, and of sources they are numbers."""
    return int(pair[0])


def _rate(records: Sequence[AttemptRecord]) -> Rate:
    return Rate(sum(r.success for r in records), len(records))


def _bins(records: Sequence[AttemptRecord], name: str, space: PerturbationSpace) -> Iterator[tuple[float, float, Rate]]:
    factor = space[name]
    edges = np.linspace(factor.low, factor.high, BINS + 1).tolist()
    with_it = [(r, _bin(r.theta[name], factor.low, factor.high)) for r in records if name in r.theta]
    for i in range(BINS):
        yield edges[i], edges[i + 1], _rate([r for r, at in with_it if at == i])


def _cells(placed: Sequence[tuple[tuple[float, float], AttemptRecord]]) -> Cells:
    (x_low, x_high), (y_low, y_high) = (_range([place[axis] for place, _ in placed]) for axis in (0, 1))
    sorted_in: dict[tuple[float, float], list[AttemptRecord]] = {}
    for (x, y), record in placed:
        middle = (_middle(x, x_low, x_high), _middle(y, y_low, y_high))
        sorted_in.setdefault(middle, []).append(record)
    return {middle: _rate(records) for middle, records in sorted(sorted_in.items())}


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)


def _bin(value: float, low: float, high: float) -> int:
    return min(max(int((value - low) / (high - low) * BINS), 0), BINS - 1)


def _middle(value: float, low: float, high: float) -> float:
    return round(low + (_bin(value, low, high) + 0.5) * (high - low) / BINS, 3)
