"""ACT is LeRobot's, computed otherwise; its backbones see all there is; its checkpoints load where they should."""

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torchvision
from lerobot.configs import FeatureType, PolicyFeature, PreTrainedConfig
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.factory import get_policy_class
from safetensors.torch import save_file
from torch import nn
from training.demonstrations import FEATURES, HORIZON, STATISTICS, Demonstrations

from etude.core import ConfigError, EtudeError, MismatchError, UnknownNameError
from etude.policies.act.attention import FusedAttention
from etude.policies.act.backbones import BACKBONES, Gate
from etude.policies.act.light import GATES, LightBackbone
from etude.policies.act.modeling_etude_act import EtudeActPolicy
from etude.policies.act.resnet import ResNetBackbone
from etude.policies.batches import to_tensors
from etude.policies.checkpoint import build_policy, load_model
from etude.policies.model import ChunkModel

SMALL = {"chunk_size": HORIZON, "n_action_steps": 4, "dim_model": 32, "n_heads": 2, "dim_feedforward": 32}
INPUTS = {
    **{f"observation.images.{camera}": PolicyFeature(FeatureType.VISUAL, (3, 64, 48)) for camera in ("front", "wrist")},
    "observation.state": PolicyFeature(FeatureType.STATE, (3,)),
}
OUTPUTS = {"action": PolicyFeature(FeatureType.ACTION, (2,))}


def build(backbone: str, **options: Any) -> ChunkModel:
    return build_policy("act", FEATURES, STATISTICS, np.random.default_rng(0), backbone=backbone, **SMALL, **options)


def stir(module: nn.Module) -> None:
    """Weights and statistics as training leaves them, not as they begin."""
    generator = torch.Generator().manual_seed(0)
    for key, value in module.state_dict().items():
        if value.is_floating_point():
            value.add_(torch.rand(value.shape, generator=generator), alpha=0.5 if "running" in key else 1e-3)


def normalised_batch(sizes: dict[str, tuple[int, int]] | None = None) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    shapes = sizes or {"front": (64, 48), "wrist": (64, 48)}
    images = {
        f"observation.images.{name}": torch.randn(3, 3, *shape, generator=generator) for name, shape in shapes.items()
    }
    pad = torch.zeros(3, HORIZON, dtype=torch.bool)
    pad[1, 5:] = True
    numbers = {
        "observation.state": torch.randn(3, 3, generator=generator),
        "action": torch.randn(3, HORIZON, 2, generator=generator),
    }
    return {**images, **numbers, "action_is_pad": pad}


def both(**options: Any) -> tuple[EtudeActPolicy, ACTPolicy]:
    """Ours and LeRobot's with the same weights."""
    config = ACTConfig(
        input_features=dict(INPUTS), output_features=dict(OUTPUTS), device="cpu", pretrained_backbone_weights=None,
        n_encoder_layers=2, n_vae_encoder_layers=2, dropout=0.0, **SMALL, **options,
    )  # fmt: skip
    torch.manual_seed(0)  # of some weights float32 keeps too little to compare gradients
    ours, theirs = EtudeActPolicy(copy.deepcopy(config)), ACTPolicy(config)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


@pytest.mark.parametrize("options", [{}, {"pre_norm": True, "n_decoder_layers": 2}, {"use_vae": False}])
def test_it_is_lerobots_act_forwards_and_backwards(options: dict[str, Any]) -> None:
    ours, theirs = both(**options)
    batch = normalised_batch()
    losses = []
    for policy in (ours, theirs):
        policy.train()
        policy.model.backbone.eval()  # LeRobot's normalisation is frozen
        torch.manual_seed(0)
        loss, _ = policy.forward(batch)
        loss.backward()
        losses.append(loss.detach())
    torch.testing.assert_close(losses[0], losses[1])
    gradients = dict(theirs.named_parameters())
    for name, parameter in ours.named_parameters():
        if name in gradients and gradients[name].grad is not None:
            expected = gradients[name].grad
            torch.testing.assert_close(parameter.grad, expected, rtol=0, atol=1e-4 * float(expected.abs().max()) + 1e-6)
    torch.testing.assert_close(ours.predict_action_chunk(batch), theirs.predict_action_chunk(batch))


def test_cameras_of_different_sizes_are_seen_as_lerobot_sees_them() -> None:
    ours, theirs = both()
    batch = normalised_batch({"front": (64, 48), "wrist": (48, 64)})
    torch.testing.assert_close(ours.predict_action_chunk(batch), theirs.predict_action_chunk(batch))


def test_fused_attention_is_attention() -> None:
    torch.manual_seed(0)
    plain, fused = nn.MultiheadAttention(16, 2), FusedAttention(16, 2)
    fused.load_state_dict(plain.state_dict())
    query, key, value = torch.randn(5, 3, 16), torch.randn(7, 3, 16), torch.randn(7, 3, 16)
    pad = torch.arange(7).expand(3, 7) >= torch.tensor([[7], [4], [1]])
    for mask in (None, pad):
        expected = plain(query, key, value, key_padding_mask=mask)[0]
        torch.testing.assert_close(fused(query, key, value, key_padding_mask=mask)[0], expected)


