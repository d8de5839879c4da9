"""MuJoCo worlds: scenes, robots, controllers, tasks, perturbations, rendering, scripted experts."""

from etude.sim.expert import ExpertConfig, StackingExpert
from etude.sim.franka_stack import FrankaStackConfig, FrankaStackEnv, StaleImageError
from etude.sim.registry import make_task, task_names

__all__ = [
    "ExpertConfig",
    "FrankaStackConfig",
    "FrankaStackEnv",
    "StackingExpert",
    "StaleImageError",
    "make_task",
    "task_names",
]
