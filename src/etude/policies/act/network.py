"""ACT's network with LeRobot's parts and names, computed faster: all cameras at once, attention fused.

LeRobot sends one camera after the other through the backbone. Where batch norm learns, that would normalise each
camera by statistics of its own while training, and by those of all of them afterwards.
"""

import copy
from typing import Any

import torch
from lerobot.configs import FeatureType
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACT, ACTSinusoidalPositionEmbedding2d
from lerobot.utils.constants import ACTION, OBS_ENV_STATE, OBS_IMAGES, OBS_STATE
from torch import Tensor, nn

from etude.policies.act.attention import fuse_attention
from etude.policies.act.light import LightBackbone
from etude.policies.act.resnet import ResNetBackbone

type Batch = dict[str, Any]
type Posterior = tuple[Tensor, Tensor] | tuple[None, None]


class ActNetwork(ACT):
    """Observations to action chunks; parameters under the names of LeRobot's ACT."""

    def __init__(self, config: ACTConfig, backbone: LightBackbone | ResNetBackbone | None) -> None:
        super().__init__(_without_images(config))
        self.config = config
        if backbone is not None:
            self.backbone = backbone
            self.encoder_img_feat_input_proj = nn.Conv2d(backbone.channels, config.dim_model, kernel_size=1)
            self.encoder_cam_feat_pos_embed = ACTSinusoidalPositionEmbedding2d(config.dim_model // 2)
        fuse_attention(self)
        # Three times faster than the default layout in bfloat16 on a CPU.
        self.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]

    def forward(self, batch: Batch) -> tuple[Tensor, Posterior]:
        """Predict a chunk.

        Args:
            batch: Normalised values under LeRobot's keys, "observation.images" being a list of (B, 3, height, width);
                with "action" (B, H, A) and "action_is_pad" (B, H) while training.
        Returns:
            Actions (B, H, A), and the latent's mean and log σ², (B, L) each, or None.
        """
        posterior = self._posterior(batch) if self.config.use_vae and self.training else (None, None)
        return self.write(*self.read(batch, _sample(posterior))), posterior

    def read(self, batch: Batch, latent: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """What the encoder makes of observations, (S, B, D), and where each token comes from, (S, 1, D)."""
        tokens, places = self._tokens(batch, latent)
        return self.encoder(tokens, pos_embed=places), places

    def write(self, seen: Tensor, places: Tensor) -> Tensor:
        """The chunk (B, H, A) that the decoder makes of `read`'s tokens and places."""
        queries = seen.new_zeros(self.config.chunk_size, seen.shape[1], self.config.dim_model)
        chunk = self.decoder(
            queries,
            seen,
            encoder_pos_embed=places,
            decoder_pos_embed=self.decoder_pos_embed.weight[:, None],
        )
        return self.action_head(chunk.transpose(0, 1))

    def _posterior(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """What the demonstrated chunk says about the latent: mean and log σ², (B, L) each."""
        actions = self.vae_encoder_action_input_proj(batch[ACTION])  # (B, H, D)
        tokens = [self.vae_encoder_cls_embed.weight.expand(len(actions), 1, -1)]
        if self.config.robot_state_feature:
            tokens.append(self.vae_encoder_robot_state_input_proj(batch[OBS_STATE])[:, None])
        pad = torch.nn.functional.pad(batch["action_is_pad"], (len(tokens), 0), value=False)
        places = self.get_buffer("vae_encoder_pos_enc").transpose(0, 1)
        sequence = torch.cat([*tokens, actions], dim=1).transpose(0, 1)
        summary = self.vae_encoder(sequence, pos_embed=places, key_padding_mask=pad)[0]  # (B, D), of the class token
        mean, log_variance = self.vae_encoder_latent_output_proj(summary).chunk(2, dim=1)
        return mean, log_variance

    def _tokens(self, batch: Batch, latent: Tensor | None) -> tuple[Tensor, Tensor]:
        """What the transformer reads, (S, B, D), and where each token comes from, (S, 1, D)."""
        kinds = [
            (self.config.robot_state_feature, OBS_STATE, "encoder_robot_state_input_proj"),
            (self.config.env_state_feature, OBS_ENV_STATE, "encoder_env_state_input_proj"),
        ]
        numbers = [self.get_submodule(name)(batch[key]) for feature, key, name in kinds if feature]
        size = len(batch[OBS_IMAGES][0]) if OBS_IMAGES in batch else len(numbers[0])
        if latent is None:
            latent = self.encoder_latent_input_proj.weight.new_zeros(size, self.config.latent_dim)
        tokens = torch.stack([self.encoder_latent_input_proj(latent), *numbers])
        places = self.encoder_1d_feature_pos_embed.weight[:, None]
        if OBS_IMAGES not in batch:
            return tokens, places
        seen, where = self._look(batch[OBS_IMAGES])
        return torch.cat([tokens, seen]), torch.cat([places, where])

    def _look(self, images: list[Tensor]) -> tuple[Tensor, Tensor]:
        """Tokens of all cameras, (cameras · h · w, B, D), and their places, (cameras · h · w, 1, D)."""
        if len({image.shape for image in images}) > 1:
            tokens, places = zip(*(self._look([image]) for image in images), strict=True)
            return torch.cat(tokens), torch.cat(places)
        features = self.backbone(torch.cat(images))  # (cameras · B, C, h, w)
        where = self.encoder_cam_feat_pos_embed(features).flatten(2).permute(2, 0, 1)  # (h · w, 1, D)
        projected = self.encoder_img_feat_input_proj(features).flatten(2)  # (cameras · B, D, h · w)
        cameras = projected.unflatten(0, (len(images), -1))  # (cameras, B, D, h · w)
        return cameras.permute(0, 3, 1, 2).flatten(0, 1), where.repeat(len(images), 1, 1)


def _without_images(config: ACTConfig) -> ACTConfig:
    """What makes LeRobot's ACT without a backbone, which it would build, and maybe download, in vain."""
    blind = copy.copy(config)
    features = config.input_features or {}
    blind.input_features = {key: value for key, value in features.items() if value.type is not FeatureType.VISUAL}
    return blind


def _sample(posterior: Posterior) -> Tensor | None:
    mean, log_variance = posterior
    if mean is None or log_variance is None:
        return None
    return mean + (log_variance / 2).exp() * torch.randn_like(mean)
