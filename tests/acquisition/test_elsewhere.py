"""Tiny, randomly initialised LeRobot π0 and GR00T: scored through their own loss, by a pattern that names the head."""

from collections.abc import Callable, Mapping
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from etude.acquisition.draws import ScoreSettings, SharedDraws
from etude.acquisition.gradients import ForwardGradients, head_gradients
from etude.core import ConfigError, derive_seed
from etude.policies.kinds import find_kind
from etude.policies.model import ChunkModel

pytest.importorskip("transformers", reason="π0 needs lerobot[pi], GR00T lerobot[groot]: both bring transformers")

HORIZON, ACTION, STATE, SIDE, TEXT = 4, 3, 5, 32, 6
SETTINGS = ScoreSettings(anchors=2, draws=2)
IMAGE_TOKEN = 3

type Step = Callable[[dict[str, Any]], dict[str, Any]]


class Preparing:
    """Stands for a preprocessor, whose tokenizer would have to be downloaded."""

    steps = ()

    def __init__(self, step: Step) -> None:
        self._step = step

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        return self._step(batch)


def features() -> dict[str, Any]:
    from lerobot.configs import FeatureType, PolicyFeature

    return {
        "input_features": {
            "observation.images.front": PolicyFeature(FeatureType.VISUAL, (3, SIDE, SIDE)),
            "observation.state": PolicyFeature(FeatureType.STATE, (STATE,)),
        },
        "output_features": {"action": PolicyFeature(FeatureType.ACTION, (ACTION,))},
    }


def tiny_pi0(monkeypatch: pytest.MonkeyPatch) -> ChunkModel:
    import lerobot.policies.pi0.modeling_pi0 as pi0

    def small(config: Any) -> Any:
        """What LeRobot does not let one set: the vocabulary, and the vision tower."""
        text = getattr(config, "text_config", config)
        text.vocab_size = 32
        if hasattr(config, "vision_config"):
            config.image_token_index = config._vocab_size = 31
            sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
            for name, value in (*sizes.items(), ("patch_size", 16), ("projection_dim", text.hidden_size)):
                setattr(config.vision_config, name, value)
        return config

    monkeypatch.setattr(pi0, "get_gemma_config", lambda _: pi0.GemmaConfig(16, 2, 24, 8, 1, 8))
    for name in ("PaliGemmaForConditionalGenerationWithPiGemma", "PiGemmaForCausalLM"):
        whole = getattr(pi0, name)
        monkeypatch.setattr(pi0, name, lambda config, whole=whole: whole(config=small(config)))
    config = pi0.PI0Config(
        **features(),
        chunk_size=HORIZON,
        n_action_steps=HORIZON,
        max_state_dim=8,
        max_action_dim=8,
        image_resolution=(SIDE, SIDE),
        device="cpu",
    )

    def with_words(batch: dict[str, Any]) -> dict[str, Any]:
        rows = len(batch["action"])
        assert batch["task"] == ["stack"] * rows
        return {
            **batch,
            "observation.language.tokens": torch.arange(TEXT).repeat(rows, 1),
            "observation.language.attention_mask": torch.ones(rows, TEXT, dtype=torch.bool),
        }

    return model_of("pi0", pi0.PI0Policy(config), with_words)


def tiny_groot(monkeypatch: pytest.MonkeyPatch) -> ChunkModel:
    pytest.importorskip("tree", reason="GR00T needs lerobot[groot], which brings dm-tree")
    import lerobot.policies.groot.groot_n1_7 as n17
    import lerobot.policies.groot.modeling_groot as groot
    from lerobot.policies.groot.configuration_groot import GrootConfig

    def backbone() -> Any:
        text = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
        text |= {"num_key_value_heads": 1, "head_dim": 8, "vocab_size": 32, "tie_word_embeddings": True}
        text["rope_parameters"] = {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [2, 1, 1]}
        vision = {"depth": 1, "hidden_size": 16, "intermediate_size": 16, "num_heads": 2, "out_hidden_size": 16}
        vision |= {"patch_size": 8, "num_position_embeddings": 16, "deepstack_visual_indexes": [0]}
        ids = {"image_token_id": IMAGE_TOKEN, "video_token_id": 4, "vision_start_token_id": 5, "vision_end_token_id": 6}
        return n17.Qwen3VLConfig(text_config=text, vision_config=vision, **ids)

    monkeypatch.setattr(n17, "_cosmos_reason2_qwen3_vl_config", backbone)
    attention = {"num_attention_heads": 2, "attention_head_dim": 8, "dropout": 0.1, "final_dropout": True}
    head = {
        "backbone_embedding_dim": 16,
        "hidden_size": 12,
        "input_embedding_dim": 16,
        "max_state_dim": 8,
        "max_action_dim": 8,
        "action_horizon": HORIZON,
        "max_num_embodiments": 2,
        "select_layer": 2,
        "diffusion_model_cfg": attention
        | {"num_layers": 2, "norm_type": "ada_norm", "output_dim": 12, "interleave_self_attention": True},
        "vl_self_attention_cfg": attention | {"num_layers": 1},
    }
    config = n17.GR00TN17Config(**head)

    def create(_policy: Any) -> Any:
        return n17.GR00TN17(config, load_backbone_weights=False).float()

    monkeypatch.setattr(groot.GrootPolicy, "_create_groot_model", create)
    settings = {"chunk_size": HORIZON, "n_action_steps": HORIZON, "max_state_dim": 8, "max_action_dim": 8}
    policy = groot.GrootPolicy(GrootConfig(**features(), **settings, use_bf16=False, device="cpu"))

    def packed(batch: dict[str, Any]) -> dict[str, Any]:
        """As GR00T's processors pack it: 4 × 4 patches of 8 px, merged to 4 tokens, and two words."""
        rows = len(batch["action"])
        image = batch["observation.images.front"]
        patches = image.unfold(2, 8, 8).unfold(3, 8, 8).permute(0, 2, 3, 1, 4, 5).flatten(0, 2)  # (rows · 16, 3, 8, 8)
        tokens = torch.tensor([[1, 5, *[IMAGE_TOKEN] * 4, 6, 2]]).repeat(rows, 1)
        return {
            "state": padded(batch["observation.state"])[:, None],
            "action": padded(batch["action"]),
            "action_mask": padded(torch.ones_like(batch["action"])),
            "embodiment_id": torch.zeros(rows, dtype=torch.long),
            "input_ids": tokens,
            "attention_mask": torch.ones_like(tokens),
            "pixel_values": patches[:, :, None].expand(-1, -1, 2, -1, -1).flatten(1),
            "image_grid_thw": torch.tensor([[1, 4, 4]]).repeat(rows, 1),
        }

    return model_of("groot", policy, packed)


