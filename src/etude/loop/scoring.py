"""What is told of scores: how they are distributed, how many episodes they rest on, what they go with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64, Int64
from numpy.typing import NDArray

from etude.core import ConfigError, stream
from etude.core.files import write_bytes, write_json
from etude.data import DatasetMeta
from etude.data.parquet import encode_columns
from etude.loop.labelled import read_table

if TYPE_CHECKING:
    from etude.acquisition.scoring import Scores

REFERENCE_DRAWS = 256
SCORES_FILE, SUMMARY_FILE, FACTOR = "scores.parquet", "scores.json", "factor:"
BEST = "best"
"""Dataset of the episodes that were kept, in the folder of a scoring."""
_ORDERS = 1000  # random ones, which tell what chance alone reaches

type Values = Float64[NDArray[np.float64], " N"]


@dataclass(frozen=True, kw_only=True)
class Summary:
    """Scores of N episodes in a few numbers.

    Attributes:
        episodes: N.
        quantiles: Score -> its smallest value, quartiles and largest value.
        effective: Score -> episodes that a choice in proportion to it would rest on.
        correlations: Rank correlation of each two scores: (one, other, ρ).
        lengths: Score -> rank correlation with the episodes' lengths.
        factors: Score -> factor of θ -> rank correlation, where the dataset knows its θ.
        chance: Score -> what the largest of those stays below, in size, in 95 of 100 cases where there is nothing.
        references: Score -> rank correlation with the same score from 256 draws.
    """

    episodes: int
    quantiles: Mapping[str, tuple[float, ...]]
    effective: Mapping[str, float]
    correlations: tuple[tuple[str, str, float], ...]
    lengths: Mapping[str, float]
    factors: Mapping[str, Mapping[str, float]]
    chance: Mapping[str, float]
    references: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "episodes": self.episodes,
            "quantiles": {name: list(values) for name, values in self.quantiles.items()},
            "effective_sample_size": dict(self.effective),
            "rank_correlations": [list(each) for each in self.correlations],
            "with_length": dict(self.lengths),
            "with_factors": {name: dict(values) for name, values in self.factors.items()},
            "factors_by_chance": dict(self.chance),
            "with_reference": dict(self.references),
        }

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        write_json(path, self.to_json())

    def lines(self) -> list[str]:
        """In words, a line for each thing."""
        told = [self._line(name) for name in self.quantiles]
        told += [f"rank correlation {a} – {b}: {rho:+.2f}" for a, b, rho in self.correlations]
        told += [f"rank correlation of {n} with {REFERENCE_DRAWS} draws: {r:.3f}" for n, r in self.references.items()]
        return told

    def _line(self, name: str) -> str:
        _, _, median, _, largest = self.quantiles[name]
        return (
            f"{name}: median {median:.4g}, largest {largest:.4g}; rank correlation with length "
            f"{self.lengths[name]:+.2f}; chosen in proportion to it, {self.effective[name]:.1f} of {self.episodes} "
            "episodes would share the choice"
        )


def summarise(scores: "Scores", dataset: Path, references: Mapping[str, float]) -> Summary:
    """Sum up scores of a dataset's episodes."""
    from etude.acquisition.shares import effective_sample_size, relative_scores

    shares = {name: relative_scores(values) for name, values in scores.values.items()}
    factors = factor_columns(dataset, scores.episodes)
    lengths = scores.lengths.astype(np.float64)
    return Summary(
        episodes=len(scores.episodes),
        quantiles={n: tuple(np.quantile(v, (0, 0.25, 0.5, 0.75, 1)).tolist()) for n, v in scores.values.items()},
        effective={name: effective_sample_size(share / share.sum()) for name, share in shares.items()},
        correlations=tuple(rank_correlations(scores.values)),
        lengths={name: rank_correlation(values, lengths) for name, values in scores.values.items()},
        factors={
            name: {factor: rank_correlation(values, column) for factor, column in factors.items()}
            for name, values in scores.values.items()
        },
        chance={
            name: chance_correlation(values, list(factors.values()), stream(0, "chance"))
            for name, values in scores.values.items()
        },
        references=references,
    )


