"""What every policy promises, whichever it is."""

import pickle
import subprocess
import sys
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from lerobot.configs import PreTrainedConfig
from lerobot.policies.factory import get_policy_class, make_policy, make_pre_post_processors
from lerobot.utils.import_utils import register_third_party_plugins
from safetensors.torch import load_file, save_file
from training.demonstrations import FEATURES, HORIZON, SIZE, STATISTICS, TINY, Demonstrations

from etude.core import ActionChunk, ConfigError, MismatchError, Observation, ShapeError, UnknownNameError
from etude.data import FeatureStatistics
from etude.policies import CheckpointPolicy, Features, policy_names
from etude.policies.batches import to_tensors
from etude.policies.checkpoint import build_policy, load_model
from etude.policies.model import ChunkModel

VISION = {"vision_widths": (8, 16), "keypoints": 8}
GPT = {"gpt_n_layer": 1, "gpt_n_head": 2, "gpt_input_dim": 32, "gpt_output_dim": 32, "gpt_hidden_dim": 32}
OPTIONS: dict[str, dict[str, Any]] = {
    "act": {"chunk_size": HORIZON, "n_action_steps": 4, "dim_model": 32, "n_heads": 2, "dim_feedforward": 32},
    "diffusion": {"horizon": HORIZON, "n_action_steps": 4, "down_dims": (16, 32), "num_inference_steps": 4},
    "flow": TINY,
    "vinn": {"horizon": HORIZON, "n_action_steps": 4, "embedding_size": 16, "shift_px": 1, **VISION},
    # One of LeRobot's other policies stands for all of them: it needs no extra and no download.
    "vqbet": {"action_chunk_size": HORIZON, "n_vqvae_training_steps": 3, "vqvae_enc_hidden_dim": 16, **GPT},
}
LEARNING = {"act": (120, 2e-3), "diffusion": (250, 1e-3), "flow": (200, 6e-3), "vinn": (40, 2e-3)}
"""How many steps at which learning rate learn a few moments by heart."""
SEES = dict.fromkeys(OPTIONS, FEATURES) | {"vqbet": replace(FEATURES, cameras=("front",))}
RANGES = FeatureStatistics(
    {key: {"min": -2 * np.ones_like(value["mean"]), "max": 2 * np.ones_like(value["mean"]), **value}
     for key, value in STATISTICS.features.items()}
)  # fmt: skip


def build(name: str, seed: int = 0, statistics: FeatureStatistics = RANGES) -> ChunkModel:
    return build_policy(name, SEES[name], statistics, np.random.default_rng(seed), **OPTIONS[name])


def finish(model: ChunkModel, data: Demonstrations | None = None) -> None:
    """What is done after the last step of training, for models that have had none."""
    model.conclude(map(to_tensors, (data or Demonstrations()).sweep()), [])
    for key, value in model.module.state_dict().items():
        if key.endswith("discretized"):  # VQ-BeT's first phase of training
            value.fill_(True)


def stir(model: ChunkModel) -> None:
    """Give a model weights and statistics as training does; fresh ones, many of them zero, hide mistakes."""
    generator = torch.Generator().manual_seed(0)
    for key, value in model.module.state_dict().items():
        if value.is_floating_point():
            value.add_(0.05 * torch.rand(value.shape, generator=generator), alpha=1.0 if "running" in key else 0.5)


