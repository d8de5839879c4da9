"""The scores there are: what each needs, and how it follows from what was measured."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from jaxtyping import Float64
from numpy.typing import NDArray

from etude.acquisition.evidence import Evidence
from etude.core import ConfigError, UnknownNameError

type Ground = Literal["loss", "pockets", "ensemble", "failure"]
type Values = Float64[NDArray[np.float64], " N"]


@dataclass(frozen=True, kw_only=True)
class Grounds:
    """What episodes are judged by; each score takes some of it and leaves the rest alone.

    Attributes:
        policy: Checkpoint of the policy as it is now.
        ensemble: Checkpoints to compare it with, for `disagreement`.
        pockets: Dataset of demonstrations inside failing pockets, for `align`.
        failure: Estimated p(fail | θ) of each episode, (N,), for `failure` and `failure-split`.
    """

    policy: Path | None = None
    ensemble: Sequence[Path] = ()
    pockets: Path | None = None
    failure: Sequence[float] | None = None

    @property
    def needs(self) -> frozenset[Ground]:
        """The needs that it meets."""
        met: dict[Ground, bool] = {
            "loss": self.policy is not None,
            "pockets": self.pockets is not None,
            "ensemble": self.policy is not None and bool(self.ensemble),
            "failure": self.failure is not None,
        }
        return frozenset(ground for ground, there in met.items() if there)


@dataclass(frozen=True, kw_only=True, eq=False)
class Measured:
    """All that is known of N candidates; what no score needs is None.

    Attributes:
        random: Uniform in [0, 1), (N,).
        loss: What the policy's loss says of them.
        disagreement: Variance of what several policies would do, (N,).
        failure: Estimated p(fail | θ) of each, (N,).
    """

    random: Values
    loss: Evidence | None = None
    disagreement: Values | None = None
    failure: Values | None = None


@dataclass(frozen=True)
class Score:
    """One way to value candidates; larger is more worth training on.

    Attributes:
        meaning: In a few words.
        needs: What it is computed from, beside the candidates.
        values: The scores, (N,).
    """

    meaning: str
    needs: tuple[Ground, ...]
    values: Callable[[Measured], Values]

    @property
    def asks_policy(self) -> bool:
        """Whether a policy has to look at the candidates."""
        return not {"loss", "ensemble"}.isdisjoint(self.needs)


def _loss(measured: Measured) -> Evidence:
    assert measured.loss is not None
    return measured.loss


def _failure(measured: Measured) -> Values:
    assert measured.failure is not None
    return measured.failure


def _disagreement(measured: Measured) -> Values:
    assert measured.disagreement is not None
    return measured.disagreement


SCORES: Mapping[str, Score] = {
    "norm": Score("squared norm of the loss's gradient on the head", ("loss",), lambda m: _loss(m).norm),
    "split": Score(
        "product of the gradients of two halves, clipped at 0: label noise cancels", ("loss",), lambda m: _loss(m).split
    ),
    "align": Score(
        "product with the gradient on demonstrations inside pockets", ("loss", "pockets"), lambda m: _loss(m).along
    ),
    "loss": Score("mean loss", ("loss",), lambda m: _loss(m).losses),
    "disagreement": Score("variance of several policies' chunks", ("ensemble",), _disagreement),
    "failure": Score("estimated p(fail | θ)", ("failure",), _failure),
    "failure-split": Score("failure × split", ("failure", "loss"), lambda m: _failure(m) * _loss(m).split),
    "random": Score("no preference", (), lambda m: m.random),
}
"""Name -> score."""

_MISSING: Mapping[str, str] = {
    "loss": "a policy whose loss can be differentiated (--policy CHECKPOINT)",
    "pockets": "a dataset of demonstrations inside the pockets (--pockets DATASET)",
    "ensemble": "a policy and other checkpoints to compare it with (--policy CHECKPOINT --ensemble CHECKPOINT …)",
    "failure": "an estimate of p(fail | θ) for each episode (--failure SEARCH|FILE)",
}


def require_scores(names: Iterable[str], given: Iterable[Ground]) -> None:
    """Raise unless the scores can be computed from what is given; see `Grounds.needs`.

    Raises:
        UnknownNameError: There is no such score.
        ConfigError: One needs more; the message says what, and which scores remain.
    """
    known = set[str](given)
    for name in names:
        if name not in SCORES:
            raise UnknownNameError("score", name, SCORES)
        missing = [need for need in SCORES[name].needs if need not in known]
        if missing:
            remain = [other for other, score in SCORES.items() if known.issuperset(score.needs)]
            raise ConfigError(
                f"score '{name}' needs {' and '.join(_MISSING[need] for need in missing)}. "
                f"Without that there are: {', '.join(remain)}."
            )
