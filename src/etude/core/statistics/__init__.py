"""Rates with intervals, the tail, and two policies compared: after a fixed number of cases, or while they come in."""

from etude.core.statistics.many import holm
from etude.core.statistics.paired import Paired
from etude.core.statistics.power import cases_needed, losses_needed
from etude.core.statistics.rates import Rate, cvar

__all__ = ["Paired", "Rate", "cases_needed", "cvar", "holm", "losses_needed"]
