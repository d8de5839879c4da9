"""VINN as a kind."""

from etude.policies.kind import Batches, PolicyKind
from etude.policies.vinn.configuration_vinn import VinnConfig
from etude.policies.vinn.modeling_vinn import VinnPolicy
from etude.policies.vinn.processor_vinn import make_vinn_pre_post_processors


def _conclude(policy: VinnPolicy, training: Batches, validation: Batches) -> None:
    policy.remember(training)
    policy.choose_neighbours(validation)


VINN = PolicyKind(
    name="vinn",
    config=VinnConfig,
    make=VinnPolicy,
    processors=make_vinn_pre_post_processors,
    raw_images=True,
    conclude=_conclude,
)
