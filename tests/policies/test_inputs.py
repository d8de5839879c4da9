"""What a network sees of its cameras: geometry, randomness, and the same eyes wherever the checkpoint is used."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lerobot.configs import PreTrainedConfig
from lerobot.policies.factory import get_policy_class, make_pre_post_processors
from training.demonstrations import FEATURES, STATISTICS, TINY, Demonstrations

from etude.core import ConfigError, MismatchError, Observation, ShapeError
from etude.policies import CheckpointPolicy, Features
from etude.policies.batches import to_tensors
from etude.policies.checkpoint import build_policy, load_model
from etude.policies.flow.augmentation import to_unit_range
from etude.policies.flow.predictor import FlowPredictor
from etude.policies.inputs import CameraView, ImageInputs
from etude.policies.inputs.augmentation import jittered
from etude.policies.inputs.reading import checkpoint_features
from etude.policies.inputs.views import see, view
from etude.policies.model import ChunkModel

RAW = Features(
    cameras=("front", "wrist"), image_size={"front": (30, 40), "wrist": (24, 24)}, state_size=3, action_size=2
)
INPUTS = ImageInputs(
    size=(24, 24),
    cameras={"front": CameraView(crop=(0.25, 0, 1, 1), keep=((0, 0, 1, 0.8),), hide=((0.5, 0.5, 0.6, 0.6),))},
    shift=0.1,
    colour_jitter=0.2,
)
GREY = 0.5


def picture(height: int = 30, width: int = 40, seed: int = 0) -> torch.Tensor:
    return torch.randint(
        0, 256, (2, 3, height, width), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


def raw_batch(seed: int = 0) -> dict[str, torch.Tensor]:
    """A batch of demonstrations through cameras of two sizes."""
    batch = to_tensors(Demonstrations(batch_size=2).batch(seed))
    batch["observation.images.front"], batch["observation.images.wrist"] = picture(), picture(24, 24, 1)
    return batch


def build(inputs: ImageInputs | None = INPUTS, name: str = "flow", features: Features = RAW) -> ChunkModel:
    options = TINY if name == "flow" else {"chunk_size": 8, "dim_model": 32, "n_heads": 2, "dim_feedforward": 32}
    return build_policy(name, features, STATISTICS, np.random.default_rng(0), inputs=inputs, **options)


def stirred(model: ChunkModel) -> ChunkModel:
    """With a last layer that is not zero, so that images matter."""
    for parameter in model.module.parameters():
        torch.nn.init.normal_(parameter, std=0.2, generator=torch.Generator().manual_seed(parameter.numel()))
    model.module.eval()
    return model


def test_a_crop_is_a_part_in_fractions_of_the_image() -> None:
    images = picture()
    seen = view(images, CameraView(crop=(0.25, 0.1, 1, 0.5)), None)
    torch.testing.assert_close(seen, images[..., 3:15, 10:40] / 255)


def test_masks_are_boxes_of_the_whole_image_and_hidden_is_grey() -> None:
    images = picture()
    kept = view(images, CameraView(keep=((0, 0, 0.5, 1), (0.9, 0, 1, 1)), hide=((0, 0, 1, 0.1),)), None)
    assert bool((kept[..., :3, :] == GREY).all())
    assert bool((kept[..., 20:36] == GREY).all())
    torch.testing.assert_close(kept[..., 3:, :20], images[..., 3:, :20] / 255)
    cropped = view(images, CameraView(keep=((0, 0, 0.5, 1),), crop=(0.25, 0, 0.75, 1)), None)
    assert bool((cropped[..., 10:] == GREY).all())
    torch.testing.assert_close(cropped[..., :10], images[..., 10:20] / 255)


def test_resizing_keeps_brightness_and_place() -> None:
    flat = torch.full((1, 3, 60, 80), 100, dtype=torch.uint8)
    torch.testing.assert_close(view(flat, CameraView(), (24, 32)), torch.full((1, 3, 24, 32), 100 / 255))
    half = torch.zeros(1, 3, 60, 80)
    half[..., 40:] = 1
    seen = view(half, CameraView(), (30, 20))
    assert bool((seen[..., :9] < 0.05).all())
    assert bool((seen[..., 11:] > 0.95).all())


def test_bytes_and_fractions_are_seen_alike_with_any_leading_axes() -> None:
    fitted = INPUTS.fit(RAW)
    batch = {key: value for key, value in raw_batch().items() if "images" in key}
    seen = see(batch, fitted, augment=False)
    assert {tuple(value.shape) for value in seen.values()} == {(2, 3, 24, 24)}
    for change in (lambda images: images / 255, lambda images: images[0], lambda images: images[:, None]):
        other = see({key: change(value) for key, value in batch.items()}, fitted, augment=False)
        for key, value in other.items():
            torch.testing.assert_close(value.reshape(-1, 3, 24, 24)[0], seen[key][0])


def test_jitter_is_the_flow_policys_own() -> None:
    fractions = picture() / 255
    torch.manual_seed(3)
    changed = jittered(fractions, 0.2)
    torch.manual_seed(3)
    expected = to_unit_range(fractions.permute(0, 2, 3, 1).contiguous(), torch.float32, 0.2).permute(0, 3, 1, 2)
    torch.testing.assert_close(2 * changed - 1, expected)


@pytest.mark.parametrize("name", ["flow", "act"])
def test_images_are_varied_by_the_losss_generator_alone_and_only_while_training(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    model, batch = build(INPUTS, name), raw_batch()
    network_saw: list[torch.Tensor] = []
    forward = model.policy.forward

    def spied(ready: dict[str, torch.Tensor]) -> Any:
        network_saw.append(ready["observation.images.front"].clone())
        return forward(ready)

    monkeypatch.setattr(model.policy, "forward", spied)

    def seen(seed: int, training: bool) -> torch.Tensor:
        model.module.train(training)
        if training:
            model.loss(batch, torch.Generator().manual_seed(seed))
        else:
            network_saw.append(model.prepare(batch)["observation.images.front"])
        return network_saw[-1]

    first = seen(0, True)
    torch.manual_seed(99)
    before = torch.get_rng_state()
    assert torch.equal(seen(0, True), first)
    assert not torch.equal(seen(1, True), first)
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(seen(0, False), seen(1, False))
    assert not torch.equal(seen(0, False), first)


@pytest.mark.parametrize("name", ["flow", "act"])
def test_a_checkpoint_keeps_its_eyes(name: str, tmp_path: Path) -> None:
    model = stirred(build(INPUTS, name))
    model.save(tmp_path)
    assert model.features == RAW == load_model(tmp_path, RAW).features == checkpoint_features(tmp_path)
    assert model.policy.config.image_features["observation.images.front"].shape == (3, 24, 24)
    noise, batch = torch.randn(2, model.horizon, 2, generator=torch.Generator().manual_seed(0)), raw_batch()
    assert torch.equal(load_model(tmp_path).predict(batch, noise), model.predict(batch, noise))
    outside = {**batch, "observation.images.front": batch["observation.images.front"].clone()}
    outside["observation.images.front"][..., :10] = 0  # left of the crop
    assert torch.equal(model.predict(outside, noise), model.predict(batch, noise))


def test_the_reader_without_lerobot_sees_the_same_bits(tmp_path: Path) -> None:
    model = stirred(build())
    model.save(tmp_path)
    reader = FlowPredictor.load(tmp_path)
    assert reader is not None
    assert reader.features == RAW
    noise = torch.randn(2, model.horizon, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(reader.predict(raw_batch(), noise), model.predict(raw_batch(), noise))


def test_lerobots_own_pipeline_sees_the_same(tmp_path: Path) -> None:
    model = stirred(build())
    model.save(tmp_path)
    config = PreTrainedConfig.from_pretrained(tmp_path)
    policy = get_policy_class(config.type).from_pretrained(tmp_path, config=config, strict=True)
    before, after = make_pre_post_processors(config, pretrained_path=str(tmp_path))
    batch = raw_batch()
    noise = torch.randn(1, model.horizon, 2, generator=torch.Generator().manual_seed(0))
    one = {key: value[0] / 255 if "images" in key else value[0] for key, value in batch.items() if "obs" in key}
    chunk = after(policy.predict_action_chunk(before(one), noise=noise))
    expected = model.predict({key: value[:1] for key, value in batch.items()}, noise)
    torch.testing.assert_close(chunk, expected, atol=1e-5, rtol=1e-5)
    # LeRobot's training gives the pipeline an action; then images are varied, and not otherwise.
    learnt = [before({**one, "action": batch["action"][0]})["observation.images.front"] for _ in range(2)]
    assert not torch.equal(*learnt)
    assert torch.equal(before(one)["observation.images.front"], before(one)["observation.images.front"])


def test_without_inputs_nothing_changes(tmp_path: Path) -> None:
    plain, none = build(None, features=FEATURES), build(ImageInputs(), features=FEATURES)
    batch = to_tensors(Demonstrations(batch_size=2).batch(0))
    noise = torch.randn(2, plain.horizon, 2, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(stirred(plain).predict(batch, noise), stirred(none).predict(batch, noise))
    plain.save(tmp_path)
    assert "etude_image_inputs" not in (tmp_path / "policy_preprocessor.json").read_text()


def test_images_of_another_size_are_refused(tmp_path: Path) -> None:
    stirred(build()).save(tmp_path)
    policy = CheckpointPolicy(str(tmp_path)).create()
    wrong = Observation(
        images={"front": np.zeros((24, 24, 3), np.uint8), "wrist": np.zeros((24, 24, 3), np.uint8)},
        state=np.zeros(3, np.float32),
    )
    with pytest.raises(ShapeError, match="image of camera 'front'"):
        policy.act([wrong], [policy.begin(np.random.default_rng(0))])
    with pytest.raises(MismatchError, match="image_size of 'front'"):
        load_model(tmp_path, replace(RAW, image_size=(24, 24)))
    with pytest.raises(MismatchError, match=r"'observation\.images\.front' is 24 × 24 px; .* made for 30 × 40"):
        see({"observation.images.front": picture(24, 24)}, INPUTS.fit(RAW), augment=False)


def test_images_that_were_resized_before_are_seen_as_they_would_be() -> None:
    fitted = ImageInputs(size=(12, 16), cameras={"front": CameraView(hide=((0, 0, 0.5, 1),))}).fit(
        Features(cameras=("front",), image_size=(24, 32), state_size=0, action_size=1)
    )
    large = torch.rand(2, 3, 24, 32)
    small = large.unflatten(-1, (16, 2)).unflatten(-3, (12, 2)).mean((-3, -1))
    seen = [see({"observation.images.front": images}, fitted, augment=False) for images in (large, small)]
    torch.testing.assert_close(seen[0], seen[1])
    assert ImageInputs(size=(12, 16), cameras={"front": CameraView(crop=(0, 0, 0.5, 1))}).early_size is None


def test_settings_survive_json() -> None:
    assert ImageInputs.from_json(json.loads(json.dumps(INPUTS.to_json()))) == INPUTS
    assert ImageInputs.from_json({}) == ImageInputs()


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"sise": [24, 24]}, "have no 'sise'; choose from size, cameras, shift, colour_jitter"),
        ({"size": 24}, r"size must be \[height, width\]"),
        ({"size": [24, 2]}, "each at least 8 px"),
        ({"cameras": {"front": {"crop": [0.5, 0, 0.4, 1]}}}, "left < right"),
        ({"cameras": {"front": {"hide": [0, 0, 1, 1]}}}, "four numbers"),
        ({"cameras": {"front": {"cut": [0, 0, 1, 1]}}}, "camera 'front' have no 'cut'"),
        ({"cameras": ["front"]}, "must be an object"),
        ({"shift": 0.5}, r"shift = 0.5 must be in \[0, 0.5\)"),
        ({"colour_jitter": "much"}, "colour_jitter = much"),
        ([1], "must be an object"),
    ],
)
def test_wrong_settings_are_refused_by_name(wrong: Any, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        ImageInputs.from_json(wrong)


def test_a_camera_that_is_not_there_is_refused() -> None:
    with pytest.raises(MismatchError, match="camera 'top'; there is front, wrist"):
        ImageInputs(cameras={"top": CameraView()}).fit(RAW)
