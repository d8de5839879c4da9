"""Where LeRobot looks for the processors of "etude_act", under the name it looks for."""

from etude.policies.chunked.processing import make_processors as make_etude_act_pre_post_processors

__all__ = ["make_etude_act_pre_post_processors"]
