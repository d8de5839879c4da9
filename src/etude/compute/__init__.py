"""Executors: where jobs run. In this process, or in others on this machine."""

from etude.compute.processes import ProcessExecutor
from etude.compute.serial import SerialExecutor

__all__ = ["ProcessExecutor", "SerialExecutor"]
