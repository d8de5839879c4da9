"""What LeRobot imports to know Etude's policies: importing a config or a preprocessor's step registers its name."""

from etude.policies.flow.configuration_flow import FlowConfig
from etude.policies.vinn.configuration_vinn import VinnConfig
from etude.policies.inputs.step import ImageInputsStep

__all__ = ["FlowConfig", "ImageInputsStep"]
