"""What a policy's network sees of the cameras: cropped, masked and resized, and varied at random while it is trained.

Settings are torch-free; `views` works on tensors; `step` is the same as a step of LeRobot's preprocessor, kept in the
checkpoint, so that LeRobot's own commands see with the same eyes.
"""

from etude.policies.inputs.settings import CameraView, ImageInputs

__all__ = ["CameraView", "ImageInputs"]
