"""Checkpoints that LeRobot wrote are read strictly, and act as they do in LeRobot."""

import json
import tempfile
import zlib
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lerobot.configs import FeatureType, PolicyFeature, PreTrainedConfig
from lerobot.policies.act.configuration_act import ACTConfig
from lerobot.policies.act.modeling_act import ACTPolicy
from lerobot.policies.diffusion.configuration_diffusion import DiffusionConfig
from lerobot.policies.diffusion.modeling_diffusion import DiffusionPolicy
from lerobot.policies.factory import make_pre_post_processors
from safetensors.torch import load_file, save_file

from etude.core import ConfigError, MismatchError, Observation
from etude.data import FeatureStatistics
from etude.policies import CheckpointPolicy, Features
from etude.policies.checkpoint import build_policy, load_model
from etude.policies.names import check_policy_name, lerobot_names

SIZE, HORIZON = 40, 8
IMAGE, STATE = PolicyFeature(FeatureType.VISUAL, (3, SIZE, SIZE)), PolicyFeature(FeatureType.STATE, (3,))
FEATURES: dict[str, Any] = {
    "input_features": {"observation.images.front": IMAGE, "observation.state": STATE},
    "output_features": {"action": PolicyFeature(FeatureType.ACTION, (2,))},
    "device": "cpu",
    "pretrained_backbone_weights": None,
}
SMALL: dict[str, Any] = {
    "act": {"chunk_size": HORIZON, "n_action_steps": HORIZON, "dim_model": 32, "n_heads": 2, "dim_feedforward": 32},
    # LeRobot's own number of observations and schedule
    "diffusion": {"horizon": HORIZON, "n_action_steps": 4, "down_dims": (16, 32), "num_train_timesteps": 5},
}
VECTOR = {"mean": np.full(2, 0.5), "std": np.full(2, 2.0), "min": np.full(2, -1.0), "max": np.full(2, 3.0)}
STATISTICS = {
    "observation.images.front": {name: np.full((3, 1, 1), value) for name, value in (("mean", 0.4), ("std", 0.2))},
    "observation.state": {key: np.resize(value, 3) for key, value in VECTOR.items()},
    "action": VECTOR,
}


def tensors(values: dict[str, dict[str, Any]]) -> dict[str, dict[str, torch.Tensor]]:
    return {key: {name: torch.as_tensor(v, dtype=torch.float32) for name, v in value.items()}
            for key, value in values.items()}  # fmt: skip


