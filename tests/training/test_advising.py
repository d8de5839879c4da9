"""The batch size that is advised follows from what was measured."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from training.demonstrations import CONFIG, Demonstrations, tiny_flow

from etude.core import ConfigError
from etude.data import WindowBatch
from etude.policies.placing import resolve_device
from etude.training import advising
from etude.training.advising import LARGEST, advise_batch_size


def batch(size: int) -> WindowBatch:
    return Demonstrations(batch_size=size).batch(0)


def test_the_batch_fits_into_the_memory_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_flow()
    before = {key: value.clone() for key, value in model.module.state_dict().items()}
    sizes: list[int] = []
    for free in (10**6, 10**12):
        monkeypatch.setattr(advising, "free_memory", lambda free=free: free)
        advice = advise_batch_size(model, batch, CONFIG)
        sizes.append(advice.batch_size)
        assert advice.batch_size == 1 or advice.fixed + advice.batch_size * advice.per_window <= free
        assert f"batch size {advice.batch_size}: a window takes" in str(advice)
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1] == LARGEST
    assert all(np.log2(size).is_integer() for size in sizes)
    for key, value in model.module.state_dict().items():
        torch.testing.assert_close(value, before[key], rtol=0, atol=0)


def test_parts_make_room_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(advising, "free_memory", lambda: 3 * 10**6)
    one, two = (advise_batch_size(tiny_flow(), batch, replace(CONFIG, accumulate=parts)).batch_size for parts in (1, 2))
    assert two == 2 * one


def test_there_is_memory_here() -> None:
    assert advising.free_memory() > 10**7


def test_a_gpu_that_is_not_there_is_refused() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is one")
    with pytest.raises(ConfigError, match="sees no GPU here; choose 'cpu', or 'auto'"):
        resolve_device("cuda")
    assert resolve_device("auto").type == "cpu"
