"""Executors: where jobs run. In this process, in others on this machine, or on a Ray cluster."""

from etude.compute.processes import ProcessExecutor
from etude.compute.ray_cluster import RayExecutor
from etude.compute.serial import SerialExecutor

__all__ = ["ProcessExecutor", "RayExecutor", "SerialExecutor"]