@pytest.mark.parametrize("gate", GATES)
def test_light_backbones_are_light_and_look_at_any_image(gate: Gate) -> None:
    for (height, width), places in {(96, 96): (6, 6), (120, 160): (8, 10), (224, 224): (7, 7)}.items():
        backbone = LightBackbone(gate, max(height, width))
        assert 0.5e6 < sum(p.numel() for p in backbone.parameters()) < 0.7e6
        assert backbone(torch.randn(2, 3, height, width)).shape == (2, backbone.channels, *places)


@pytest.mark.parametrize("gate", GATES)
def test_attention_weighs_between_nothing_and_twice(gate: Gate) -> None:
    torch.manual_seed(0)
    attention, features = GATES[gate](16), torch.rand(2, 16, 5, 5) + 0.1
    once = 1 if gate == "bam" else 2
    assert bool((attention(features) / features < 2**once).all())
    assert bool((attention(features) > 0).all())
    for parameter in attention.parameters():
        nn.init.zeros_(parameter)
    torch.testing.assert_close(attention(features), features)


@pytest.mark.parametrize("backbone", ["light", "light-eca", "resnet18"])
def test_a_chunk_depends_on_every_camera(backbone: str) -> None:
    model = build(backbone)
    batch = to_tensors(Demonstrations().batch(0))
    before = model.predict(batch)
    for camera in FEATURES.cameras:
        changed = {**batch, f"observation.images.{camera}": 255 - batch[f"observation.images.{camera}"]}
        assert not torch.equal(model.predict(changed), before)


@pytest.mark.parametrize("backbone", BACKBONES)
def test_lerobot_loads_the_checkpoint_strictly_and_predicts_the_same(backbone: str, tmp_path: Path) -> None:
    model = build(backbone)
    stir(model.module)
    model.save(tmp_path)
    config = PreTrainedConfig.from_pretrained(tmp_path)
    # With a ResNet it is LeRobot's own policy, which needs no Etude.
    assert config.type == ("act" if backbone.startswith("resnet") else "etude_act")
    theirs = get_policy_class(config.type).from_pretrained(tmp_path, config=config, strict=True)
    assert (type(theirs) is ACTPolicy) == backbone.startswith("resnet")
    batch = to_tensors(Demonstrations().batch(0))
    ours = load_model(tmp_path, FEATURES)
    ready = ours.prepare(batch)
    torch.testing.assert_close(ours.policy.predict_action_chunk(ready), theirs.predict_action_chunk(ready))


def test_lerobots_checkpoint_from_pretrained_weights_is_read_without_downloading_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: Any, **_kwargs: Any) -> None:
        raise AssertionError("no downloads")

    monkeypatch.setattr(torch.hub, "load_state_dict_from_url", refuse)
    model = build("resnet18")
    model.policy.config.pretrained_backbone_weights = "ResNet18_Weights.IMAGENET1K_V1"
    model.save(tmp_path)
    batch = to_tensors(Demonstrations().batch(0))
    torch.testing.assert_close(load_model(tmp_path).predict(batch), model.predict(batch))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_resnet_starts_from_a_file_of_weights(suffix: str, tmp_path: Path) -> None:
    torch.manual_seed(3)
    file, pretrained = tmp_path / f"weights{suffix}", torchvision.models.resnet18(weights=None).state_dict()
    if suffix == ".pth":
        torch.save(pretrained, file)
    else:
        save_file(pretrained, file)
    policy = build("resnet18", pretrained_backbone_weights=str(file)).policy
    assert policy.config.pretrained_backbone_weights is None  # a checkpoint holds what became of them
    for name, value in policy.get_submodule("model.backbone").state_dict().items():
        assert torch.equal(value, pretrained[name])


def test_weights_that_do_not_fit_are_refused(tmp_path: Path) -> None:
    save_file({"conv1.weight": torch.zeros(1)}, tmp_path / "other.safetensors")
    (tmp_path / "damaged.pth").write_bytes(b"\x80")
    refused = {
        str(tmp_path / "other.safetensors"): r"does not hold resnet18's weights: conv1\.weight",
        str(tmp_path / "damaged.pth"): "cannot be read as weights",
        str(tmp_path / "absent.pth"): "there is no file",
        "ResNet18_Weights.IMAGENET1K_V9": r"give a file, or one of ResNet18_Weights\.IMAGENET1K_V1",
    }
    for weights, told in refused.items():
        with pytest.raises(MismatchError, match=told):
            build("resnet18", pretrained_backbone_weights=weights)
    with pytest.raises(ConfigError, match="backbone 'light' has no pretrained weights"):
        build("light", pretrained_backbone_weights="anything.pth")


def test_an_unknown_backbone_is_refused_with_what_there_is() -> None:
    with pytest.raises(UnknownNameError, match="light, light-cbam") as caught:
        build("lihgt")
    assert isinstance(caught.value, EtudeError)


def test_a_resnet_for_act_has_lerobots_names() -> None:
    theirs = {name.removeprefix("model.backbone.") for name in both()[1].state_dict() if "backbone" in name}
    assert set(ResNetBackbone("resnet18").state_dict()) == theirs