def padded(values: Tensor) -> Tensor:
    return torch.nn.functional.pad(values, (0, 8 - values.shape[-1]))


def model_of(name: str, policy: Any, step: Step) -> ChunkModel:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in policy.parameters():
            parameter.add_(0.05 * torch.randn(parameter.shape, generator=generator))
    processors: Any = Preparing(step)
    return ChunkModel(find_kind(name), policy.eval(), processors, processors)


def candidates(count: int) -> dict[str, Any]:
    rng, rows = np.random.default_rng(0), count * SETTINGS.anchors
    return {
        "observation.images.front": torch.from_numpy(rng.integers(0, 256, (rows, 3, SIDE, SIDE), np.uint8)),
        "observation.state": torch.from_numpy(rng.standard_normal((rows, STATE), np.float32)),
        "action": torch.from_numpy(rng.standard_normal((rows, HORIZON, ACTION), np.float32)),
        "action_is_pad": torch.zeros(rows, HORIZON, dtype=torch.bool),
        "task": ["stack"] * rows,
    }


MAKERS: Mapping[str, tuple[Callable[[pytest.MonkeyPatch], ChunkModel], str]] = {
    "pi0": (tiny_pi0, "model.action_*_proj.*"),
    "groot": (tiny_groot, "*action_head.action_decoder.*"),
}


@pytest.fixture(params=MAKERS)
def scored(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> tuple[ChunkModel, str]:
    make, pattern = MAKERS[request.param]
    return make(monkeypatch), pattern


def test_the_gradient_on_the_head_is_that_of_its_own_loss(scored: tuple[ChunkModel, str]):
    model, pattern = scored
    settings = ScoreSettings(anchors=SETTINGS.anchors, draws=SETTINGS.draws, head=pattern)
    gradients = head_gradients(model, SharedDraws.of(settings, HORIZON, ACTION), settings)
    assert isinstance(gradients, ForwardGradients)
    batch = candidates(2)
    evidence = gradients.evidence(batch)
    assert (evidence.norm > 0).all()
    assert evidence.norm[0] != evidence.norm[1]

    # The second candidate once more, with nothing but the policy's public forward pass.
    halves: list[Tensor] = []
    for half, row in enumerate((2, 3)):
        model.policy.zero_grad()
        for draw in range(SETTINGS.draws):
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(derive_seed(0, "draw", half, draw))
                ready = model.prepare({name: values[row : row + 1] for name, values in batch.items()})
                loss, _ = model.policy.forward(ready)
            (loss / SETTINGS.draws).backward()
        parameters = [p for name, p in model.policy.named_parameters() if fnmatchcase(name, pattern)]
        halves.append(torch.cat([p.grad.flatten() for p in parameters if p.grad is not None]).double())
    np.testing.assert_allclose(evidence.products[1, 0, 1], float(halves[0] @ halves[1]), rtol=1e-5)
    np.testing.assert_allclose(evidence.norm[1], float(((halves[0] + halves[1]) / 2).square().sum()), rtol=1e-5)


def test_the_same_candidate_gets_the_same_score_whoever_stands_beside_it(scored: tuple[ChunkModel, str]):
    model, pattern = scored
    settings = ScoreSettings(anchors=SETTINGS.anchors, draws=SETTINGS.draws, head=pattern)
    gradients = head_gradients(model, SharedDraws.of(settings, HORIZON, ACTION), settings)
    batch = candidates(2)
    alone = gradients.evidence({name: values[SETTINGS.anchors :] for name, values in batch.items()})
    np.testing.assert_array_equal(gradients.evidence(batch).norm[1:], alone.norm)


def test_without_a_pattern_it_asks_for_one(scored: tuple[ChunkModel, str]):
    model, _ = scored
    with pytest.raises(ConfigError, match="--head PATTERN"):
        head_gradients(model, SharedDraws.of(SETTINGS, HORIZON, ACTION), SETTINGS)
