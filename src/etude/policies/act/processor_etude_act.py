"""ACT's normalisation, LeRobot's own, kept beside the weights in every checkpoint."""

from typing import Any, cast

from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.processor_act import make_act_pre_post_processors
from lerobot.processor import PolicyProcessorPipeline

from etude.policies.normalisation import Statistics, with_floor


def make_etude_act_pre_post_processors(
    config: ACTConfig, dataset_stats: Statistics | None = None
) -> tuple[PolicyProcessorPipeline[Any, Any], PolicyProcessorPipeline[Any, Any]]:
    """Make the pipelines that normalise observations and actions, and turn predicted actions back.

    Args:
        config: The policy's.
        dataset_stats: Feature -> {"mean", "std", …}; deviations are kept from vanishing.
    """
    stats = with_floor(dataset_stats) if dataset_stats else None
    return make_act_pre_post_processors(config, cast(Any, stats))
