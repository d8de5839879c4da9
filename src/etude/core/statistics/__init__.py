"""Rates with intervals, the tail, and two policies compared: after a fixed number of cases, while they come in, and
over replicates.
"""

from etude.core.statistics.many import holm
from etude.core.statistics.paired import Paired
from etude.core.statistics.power import cases_needed, losses_needed
from etude.core.statistics.rates import Rate, cvar
from etude.core.statistics.replicates import (
    AcrossReplicates,
    across_replicates,
    mean_difference,
    mean_rate,
    paired_t,
    replicates_needed,
    spread_bound,
)

__all__ = [
    "AcrossReplicates",
    "Paired",
    "Rate",
    "across_replicates",
    "cases_needed",
    "cvar",
    "holm",
    "losses_needed",
    "mean_difference",
    "mean_rate",
    "paired_t",
    "replicates_needed",
    "spread_bound",
]
