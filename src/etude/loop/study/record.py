"""What a study keeps of a replicate: every case that every arm solved after every round, and what that had cost."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from etude.core import Paired, Rate

COSTS = ("demonstrations", "attempts", "steps")
"""What success is drawn against."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """An arm after one of its rounds; costs are sums over its rounds so far, without the baseline's.

    Attributes:
        demonstrations: New demonstrations that it has learned from.
        attempts: Demonstrations that were tried for them.
        frames: Of the demonstrations that it has learned from; 0 in records of before they were counted.
        steps: Control steps in the simulator: attempts and rollouts that looked for failures, see `simulator_steps`.
        rollouts: Rollouts that looked for failures.
        train_steps: Gradient steps of its own policy.
        wall_s: Wall-clock time [s].
        solved: Test -> a 1 for every case that was solved and a 0 for every other, in the suite's order.
    """

    demonstrations: int
    attempts: int
    steps: int
    rollouts: int
    train_steps: int
    wall_s: float
    solved: Mapping[str, str]
    frames: int = 0

    def rate(self, test: str) -> Rate:
        """Solved cases of a test."""
        return Rate(self.solved[test].count("1"), len(self.solved[test]))

    def cases(self, test: str) -> list[bool]:
        """Whether each case of a test was solved."""
        return [case == "1" for case in self.solved[test]]


@dataclass(frozen=True, kw_only=True)
class ArmRecord:
    """What an arm came to.

    Attributes:
        points: Before its first round (the baseline's success at no cost), then after every round that was examined.
        progress: Progress at every case of the uniform test in the end, in [0, 1].
        pockets: Pockets that a fresh search of its last policy confirmed; None where there was none.
        fates: What became of pockets -> how many; empty where there was no fresh search.
    """

    points: tuple[Point, ...]
    progress: tuple[float, ...]
    pockets: int | None = None
    fates: Mapping[str, int] = field(default_factory=dict[str, int])

    @property
    def last(self) -> Point:
        """In the end."""
        return self.points[-1]


@dataclass(frozen=True, kw_only=True)
class Replicate:
    """One whole chain.

    Attributes:
        name: Its folder in the study's, e.g. "confirm/replicate-00".
        seed: Root of its randomness.
        arms: Arm -> record, the baseline first.
        pockets: Pockets of the baseline.
        exam: Hash of its exam.
        code: The code that finished it.
        plan: Hash of the plan that it follows.
        passed_over: Baselines before this one of which the search confirmed no pocket.
    """

    name: str
    seed: int
    arms: Mapping[str, ArmRecord]
    pockets: int
    exam: str
    code: Mapping[str, str]
    plan: str
    passed_over: int = 0

    def paired(self, arm: str, other: str, test: str) -> Paired:
        """Two arms in the end, on the same cases."""
        return Paired.of(self.arms[arm].last.cases(test), self.arms[other].last.cases(test))

    @property
    def hash(self) -> str:
        """Of all but wall-clock time (16 hex digits)."""
        record = self.to_json()
        for arm in record["arms"].values():
            for point in arm["points"]:
                del point["wall_s"]
        return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()[:16]

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return json.loads(json.dumps(asdict(self)))

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> "Replicate":
        """The inverse of to_json."""
        fields: dict[str, Any] = {**record, "arms": {name: _arm(arm) for name, arm in record["arms"].items()}}
        return Replicate(**fields)


@dataclass(frozen=True, kw_only=True)
class Failure:
    """A replicate that did not come to its end.

    Attributes:
        name: Its folder in the study's.
        seed: Root of its randomness.
        why: What went wrong.
        final: Whether trying again would end alike, because the plan itself has this end.
    """

    name: str
    seed: int
    why: str
    final: bool = False


def simulator_steps(result: Mapping[str, Any], max_steps: int) -> int:
    """Control steps that a stage spent in the simulator, at most.

    Demonstrations that came out count with the length they have; failed attempts, and rollouts that looked for
    failures, with the longest an episode may take, which overstates the cost of arms that look for failures, never
    understates it.

    Args:
        result: What the stage's manifest says.
        max_steps: Longest episode of the task.
    """
    searched = max_steps * int(result.get("rollouts", 0))
    if "attempts" not in result:
        return searched
    made = int(result.get("generated", result.get("accepted", 0)))
    frames = int(result.get("generated_frames", result.get("frames", 0)))
    return frames + max_steps * (int(result["attempts"]) - made) + searched


def _arm(record: Mapping[str, Any]) -> ArmRecord:
    points = tuple(Point(**point) for point in record["points"])
    fields: dict[str, Any] = {**record, "points": points, "progress": tuple(record["progress"])}
    return ArmRecord(**fields)
