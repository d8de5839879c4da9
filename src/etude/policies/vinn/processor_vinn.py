"""VINN's normalisation, kept beside its weights in every checkpoint."""

from typing import Any

from lerobot.processor import PolicyProcessorPipeline, make_default_pre_post_processors

from etude.policies.normalisation import Statistics, with_floor
from etude.policies.vinn.configuration_vinn import VinnConfig


def make_vinn_pre_post_processors(
    config: VinnConfig, dataset_stats: Statistics | None = None
) -> tuple[PolicyProcessorPipeline[Any, Any], PolicyProcessorPipeline[Any, Any]]:
    """Make the pipelines that normalise observations and actions, and turn chunks back.

    Args:
        config: The policy's.
        dataset_stats: Feature -> {"mean", "std", …}; deviations are kept from vanishing.
    """
    stats = with_floor(dataset_stats) if dataset_stats else None
    return make_default_pre_post_processors(config, stats, normalizer_device=config.device)
