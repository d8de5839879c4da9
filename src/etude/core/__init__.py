"""The vocabulary of Etude: frozen records, Protocols, errors, seeding, SE(3), statistics, and the rollout loop."""

from etude.core.episode import ActionChunk, Case, Image, Observation, Outcome, Step, Vector
from etude.core.errors import (
    ConfigError,
    EtudeError,
    FactorRangeError,
    InfeasibleError,
    MismatchError,
    MissingDependencyError,
    RunExistsError,
    ShapeError,
    StageFailedError,
    UnknownNameError,
)
from etude.core.protocols import Environment, Executor, Memory, Observer, Policy, PolicyFactory, Searcher, Task
from etude.core.rollout import rollout, rollout_many, to_observation
from etude.core.seeding import derive_seed, stream
from etude.core.space import Factor, Perturbation, PerturbationSpace
from etude.core.statistics import Paired, Rate, cvar, holm
from etude.core.suite import Pocket, Suite

__all__ = [
    "ActionChunk",
    "Case",
    "ConfigError",
    "Environment",
    "EtudeError",
    "Executor",
    "Factor",
    "FactorRangeError",
    "Image",
    "InfeasibleError",
    "Memory",
    "MismatchError",
    "MissingDependencyError",
    "Observation",
    "Observer",
    "Outcome",
    "Paired",
    "Perturbation",
    "PerturbationSpace",
    "Pocket",
    "Policy",
    "PolicyFactory",
    "Rate",
    "RunExistsError",
    "Searcher",
    "ShapeError",
    "StageFailedError",
    "Step",
    "Suite",
    "Task",
    "UnknownNameError",
    "Vector",
    "cvar",
    "derive_seed",
    "holm",
    "rollout",
    "rollout_many",
    "stream",
    "to_observation",
]
