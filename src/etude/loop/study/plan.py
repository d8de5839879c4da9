"""What a study is going to do and how it will be read, written down and hashed before anything runs."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from etude.core import ConfigError, EtudeError, MismatchError, derive_seed
from etude.core.files import json_bytes, read_json, write_json
from etude.loop.arms import MORE_STEPS, RESEEDED, UNIFORM
from etude.loop.config import LoopConfig
from etude.loop.stage import differences

PLAN = "plan.json"
CONTROLS = (MORE_STEPS, RESEEDED)
"""What any retraining gains: always in the table."""


@dataclass(frozen=True, kw_only=True)
class StudyPlan:
    """A comparison of ways of choosing what to practise, as it is registered before it runs.

    Attributes:
        config: Settings of every replicate; its arms are the controls, `uniform`, and those that are compared with it.
        replicates: Confirming replicates, each a whole chain with a seed of its own.
        pilot: Replicates before them, with all arms: they choose the arm that is to be confirmed, and are not counted
            again. 0 confirms every arm.
        baselines: How many baselines a replicate may draw until the search confirms a pocket of one, for where there is
            none there is nothing to aim at; 1 takes the first as it is.
        margin: By how much an arm is to exceed `uniform` on the exam, a share.
        alpha: How often an interval or a test may be wrong.
        nominal_margin: By how much success in the nominal world may fall below the baseline's, a share.
        fewer: How many times fewer demonstrations are to reach what `uniform` ends with.
        least_replicates: Fewest confirming replicates that a claim may rest on.
        least_cases: Fewest exam cases in each that a claim may rest on.
        code: Version and commit of Etude.
        hypotheses: What is asked, and what counts as an answer, in words: question -> answer.
    """

    config: LoopConfig
    replicates: int
    pilot: int = 0
    baselines: int = 1
    margin: float = 0.15
    alpha: float = 0.05
    nominal_margin: float = 0.03
    fewer: float = 2.0
    least_replicates: int = 5
    least_cases: int = 200
    code: Mapping[str, str]
    hypotheses: Mapping[str, str]

    def __post_init__(self) -> None:
        if self.replicates < 1 or self.pilot < 0 or self.baselines < 1:
            raise ConfigError(
                f"a study needs at least 1 replicate, no fewer than 0 pilots and at least 1 baseline in each, got "
                f"{self.replicates}, {self.pilot} and {self.baselines}."
            )
        if not self.compared:
            raise ConfigError(
                f"a study compares arms with '{UNIFORM}', and none is named beside it: got "
                f"{', '.join(self.config.arms) or 'nothing'}; name one more, e.g. targeted."
            )

    @staticmethod
    def of(
        config: LoopConfig, *, replicates: int, pilot: int, code: Mapping[str, str], baselines: int = 1
    ) -> "StudyPlan":
        """Plan a study: the controls and `uniform` are put before the arms where they are not among them."""
        arms = (*CONTROLS, UNIFORM, *(arm for arm in config.arms if arm not in (*CONTROLS, UNIFORM)))
        fresh = (UNIFORM, *arms[3:])
        config = replace(config, arms=arms, fresh_search=fresh, replicates=1, train_threads=1, examine_rounds=True)
        plan = StudyPlan(
            config=config, replicates=replicates, pilot=pilot, baselines=baselines, code=code, hypotheses={}
        )
        return replace(plan, hypotheses=_hypotheses(plan))

    @property
    def compared(self) -> tuple[str, ...]:
        """The arms that are compared with `uniform`."""
        return tuple(arm for arm in self.config.arms if arm not in (*CONTROLS, UNIFORM))

    @property
    def budget(self) -> int:
        """New demonstrations of an arm over all rounds."""
        return self.config.rounds * self.config.accepted

    def seed(self, phase: str, index: int) -> int:
        """Root of a replicate's randomness; pilots and confirming replicates share none."""
        return derive_seed(self.config.seed, phase, index)

    def replicate(self, phase: str, index: int, arms: tuple[str, ...]) -> LoopConfig:
        """Settings of one replicate, with the controls, `uniform` and these arms."""
        return replace(
            self.config,
            arms=(*CONTROLS, UNIFORM, *arms),
            fresh_search=(UNIFORM, *arms),
            seed=self.seed(phase, index),
        )

    @property
    def hash(self) -> str:
        """SHA-256 of the file that `save` writes: what `sha256sum plan.json` prints."""
        return hashlib.sha256(json_bytes(self.to_json())).hexdigest()

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        numbers = {
            name: getattr(self, name)
            for name in ("margin", "alpha", "nominal_margin", "fewer", "least_replicates", "least_cases")
        }
        record = {
            "config": self.config.to_json(),
            "replicates": self.replicates,
            "pilot": self.pilot,
            "baselines": self.baselines,
            "analysis": numbers,
            "hypotheses": dict(self.hypotheses),
            "code": dict(self.code),
        }
        return json.loads(json.dumps(record))

    @staticmethod
    def from_json(record: Mapping[str, Any]) -> "StudyPlan":
        """The inverse of to_json."""
        own = {name: record[name] for name in ("replicates", "pilot", "baselines", "code", "hypotheses")}
        return StudyPlan(config=LoopConfig.from_json(record["config"]), **own, **record["analysis"])

    def save(self, directory: Path) -> None:
        """Write plan.json."""
        write_json(directory / PLAN, self.to_json())


