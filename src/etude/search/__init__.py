"""Looks for where a policy fails, names the places, and freezes the cases that measure it."""

from etude.search.archive import Archive, ArchiveRow
from etude.search.boxes import Box, BoxConfig, find_boxes
from etude.search.cross_entropy import CrossEntropyConfig, CrossEntropySearch
from etude.search.exclusion import Exclusion, KeepsAway
from etude.search.failures import search_failures
from etude.search.following import FATES, Fate, FollowedPocket, follow_pockets
from etude.search.places import same_place
from etude.search.planted import PlantedTruth
from etude.search.pockets import (
    Confirmation,
    ConfirmConfig,
    confirm_pockets,
    sample_inside,
    volume,
    why_refuted,
)
from etude.search.random_search import RandomSearch
from etude.search.searchers import SEARCHERS, Hunt, make_searcher, require_installed, require_searchers
from etude.search.suites import SuiteConfig, SuiteReport, SuiteSet, build_suites
from etude.search.targeting import TargetedSampler

__all__ = [
    "FATES",
    "SEARCHERS",
    "Archive",
    "ArchiveRow",
    "Box",
    "BoxConfig",
    "ConfirmConfig",
    "Confirmation",
    "CrossEntropyConfig",
    "CrossEntropySearch",
    "Exclusion",
    "Fate",
    "FollowedPocket",
    "Hunt",
    "KeepsAway",
    "PlantedTruth",
    "RandomSearch",
    "SuiteConfig",
    "SuiteReport",
    "SuiteSet",
    "TargetedSampler",
    "build_suites",
    "confirm_pockets",
    "find_boxes",
    "follow_pockets",
    "make_searcher",
    "require_installed",
    "require_searchers",
    "same_place",
    "sample_inside",
    "search_failures",
    "volume",
    "why_refuted",
]
