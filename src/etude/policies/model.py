"""A LeRobot policy with its processors: what training fits and what a checkpoint holds.

Batches are mappings of tensors under LeRobot's keys, in the units of the data: images (B, 3, height, width) uint8,
observation.state (B, S), action (B, H, A), action_is_pad (B, H). Normalisation happens in here.
"""

import copy
from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Self

import torch
from lerobot.policies.pretrained import PreTrainedPolicy
from torch import Tensor, nn

from etude.core.files import write_bytes
from etude.policies.features import IMAGE_PREFIX, Features
from etude.policies.inputs.step import ImageInputsStep, inputs_step
from etude.policies.kind import Pipeline, PolicyKind
from etude.policies.layout import POSTPROCESSOR_FILE, PREPROCESSOR_FILE, WEIGHTS_FILE


class ChunkModel:
    """A policy that predicts action chunks, between data in real units and a network in normalised ones."""

    def __init__(
        self, kind: PolicyKind, policy: PreTrainedPolicy, preprocessor: Pipeline, postprocessor: Pipeline
    ) -> None:
        self.kind, self.policy = kind, policy
        self.preprocessor, self.postprocessor = preprocessor, postprocessor

    @property
    def module(self) -> nn.Module:
        """The network: its parameters, buffers and mode (train or eval)."""
        return self.policy

    @property
    def name(self) -> str:
        """Registered name of the policy."""
        return self.kind.name

    @property
    def features(self) -> Features:
        """What it was made for."""
        config = self.policy.config
        assert config.action_feature is not None
        sizes = {key.removeprefix(IMAGE_PREFIX): feature.shape[1:] for key, feature in config.image_features.items()}
        seen = Features(
            cameras=tuple(sizes),
            image_size={camera: (height, width) for camera, (height, width) in sizes.items()},
            state_size=config.robot_state_feature.shape[0] if config.robot_state_feature else 0,
            action_size=config.action_feature.shape[0],
        )
        return self.inputs.fitted.given(seen) if self.inputs else seen

    @property
    def inputs(self) -> ImageInputsStep | None:
        """What the network sees of the images; None where it sees all of them as they come."""
        return inputs_step(self.preprocessor)

    @property
    def horizon(self) -> int:
        """Actions in a chunk, H."""
        return self.kind.horizon(self.policy.config)

    @property
    def observed(self) -> int:
        """Observations in a row that it looks at, the present among them; training is on one."""
        return int(getattr(self.policy.config, "n_obs_steps", 1))

    @property
    def takes_noise(self) -> bool:
        """Whether a chunk starts from noise, (H, A) standard normal, which the caller may give."""
        return self.kind.takes_noise

    def copy(self) -> Self:
        """Another model with the same weights, sharing nothing that changes."""
        return copy.deepcopy(self)

    def loss(self, batch: Mapping[str, Tensor], generator: torch.Generator) -> Tensor:
        """Mean loss of a batch, a scalar; in eval mode the one that checkpoints are compared by.

        Args:
            batch: See this module.
            generator: The only source of randomness: noise, times, augmentation, dropout.
        """
        # LeRobot's policies draw from torch's global stream: lend it a seed for the time of the call.
        seed = int(torch.randint(2**62, (), generator=generator))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            ready = self.prepare(batch, augment=self.policy.training)
            loss = self.kind.loss if self.policy.training else self.kind.validation_loss or self.kind.loss
            return loss(self.policy, ready)

    @torch.inference_mode()
    def predict(self, batch: Mapping[str, Tensor], noise: Tensor | None = None) -> Tensor:
        """Predict a chunk per observation.

        Args:
            batch: Images and state; see this module.
            noise: (B, H, A) standard normal, for policies that take it.
        Returns:
            Actions in the data's units, (B, H, A).
        """
        ready = self.prepare(batch)
        chunks: Tensor = self.postprocessor(self.kind.predict(self.policy, ready, noise if self.takes_noise else None))
        return chunks

    @torch.no_grad()
    def conclude(self, training: Iterable[Mapping[str, Tensor]], validation: Iterable[Mapping[str, Tensor]]) -> None:
        """Finish what is left to do after the last training step; only some kinds have something.

        Args:
            training: Batches that hold every window of the training set once, as `loss` takes them; read lazily.
            validation: Batches of the held-out episodes.
        """
        self.policy.eval()
        self.kind.conclude(self.policy, map(self.prepare, training), map(self.prepare, validation))

    def save(self, path: Path) -> None:
        """Write a checkpoint in LeRobot's layout. Files are replaced one by one, each whole: weights come last."""
        with TemporaryDirectory() as folder:
            self.policy.save_pretrained(folder)
            self.preprocessor.save_pretrained(folder, config_filename=PREPROCESSOR_FILE)
            self.postprocessor.save_pretrained(folder, config_filename=POSTPROCESSOR_FILE)
            for file in sorted(Path(folder).iterdir(), key=lambda file: (file.name == WEIGHTS_FILE, file.name)):
                write_bytes(path / file.name, file.read_bytes())

    def prepare(self, batch: Mapping[str, Any], *, augment: bool = False) -> dict[str, Tensor]:
        """A batch as the network takes it: what it sees of the images, in normalised values.

        Args:
            batch: See this module; "task", a text for each, for policies that follow words.
            augment: Vary images at random, if the inputs say so; draws from torch's global stream.
        """
        if self.inputs:
            self.inputs.augment = augment
        elif not self.kind.raw_images:
            batch = {key: _as_fractions(value) for key, value in batch.items()}
        ready: dict[str, Tensor] = self.preprocessor(dict(batch))
        return ready


def _as_fractions(value: Any) -> Any:
    """uint8 images to floats in [0, 1], as LeRobot's policies expect; everything else as it is."""
    return value.to(torch.float32) / 255 if isinstance(value, Tensor) and value.dtype == torch.uint8 else value
