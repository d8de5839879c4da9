"""Where LeRobot looks for the processors of "vinn", under the name it looks for."""

from etude.policies.chunked.processing import make_processors as make_vinn_pre_post_processors

__all__ = ["make_vinn_pre_post_processors"]
