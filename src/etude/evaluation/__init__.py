"""Runs policies over lists of (θ, seed), counts, compares, films."""

from etude.evaluation.comparison import Comparison, compare
from etude.evaluation.factories import Expert, RandomPolicy
from etude.evaluation.film import Film, Filming, film, record_video, side_by_side
from etude.evaluation.outcomes import read_outcomes, write_outcomes
from etude.evaluation.recorded import Plot, plots, recorded_frames
from etude.evaluation.runner import Runner
from etude.evaluation.smoothness import SmoothnessMeter, sparc
from etude.evaluation.summary import FactorBin, Summary, by_factor, summarise
from etude.evaluation.sweeps import Sweep, nominal_picture, sharper, sweep, sweep_picture
from etude.evaluation.video import shoot

__all__ = [
    "Comparison",
    "Expert",
    "FactorBin",
    "Film",
    "Filming",
    "Plot",
    "RandomPolicy",
    "Runner",
    "SmoothnessMeter",
    "Summary",
    "Sweep",
    "by_factor",
    "compare",
    "film",
    "nominal_picture",
    "plots",
    "read_outcomes",
    "record_video",
    "recorded_frames",
    "sharper",
    "shoot",
    "side_by_side",
    "sparc",
    "summarise",
    "sweep",
    "sweep_picture",
    "write_outcomes",
]
