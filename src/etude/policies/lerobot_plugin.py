"""What LeRobot imports to know Etude's policies: importing a config or a preprocessor's step registers its name."""

from etude.policies.act.configuration_etude_act import EtudeActConfig
from etude.policies.flow.configuration_flow import FlowConfig
from etude.policies.inputs.step import ImageInputsStep
from etude.policies.vinn.configuration_vinn import VinnConfig

__all__ = ["EtudeActConfig", "FlowConfig", "ImageInputsStep", "VinnConfig"]