def ranked(values: Values) -> Int64[NDArray[np.int64], " N"]:
    """Positions, the highest score first; of equal ones the earlier."""
    return np.argsort(-values, kind="stable")


def rank_correlations(values: Mapping[str, Values]) -> list[tuple[str, str, float]]:
    """Spearman's ρ of each two columns."""
    return [(a, b, rank_correlation(values[a], values[b])) for a, b in combinations(values, 2)]


def rank_correlation(a: Values, b: Values) -> float:
    """Spearman's ρ, equal values sharing their mean rank; 0 where one of them does not vary."""
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return 0.0
    return float(np.corrcoef(_ranks(a), _ranks(b))[0, 1])


def chance_correlation(values: Values, columns: Sequence[Values], rng: np.random.Generator) -> float:
    """How large the largest |ρ| with any of several columns is by chance alone: exceeded in 5 of 100 random orders.

    Args:
        values: N values, put into random orders.
        columns: Others, (N,) each, as they are: what goes together among them stays together.
        rng: Draws the orders.

    Returns:
        A size of ρ; 0 without columns, or where the values do not vary.
    """
    if not columns or len(values) < 2 or np.ptp(values) == 0:
        return 0.0
    fixed, moved = np.stack([_unit(column) for column in columns]), _unit(values)
    return float(np.quantile([np.abs(fixed @ rng.permutation(moved)).max() for _ in range(_ORDERS)], 0.95))


def factor_columns(dataset: Path, episodes: NDArray[np.int64]) -> dict[str, Values]:
    """Factor -> its value in each episode, for the factors that all of them set and that vary."""
    records = {record.index: record for record in DatasetMeta.open(dataset).episodes}
    thetas = [r.case.theta.values if (r := records.get(int(e))) and r.case else {} for e in episodes]
    names = [name for name in thetas[0] if all(name in theta for theta in thetas)] if thetas else []
    columns = {name: np.array([theta[name] for theta in thetas], np.float64) for name in names}
    return {name: column for name, column in columns.items() if np.ptp(column) > 0}


def write_scores(path: Path, scores: "Scores", dataset: Path) -> None:
    """Write one row per episode, whole or not at all.

    Columns: episode_index, length, one per score, and factor:NAME for each factor of θ that varies.
    """
    factors = {FACTOR + name: column for name, column in factor_columns(dataset, scores.episodes).items()}
    columns = {"episode_index": scores.episodes, "length": scores.lengths, **scores.values, **factors}
    write_bytes(path, encode_columns(columns))


def read_chances(path: Path, episodes: int) -> Sequence[float]:
    """p(fail | θ) of all episodes, in order, from a table with the columns episode_index and p_fail.

    Raises:
        ConfigError: A column is missing, or an episode.
    """
    try:
        found = {int(row["episode_index"]): float(row["p_fail"]) for row in read_table(path)}
    except (KeyError, TypeError, ValueError) as error:
        raise ConfigError(f"'{path}' needs the columns episode_index and p_fail, all numbers ({error}).") from error
    missing = [episode for episode in range(episodes) if episode not in found]
    if missing:
        raise ConfigError(f"'{path}' says nothing of episode {missing[0]} ({len(missing)} of {episodes} are missing).")
    return [found[episode] for episode in range(episodes)]


def _unit(values: Values) -> Values:
    """Ranks as a vector of mean 0 and length 1, so that ρ is a product; 0 where the values do not vary."""
    centred = _ranks(values) - (len(values) - 1) / 2
    return centred / (np.linalg.norm(centred) or 1.0)


def _ranks(values: Values) -> Values:
    """Ranks from 0, equal values sharing their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts + 1) / 2)[inverse]
