"""Gradient products of all candidates at once against autograd, one candidate at a time."""

from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from etude.acquisition.draws import ScoreSettings, SharedDraws
from etude.acquisition.gradients import RowGradients
from etude.acquisition.rules import RULES, Rows
from etude.core import ConfigError
from etude.data import FeatureStatistics
from etude.policies import Features
from etude.policies.checkpoint import build_policy
from etude.policies.model import ChunkModel
from etude.policies.scoring import HeadPart

N, HORIZON = 3, 8
SETTINGS = ScoreSettings(anchors=4, draws=3)
FEATURES = Features(cameras=("front",), image_size=(24, 24), state_size=3, action_size=2)
STATISTICS = FeatureStatistics(
    {
        "observation.state": {"mean": np.zeros(3), "std": np.ones(3)},
        "action": {"mean": np.zeros(2), "std": np.ones(2)},
    }
)
TINY: dict[str, dict[str, Any]] = {
    "flow": {
        "horizon": HORIZON,
        "vision_widths": (8, 16),
        "keypoints": 4,
        "embedding_size": 16,
        "head_width": 24,
        "head_blocks": 2,
    },
    "diffusion": {
        "horizon": HORIZON,
        "n_action_steps": 4,
        "down_dims": (8, 16),
        "diffusion_step_embed_dim": 8,
        "n_groups": 4,
        "spatial_softmax_num_keypoints": 4,
    },
    "act": {
        "chunk_size": HORIZON,
        "n_action_steps": 4,
        "dim_model": 16,
        "n_heads": 2,
        "dim_feedforward": 24,
        "n_encoder_layers": 1,
        "n_decoder_layers": 2,
        "latent_dim": 4,
    },
}


def tiny(name: str) -> ChunkModel:
    """A policy whose every parameter matters: zeros where training starts would hide errors."""
    model = build_policy(name, FEATURES, STATISTICS, np.random.default_rng(0), **TINY[name])
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in model.policy.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)
    model.policy.eval()
    return model


def batch_of(model: ChunkModel, dtype: torch.dtype, seed: int = 0) -> dict[str, Tensor]:
    rng = np.random.default_rng(seed)
    rows = N * SETTINGS.anchors
    is_pad = np.arange(HORIZON) >= rng.integers(1, HORIZON + 1, rows)[:, None]
    raw = {
        "observation.images.front": torch.from_numpy(rng.integers(0, 256, (rows, 3, 24, 24), np.uint8)),
        "observation.state": torch.from_numpy(rng.standard_normal((rows, 3), np.float32)),
        "action": torch.from_numpy(rng.standard_normal((rows, HORIZON, 2), np.float32)),
        "action_is_pad": torch.from_numpy(is_pad),
    }
    return {key: _as(value, dtype) for key, value in model.prepare(raw).items()}


def _as(value: Any, dtype: torch.dtype) -> Any:
    return value.to(dtype) if isinstance(value, Tensor) and value.is_floating_point() else value


def scored(
    name: str, dtype: torch.dtype = torch.float32, pattern: str = "*"
) -> tuple[RowGradients, dict[str, Tensor], Any]:
    """The policy's gradients with its head in `dtype`; its encoder computes in float32."""
    model = tiny(name)
    batch, scorable = batch_of(model, torch.float32), model.kind.scorable(model.policy)
    encode = scorable.encode
    scorable.encode = lambda batch: tuple(
        _as(f, dtype) for f in encode({k: _as(v, torch.float32) for k, v in batch.items()})
    )
    for part in scorable.head:
        part.module.to(dtype)
    batch = {key: _as(value, dtype) for key, value in batch.items()}
    return RowGradients(scorable, lambda ready: ready, SharedDraws.of(SETTINGS, HORIZON, 2), pattern), batch, scorable


