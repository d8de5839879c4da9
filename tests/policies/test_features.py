"""What a policy looks at: heard without changing it, and the pixels that move it."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from training.demonstrations import FEATURES, HORIZON, SIZE, STATISTICS, TINY, Demonstrations

from etude.data import FeatureStatistics
from etude.policies.attention.looking import CameraLook, action_offsets, join, look_through, shares
from etude.policies.attention.probes import attention_weights
from etude.policies.batches import to_tensors
from etude.policies.checkpoint import build_policy
from etude.policies.inputs import CameraView, ImageInputs
from etude.policies.model import ChunkModel

COUNT = 3
OPTIONS: dict[str, dict[str, Any]] = {
    "flow": TINY,
    "act": {"chunk_size": HORIZON, "n_action_steps": 4, "dim_model": 32, "n_heads": 2, "dim_feedforward": 32},
    "diffusion": {"horizon": HORIZON, "n_action_steps": 4, "down_dims": (16, 32), "num_inference_steps": 2},
    "vinn": {"horizon": HORIZON, "n_action_steps": 4, "vision_widths": (8, 16), "keypoints": 4},
}
RANGES = FeatureStatistics(
    {
        name: {**values, "min": -np.ones_like(values["std"]), "max": values["std"]}
        for name, values in STATISTICS.features.items()
    }
)
MAPS = {
    "flow": {"gate", "softmax"},
    "act": {"attention", "gate"},
    "diffusion": {"softmax"},
    "vinn": {"gate", "softmax"},
}


def build(name: str, **options: Any) -> ChunkModel:
    features = options.pop("features", FEATURES)
    model = build_policy(name, features, RANGES, np.random.default_rng(0), **{**OPTIONS.get(name, {}), **options})
    with torch.no_grad():  # no layer that is zero at first, so that everything matters
        for parameter in model.module.parameters():
            parameter.add_(0.02 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))
    return model


def batch() -> dict[str, torch.Tensor]:
    return to_tensors(Demonstrations(batch_size=COUNT).batch(0))


def look(model: ChunkModel, seed: int = 0) -> dict[str, CameraLook]:
    return look_through(model, batch(), np.random.default_rng(seed))


@pytest.mark.parametrize("name", OPTIONS)
def test_every_kind_shows_its_parts_and_is_left_as_it_was(name: str) -> None:
    model = build(name)
    model.module.eval()
    noise = torch.randn(COUNT, HORIZON, 2, generator=torch.Generator().manual_seed(0))
    if name == "vinn":
        model.conclude([batch()], [batch()])
    before = model.predict(batch(), noise)
    looks = look(model)
    assert torch.equal(model.predict(batch(), noise), before)
    assert not any(module._forward_hooks for module in model.module.modules())
    assert list(looks) == ["front", "wrist"]
    for seen in looks.values():
        assert seen.images.shape == (COUNT, SIZE, SIZE, 3)
        assert seen.influence.shape == (COUNT, SIZE, SIZE)
        assert seen.features is not None
        # Where one place is left of an image, as LeRobot's ResNet leaves of these, its keypoints cannot move.
        assert (seen.influence.max() > 0) == (seen.features.shape[2:] != (1, 1))
        assert seen.moved == ("features" if name == "vinn" else "actions")
        assert set(seen.maps) == MAPS[name]
        for values in seen.maps.values():
            assert values.shape == (COUNT, *seen.features.shape[2:])
            assert values.min() >= 0
    np.testing.assert_array_equal(look(model)["front"].influence, looks["front"].influence)


@pytest.mark.parametrize("name", ["flow", "diffusion", "vinn"])
def test_keypoints_are_the_centres_of_the_softmax(name: str) -> None:
    for seen in look(build(name)).values():
        assert seen.keypoints is not None
        heat = seen.maps["softmax"]
        np.testing.assert_allclose(heat.sum((1, 2)), 1, rtol=1e-5)
        x, y = (np.linspace(-1, 1, count) for count in heat.shape[:0:-1])
        centre = np.stack([(heat.sum(1) * x).sum(1), (heat.sum(2) * y).sum(1)], axis=1)
        np.testing.assert_allclose(seen.keypoints.mean(1), centre, atol=1e-5)


@pytest.mark.parametrize("observations", [1, 2])
def test_another_policy_of_lerobots_shows_which_pixels_move_its_loss(observations: int) -> None:
    features = replace(FEATURES, cameras=("front",), image_size=(96, 96))
    model = build("vqbet", features=features, n_obs_steps=observations)
    network: Any = model.policy
    network.vqbet.action_head.vqvae_model.discretized.fill_(True)  # its first phase of training is over
    window = len(action_offsets(model))
    frames = {**batch(), "action": torch.zeros(COUNT, window, 2), "action_is_pad": torch.zeros(COUNT, window) > 0}
    frames["observation.images.front"] = torch.randint(0, 256, (COUNT, 3, 96, 96), dtype=torch.uint8)
    (seen,) = look_through(model, frames, np.random.default_rng(0)).values()
    assert (seen.moved, seen.features, seen.maps) == ("loss", None, {})
    assert seen.influence.max() > 0


def test_a_camera_that_is_not_used_moves_nothing() -> None:
    model = build("flow")
    with torch.no_grad():
        for parameter in model.module.get_submodule("model.vision.observation_images_wrist.project").parameters():
            parameter.zero_()
    looks = look(model)
    assert looks["wrist"].influence.max() == 0
    assert shares(looks) == {"front": pytest.approx(1), "wrist": 0}


def test_influence_is_the_size_of_the_gradient() -> None:
    model = build("flow", integration_steps=1)
    frames, rng = {name: values[:1] for name, values in batch().items()}, np.random.default_rng(0)
    estimates = [look_through(model, frames, rng)["front"].influence[0] for _ in range(60)]
    estimated = np.sqrt(np.square(estimates).mean(0))
    noise = torch.zeros(1, HORIZON, 2)  # one Euler step from noise: its Jacobian hardly depends on where it starts
    ready = model.prepare(frames)

    def chunk(images: torch.Tensor) -> torch.Tensor:
        network: Any = model.policy
        return network.model.sample({**ready, "observation.images.front": images}, noise)

    jacobian = torch.autograd.functional.jacobian(chunk, ready["observation.images.front"].float() / 255)
    exact = jacobian.square().sum((0, 1, 2, 3, 4))[:].sqrt().numpy() if jacobian.ndim == 7 else None
    assert exact is not None
    assert np.corrcoef(estimated.ravel(), exact.ravel())[0, 1] > 0.95
    assert estimated.mean() == pytest.approx(exact.mean(), rel=0.2)


def test_attention_weights_are_torchs_own() -> None:
    torch.manual_seed(0)
    module = nn.MultiheadAttention(8, 2).eval()
    query, tokens = torch.randn(3, 2, 8), torch.randn(5, 2, 8)
    _, weights = module(query, tokens, tokens)
    torch.testing.assert_close(attention_weights(module, {0: query, 1: tokens}), weights.mean(1))
    torch.testing.assert_close(attention_weights(module, {"query": query, "key": tokens}), weights.mean(1))


def test_images_are_shown_as_the_network_sees_them() -> None:
    inputs = ImageInputs(size=(16, 16), cameras={"front": CameraView(hide=((0, 0, 1, 0.5),))}, shift=0.2)
    seen = look(build("flow", inputs=inputs))["front"]
    assert seen.images.shape == (COUNT, 16, 16, 3)
    assert bool((abs(seen.images[:, :7].astype(int) - 128) <= 1).all())


def test_looks_at_frames_one_after_the_other_are_joined() -> None:
    looks = look(build("act"))
    joined = join([looks, looks])["wrist"]
    assert len(joined.images) == len(joined.influence) == 2 * COUNT
    assert joined.features is not None
    assert len(joined.features) == len(joined.maps["attention"]) == 2 * COUNT
    assert joined.keypoints is None
