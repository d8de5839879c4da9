"""Laws of the flow policy's parts."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from training.demonstrations import FEATURES, STATISTICS, TINY, Demonstrations, tiny_flow

from etude.policies.batches import to_tensors
from etude.policies.checkpoint import build_policy
from etude.policies.features import ACTION_KEY, PAD_KEY
from etude.policies.flow.augmentation import to_unit_range
from etude.policies.flow.head import VelocityField
from etude.policies.flow.predictor import FlowPredictor
from etude.policies.flow.vision import SpatialSoftmax
from etude.policies.inputs.augmentation import random_shift


def test_a_shifted_image_is_a_crop_of_the_image_with_repeated_border() -> None:
    images = torch.randint(0, 256, (12, 9, 7, 3), dtype=torch.uint8)
    shifted = random_shift(images, 2).numpy()
    found = set()
    for image, result in zip(images.numpy(), shifted, strict=True):
        padded = np.pad(image, ((2, 2), (2, 2), (0, 0)), mode="edge")
        places = [(r, c) for r in range(5) for c in range(5) if np.array_equal(padded[r : r + 9, c : c + 7], result)]
        assert len(places) == 1
        found.update(places)
    assert len(found) > 1


def test_bytes_and_fractions_scale_to_the_same_range() -> None:
    images = torch.randint(0, 256, (2, 5, 4, 3), dtype=torch.uint8)
    images[0, 0, 0] = torch.tensor([0, 255, 0])
    scaled = to_unit_range(images, torch.float32)
    assert scaled.min() == pytest.approx(-1, abs=1e-6)
    assert scaled.max() == pytest.approx(1, abs=1e-6)
    torch.testing.assert_close(scaled, to_unit_range(images / 255, torch.float32))


def test_colour_jitter_stretches_each_image_and_offsets_each_channel() -> None:
    images = torch.randint(0, 256, (3, 6, 5, 3), dtype=torch.uint8)
    plain, jittered = to_unit_range(images, torch.float32), to_unit_range(images, torch.float32, 0.2)
    for before, after in zip(plain, jittered, strict=True):
        slopes = []
        for channel in range(3):
            slope, offset = np.polyfit(before[..., channel].flatten().numpy(), after[..., channel].flatten().numpy(), 1)
            slopes.append(slope)
            assert abs(slope - 1) <= 0.2 + 1e-4
            assert abs(offset) <= 0.2 + 1e-4
        assert np.ptp(slopes) < 1e-4


def test_a_keypoint_is_where_its_map_is_large() -> None:
    softmax = SpatialSoftmax(channels=1, keypoints=1)
    torch.nn.init.constant_(softmax.maps.weight, 50.0)
    features = torch.zeros(2, 1, 5, 9)
    features[0, 0, 0, 8] = 1  # top right
    features[1, 0, 2, 4] = 1  # centre
    torch.testing.assert_close(softmax(features), torch.tensor([[1.0, -1.0], [0.0, 0.0]]), atol=1e-4, rtol=0)


def test_the_last_action_repeated_past_the_end_of_an_episode_counts() -> None:
    model, batch = tiny_flow(), to_tensors(Demonstrations().batch(0))
    batch[PAD_KEY][:, 5:] = True
    changed = {**batch, ACTION_KEY: batch[ACTION_KEY].clone()}
    changed[ACTION_KEY][:, 5:] += 100
    plain, moved = (model.loss(b, torch.Generator().manual_seed(0)) for b in (batch, changed))
    assert moved > 10 * plain


def test_an_untrained_field_leaves_the_noise_as_it_is() -> None:
    model = tiny_flow()
    batch = to_tensors(Demonstrations(batch_size=4).batch(0))
    noise = torch.randn(4, model.horizon, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(model.predict(batch, noise), noise * 0.5)  # the action's deviation


def test_noise_of_more_numbers_than_the_head_is_wide_gets_past_it() -> None:
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        field = VelocityField(chunk_size=32, condition_size=4, width=8, blocks=1)
    optimizer = torch.optim.Adam(field.parameters(), lr=0.02)
    for _ in range(300):
        noise = torch.randn(64, 8, 4, generator=generator)  # the actions are zeros, half of the way gone: v = -noise
        error = (field(noise / 2, torch.full((64,), 0.5), torch.zeros(64, 4)) + noise).square().mean()
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
    assert float(error.detach()) < 0.05  # eight numbers that pass of 32 would leave 0.75


def test_the_reader_without_lerobot_predicts_the_same_bits(tmp_path: Path) -> None:
    model = tiny_flow()
    torch.nn.init.normal_(model.module.get_parameter("model.field.leave.weight"), generator=torch.Generator())
    model.module.eval()
    model.save(tmp_path)
    reader = FlowPredictor.load(tmp_path)
    assert reader is not None
    assert reader.features == model.features
    batch = to_tensors(Demonstrations(batch_size=5).batch(0))
    noise = torch.randn(5, model.horizon, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(reader.predict(batch, noise), model.predict(batch, noise))


def test_another_normalisation_is_left_to_lerobot(tmp_path: Path) -> None:
    tiny_flow().save(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace('"STATE": "MEAN_STD"', '"STATE": "IDENTITY"'))
    assert FlowPredictor.load(tmp_path) is None


def test_a_policy_may_see_through_no_camera() -> None:
    blind = replace(FEATURES, cameras=())
    model = build_policy("flow", blind, STATISTICS, np.random.default_rng(0), **TINY)
    assert model.features.cameras == ()
    batch = to_tensors(Demonstrations().batch(0))
    assert bool(model.loss(batch, torch.Generator().manual_seed(0)).isfinite())


def test_the_default_size_is_light() -> None:
    features = replace(FEATURES, image_size=(96, 96))
    model = build_policy("flow", features, STATISTICS, np.random.default_rng(0))
    assert sum(p.numel() for p in model.module.parameters()) < 1_000_000
