"""The vocabulary of Etude: frozen records, Protocols, errors, seeding, SE(3), statistics, and the rollout loop."""

from etude.core.bounds import Bounds, describe_bounds, describe_failures, holds
from etude.core.diagnosis import Cause, Diagnosis, Effect, Interaction, Plan, Practice, Verdict
from etude.core.episode import CRASHED, INVALID_ACTION, ActionChunk, Case, Image, Observation, Outcome, Step, Vector
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
from etude.core.protocols import (
    Environment,
    Executor,
    KnowsCase,
    Memory,
    Observer,
    Policy,
    PolicyFactory,
    Searcher,
    Task,
)
from etude.core.rollout import rollout, rollout_many, to_observation
from etude.core.seeding import derive_seed, stream
from etude.core.space import Factor, Perturbation, PerturbationSpace
from etude.core.statistics import Paired, Rate, cvar, holm
from etude.core.suite import Pocket, Suite

__all__ = [
    "CRASHED",
    "INVALID_ACTION",
    "ActionChunk",
    "Bounds",
    "Case",
    "Cause",
    "ConfigError",
    "Diagnosis",
    "Effect",
    "Environment",
    "EtudeError",
    "Executor",
    "Factor",
    "FactorRangeError",
    "Image",
    "InfeasibleError",
    "Interaction",
    "KnowsCase",
    "Memory",
    "MismatchError",
    "MissingDependencyError",
    "Observation",
    "Observer",
    "Outcome",
    "Paired",
    "Perturbation",
    "PerturbationSpace",
    "Plan",
    "Pocket",
    "Policy",
    "PolicyFactory",
    "Practice",
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
    "Verdict",
    "cvar",
    "derive_seed",
    "describe_bounds",
    "describe_failures",
    "holds",
    "holm",
    "rollout",
    "rollout_many",
    "stream",
    "to_observation",
]
