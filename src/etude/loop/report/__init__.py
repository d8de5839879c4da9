"""The report of a run: records in, a folder that opens offline out."""

from etude.loop.report.folders import kind_of, write_page
from etude.loop.report.gallery import gallery
from etude.loop.report.results import (
    ArmResults,
    Budget,
    Plain,
    PracticeRound,
    RunResults,
    SearchRow,
    VideoPair,
    foremost,
)
from etude.loop.report.run.practice import round_page
from etude.loop.report.run.replicates import write_overview
from etude.loop.report.run.summary import summary
from etude.loop.report.run.terminal import table
from etude.loop.report.run.verdict import Verdict, judge
from etude.loop.report.run.writing import write_report

__all__ = [
    "ArmResults",
    "Budget",
    "Plain",
    "PracticeRound",
    "RunResults",
    "SearchRow",
    "Verdict",
    "VideoPair",
    "foremost",
    "gallery",
    "judge",
    "kind_of",
    "round_page",
    "summary",
    "table",
    "write_overview",
    "write_page",
    "write_report",
]
