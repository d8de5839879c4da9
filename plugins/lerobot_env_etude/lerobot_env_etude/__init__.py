"""Registers Etude's worlds with LeRobot, which imports this package by its name."""

from lerobot_env_etude.configuration_etude import EtudeEnvConfig

__all__ = ["EtudeEnvConfig"]
