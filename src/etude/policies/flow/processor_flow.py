"""Where LeRobot looks for the processors of "flow", under the name it looks for."""

from etude.policies.chunked.processing import make_processors as make_flow_pre_post_processors

__all__ = ["make_flow_pre_post_processors"]
