"""VINN as a kind."""

from etude.policies.chunked.processing import make_processors
from etude.policies.kind import Batches, PolicyKind
from etude.policies.vinn.configuration_vinn import VinnConfig
from etude.policies.vinn.modeling_vinn import VinnPolicy


def _conclude(policy: VinnPolicy, training: Batches, validation: Batches) -> None:
    policy.remember(training)
    policy.choose_neighbours(validation)


VINN = PolicyKind(
    name="vinn",
    config=VinnConfig,
    make=VinnPolicy,
    processors=make_processors,
    raw_images=True,
    imitates=False,  # it learns to represent images; actions it looks up
    conclude=_conclude,
)
