"""What losses over action chunks have in common; free of LeRobot."""

from torch import Tensor


def mean_of_real(error: Tensor, is_pad: Tensor) -> Tensor:
    """Mean of errors (B, H) over the actions that exist, those that `is_pad` (B, H) does not mark; a scalar."""
    real = (~is_pad).to(error.dtype)
    return (error * real).sum() / real.sum().clamp(min=1)