def load_plan(directory: Path) -> StudyPlan:
    """The plan that a study was begun with.

    Raises:
        EtudeError: No study there, or the plan is of another version.
    """
    if not (directory / PLAN).exists():
        raise EtudeError(f"'{directory}' holds no study: it has no {PLAN}. Start one with `etude study`.")
    try:
        return StudyPlan.from_json(read_json(directory / PLAN))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise EtudeError(f"'{directory / PLAN}' is no plan of this version of Etude ({error}).") from error


def require_same_plan(directory: Path, plan: StudyPlan, *, other_code: bool = False) -> None:
    """Raise MismatchError, saying what differs, unless the study in `directory` was begun with this plan.

    Args:
        directory: The study's folder.
        plan: What is asked for now.
        other_code: Whether the code may have changed since.
    """
    old, new = read_json(directory / PLAN), plan.to_json()
    if other_code:  # what counts as an answer stays as it was registered, whatever newer code would write
        new |= {name: old[name] for name in ("code", "hypotheses")}
    changed = differences(old, new)
    if changed:
        only_code = all(line.startswith(("code.", "hypotheses.")) for line in changed)
        fix = "Use the same options, or another --out."
        if only_code:
            fix = "Go back to that commit, or pass --other-code: the report then says so."
        raise MismatchError(f"'{directory}' was registered with another plan: {'; '.join(changed)}. {fix}")


def _hypotheses(plan: StudyPlan) -> dict[str, str]:
    """What is going to be asked, and what counts as an answer."""
    which = "The arm with the highest mean exam success over the pilots" if plan.pilot else "An arm"
    count = len(plan.compared)
    many = "" if plan.pilot or count == 1 else f", and Holm's p over the {count} arms below {plan.alpha:g}"
    level = f"{1 - plan.alpha:.0%}"
    passed_over = (
        f" Before any arm has data a replicate takes the first of up to {plan.baselines} baselines of which the search "
        "confirms a pocket, for where there is none there is nothing to aim at; how many were passed over is told."
        if plan.baselines > 1
        else ""
    )
    return {
        "primary": (
            f"{which} exceeds uniform on the exam by at least {100 * plan.margin:g} points after equally many "
            f"accepted demonstrations and gradient steps, with a {level} interval above 0{many}: the widest "
            "of paired t over replicates, nested bootstrap, and the score interval of all cases. A claim rests on at "
            f"least {plan.least_replicates} confirming replicates with at least {plan.least_cases} exam cases each."
        ),
        "fewer demonstrations": (
            f"It reaches what uniform ends with after {plan.fewer:g} times fewer demonstrations, read off the mean "
            "curve by straight lines between rounds, and the interval of that factor, by drawing replicates again, "
            "lies above 1."
        ),
        "nominal": (
            f"In the nominal world it is not worse than the baseline by more than {100 * plan.nominal_margin:g} "
            f"points: the {level} interval lies above that."
        ),
        "pockets": (
            "A fresh search of its last policy, as dear as the first, confirms fewer pockets than the baseline's "
            f"did: the {level} interval of the change (paired t) lies below 0."
        ),
        "secondary": (
            "The same difference at equal simulator steps, discovery included; gains above a reseeded baseline and "
            "above the same data with more steps; the tail (CVaR of progress over the uniform test); cases newly "
            "lost."
        ),
        "left out": f"A replicate that fails is named, and left out of every mean.{passed_over}",
    }
