"""Two policies on the same cases: which is better, by how much, where, and whether training seeds agree."""

from etude.evaluation.comparison.analysis import Analysis, Contested, analyse
from etude.evaluation.comparison.factors import Dependence, Half, dependences
from etude.evaluation.comparison.pairs import Comparison, compare
from etude.evaluation.comparison.seeds import AcrossSeeds, Interval, Successes, across_seeds, hierarchical_bootstrap
from etude.evaluation.comparison.sequential import Look, Stopping, compare_in_turns, looks
from etude.evaluation.comparison.verdict import Judgement, e_text, judge, judge_looks, judge_seeds, p_text

__all__ = [
    "AcrossSeeds",
    "Analysis",
    "Comparison",
    "Contested",
    "Dependence",
    "Half",
    "Interval",
    "Judgement",
    "Look",
    "Stopping",
    "Successes",
    "across_seeds",
    "analyse",
    "compare",
    "compare_in_turns",
    "dependences",
    "e_text",
    "hierarchical_bootstrap",
    "judge",
    "judge_looks",
    "judge_seeds",
    "looks",
    "p_text",
]
