"""Any Gymnasium environment as a task."""

from etude.sim.adapter.checks import silent_factors
from etude.sim.adapter.config import GymnasiumConfig
from etude.sim.adapter.environment import AdaptedEnv
from etude.sim.adapter.factors import (
    Attribute,
    Call,
    FactorMapping,
    FactorNotSettableError,
    FactorSource,
    ModelVariation,
    ResetOption,
)
from etude.sim.adapter.making import EnvironmentNotMadeError
from etude.sim.adapter.mappings import ready_config
from etude.sim.adapter.observation import ObservationMapping
from etude.sim.adapter.task import GymnasiumTask

__all__ = [
    "AdaptedEnv",
    "Attribute",
    "Call",
    "EnvironmentNotMadeError",
    "FactorMapping",
    "FactorNotSettableError",
    "FactorSource",
    "GymnasiumConfig",
    "GymnasiumTask",
    "ModelVariation",
    "ObservationMapping",
    "ResetOption",
    "ready_config",
    "silent_factors",
]
