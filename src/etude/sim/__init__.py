"""MuJoCo worlds: scenes, robots, controllers, tasks, perturbations, rendering, scripted experts."""

from etude.sim.distractors import Distractors
from etude.sim.environment import SimEnv, StaleImageError
from etude.sim.layout import Thing
from etude.sim.registry import make_task, task_names
from etude.sim.stages import StageTracker
from etude.sim.task import SimTask
from etude.sim.world import TaskSheet, World
from etude.sim.worlds.aloha.insertion import AlohaInsertion
from etude.sim.worlds.aloha.one_arm import AlohaOneArm
from etude.sim.worlds.aloha.transfer import AlohaTransferCube
from etude.sim.worlds.franka.lift import FrankaLift, lifting_expert
from etude.sim.worlds.franka.stack import FrankaStack, stacking_expert
from etude.sim.worlds.so101.sort import SO101Sort

__all__ = [
    "AlohaInsertion",
    "AlohaOneArm",
    "AlohaTransferCube",
    "Distractors",
    "FrankaLift",
    "FrankaStack",
    "SO101Sort",
    "SimEnv",
    "SimTask",
    "StageTracker",
    "StaleImageError",
    "TaskSheet",
    "Thing",
    "World",
    "lifting_expert",
    "make_task",
    "stacking_expert",
    "task_names",
]