@pytest.fixture(scope="module", params=OPTIONS)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def checkpoint(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = build(name)
    stir(model)
    finish(model)
    folder = tmp_path_factory.mktemp(name) / "checkpoint"
    model.save(folder)
    return folder


def observations(count: int) -> list[Observation]:
    rng = np.random.default_rng(5)
    return [
        Observation(
            images={camera: rng.integers(0, 60, (SIZE, SIZE, 3), np.uint8) for camera in FEATURES.cameras},
            state=rng.standard_normal(3).astype(np.float32),
        )
        for _ in range(count)
    ]


def act(path: Path, order: Sequence[int], **options: Any) -> dict[int, ActionChunk]:
    """Chunks of some of eleven observations, asked for together in this order, by index."""
    policy = CheckpointPolicy(str(path), **options).create()
    memories = [policy.begin(np.random.default_rng(index)) for index in order]
    seen = observations(11)
    return dict(zip(order, policy.act([seen[index] for index in order], memories), strict=True))


def test_a_chunk_is_as_long_as_asked_and_float32(checkpoint: Path) -> None:
    chunks = act(checkpoint, [0, 1], execute=5)
    assert all(chunk.shape == (5, 2) and chunk.dtype == np.float32 for chunk in chunks.values())


@pytest.mark.parametrize("batch_size", [4, 8])
def test_a_chunk_does_not_depend_on_the_others_in_the_batch(checkpoint: Path, batch_size: int) -> None:
    together = act(checkpoint, range(11), batch_size=batch_size)
    for order in ([7], [10, 3], [5, 4, 3, 2, 1, 0, 9, 8, 6, 10, 7]):
        for index, chunk in act(checkpoint, order, batch_size=batch_size).items():
            np.testing.assert_array_equal(chunk, together[index])


def test_two_observations_give_two_chunks(checkpoint: Path) -> None:
    chunks = act(checkpoint, [0, 1])
    assert not np.array_equal(chunks[0], chunks[1])


def test_lerobot_loads_the_checkpoint_strictly_and_acts_the_same(checkpoint: Path, name: str) -> None:
    register_third_party_plugins()
    config = PreTrainedConfig.from_pretrained(checkpoint)
    policy = get_policy_class(config.type).from_pretrained(checkpoint, config=config, strict=True)
    expected = act(checkpoint, [0])[0]
    for index in range(4):  # LeRobot asks for a chunk, and then for the rest of it
        assert_acts(policy, *make_pre_post_processors(config, pretrained_path=str(checkpoint)), expected, index)


def assert_acts(policy: Any, before: Any, after: Any, expected: ActionChunk, index: int) -> None:
    """The action that LeRobot executes `index` steps into an episode that stands still is that of the chunk."""
    (observation,) = observations(1)
    images = {f"observation.images.{camera}": torch.from_numpy(observation.images[camera].copy()).permute(2, 0, 1) / 255
              for camera in FEATURES.cameras}  # fmt: skip
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal((1, HORIZON, 2), dtype=np.float32))
    options = {"noise": noise} if policy.name in ("flow", "diffusion") else {}
    if index == 0:
        policy.reset()
        torch.manual_seed(zlib.crc32(noise.numpy().tobytes()))  # VQ-BeT draws from torch's stream
    batch = before({**images, "observation.state": torch.from_numpy(observation.state)})
    action = after(policy.select_action(dict(batch), **options)).numpy()
    np.testing.assert_allclose(action[0], expected[index], atol=1e-5)


def test_lerobots_factory_makes_the_policy_from_a_dataset(checkpoint: Path, name: str) -> None:
    config = PreTrainedConfig.from_pretrained(checkpoint)
    config.pretrained_path = checkpoint
    image = {"dtype": "video", "shape": (SIZE, SIZE, 3), "names": ["height", "width", "channels"]}
    features = {
        **{f"observation.images.{camera}": image for camera in SEES[name].cameras},
        "observation.state": {"dtype": "float32", "shape": (3,), "names": None},
        "action": {"dtype": "float32", "shape": (2,), "names": None},
    }
    policy = make_policy(config, ds_meta=SimpleNamespace(features=features, stats={}))
    saved = load_file(checkpoint / "model.safetensors")
    assert all(torch.equal(value, saved[key]) for key, value in policy.state_dict().items())


def test_saved_and_loaded_is_the_same_model(checkpoint: Path, tmp_path: Path) -> None:
    load_model(checkpoint, FEATURES).save(tmp_path)
    for file in checkpoint.iterdir():
        if file.suffix == ".safetensors":
            assert (tmp_path / file.name).read_bytes() == file.read_bytes()


