"""Diagnosis against planted causes: are they found, are the rules true, are the counterfactual verdicts right?

An instance is a policy that fails, nine times in ten, in one to three boxes that we know, on two to four of ten factors
each (3 to 8 % of the space), and now and then elsewhere; it answers at once. Four kinds, each from few episodes and
from many, with 300 counterfactual rollouts:

- plain: drawn uniformly; 4 % fail elsewhere;
- decoys: as a search leaves them, half of them gathered in and around the boxes, and with two factors that go along
  with factors of the causes (correlation 0.7) without having a part in it;
- infeasible: a part of the space cannot be, so that one factor of a cause cannot be undone;
- chaotic: any change rolls the dice again, and 15 % fail elsewhere.

What is counted, over all instances of a kind:

- recall: planted causes that one of the first three reported causes finds: its rule meets the box in every factor that
  both bound, bounds at least half of the box's factors, and bounds none that the box does not;
- factors: factors of planted causes that the first three reported causes bound or confirm;
- precision: reported rules, refuted ones left out, that bound only factors of one planted cause, and meet its box;
- verdicts: confirmed and refuted effects that are right. Confirmed is right where undoing the factor repairs at least
  5 points more than the sham, refuted where less than 25 (`CounterfactualConfig.noticeable`), in expectation over the
  rule's failures; between the two both are. Undecided ones are no verdicts; their share is shown.
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from etude.core import Bounds, Case, Cause, Diagnosis, Perturbation, Rate, stream
from etude.diagnosis import Episodes, diagnose
from etude.diagnosis.counterfactuals import CounterfactualConfig, jittered, undone
from etude.diagnosis.planted import PlantedCauses
from etude.loop.diagnosing import beam

KINDS = ("plain", "decoys", "infeasible", "chaotic")
INSTANCES, EPISODES = 60, (400, 1000)
REAL = 0.05
NOTICEABLE = CounterfactualConfig().noticeable


@dataclass
class Score:
    """k and n of each figure."""

    recall: list[bool] = field(default_factory=list[bool])
    factors: list[bool] = field(default_factory=list[bool])
    precision: list[bool] = field(default_factory=list[bool])
    verdicts: list[bool] = field(default_factory=list[bool])
    undecided: list[bool] = field(default_factory=list[bool])

    def __add__(self, other: "Score") -> "Score":
        return Score(**{name: getattr(self, name) + getattr(other, name) for name in asdict(self)})

    def rates(self) -> dict[str, Rate]:
        return {name: Rate.of(values) for name, values in asdict(self).items()}


def score(kind: str, index: int, episodes: int) -> Score:
    """Diagnose one instance and compare with the truth."""
    rng = stream(0, "diagnosis", kind, index)
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


def compare(planted: PlantedCauses, seen: Episodes, diagnosis: Diagnosis, rng: np.random.Generator) -> Score:
    """What of a diagnosis is true."""
    result, first = Score(), diagnosis.causes[:3]
    for truth in planted.causes:
        result.recall.append(any(finds(cause.bounds, truth) for cause in first))
    named = {name for cause in first for name in (*cause.bounds, *confirmed(cause))}
    result.factors += [name in named for name in sorted({name for truth in planted.causes for name in truth})]
    for cause in diagnosis.causes:
        if cause.verdict != "refuted":
            result.precision.append(any(within(cause.bounds, truth) for truth in planted.causes))
        judge(planted, seen, cause, rng, result)
    return result


def judge(planted: PlantedCauses, seen: Episodes, cause: Cause, rng: np.random.Generator, result: Score) -> None:
    """Compare the verdicts on a cause's factors with what undoing them repairs."""
    failed = np.flatnonzero(seen.inside(cause.bounds) & seen.weaknesses).tolist()
    failures = [seen.cases[i] for i in failed]
    for effect in cause.effects:
        if effect.verdict not in ("confirmed", "refuted", "undecided"):
            continue
        changed = {case: undone(planted.space, cause.bounds, case, effect.factor) for case in failures}
        pairs = [(case, other) for case, other in changed.items() if other is not None]
        shams = [jittered(planted.space, case, rng) for case, _ in pairs]
        same = [case for case, _ in pairs]
        truth = planted.repair(same, [other for _, other in pairs]) - planted.repair(same, shams)
        result.undecided.append(effect.verdict == "undecided")
        if effect.verdict != "undecided":
            result.verdicts.append(truth >= REAL if effect.verdict == "confirmed" else truth < NOTICEABLE)


def confirmed(cause: Cause) -> list[str]:
    return [effect.factor for effect in cause.effects if effect.verdict == "confirmed"]


def within(rule: Bounds, truth: Bounds) -> bool:
    """Whether a rule bounds only factors of a planted cause, and meets its box."""
    return all(name in truth and meets(rule[name], truth[name]) for name in rule)


def finds(rule: Bounds, truth: Bounds) -> bool:
    """Whether a rule names a planted cause: see the top of this file."""
    return within(rule, truth) and 2 * len(rule) >= len(truth)


def meets(a: tuple[float, float], b: tuple[float, float]) -> bool:
    return max(a[0], b[0]) < min(a[1], b[1])


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
