"""ACT as a kind of policy."""

import torch.nn.functional as F
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.utils.constants import ACTION
from torch import Tensor

from etude.policies.act.configuration_etude_act import EtudeActConfig
from etude.policies.act.modeling_etude_act import make_act
from etude.policies.chunked.processing import make_processors
from etude.policies.features import PAD_KEY
from etude.policies.kind import PolicyKind
from etude.policies.losses import mean_of_real
from etude.policies.scoring.act import ActScorable


def reconstruction_loss(policy: ACTPolicy, batch: dict[str, Tensor]) -> Tensor:
    """Mean absolute error of the predicted chunks over the actions that exist, without the variational part."""
    error = F.l1_loss(policy.predict_action_chunk(batch), batch[ACTION], reduction="none").mean(2)
    return mean_of_real(error, batch[PAD_KEY])


ACT = PolicyKind(
    name="act",
    config=EtudeActConfig,
    make=make_act,
    processors=make_processors,
    validation_loss=reconstruction_loss,
    scorable=ActScorable,
)
