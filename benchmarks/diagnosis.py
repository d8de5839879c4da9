"""Diagnosis against planted causes: are they found, are the rules true, are the counterfactual verdicts right?

An instance is a policy that fails, nine times in ten, in one to three boxes that we know, on two to four of ten factors
each (3 to 8 % of the space), and now and then elsewhere; it answers at once. Four kinds, each from few episodes and
from many, with 300 counterfactual rollouts:

- plain: drawn uniformly; 4 % fail elsewhere;
- decoys: as a search leaves them, half of them gathered in and around the boxes, and with two factors that go along
  with factors of the causes (correlation 0.7) without having a part in it;
- infeasible: a part of the space cannot be, so that one factor of a cause cannot be undone;
- chaotic: any change rolls the dice again, and 15 % fail elsewhere.

`etude.diagnosis.scoring` says what is counted.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict

import numpy as np

from etude.core import Case, Perturbation, stream
from etude.diagnosis import Episodes, diagnose
from etude.diagnosis.planted import PlantedCauses
from etude.diagnosis.scoring import Score, compare
from etude.loop.diagnosing import beam

KINDS = ("plain", "decoys", "infeasible", "chaotic")
INSTANCES, EPISODES = 60, (400, 1000)


def score(kind: str, index: int, episodes: int) -> Score:
    """Diagnose one instance and compare with the truth."""
    rng = stream(7, "diagnosis", kind, index)
    planted = PlantedCauses.draw(
        rng, holes=kind == "infeasible", chaotic=kind == "chaotic", elsewhere=0.15 if kind == "chaotic" else 0.04
    )
    cases = gathered(planted, episodes, rng) if kind == "decoys" else uniform(planted, episodes, rng)
    success = tuple(outcome.success for outcome in planted.policy(cases))
    seen = Episodes(space=planted.space, cases=tuple(cases), success=success)
    diagnosis, _ = diagnose(seen, beam, task="planted", policy=kind, seed=index, roll=planted.policy)
    return compare(planted, seen, diagnosis, rng)


def uniform(planted: PlantedCauses, count: int, rng: np.random.Generator) -> list[Case]:
    """Cases all over the feasible space."""
    return [Case(planted.space.sample(rng), int(rng.integers(2**31))) for _ in range(count)]


def gathered(planted: PlantedCauses, count: int, rng: np.random.Generator) -> list[Case]:
    """Cases half of which lie in and around the causes, two idle factors going along with two of the causes'."""
    space, causes = planted.space, planted.causes
    used = list(dict.fromkeys(name for cause in causes for name in cause))
    idle = [name for name in space.names if name not in used]
    pairs = list(zip(idle[:2], rng.permutation(used).tolist(), strict=False))
    cases: list[Case] = []
    while len(cases) < count:
        values = dict(space.sample(rng).values)
        if len(cases) % 2:  # half of these inside a cause, half in and around it
            for name, (low, high) in causes[int(rng.integers(len(causes)))].items():
                margin = 0.5 * (high - low) * (len(cases) % 4 == 1)
                values[name] = float(np.clip(rng.uniform(low - margin, high + margin), -1.0, 3.0))
        values |= {decoy: 0.5 * (values[decoy] + values[name]) for decoy, name in pairs}
        if planted.space.infeasible(theta := Perturbation(values)) is None:
            cases.append(Case(theta, int(rng.integers(2**31))))
    return cases


def main() -> None:
    """Print a table for each number of episodes, then JSON."""
    figures: dict[str, dict[str, dict[str, list[float]]]] = {}
    for episodes in EPISODES:
        print(f"\n{episodes} episodes, {INSTANCES} instances a kind; 95 % Wilson intervals")
        print(f"{'':<12}" + "".join(f"{name:<24}" for name in asdict(Score())))
        totals = {kind: sum((score(kind, i, episodes) for i in range(INSTANCES)), Score()) for kind in KINDS}
        totals["all"] = sum(totals.values(), Score())
        for kind, total in totals.items():
            show(kind, total)
        figures[str(episodes)] = {
            kind: {name: [r.k, r.n, r.low, r.high] for name, r in total.rates().items()}
            for kind, total in totals.items()
        }
    print(json.dumps({"instances": INSTANCES, "figures": figures}))


def show(kind: str, total: Score) -> None:
    cells: Sequence[str] = [
        f"{rate.value:>4.0%} {rate.k}/{rate.n} ({rate.low:.0%}–{rate.high:.0%})" for rate in total.rates().values()
    ]
    print(f"{kind:<12}" + "".join(f"{cell:<24}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
