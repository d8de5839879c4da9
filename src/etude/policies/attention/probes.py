"""Where each kind of policy keeps its features, gates, keypoints and attention.

A probe names modules to listen to, and reads what they said, camera by camera.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.policies.attention.recording import Recording
from etude.policies.features import IMAGE_PREFIX
from etude.policies.flow.vision import CameraEncoder

GATE, SOFTMAX, ATTENTION = "gate", "softmax", "attention"


@dataclass(frozen=True, kw_only=True)
class Parts:
    """What was heard of one camera in N frames.

    Attributes:
        features: The backbone's last feature map, (N, C, h, w).
        maps: Name -> how strong at each place, (N, h, w), at least 0.
        keypoints: Where the spatial softmax points, (N, K, 2): x and y in [−1, 1].
    """

    features: Tensor | None = None
    maps: Mapping[str, Tensor] = field(default_factory=dict[str, Tensor])
    keypoints: Tensor | None = None


@dataclass(frozen=True)
class Probe:
    """Modules to listen to, and how to read what they said.

    Attributes:
        modules: Name -> module.
        read: Camera -> parts, from a recording of one call of the policy.
    """

    modules: Mapping[str, nn.Module]
    read: Callable[[Recording], dict[str, Parts]]


def find_probe(policy: Any, cameras: Sequence[str]) -> Probe:
    """The probe of a policy; one that hears nothing where its parts are not known.

    Args:
        policy: LeRobot's policy.
        cameras: Names of its cameras, in order.
    """
    encoders = _encoders(policy, cameras)
    if encoders:
        return _of_encoders(encoders)
    if hasattr(policy, "diffusion"):
        return _of_diffusion(policy.diffusion, cameras)
    network = getattr(policy, "model", None)
    if hasattr(network, "backbone") and hasattr(network, "decoder"):
        return _of_act(network, cameras)
    return Probe({}, lambda _: {})


def _encoders(policy: nn.Module, cameras: Sequence[str]) -> dict[str, CameraEncoder]:
    """Camera -> its encoder in flow and VINN, whose second encoder, the target, comes after it."""
    found: dict[str, CameraEncoder] = {}
    for name, module in policy.named_modules():
        if isinstance(module, CameraEncoder):
            parts = name.split(".")
            for camera in cameras:
                if (IMAGE_PREFIX + camera).replace(".", "_") in parts:
                    found.setdefault(camera, module)
    return found


def _of_encoders(encoders: Mapping[str, CameraEncoder]) -> Probe:
    modules = {
        f"{kind} {camera}": module
        for camera, encoder in encoders.items()
        for kind, module in (("gate", encoder.attention), ("places", encoder.keypoints.maps), ("xy", encoder.keypoints))
    }

    def read(heard: Recording) -> dict[str, Parts]:
        return {
            camera: Parts(
                features=heard.gave[f"gate {camera}"][0],
                maps={GATE: _passed(heard, f"gate {camera}"), SOFTMAX: _where(heard.gave[f"places {camera}"][0])},
                keypoints=heard.gave[f"xy {camera}"][0].unflatten(1, (-1, 2)),
            )
            for camera in encoders
        }

    return Probe(modules, read)


def _of_diffusion(diffusion: Any, cameras: Sequence[str]) -> Probe:
    shared = not isinstance(diffusion.rgb_encoder, nn.ModuleList)
    encoders: list[Any] = [diffusion.rgb_encoder] if shared else list(diffusion.rgb_encoder)
    modules = {f"{kind} {i}": getattr(e, kind) for i, e in enumerate(encoders) for kind in ("backbone", "pool")}

    def of_camera(said: Mapping[str, list[Tensor]], kind: str, index: int) -> Tensor:
        """One encoder for all is given the images frame by frame: (N · cameras, …)."""
        return said[f"{kind} 0"][0][index :: len(cameras)] if shared else said[f"{kind} {index}"][0]

    def read(heard: Recording) -> dict[str, Parts]:
        found: dict[str, Parts] = {}
        for index, camera in enumerate(cameras):
            features = of_camera(heard.gave, "backbone", index)
            lifted = encoders[0 if shared else index].pool.nets
            found[camera] = Parts(
                features=features,
                maps={SOFTMAX: _where(features if lifted is None else lifted(features))},
                keypoints=of_camera(heard.gave, "pool", index),
            )
        return found

    return Probe(modules, read)


def _of_act(network: Any, cameras: Sequence[str]) -> Probe:
    gates = [m for name, m in network.backbone.named_modules() if name.endswith(".attention")]
    across = {f"layer {i}": layer.multihead_attn for i, layer in enumerate(network.decoder.layers)}
    modules = {"backbone": network.backbone, **across, **({"gate": gates[-1]} if gates else {})}

    def read(heard: Recording) -> dict[str, Parts]:
        features = _by_camera(heard.gave["backbone"], len(cameras))
        weights = torch.stack(
            [attention_weights(module, heard.given[name][0]) for name, module in across.items()]
        ).mean(0)
        sizes = [f.shape[-2] * f.shape[-1] for f in features]
        attention = weights[:, -sum(sizes) :].split(sizes, dim=1)  # the latent's and the state's tokens come first
        passed = _by_camera([_passed(heard, "gate")], len(cameras)) if gates else ()
        return {
            camera: Parts(
                features=features[i],
                maps={
                    ATTENTION: attention[i].unflatten(1, features[i].shape[-2:]),
                    **({GATE: passed[i]} if gates else {}),
                },
            )
            for i, camera in enumerate(cameras)
        }

    return Probe(modules, read)


def _by_camera(said: Sequence[Tensor], cameras: int) -> Sequence[Tensor]:
    """A backbone is called for every camera, or once for all, one camera after the other."""
    return said if len(said) == cameras else said[0].chunk(cameras)


def attention_weights(module: nn.MultiheadAttention, given: Mapping[str | int, Any]) -> Tensor:
    """How much attention goes to each token, (N, T), mean over heads and queries, from what a call was given."""
    query, key = (given[name] if name in given else given[index] for index, name in enumerate(("query", "key")))
    pairs = zip((query, key), module.in_proj_weight.chunk(3), module.in_proj_bias.chunk(3), strict=False)
    # (N, heads, tokens, size) each
    q, k = (F.linear(x, w, b).unflatten(2, (module.num_heads, -1)).permute(1, 2, 0, 3) for x, w, b in pairs)
    return (q @ k.transpose(2, 3) / q.shape[-1] ** 0.5).softmax(dim=-1).mean((1, 2))


def _passed(heard: Recording, name: str) -> Tensor:
    """How much of the features a gate lets pass at each place, (N, h, w): 1 is all, more is strengthened."""
    before, after = heard.given[name][0][0], heard.gave[name][0]
    return after.norm(dim=1) / before.norm(dim=1).clamp(min=1e-6)


def _where(maps: Tensor) -> Tensor:
    """Where the softmax of some maps lies, (N, h, w), mean over the maps."""
    return maps.flatten(2).softmax(dim=2).unflatten(2, maps.shape[-2:]).mean(1)
