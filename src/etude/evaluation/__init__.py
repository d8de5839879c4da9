"""Runs policies over lists of (θ, seed), counts, compares, films."""

from etude.evaluation.comparison import Comparison, compare
from etude.evaluation.factories import Expert, RandomPolicy
from etude.evaluation.film import Film, film, record_video, side_by_side
from etude.evaluation.outcomes import read_outcomes, write_outcomes
from etude.evaluation.runner import Runner
from etude.evaluation.summary import FactorBin, Summary, by_factor, summarise

__all__ = [
    "Comparison",
    "Expert",
    "FactorBin",
    "Film",
    "RandomPolicy",
    "Runner",
    "Summary",
    "by_factor",
    "compare",
    "film",
    "read_outcomes",
    "record_video",
    "side_by_side",
    "summarise",
    "write_outcomes",
]
