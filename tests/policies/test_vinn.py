"""Chunks from the nearest remembered moments."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from training.demonstrations import FEATURES, HORIZON, STATISTICS, Demonstrations

from etude.core import ConfigError, MismatchError
from etude.policies import Features
from etude.policies.batches import to_tensors
from etude.policies.checkpoint import build_policy, load_model
from etude.policies.model import ChunkModel
from etude.policies.vinn.memory import Memory, nearest, weighted_mean

TINY = {"horizon": HORIZON, "n_action_steps": 4, "vision_widths": (8, 16), "keypoints": 8, "embedding_size": 16}


def vinn(features: Features = FEATURES, **options: int) -> ChunkModel:
    return build_policy("vinn", features, STATISTICS, np.random.default_rng(0), **{**TINY, **options})


def random(seed: int, *shape: int) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("count", [1, 5, 40])
def test_the_nearest_are_those_of_brute_force(count: int) -> None:
    queries, keys = random(0, 7, 6), random(1, 40, 6)
    distances, indices = nearest(queries, keys, count)
    for query, found, where in zip(queries.numpy(), distances.numpy(), indices.numpy(), strict=True):
        all_of_them = np.array([np.sqrt(((query - key) ** 2).sum()) for key in keys.numpy()])
        order = np.argsort(all_of_them)[:count]
        np.testing.assert_array_equal(where, order)
        np.testing.assert_allclose(found, all_of_them[order], rtol=1e-6)


def test_each_neighbour_is_weighted_by_its_own_distance() -> None:
    """The nearest comes last in the memory: weights in another order than the chunks would be seen."""
    keys, chunks = torch.tensor([[3.0], [2.0], [0.5]]), torch.tensor([0.0, 10.0, 100.0]).reshape(3, 1, 1)
    distances, indices = nearest(torch.zeros(1, 1), keys, 2)
    expected = (np.exp(-0.5) * 100 + np.exp(-2.0) * 10) / (np.exp(-0.5) + np.exp(-2.0))
    np.testing.assert_allclose(weighted_mean(distances, chunks[indices]), [[[expected]]], rtol=1e-6)


def test_near_keys_far_from_zero_keep_their_distances() -> None:
    distances, indices = nearest(torch.full((1, 8), 1000.0), 1000 + torch.tensor([[2e-3], [1e-3]]).expand(2, 8), 2)
    assert indices.tolist() == [[1, 0]]
    assert distances[0, 1] > 1.5 * distances[0, 0]


def test_parts_of_a_key_count_the_same_whatever_their_units_and_sizes() -> None:
    keys, chunks, queries = random(0, 50, 5), random(1, 50, 2, 1), random(2, 4, 5)
    plain, scaled = (Memory(0, (4, 1), (1.0, 1.0), (2, 1)) for _ in range(2))
    plain.replace(keys, chunks)
    units = torch.tensor([1, 1, 1, 1, 1000.0])
    scaled.replace(keys * units, chunks)
    torch.testing.assert_close(plain.look_up(queries, 8), scaled.look_up(queries * units, 8), rtol=1e-4, atol=1e-5)


def test_the_memory_keeps_the_last_moments() -> None:
    memory = Memory(5, (1,), (1.0,), (1, 1))
    for first in (0, 3, 6):  # nine moments, three at a time
        values = torch.arange(first, first + 3, dtype=torch.float32)
        memory.write(values[:, None], values[:, None, None])
    assert memory.filled == 5
    assert sorted(memory.get_buffer("keys").flatten().tolist()) == [4, 5, 6, 7, 8]
    torch.testing.assert_close(memory.get_buffer("keys").flatten(), memory.get_buffer("chunks").flatten())


def test_all_moments_are_remembered_once_and_read_back_strictly(tmp_path: Path) -> None:
    data = Demonstrations(episodes=10)
    model = vinn()
    model.conclude(map(to_tensors, data.sweep()), [to_tensors(data.batch(0))])
    model.save(tmp_path)
    again = load_model(tmp_path)
    assert again.policy.config.memory_size == 10
    assert load_file(tmp_path / "model.safetensors")["memory.keys"].shape[0] == 10
    batch = to_tensors(data.batch(1))
    np.testing.assert_array_equal(again.predict(batch), model.predict(batch))


def test_the_number_of_neighbours_is_the_best_on_the_validation_episodes() -> None:
    data = Demonstrations(episodes=10)
    model = vinn()
    model.conclude(map(to_tensors, data.sweep()), [to_tensors(data.batch(0))])
    assert model.policy.config.neighbours == 1  # the same moments: the nearest is the moment itself
    noisy = [{**batch, "action": random(index, 8, HORIZON, 2)} for index, batch in
             enumerate(to_tensors(data.batch(step)) for step in range(4))]  # fmt: skip
    model.conclude(noisy, noisy[:0])
    assert model.policy.config.neighbours == 1  # without validation it stays
    held_out = [{**batch, "action": torch.zeros_like(batch["action"])} for batch in noisy]
    model.conclude(noisy, held_out)
    assert model.policy.config.neighbours == 32  # the mean of all noise is nearest to none; all 32, not more


def test_lerobots_training_can_fill_the_memory() -> None:
    model, data = vinn(memory_size=12), Demonstrations()
    for step in range(2):
        model.loss(to_tensors(data.batch(step)), torch.Generator().manual_seed(step))
    assert model.policy.memory.filled == 12
    assert model.module.training
    assert model.predict(to_tensors(data.batch(0))).shape == (8, HORIZON, 2)


def test_an_empty_memory_and_missing_cameras_say_what_to_do() -> None:
    with pytest.raises(MismatchError, match="etude train"):
        vinn().predict(to_tensors(Demonstrations().batch(0)))
    with pytest.raises(ConfigError, match="no image among its inputs: use flow"):
        vinn(Features(cameras=(), image_size=(0, 0), state_size=3, action_size=2))


def test_views_agree_after_training_without_becoming_one() -> None:
    model, data, generator = vinn(shift_px=1), Demonstrations(episodes=6), torch.Generator().manual_seed(0)
    optimizer = torch.optim.AdamW([p for p in model.module.parameters() if p.requires_grad], lr=2e-3)
    losses = list[float]()
    for step in range(40):
        model.module.train()
        loss = model.loss(to_tensors(data.batch(step)), generator)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert np.mean(losses[-5:]) < 0.6 * losses[0]
    model.module.eval()
    with torch.no_grad():
        keys = model.policy.encode(model.prepare(to_tensors(next(iter(data.sweep())))))
    assert torch.pdist(keys[:, :16]).min() > 1e-3  # the first camera's: six images, six vectors
