"""Normalisation, kept beside the weights in every checkpoint."""

from typing import Any

from lerobot.configs import PreTrainedConfig
from lerobot.processor import PolicyProcessorPipeline, make_default_pre_post_processors

from etude.policies.normalisation import Statistics, with_floor


def make_processors(
    config: PreTrainedConfig, dataset_stats: Statistics | None = None
) -> tuple[PolicyProcessorPipeline[Any, Any], PolicyProcessorPipeline[Any, Any]]:
    """Make the pipelines that normalise observations and actions, and turn predicted actions back: LeRobot's default.

    Args:
        config: The policy's.
        dataset_stats: Feature -> {"mean", "std", …}; deviations are kept from vanishing.
    """
    stats = with_floor(dataset_stats) if dataset_stats else None
    return make_default_pre_post_processors(config, stats, normalizer_device=config.device)