def test_the_initial_weights_come_from_the_rng_alone(name: str) -> None:
    torch.manual_seed(1)
    first = build(name).module.state_dict()
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second = build(name).module.state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert any(not torch.equal(first[key], other) for key, other in build(name, seed=1).module.state_dict().items())


@pytest.mark.parametrize("training", [True, False])
def test_the_loss_depends_on_the_generator_alone_and_leaves_torchs_stream(
    name: str, training: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    model, batch = build(name), to_tensors(Demonstrations().batch(0))
    model.module.train(training)
    before = torch.get_rng_state()
    losses = [model.copy().loss(batch, torch.Generator().manual_seed(3)) for _ in range(2)]
    assert not capsys.readouterr().out  # which belongs to the command
    assert torch.equal(losses[0], losses[1])
    assert bool(losses[0].isfinite())
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("training", [True, False])
def test_the_loss_is_computed_in_bfloat16_where_that_is_asked_for(name: str, training: bool) -> None:
    model, batch = build(name), to_tensors(Demonstrations().batch(0))
    model.module.train(training)
    with torch.autocast("cpu", torch.bfloat16):
        loss = model.loss(batch, torch.Generator().manual_seed(0))
    if training:
        loss.backward()
    assert bool(loss.isfinite())


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow if name == "diffusion" else ()) for name in policy_names()]
)
def test_an_episode_is_learnt_by_heart(name: str) -> None:
    """Three moments, and what is done in them, after a few seconds of training."""
    model, data, (steps, rate) = build(name), Demonstrations(episodes=3), LEARNING[name]
    optimizer = torch.optim.AdamW([p for p in model.module.parameters() if p.requires_grad])
    generator, losses = torch.Generator().manual_seed(0), list[float]()
    for step in range(steps):
        model.module.train()
        optimizer.param_groups[0]["lr"] = rate * (1 - step / steps)
        loss = model.loss(to_tensors(data.batch(step)), generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    model.module.eval()
    batch = to_tensors(next(iter(data.sweep())))
    model.conclude([batch], [batch])
    noise = torch.randn(3, HORIZON, 2, generator=generator)
    error = (model.predict(batch, noise) - batch["action"]).abs().mean()
    assert np.mean(losses[-5:]) < 0.5 * losses[0]
    assert error < 0.25 * batch["action"].abs().mean()


def test_actions_in_other_units_are_learnt_and_predicted_in_them(name: str, tmp_path: Path) -> None:
    still = {"mean": np.full(2, 7.0), "std": np.full(2, 1e-9), "min": np.full(2, 7.0), "max": np.full(2, 7.0)}
    scaled = FeatureStatistics({**RANGES.features, "action": still})
    data = Demonstrations()
    data.action = np.full_like(data.action, 7)
    model = build(name, statistics=scaled)
    finish(model, data)
    model.save(tmp_path)
    chunk = act(tmp_path, [0])[0]
    assert abs(chunk - 7).max() < 0.1  # the deviation is floored, not taken for what it is


@pytest.mark.parametrize("fault", ["missing", "unexpected", "of another shape"])
def test_weights_that_do_not_fit_are_refused_by_name(checkpoint: Path, tmp_path: Path, fault: str) -> None:
    load_model(checkpoint).save(tmp_path)
    weights = load_file(tmp_path / "model.safetensors")
    key = max(weights, key=lambda key: weights[key].ndim)
    if fault == "unexpected":
        key = "model.stranger"
        weights[key] = torch.zeros(1)
    elif fault == "missing":
        del weights[key]
    else:
        weights[key] = torch.zeros(1)
    save_file(weights, tmp_path / "model.safetensors")
    for load in (load_model, lambda path: CheckpointPolicy(str(path)).create()):
        with pytest.raises(MismatchError, match=rf"{fault}: {key}"):
            load(tmp_path)


@pytest.mark.parametrize("file", ["config.json", "model.safetensors", "policy_preprocessor.json"])
def test_a_checkpoint_that_lacks_a_file_is_refused(checkpoint: Path, tmp_path: Path, file: str) -> None:
    load_model(checkpoint).save(tmp_path)
    (tmp_path / file).unlink()
    with pytest.raises(MismatchError, match=f"{file} missing"):
        load_model(tmp_path)


def test_damaged_weights_are_refused(checkpoint: Path, tmp_path: Path) -> None:
    load_model(checkpoint).save(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"\x10")
    with pytest.raises(MismatchError, match="cannot be read"):
        load_model(tmp_path)


def test_other_features_are_refused_by_name(checkpoint: Path) -> None:
    with pytest.raises(MismatchError, match="camera 'front' is missing; state_size is 4, the policy's is 3"):
        load_model(checkpoint, replace(FEATURES, cameras=("wrist",), state_size=4))


def test_more_cameras_than_needed_are_fine(checkpoint: Path, name: str) -> None:
    assert load_model(checkpoint, replace(FEATURES, cameras=("top", "wrist", "front"))).features == SEES[name]


def test_an_observation_without_the_camera_or_of_another_size_is_refused(checkpoint: Path) -> None:
    policy = CheckpointPolicy(str(checkpoint)).create()
    (good,) = observations(1)
    memory = policy.begin(np.random.default_rng(0))
    with pytest.raises(MismatchError, match="camera 'front'; the observation has wrist"):
        policy.act([replace(good, images={"wrist": good.images["wrist"]})], [memory])
    with pytest.raises(ShapeError, match="image of camera 'front'"):
        policy.act([replace(good, images={**good.images, "front": good.images["front"][:10]})], [memory])
    with pytest.raises(ShapeError, match=r"observation\.state"):
        policy.act([replace(good, state=good.state[:2])], [memory])


def test_executing_more_than_the_horizon_is_refused(checkpoint: Path) -> None:
    with pytest.raises(MismatchError, match="horizon of 8"):
        CheckpointPolicy(str(checkpoint), execute=9).create()


def test_an_unknown_name_or_option_is_refused_with_what_there_is() -> None:
    with pytest.raises(UnknownNameError, match="Did you mean 'flow'"):
        build_policy("flo", FEATURES, STATISTICS, np.random.default_rng(0))
    with pytest.raises(ConfigError, match="no option horizn"):
        build_policy("flow", FEATURES, STATISTICS, np.random.default_rng(0), horizn=3)
    with pytest.raises(ConfigError, match="n_action_steps = 9 must be at most horizon = 8"):
        build_policy("flow", FEATURES, STATISTICS, np.random.default_rng(0), horizon=8, n_action_steps=9)


def test_statistics_that_do_not_fit_are_refused() -> None:
    with pytest.raises(MismatchError, match="lack 'mean' of 'action'"):
        build("flow", statistics=FeatureStatistics({"observation.state": STATISTICS["observation.state"]}))
    wrong = {**STATISTICS.features, "action": {"mean": np.zeros(3), "std": np.ones(3)}}
    with pytest.raises(ShapeError, match="mean of 'action'"):
        build("flow", statistics=FeatureStatistics(wrong))


def test_features_are_read_from_a_datasets_shapes() -> None:
    shapes = {
        "observation.images.front": (48, 64, 3), "observation.state": (5,), "action": (7,), "timestamp": (1,),
    }  # fmt: skip
    expected = Features(cameras=("front",), image_size=(48, 64), state_size=5, action_size=7)
    assert Features.from_shapes(shapes) == expected
    with pytest.raises(MismatchError, match="no feature 'action'"):
        Features.from_shapes({"observation.state": (5,)})


def test_the_recipe_travels_between_processes() -> None:
    recipe = CheckpointPolicy("somewhere", execute=4)
    assert pickle.loads(pickle.dumps(recipe)) == recipe


def test_names_and_recipes_load_no_torch_and_acting_no_lerobot(tmp_path: Path) -> None:
    build("flow").save(tmp_path)
    program = (
        "import sys; from etude.policies import CheckpointPolicy, policy_names; from etude.training import TrainConfig;"
        "assert 'torch' not in sys.modules;"
        f"CheckpointPolicy({str(tmp_path)!r}).create(); assert 'lerobot' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=120)
