"""Searchers on planted truth: pockets found of six, and rollouts to the third, on ten instances of ten factors each.

A pocket counts as found when three failing rollouts lie in it. Every searcher has 4,000 rollouts; where three pockets
are not found by then it goes on to 20,000, for that figure alone. The graded landscape shows near misses, the binary
one nothing but success and failure. Then boxes are proposed from the 4,000, sharpened and confirmed on fresh rollouts;
a confirmed pocket is right when it is the same place as a planted one. The searchers' settings were chosen on other
instances (seeds 1000 to 1023). Finished searches are kept in bench-results/planted.jsonl: a stopped benchmark goes on;
delete the file to measure anew.
"""

import json
from collections.abc import Iterable
from itertools import product
from pathlib import Path

import numpy as np

from etude.core import Case, derive_seed, stream
from etude.search import (
    SEARCHERS,
    Archive,
    ArchiveRow,
    ConfirmConfig,
    Hunt,
    PlantedTruth,
    confirm_pockets,
    find_boxes,
    make_searcher,
    same_place,
)
from etude.search.refining import refine_boxes

LANDSCAPES = {"0.3 %": (0.003, True), "0.3 % binary": (0.003, False), "4 %": (0.04, True)}
SEEDS, LOOKS, LONGEST = range(10), (1000, 4000), 20_000
ENOUGH = 3  # failing rollouts in a pocket
KEPT = Path("bench-results/planted.jsonl")


def main() -> None:
    """Measure what is missing, and print."""
    wanted = list(product(LANDSCAPES, SEARCHERS, SEEDS))
    kept = {_key(record): record for record in _kept()}
    for landscape, searcher, seed in wanted:
        if (landscape, searcher, seed) not in kept:
            record = measure(landscape, searcher, seed)
            KEPT.parent.mkdir(exist_ok=True)
            with KEPT.open("a") as file:
                file.write(json.dumps(record) + "\n")
            kept[_key(record)] = record
    for landscape in LANDSCAPES:
        show(landscape, {name: [kept[landscape, name, seed] for seed in SEEDS] for name in SEARCHERS})
    cross_entropy = [kept["0.3 %", "cross-entropy", seed] for seed in SEEDS]
    chance = [kept["0.3 %", "random", seed] for seed in SEEDS]
    figure = {
        "found_at_4000": mean_interval([record["found"]["4000"] for record in cross_entropy]),
        "wanted_at_4000": 4,
        "ratio_to_random": ratio_interval(cross_entropy, chance),
        "wanted_ratio": 3,
    }
    print(json.dumps({"figure": "planted truth at 0.3 %", **figure, "records": [kept[key] for key in wanted]}))


def measure(landscape: str, name: str, seed: int) -> dict:
    """One search of one instance."""
    volume, graded = LANDSCAPES[landscape]
    truth = PlantedTruth.draw(volume, stream(seed, "instance", landscape.removesuffix(" binary")), graded=graded)
    rows, found_at = hunt(truth, name, seed)
    return {
        "landscape": landscape,
        "searcher": name,
        "seed": seed,
        "found": {str(look): sum(at <= look for at in found_at) for look in LOOKS},
        "third": found_at[2] if len(found_at) > 2 else None,
        **confirmed(truth, rows[: LOOKS[-1]], seed),
    }


def hunt(truth: PlantedTruth, name: str, seed: int) -> tuple[list[ArchiveRow], list[int]]:
    """Search until all rollouts are spent and three pockets found; the rows, and after how many each was found."""
    space = truth.space
    searcher = make_searcher(name, Hunt(space=space, rng=stream(seed, name), budget=LOOKS[-1], known=Archive(space)))
    rows: list[ArchiveRow] = []
    hits, found_at = np.zeros(len(truth.pockets), dtype=int), {}
    while len(rows) < LOOKS[-1] or (len(found_at) < ENOUGH and len(rows) < LONGEST):
        thetas = searcher.ask()
        cases = [Case(theta, derive_seed(seed, name, len(rows) + i)) for i, theta in enumerate(thetas)]
        outcomes, holders = truth.policy(cases), truth.holders(cases)
        fresh = [ArchiveRow(case=o.case, severity=1 - o.progress, success=o.success) for o in outcomes]
        for row, held in zip(fresh, holders, strict=True):
            rows.append(row)
            hits += held & (not row.success)
            for pocket in np.flatnonzero(hits >= ENOUGH).tolist():
                found_at.setdefault(pocket, len(rows))
        searcher.tell([row.told for row in fresh])
    return rows, sorted(found_at.values())


