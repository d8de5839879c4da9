"""What LeRobot imports to know Etude's policies: importing the config registers its name."""

from etude.policies.flow.configuration_flow import FlowConfig

__all__ = ["FlowConfig"]