@pytest.fixture(scope="module", params=["act", "diffusion"])
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint as lerobot-train leaves it."""
    torch.manual_seed(0)
    policy: Any
    if request.param == "act":
        policy = ACTPolicy(ACTConfig(**FEATURES, **SMALL["act"]))
    else:
        policy = DiffusionPolicy(DiffusionConfig(**FEATURES, **SMALL["diffusion"]))
    folder = tmp_path_factory.mktemp(request.param)
    policy.save_pretrained(folder)
    for processor in make_pre_post_processors(policy.config, dataset_stats=tensors(STATISTICS)):
        processor.save_pretrained(folder)
    return folder


def test_it_predicts_what_lerobots_pipeline_does(written: Path) -> None:
    model = load_model(written)
    rng = np.random.default_rng(0)
    image, state = rng.integers(0, 256, (3, SIZE, SIZE), np.uint8), rng.standard_normal(3).astype(np.float32)
    noise = torch.from_numpy(rng.standard_normal((1, HORIZON, 2), dtype=np.float32))
    chunk = model.predict(
        {"observation.images.front": torch.from_numpy(image[None]), "observation.state": torch.from_numpy(state[None])},
        noise,
    )
    lerobot: Any = {"act": ACTPolicy, "diffusion": DiffusionPolicy}[model.name].from_pretrained(written, strict=True)
    before, after = make_pre_post_processors(lerobot.config, pretrained_path=str(written))
    options = {"noise": noise} if model.name == "diffusion" else {}
    torch.manual_seed(zlib.crc32(noise.numpy().tobytes()))  # the default schedule draws at every step
    for index in range(4):
        seen = {"observation.images.front": torch.from_numpy(image) / 255, "observation.state": torch.from_numpy(state)}
        batch = before(seen)
        action = after(lerobot.select_action(dict(batch), **options))
        np.testing.assert_allclose(chunk[0, index], action[0], atol=1e-5)


def test_a_policy_that_looks_back_is_rolled_out_as_lerobot_does(written: Path) -> None:
    policy = CheckpointPolicy(str(written), execute=4).create()
    lerobot: Any = {"act": ACTPolicy, "diffusion": DiffusionPolicy}[load_model(written).name].from_pretrained(written)
    if lerobot.name == "act":
        lerobot.config.n_action_steps = 4
        lerobot.reset()
    before, after = make_pre_post_processors(lerobot.config, pretrained_path=str(written))
    rng, memory = np.random.default_rng(1), policy.begin(np.random.default_rng(0))
    stream, left = np.random.default_rng(0), list[Any]()
    for step in range(10):
        image, state = rng.integers(0, 256, (SIZE, SIZE, 3), np.uint8), rng.standard_normal(3).astype(np.float32)
        if not left:
            left = list(policy.act([Observation(images={"front": image}, state=state)], [memory])[0])
        elif lerobot.name == "diffusion":
            raise AssertionError("it must be shown every observation")
        options = lerobot_noise(lerobot, stream) if step % 4 == 0 else {}
        seen = {"observation.images.front": torch.from_numpy(image).permute(2, 0, 1) / 255}
        batch = before({**seen, "observation.state": torch.from_numpy(state)})
        expected = after(lerobot.select_action(dict(batch), **options))[0]
        np.testing.assert_allclose(left.pop(0), expected, atol=1e-5)


def lerobot_noise(lerobot: Any, stream: np.random.Generator) -> dict[str, torch.Tensor]:
    """The noise that a chunk starts from here, for LeRobot; what the first action needs comes from torch's stream."""
    if lerobot.name == "act":
        return {}
    noise = torch.from_numpy(stream.standard_normal((HORIZON - 1, 2), dtype=np.float32))[None]
    torch.manual_seed(zlib.crc32(noise.numpy().tobytes()))
    return {"noise": torch.cat([torch.randn(1, 1, 2), noise], dim=1)}


def test_looking_back_goes_with_no_other_execution(written: Path) -> None:
    if load_model(written).observed > 1:
        with pytest.raises(ConfigError, match="looks at 2 observations at once"):
            CheckpointPolicy(str(written), execute=4, overlap=1).create()


def test_one_saved_on_a_gpu_or_from_imagenet_loads_here_without_either(written: Path, tmp_path: Path) -> None:
    for file in written.iterdir():
        text = file.read_bytes()
        if file.suffix == ".json":
            text = text.replace(b'"device": "cpu"', b'"device": "cuda"')
        (tmp_path / file.name).write_bytes(text)
    config = json.loads((tmp_path / "config.json").read_text())
    config["pretrained_backbone_weights"] = "ResNet18_Weights.IMAGENET1K_V1"
    (tmp_path / "config.json").write_text(json.dumps(config))
    model = load_model(tmp_path)
    assert model.policy.config.device == "cpu"