def confirmed(truth: PlantedTruth, rows: list[ArchiveRow], seed: int) -> dict:
    """What boxes and fresh rollouts make of a search: pockets confirmed, how many are right, planted ones covered."""
    archive = Archive(truth.space, rows)
    points, failures, rng = archive.points(), archive.weaknesses(), stream(seed, "sharpen")
    boxes = find_boxes(truth.space, points, failures)
    boxes = refine_boxes(truth.space, boxes, points, failures, truth.policy, truth.expert, rng).boxes
    made = confirm_pockets(truth.space, boxes, truth.policy, truth.expert, ConfirmConfig(), stream(seed, "confirm"))
    same = [[same_place(pocket.bounds, planted, truth.space) for planted in truth.pockets] for pocket in made.pockets]
    return {
        "boxes": len(boxes),
        "confirmed": len(same),
        "right": sum(any(row) for row in same),
        "covered": sum(any(column) for column in zip(*same, strict=True)),
    }


def show(landscape: str, records: dict[str, list[dict]]) -> None:
    """A table of one landscape."""
    print(f"\nplanted truth, {landscape}: {len(SEEDS)} instances; means with 95 % bootstrap intervals")
    columns = (
        "searcher",
        "found, 1,000",
        "found, 4,000",
        "to the third",
        "fewer than random",
        "confirmed",
        "right",
        "of six",
    )
    print("".join(f"{column:>22}" for column in columns))
    for name, own in records.items():
        looks = [text(mean_interval([record["found"][str(look)] for record in own])) for look in LOOKS]
        third = [record["third"] or np.inf for record in own]
        ratio = "" if name == "random" else text(ratio_interval(own, records["random"]), "x")
        right, boxes = (sum(record[key] for record in own) for key in ("right", "confirmed"))
        covered = text(mean_interval([record["covered"] for record in own]))
        cells = (name, *looks, f"{np.median(third):,.0f}", ratio, f"{boxes}", f"{right}/{boxes}", covered)
        print("".join(f"{cell:>22}" for cell in cells))


def mean_interval(values: Iterable[float]) -> tuple[float, float, float]:
    """Mean and 95 % bootstrap interval over instances."""
    numbers = np.array(list(values), dtype=float)
    means = numbers[_resamples(len(numbers))].mean(axis=1)
    return float(numbers.mean()), *np.quantile(means, [0.025, 0.975]).tolist()


def ratio_interval(own: list[dict], chance: list[dict]) -> tuple[float, float, float]:
    """How many times fewer rollouts to the third pocket than chance takes: ratio of medians, instances resampled.

    A search that never found three counts as if it had at the end of its 20,000 rollouts.
    """
    ours, theirs = (np.array([record["third"] or LONGEST for record in side], dtype=float) for side in (own, chance))
    draws = _resamples(len(ours))
    ratios = np.median(theirs[draws], axis=1) / np.median(ours[draws], axis=1)
    return float(np.median(theirs) / np.median(ours)), *np.quantile(ratios, [0.025, 0.975]).tolist()


def text(interval: tuple[float, float, float], unit: str = "") -> str:
    """A value with its interval."""
    value, low, high = interval
    return f"{value:.1f}{unit} ({low:.1f}–{high:.1f})"


def _resamples(size: int) -> np.ndarray:
    return stream(0, "bootstrap").integers(size, size=(10_000, size))


def _key(record: dict) -> tuple[str, str, int]:
    return record["landscape"], record["searcher"], record["seed"]


def _kept() -> list[dict]:
    return [json.loads(line) for line in KEPT.read_text().splitlines()] if KEPT.exists() else []


if __name__ == "__main__":
    main()
