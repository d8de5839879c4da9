"""Visuomotor policies: names and recipes here, torch only once one is built or loaded.

build_policy and load_model live in `etude.policies.checkpoint`, the model that training fits in `etude.policies.model`.
"""

from etude.policies.checkpoint_policy import CheckpointPolicy
from etude.policies.features import Features
from etude.policies.names import policy_names

__all__ = ["CheckpointPolicy", "Features", "policy_names"]
