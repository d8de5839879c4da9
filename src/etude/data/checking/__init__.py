"""Whether a dataset is in order: what is wrong with it, episode by episode, and a copy of what is not."""

from etude.data.checking.check import Checkup, check
from etude.data.checking.episode_checks import CHECKS, Check
from etude.data.checking.finding import Finding, Report
from etude.data.checking.norms import Limits, read_limits
from etude.data.checking.outliers import Outlier, outliers
from etude.data.checking.repair import Repaired, repair

__all__ = [
    "CHECKS",
    "Check",
    "Checkup",
    "Finding",
    "Limits",
    "Outlier",
    "Repaired",
    "Report",
    "check",
    "outliers",
    "read_limits",
    "repair",
]
