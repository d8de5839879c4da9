"""A stream belongs to its root and key, and to nothing else."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from etude.core import ConfigError, derive_seed, stream

keys = st.lists(st.one_of(st.integers(0, 2**32 - 1), st.text(max_size=8)), max_size=4).map(tuple)


@given(st.integers(0, 2**63), keys)
def test_the_same_key_gives_the_same_stream(root: int, key: tuple[int | str, ...]) -> None:
    assert stream(root, *key).random(3).tolist() == stream(root, *key).random(3).tolist()
    assert 0 <= derive_seed(root, *key) < 2**31


@pytest.mark.parametrize(("root", "key", "named"), [(-1, (), "-1"), (0, ("a", -7), "-7")])
def test_negative_numbers_are_refused_by_name(root: int, key: tuple[int | str, ...], named: str) -> None:
    for derive in (stream, derive_seed):
        with pytest.raises(ConfigError, match=f"seed {named}:"):
            derive(root, *key)


def test_different_keys_give_different_streams() -> None:
    drawn = {
        tuple(stream(root, *key).random(2))
        for root in (0, 1)
        for key in ((), (0,), (1,), ("a",), ("b",), ("a", 0), ("a", 1), (0, "a"), ("a", "b"), ("b", "a"))
    }
    assert len(drawn) == 20


def test_derived_seeds_hardly_collide() -> None:
    assert len({derive_seed(0, "case", i) for i in range(10_000)}) > 9_995


def test_streams_are_the_same_in_another_process() -> None:
    code = "from etude.core import stream; print(stream(7, 'collect', 17).random())"
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert float(there) == stream(7, "collect", 17).random()


def test_neighbouring_streams_are_uncorrelated() -> None:
    draws = np.array([stream(0, "policy", i).normal(size=2000) for i in range(6)])
    off_diagonal = np.corrcoef(draws)[np.triu_indices(6, 1)]
    assert np.abs(off_diagonal).max() < 0.09  # 4 standard errors