def test_inputs_that_nothing_here_gives_are_named(written: Path, tmp_path: Path) -> None:
    for file in written.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    config["input_features"]["observation.environment_state"] = {"type": "ENV", "shape": [4]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(MismatchError, match=r"looks at observation\.environment_state"):
        load_model(tmp_path)


@pytest.mark.parametrize(
    ("change", "says"),
    [({"strange": 1}, r"config\.json' is not a policy's config: .*`strange`"), ({"n_obs_steps": "x"}, "`n_obs_steps`")],
)
def test_settings_that_the_policy_does_not_have_are_named(
    written: Path, tmp_path: Path, change: dict[str, Any], says: str
) -> None:
    for file in written.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(MismatchError, match=says):
        load_model(tmp_path)


def test_its_config_is_read_as_lerobot_does_and_leaves_no_file(
    written: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lerobot = PreTrainedConfig.from_pretrained(written)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert vars(load_model(written).policy.config) == vars(lerobot)
    assert list(tmp_path.iterdir()) == []


def test_normalisers_that_are_missing_or_damaged_are_named(written: Path, tmp_path: Path) -> None:
    for file in written.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (state,) = tmp_path.glob("policy_preprocessor_*.safetensors")
    whole = state.read_bytes()
    state.unlink()
    with pytest.raises(MismatchError, match=rf"{state.name} missing\. Copy the whole folder again"):
        load_model(tmp_path)
    state.write_bytes(whole[:20])
    with pytest.raises(MismatchError, match="cannot be read"):
        load_model(tmp_path)
    (tmp_path / "policy_preprocessor.json").write_text("{")
    with pytest.raises(MismatchError, match=r"policy_preprocessor\.json' is not valid JSON"):
        load_model(tmp_path)


def test_weights_cut_short_or_of_another_policy_are_refused(written: Path, tmp_path: Path) -> None:
    for file in written.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    with pytest.raises(MismatchError, match=r"model\.safetensors' cannot be read"):
        load_model(tmp_path)
    save_file({"stranger": torch.zeros(1), **dict(list(load_file(written / weights.name).items())[1:])}, weights)
    with pytest.raises(MismatchError, match="missing: .*unexpected: stranger"):
        load_model(tmp_path)


def test_every_policy_of_lerobot_has_its_name() -> None:
    assert {*lerobot_names()} <= {*PreTrainedConfig.get_known_choices()}
    assert {"act", "diffusion", "groot", "pi0", "smolvla", "tdmpc", "vqbet"} <= {*lerobot_names()}
    for name in lerobot_names():
        check_policy_name(name)


SEEN = Features(cameras=("front",), image_size=(SIZE, SIZE), state_size=3, action_size=2)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        pytest.param(
            "smolvla",
            r"pip install 'lerobot\[smolvla\]'",
            marks=pytest.mark.skipif(find_spec("transformers") is not None, reason="transformers is installed"),
        ),
        ("tdmpc", "learns from rewards"),
        ("gaussian_actor", "does not predict chunks"),
    ],
)
def test_policies_that_cannot_be_trained_here_say_why(name: str, says: str) -> None:
    with pytest.raises((ConfigError, MismatchError), match=says):
        build_policy(name, SEEN, FeatureStatistics(STATISTICS), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("name", "features", "says"),
    [
        ("act", replace(SEEN, cameras=()), "at least one image"),
        ("diffusion", replace(SEEN, cameras=()), "at least one image"),
        ("diffusion", replace(SEEN, state_size=0), r"looks at 'observation\.state'"),
        (
            "diffusion",
            replace(SEEN, cameras=("front", "top"), image_size={"front": (40, 40), "top": (40, 48)}),
            "shape",
        ),
        ("vinn", replace(SEEN, cameras=()), "no image among its inputs"),
        ("vqbet", replace(SEEN, cameras=("front", "wrist")), "only one image"),
        ("vqbet", replace(SEEN, state_size=0), "cannot be made for these features"),
    ],
)
def test_features_that_a_policy_cannot_take_are_refused_in_a_line(name: str, features: Features, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        build_policy(name, features, FeatureStatistics(STATISTICS), np.random.default_rng(0))


@pytest.mark.parametrize(
    ("name", "features"),
    [
        (name, features)
        for name in ("act", "flow", "vinn")
        for features in (
            replace(SEEN, state_size=0),
            replace(SEEN, cameras=("front", "top"), image_size={"front": (24, 24), "top": (32, 40)}),
        )
    ]
    + [("flow", replace(SEEN, cameras=()))],
)
def test_cameras_of_different_sizes_and_missing_states_or_images_work(
    name: str, features: Features, tmp_path: Path
) -> None:
    model = build_policy(name, features, FeatureStatistics(STATISTICS), np.random.default_rng(0))
    rng = np.random.default_rng(0)
    batch = {f"observation.images.{camera}": torch.from_numpy(rng.integers(0, 256, (2, 3, *size), np.uint8))
             for camera, size in features.image_sizes.items()}  # fmt: skip
    batch["observation.state"] = torch.zeros(2, 3)
    batch["action"], batch["action_is_pad"] = torch.zeros(2, model.horizon, 2), torch.zeros(2, model.horizon).bool()
    assert bool(model.loss(batch, torch.Generator().manual_seed(0)).isfinite())
    model.conclude([batch], [])
    model.save(tmp_path)
    assert load_model(tmp_path, features).predict(batch, torch.zeros(2, model.horizon, 2)).shape == (
        2,
        model.horizon,
        2,
    )
