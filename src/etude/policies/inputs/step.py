"""What a network sees, as a step of LeRobot's preprocessor: it travels with the checkpoint."""

from dataclasses import dataclass, field
from typing import Any

import torch
from lerobot.configs import PipelineFeatureType, PolicyFeature
from lerobot.processor import (
    ObservationProcessorStep,
    PolicyProcessorPipeline,
    ProcessorStepRegistry,
    RenameObservationsProcessorStep,
    TransitionKey,
)

from etude.policies.features import IMAGE_PREFIX
from etude.policies.inputs.settings import STEP_NAME, FittedInputs
from etude.policies.inputs.views import see

type PolicyFeatures = dict[PipelineFeatureType, dict[str, PolicyFeature]]


@dataclass
class ImageInputsStep(ObservationProcessorStep):
    """Crops, masks and resizes images, and varies them while a policy is trained.

    Attributes:
        inputs: `ImageInputs` as JSON values.
        raw: Camera -> [height, width] of the images that come in, in pixels.
        augment: Whether to vary images at random; None varies them where there is an action to learn and gradients
            are taken, as in LeRobot's training, whose preprocessors are not told what they are used for.
    """

    inputs: dict[str, Any]
    raw: dict[str, Any]
    augment: bool | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self.fitted = FittedInputs.from_json({"inputs": self.inputs, "raw": self.raw})

    def observation(self, observation: Any) -> Any:
        """The observation as the network sees it."""
        learning = self.transition.get(TransitionKey.ACTION) is not None and torch.is_grad_enabled()
        return see(observation, self.fitted, augment=learning if self.augment is None else self.augment)

    def get_config(self) -> dict[str, Any]:
        """What is written into the checkpoint."""
        return self.fitted.to_json()

    def transform_features(self, features: PolicyFeatures) -> PolicyFeatures:
        """Images change their size."""
        changed = {kind: dict(of_kind) for kind, of_kind in features.items()}
        for camera, size in self.fitted.sizes.items():
            for of_kind in changed.values():
                if (feature := of_kind.get(IMAGE_PREFIX + camera)) is not None:
                    of_kind[IMAGE_PREFIX + camera] = PolicyFeature(feature.type, (3, *size))
        return changed


ProcessorStepRegistry.register(STEP_NAME)(ImageInputsStep)  # as a decorator it would hide the class's type


def inputs_step(preprocessor: PolicyProcessorPipeline[Any, Any]) -> ImageInputsStep | None:
    """The step of a preprocessor, if it has one."""
    return next((step for step in preprocessor.steps if isinstance(step, ImageInputsStep)), None)


def add_inputs(preprocessor: PolicyProcessorPipeline[Any, Any], fitted: FittedInputs) -> None:
    """Let a preprocessor begin with image inputs, after LeRobot's renaming of cameras."""
    first, *others = preprocessor.steps
    assert isinstance(first, RenameObservationsProcessorStep)
    preprocessor.steps = [first, ImageInputsStep(**fitted.to_json()), *others]