def by_autograd(scorable: Any, batch: dict[str, Tensor], pattern: str = "*") -> tuple[np.ndarray, np.ndarray]:
    """Gradients of the mean loss over each half of the anchors, (N, 2, P), and losses, one backward pass for each."""
    draws = SharedDraws.of(SETTINGS, HORIZON, 2)
    named = [(f"{part.name}.{n}", p) for part in scorable.head for n, p in part.module.named_parameters()]
    parameters = [p for name, p in named if fnmatchcase(name, pattern)]
    features, found, losses = scorable.encode(batch), [], []
    for half in range(2 * N):
        rows: list[Tensor] = []
        for anchor in range(SETTINGS.anchors // 2):
            at = half * (SETTINGS.anchors // 2) + anchor
            slot = at % SETTINGS.anchors
            for k in range(SETTINGS.draws if scorable.takes_draws else 1):
                noise = torch.from_numpy(draws.noise[slot, k])[None].to(batch["action"])
                time = torch.from_numpy(draws.time[slot, k : k + 1]).to(batch["action"])
                one = slice(at, at + 1)
                rows.append(
                    scorable.row_losses(
                        tuple(f[one] for f in features), batch["action"][one], batch["action_is_pad"][one], noise, time
                    )
                )
        loss = torch.cat(rows).mean()
        gradients = torch.autograd.grad(loss, parameters, retain_graph=True, allow_unused=True)
        flat = [torch.zeros_like(p) if g is None else g for p, g in zip(parameters, gradients, strict=True)]
        found.append(torch.cat([g.flatten() for g in flat]).double().numpy())
        losses.append(float(loss.detach()))
    return np.array(found).reshape(N, 2, -1), np.array(losses).reshape(N, 2).mean(1)


@pytest.mark.parametrize(
    ("name", "dtype", "tolerance"),
    [
        ("flow", torch.float64, 1e-9),
        ("flow", torch.float32, 1e-5),
        ("diffusion", torch.float32, 1e-5),
        ("act", torch.float32, 1e-5),
    ],
)
def test_products_of_gradients_are_those_of_autograd(name: str, dtype: torch.dtype, tolerance: float):
    gradients, batch, scorable = scored(name, dtype)
    expected, losses = by_autograd(scorable, batch)
    evidence = gradients.evidence(batch)
    products = expected @ expected.transpose(0, 2, 1)
    size = np.sqrt(products[:, [0, 1], [0, 1]])
    np.testing.assert_allclose(evidence.products, products, atol=tolerance * float((size[:, 0] * size[:, 1]).min()))
    np.testing.assert_allclose(evidence.norm, np.square(expected.mean(1)).sum(1), rtol=tolerance)
    np.testing.assert_allclose(evidence.losses, losses, rtol=tolerance)


@pytest.mark.parametrize(
    ("name", "pattern"),
    [
        ("flow", "model.field.leave.*"),
        ("flow", "*blocks.0*"),
        ("diffusion", "*final_conv*"),
        ("act", "model.action_head*"),
        ("act", "model.decoder.layers.1*"),
    ],
)
def test_a_part_of_the_head_has_the_gradients_of_autograd(name: str, pattern: str):
    gradients, batch, scorable = scored(name, pattern=pattern)
    expected, _ = by_autograd(scorable, batch, pattern)
    np.testing.assert_allclose(gradients.evidence(batch).norm, np.square(expected.mean(1)).sum(1), rtol=1e-5)


@pytest.mark.parametrize("name", ["flow", "diffusion", "act"])
def test_products_with_a_direction_are_those_of_autograd(name: str):
    gradients, batch, scorable = scored(name)
    expected, _ = by_autograd(scorable, batch)
    other = {key: value.flip(0) if isinstance(value, Tensor) else value for key, value in batch.items()}
    along = gradients.mean(other)
    direction = np.concatenate([g.flatten().double().numpy() for g in along.values()])
    np.testing.assert_allclose(gradients.evidence(batch, along).along, expected.mean(1) @ direction, rtol=1e-5)


def test_scoring_leaves_the_policy_as_it_was():
    gradients, batch, scorable = scored("flow")
    gradients.evidence(batch)
    gradients.mean(batch)
    parameters = [p for part in scorable.head for p in part.module.parameters()]
    assert all(p.requires_grad and p.grad is None for p in parameters)


@pytest.mark.parametrize("options", [{}, {"stride": 2, "padding": 1}, {"padding": 4, "dilation": 2}])
@pytest.mark.parametrize("convolve", [F.conv1d, F.conv_transpose1d])
def test_convolutions_of_any_geometry_have_the_gradients_of_autograd(convolve: Any, options: dict[str, int]):
    if convolve is F.conv_transpose1d:
        options = {key: value for key, value in options.items() if key != "dilation"}
    rng = torch.Generator().manual_seed(0)
    x, weight, bias = (torch.randn(*shape, generator=rng).double() for shape in ((4, 3, 9), (3, 3, 5), (3,)))
    parameters = [weight.requires_grad_(), bias.requires_grad_()]
    given = convolve(x, weight, bias, **options)
    delta = torch.randn(given.shape, generator=rng).double()
    found = RULES[convolve]((x, weight, bias), options, delta, Rows(groups=2, axis=0))
    for group in range(2):
        part = slice(2 * group, 2 * group + 2)
        expected = torch.autograd.grad(given[part], parameters, delta[part], retain_graph=True)
        carried_out = found["weight"].deltas[group].T @ found["weight"].inputs[group]
        torch.testing.assert_close(carried_out.view_as(weight), expected[0])
        torch.testing.assert_close(found["bias"].gradients[group], expected[1])


class Scaled(nn.Module):
    """A head with a parameter that no rule covers."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.scale = nn.Linear(3, 2), nn.Parameter(torch.ones(2))


class ScaledScorable:
    takes_draws = False

    def __init__(self) -> None:
        self.policy = self.module = Scaled()
        self.head = (HeadPart("scaled", self.module),)

    def encode(self, batch: Any) -> tuple[Tensor, ...]:
        return (batch["observation.state"],)

    def row_losses(self, features: Any, actions: Tensor, is_pad: Tensor, noise: Tensor, time: Tensor) -> Tensor:
        return (self.module.layer(features[0]) * self.module.scale - actions[:, 0]).square().mean(1)


def test_a_parameter_without_a_rule_is_named_and_can_be_left_out():
    scorable, draws = ScaledScorable(), SharedDraws.of(SETTINGS, HORIZON, 2)
    batch = batch_of(tiny("flow"), torch.float32)
    with pytest.raises(ConfigError, match="parameter 'scaled.scale' is used by mul.*--head"):
        RowGradients(scorable, lambda ready: ready, draws).evidence(batch)
    assert (RowGradients(scorable, lambda ready: ready, draws, "scaled.layer.*").evidence(batch).norm > 0).all()


def test_a_pattern_that_names_nothing_says_what_there_is():
    with pytest.raises(ConfigError, match="--head nothing names no parameter.*scaled.layer"):
        RowGradients(ScaledScorable(), lambda ready: ready, SharedDraws.of(SETTINGS, HORIZON, 2), "nothing")
