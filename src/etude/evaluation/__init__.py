"""Runs policies over lists of (θ, seed), counts, compares, films."""

from etude.evaluation.breakdown import Breakdown, Cell, break_down
from etude.evaluation.comparison import Comparison, compare
from etude.evaluation.factories import Expert, RandomPolicy
from etude.evaluation.factors import (
    FactorBin,
    FactorEffect,
    by_factor,
    compare_matched,
    factor_effects,
    matched_cases,
    one_at_a_time,
    paired_json,
    varied,
    vary_one,
)
from etude.evaluation.film import Film, Filming, film, record_video, side_by_side
from etude.evaluation.gallery import film_cases, worth_seeing
from etude.evaluation.grids import Axis, Grid
from etude.evaluation.outcomes import read_outcomes, write_outcomes
from etude.evaluation.planted import Planted
from etude.evaluation.recorded import Plot, plots, recorded_frames
from etude.evaluation.replay import Replay
from etude.evaluation.runner import Runner
from etude.evaluation.smoothness import SmoothnessMeter, sparc
from etude.evaluation.summary import Summary, summarise
from etude.evaluation.sweeps import Sweep, nominal_picture, sharper, sweep, sweep_picture
from etude.evaluation.video import shoot

__all__ = [
    "Axis",
    "Breakdown",
    "Cell",
    "Comparison",
    "Expert",
    "FactorBin",
    "FactorEffect",
    "Film",
    "Filming",
    "Grid",
    "Planted",
    "Plot",
    "RandomPolicy",
    "Replay",
    "Runner",
    "SmoothnessMeter",
    "Summary",
    "Sweep",
    "break_down",
    "by_factor",
    "compare",
    "compare_matched",
    "factor_effects",
    "film",
    "film_cases",
    "matched_cases",
    "nominal_picture",
    "one_at_a_time",
    "paired_json",
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
    "varied",
    "vary_one",
    "worth_seeing",
    "write_outcomes",
]
