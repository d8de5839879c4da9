"""Datasets of what crashes left: LeRobot recordings without footers, with half-written videos and single pictures."""

from etude.data.salvage.recovery import Salvaged, salvage

__all__ = ["Salvaged", "salvage"]
