"""Registers Etude's policies with LeRobot, which imports this package by its name."""

import etude.policies.lerobot_plugin  # noqa: F401  # pyright: ignore[reportUnusedImport]
