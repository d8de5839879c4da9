"""MuJoCo worlds: scenes, robots, controllers, tasks, perturbations, rendering, scripted experts."""

from etude.sim.environment import SimEnv, StaleImageError, World
from etude.sim.registry import make_task, task_names
from etude.sim.task import SimTask, TaskSheet
from etude.sim.worlds.franka.stack import FrankaStack, stacking_expert

__all__ = [
    "FrankaStack",
    "SimEnv",
    "SimTask",
    "StaleImageError",
    "TaskSheet",
    "World",
    "make_task",
    "stacking_expert",
    "task_names",
]
