"""Which arm the pilots chose, written down and hashed before a confirming replicate starts."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from etude.core import EtudeError, MismatchError
from etude.core.files import json_bytes, read_json, write_json
from etude.core.statistics import AcrossReplicates, mean_difference, replicates_needed, spread_bound
from etude.loop.arms import UNIFORM
from etude.loop.study.plan import StudyPlan
from etude.loop.study.record import Replicate

CHOICE = "choice.json"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What the pilots said.

    Attributes:
        arm: The arm that is to be confirmed.
        plan: Hash of the plan.
        pilots: Replicate -> hash of its record.
        effects: Arm -> mean difference from `uniform` on the exam, a share.
        power: Question -> replicates that would answer it with 80 % power; None where even a thousand would not.
    """

    arm: str
    plan: str
    pilots: Mapping[str, str]
    effects: Mapping[str, float]
    power: Mapping[str, int | None]

    @property
    def hash(self) -> str:
        """SHA-256 of choice.json."""
        return hashlib.sha256(json_bytes(self.to_json())).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        maps = {name: dict(getattr(self, name)) for name in ("pilots", "effects", "power")}
        return {"arm": self.arm, "plan": self.plan, **maps}

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> "Choice":
        """The inverse of to_json."""
        return Choice(**record)


def choose(plan: StudyPlan, pilots: Sequence[Replicate]) -> Choice:
    """The arm with the highest mean exam success over the pilots, the first of equals in the plan's order.

    Raises:
        EtudeError: No pilot came to its end.
    """
    if not pilots:
        raise EtudeError("no pilot replicate came to its end, so no arm can be chosen: see why below, and --resume.")
    gains = {arm: exam_gain(pilots, arm) for arm in plan.compared}
    arm = max(plan.compared, key=lambda name: gains[name].mean)
    return Choice(
        arm=arm,
        plan=plan.hash,
        pilots={pilot.name: pilot.hash for pilot in pilots},
        effects={name: gain.mean for name, gain in gains.items()},
        power=power_of(plan, gains[arm]),
    )


def exam_gain(replicates: Sequence[Replicate], arm: str) -> AcrossReplicates:
    """What an arm has above `uniform` on the exam, over replicates."""
    return mean_difference(np.array([each.paired(arm, UNIFORM, "exam").difference for each in replicates]))


def power_of(plan: StudyPlan, gain: AcrossReplicates) -> dict[str, int | None]:
    """How many replicates it takes to see the pilots' effect, and the plan's margin; empty where pilots do not differ.

    The spread is known badly from a few pilots, so both are told for its 80 % upper bound too.
    """
    values = np.array(gain.values)
    if len(values) < 2 or np.ptp(values) == 0:
        return {}
    found: dict[str, int | None] = {}
    spreads = {"": float(values.std(ddof=1)), ", if the spread is at its upper bound": spread_bound(values)}
    for effect, which in ((gain.mean, "as seen"), (plan.margin, f"of {100 * plan.margin:g} points")):
        for about, spread in spreads.items():
            found[f"an effect {which} ({100 * effect:+.1f} points){about}"] = replicates_needed(
                effect, spread, alpha=plan.alpha
            )
    return found


def load_choice(directory: Path, plan: StudyPlan) -> Choice | None:
    """The choice of a study; None where it is not made yet.

    Raises:
        MismatchError: It was made under another plan.
    """
    path = directory / CHOICE
    if not path.exists():
        return None
    choice = Choice.from_json(read_json(path))
    if choice.plan != plan.hash or choice.arm not in plan.compared:
        raise MismatchError(f"'{path}' was made under another plan (hash {choice.plan[:12]}, not {plan.hash[:12]}).")
    return choice


def save_choice(directory: Path, choice: Choice) -> None:
    """Write choice.json."""
    write_json(directory / CHOICE, choice.to_json())
