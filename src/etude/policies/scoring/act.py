"""ACT's decoder as a head, scored with squared error: the L1 loss it learns with has gradients of constant size."""

from collections.abc import Mapping

from lerobot.utils.constants import OBS_IMAGES
from torch import Tensor

from etude.policies.act.modeling_etude_act import EtudeActPolicy
from etude.policies.scoring.head import HeadPart, mean_of_rows


class ActScorable:
    """The squared error of the chunk that ACT predicts, its latent being 0, as when it acts."""

    takes_draws = False

    def __init__(self, policy: EtudeActPolicy) -> None:
        self.policy = policy
        self._network, self._images = policy.model, list(policy.config.image_features)
        self.head = (
            HeadPart("model.decoder", policy.model.decoder, row_axis=1),
            HeadPart("model.action_head", policy.model.action_head),
        )

    def encode(self, batch: Mapping[str, Tensor]) -> tuple[Tensor, ...]:
        """The encoder's tokens (B, S, D), and their places (B, S, D)."""
        seen = {**batch, OBS_IMAGES: [batch[key] for key in self._images]} if self._images else dict(batch)
        tokens, places = self._network.read(seen)
        return tokens.transpose(0, 1), places.transpose(0, 1).expand(tokens.shape[1], -1, -1)

    def row_losses(
        self, features: tuple[Tensor, ...], actions: Tensor, is_pad: Tensor, noise: Tensor, time: Tensor
    ) -> Tensor:
        """Mean squared error of every row's chunk, (R,)."""
        del noise, time
        tokens, places = (each.transpose(0, 1) for each in features)
        return mean_of_rows((self._network.write(tokens, places) - actions).square(), is_pad)
