"""Which candidates become practice: those that score best, and a few that do not, drawn evenly."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from etude.acquisition.shares import effective_sample_size, relative_scores
from etude.core import ConfigError

type Indices = Int64[NDArray[np.int64], " K"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Choice:
    """Who was chosen among the candidates, by index.

    Attributes:
        elites: The best, the best first.
        others: Drawn evenly from the rest, ascending: what a score overlooks still gets its chance.
        effective: How many candidates the scores of all of them really speak for, 1/ΣP² with P proportional to the
            score.
    """

    elites: Indices
    others: Indices
    effective: float

    @property
    def chosen(self) -> Indices:
        """All of them, ascending."""
        return np.sort(np.concatenate([self.elites, self.others]))

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {"elites": self.elites.tolist(), "others": self.others.tolist(), "effective": self.effective}


def choose_demonstrations(
    scores: Float64[NDArray[np.float64], " N"], count: int, rng: np.random.Generator, *, others: float = 0.1
) -> Choice:
    """Choose `count` of N candidates by their scores; of equal ones the earlier.

    Args:
        scores: How much each candidate would teach, (N,).
        count: How many to choose.
        rng: Draws those that are no elites.
        others: Share of the choice that is drawn evenly from the candidates that are no elites.

    Raises:
        ConfigError: Fewer candidates than wanted, a share outside [0, 1], or a score that is not a number.
    """
    if not 1 <= count <= len(scores):
        raise ConfigError(f"cannot choose {count} of {len(scores)} candidates.")
    if not 0 <= others <= 1:
        raise ConfigError(f"share of others = {others:g} must lie in [0, 1].")
    relative = relative_scores(scores)
    order = np.argsort(-np.asarray(scores), kind="stable")
    best = count - round(others * count)
    drawn = rng.choice(order[best:], count - best, replace=False) if count > best else order[:0]
    share = relative / relative.sum()
    return Choice(elites=order[:best], others=np.sort(drawn), effective=effective_sample_size(share))
