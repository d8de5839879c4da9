"""From a search's failures to pockets, against planted truth: what is confirmed, how much of it is right, at what cost.

Six planted pockets in ten factors. A pocket counts as true when more than half of it lies in a planted one, as found
when a true one overlaps it by at least 0.3 of their union. `blunt` leaves out the sharpening.
"""

import json
import sys
from dataclasses import asdict, dataclass

import numpy as np

from etude.core import Bounds, PerturbationSpace, Pocket, Rate, stream
from etude.search import Archive, ConfirmConfig, Hunt, RandomSearch, confirm_pockets, find_boxes, make_searcher
from etude.search.failures import search_failures
from etude.search.places import share_within
from etude.search.planted import PlantedTruth
from etude.search.refining import RefineConfig, refine_boxes

CASES, SEEDS = ((0.04, 1000), (0.04, 4000), (0.003, 4000)), 10


@dataclass(frozen=True)
class Quality:
    """What became of the boxes of all seeds.

    Attributes:
        volume: Of all planted pockets, a share of the space.
        rollouts: Of the search, a quarter of them uniform.
        sharpened: Whether boxes were sharpened before they were confirmed.
        boxes: Found, per seed.
        confirmed: Pockets of the boxes.
        true: Of the confirmed pockets.
        found: Of the planted pockets.
        seen: Planted pockets in which the search had at least eight failures, of all.
        precision: Mean share of a confirmed pocket that lies in a planted one.
        extra: Rollouts for sharpening and confirming, per seed.
    """

    volume: float
    rollouts: int
    sharpened: bool
    boxes: float
    confirmed: str
    true: str
    found: str
    seen: str
    precision: float
    extra: float


def search(truth: PlantedTruth, rollouts: int, seed: int) -> Archive:
    """A quarter uniform, the rest cross-entropy."""
    archive, uniform = Archive(truth.space), rollouts // 4
    for name, budget in (("uniform", uniform), ("cross-entropy", rollouts - uniform)):
        hunt = Hunt(space=truth.space, rng=stream(seed, name), budget=budget, known=Archive(truth.space, archive.rows))
        searcher = RandomSearch(truth.space, hunt.rng, 40) if name == "uniform" else make_searcher(name, hunt)
        search_failures(searcher, archive, truth.policy, budget=budget, seed=seed, name=name, roll_expert=truth.expert)
    return archive


def measure(volume: float, rollouts: int, sharpened: bool) -> Quality:
    """All seeds of one setting."""
    boxes = confirmed = true = found = seen = extra = 0
    shares: list[float] = []
    for seed in range(SEEDS):
        truth = PlantedTruth.draw(volume, np.random.default_rng(seed))
        archive, space = search(truth, rollouts, seed), truth.space
        points, failures = archive.points(), archive.weaknesses()
        config = RefineConfig(rounds=2 if sharpened else 0)
        refined = refine_boxes(
            space, find_boxes(space, points, failures), points, failures,
            truth.policy, truth.expert, stream(seed, "sharpen"), config,
        )  # fmt: skip
        made = confirm_pockets(
            space, refined.boxes, truth.policy, truth.expert, ConfirmConfig(), stream(seed, "confirm")
        )
        inside = [max(share_within(p.bounds, b, space) for b in truth.pockets) for p in made.pockets]
        good = [p for p, share in zip(made.pockets, inside, strict=True) if share > 0.5]
        shares += inside
        boxes, confirmed, true = boxes + len(refined.boxes), confirmed + len(made.pockets), true + len(good)
        found += sum(any(overlap(p, b, space) >= 0.3 for p in good) for b in truth.pockets)
        held = truth.holders([row.case for row in archive.rows if row.weakness]).sum(axis=0)
        seen += int((held >= 8).sum())
        extra += refined.policy_rollouts + made.policy_rollouts
    planted = 6 * SEEDS
    return Quality(
        volume=volume,
        rollouts=rollouts,
        sharpened=sharpened,
        boxes=boxes / SEEDS,
        confirmed=str(Rate(confirmed, boxes)),
        true=str(Rate(true, confirmed)),
        found=str(Rate(found, planted)),
        seen=str(Rate(seen, planted)),
        precision=float(np.mean(shares)),
        extra=extra / SEEDS,
    )


def overlap(pocket: Pocket, planted: Bounds, space: PerturbationSpace) -> float:
    """Common part over union."""
    common = share_within(pocket.bounds, planted, space) * size(pocket.bounds, space)
    return common / (size(pocket.bounds, space) + size(planted, space) - common)


def size(bounds: Bounds, space: PerturbationSpace) -> float:
    """Share of the space."""
    return float(np.prod([(high - low) / (space[n].high - space[n].low) for n, (low, high) in bounds.items()]))


def main() -> None:
    """One line of JSON per setting."""
    for volume, rollouts in CASES:
        for sharpened in (False, True):
            json.dump(asdict(measure(volume, rollouts, sharpened)), sys.stdout, ensure_ascii=False)
            print(flush=True)


if __name__ == "__main__":
    main()
