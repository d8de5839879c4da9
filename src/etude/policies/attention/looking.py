"""What a policy looks at in some frames."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from etude.policies.attention.influence import influence
from etude.policies.attention.probes import Parts, find_probe
from etude.policies.attention.recording import Recording
from etude.policies.features import IMAGE_PREFIX
from etude.policies.inputs.views import see
from etude.policies.model import ChunkModel


@dataclass(frozen=True, kw_only=True)
class CameraLook:
    """What a policy looks at through one camera, in N frames.

    Attributes:
        images: What the network sees, (N, height, width, 3) uint8.
        influence: How much each pixel moves what the policy says, (N, height, width).
        moved: What it moves: "actions", "features" or "loss".
        maps: Name -> how strong at each place, (N, h, w), at least 0; names as in `probes`.
        features: The backbone's last feature map, (N, C, h, w); None where it is not known.
        keypoints: Where a spatial softmax points, (N, K, 2): x and y in [−1, 1]; None without one.
    """

    images: NDArray[np.uint8]
    influence: NDArray[np.float32]
    moved: str
    maps: Mapping[str, NDArray[np.float32]]
    features: NDArray[np.float32] | None
    keypoints: NDArray[np.float32] | None


def look_through(model: ChunkModel, batch: Mapping[str, Tensor], rng: np.random.Generator) -> dict[str, CameraLook]:
    """Run a policy on some frames and see what it looks at.

    Args:
        model: Any policy.
        batch: Frames with their demonstrated chunks, as `ChunkModel.loss` takes them.
        rng: Draws the noise that chunks start from, and the signs of `influence`.
    Returns:
        Camera -> look.
    """
    policy = model.policy.eval()
    seen = see(batch, model.inputs.fitted, augment=False) if model.inputs else batch
    count = len(next(iter(batch.values())))
    shape = (count, model.horizon, model.features.action_size)
    noise = torch.from_numpy(rng.standard_normal(shape, dtype=np.float32)) if model.takes_noise else None
    ready, cameras = model.prepare(batch), model.features.cameras
    probe = find_probe(policy, cameras)
    with torch.no_grad(), Recording(probe.modules) as heard:
        if probe.modules:
            encode = getattr(policy, "encode", None)
            _ = encode(ready) if encode else model.kind.predict(policy, ready, noise)
        parts = probe.read(heard)
    generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
    weights, moved = influence(model, ready, noise, generator)
    return {
        camera: _look(seen[IMAGE_PREFIX + camera], weights[IMAGE_PREFIX + camera], moved, parts.get(camera, Parts()))
        for camera in cameras
    }


def action_offsets(model: ChunkModel) -> list[int]:
    """Steps from a frame to the actions that a policy is trained on there."""
    return list(cast(list[int], model.policy.config.action_delta_indices))


def join(looks: Sequence[Mapping[str, CameraLook]]) -> dict[str, CameraLook]:
    """Looks at some frames and at the frames after them, as one."""
    first = looks[0]
    return {camera: _joined([look[camera] for look in looks]) for camera in first}


def shares(looks: Mapping[str, CameraLook]) -> dict[str, float]:
    """How much of what moves the policy comes through each camera: its share of all squares, mean over the frames."""
    squares = np.stack([np.square(look.influence, dtype=np.float64).sum((1, 2)) for look in looks.values()])
    of_all = squares / np.maximum(squares.sum(0), 1e-300)  # (cameras, N)
    return {camera: float(share) for camera, share in zip(looks, of_all.mean(1), strict=True)}


def _joined(looks: Sequence[CameraLook]) -> CameraLook:
    first = looks[0]
    return CameraLook(
        images=np.concatenate([look.images for look in looks]),
        influence=np.concatenate([look.influence for look in looks]),
        moved=first.moved,
        maps={name: np.concatenate([look.maps[name] for look in looks]) for name in first.maps},
        features=_concatenated([look.features for look in looks]),
        keypoints=_concatenated([look.keypoints for look in looks]),
    )


def _concatenated(arrays: Sequence[NDArray[np.float32] | None]) -> NDArray[np.float32] | None:
    there = [array for array in arrays if array is not None]
    return np.concatenate(there) if there else None


def _look(images: Tensor, weights: Tensor, moved: str, parts: Parts) -> CameraLook:
    pixels = images if images.dtype == torch.uint8 else (images.clamp(0, 1) * 255).round().to(torch.uint8)
    return CameraLook(
        images=pixels.permute(0, 2, 3, 1).numpy(),
        influence=_array(weights),
        moved=moved,
        maps={name: _array(values) for name, values in parts.maps.items()},
        features=None if parts.features is None else _array(parts.features),
        keypoints=None if parts.keypoints is None else _array(parts.keypoints),
    )


def _array(values: Tensor) -> NDArray[np.float32]:
    return values.detach().to(torch.float32).contiguous().numpy()
