"""Fitting a policy to demonstrations: a short loop that can be killed at any moment and ends the same."""

from etude.training.config import TrainConfig

__all__ = ["TrainConfig"]
