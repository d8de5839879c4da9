"""A batch computed in parts, one after another or by several processes, takes the same steps as in one."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from training.demonstrations import CONFIG, Demonstrations, tiny_flow
from training.steady import STEADY, fit_steadily

from etude.core import ConfigError
from etude.training.batches import part_of
from etude.training.train import TrainResult, train

TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainResult]:
    out = tmp_path_factory.mktemp("parts") / "whole"
    return out, fit_steadily(out)


def weights(out: Path) -> dict[str, list[float]]:
    return json.loads((out / "checkpoint" / "weights.json").read_text())


def assert_alike(a: Path, b: Path) -> None:
    for name, values in weights(a).items():
        np.testing.assert_allclose(values, weights(b)[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("parts", [2, 4])
def test_a_batch_in_parts_has_the_gradient_of_the_whole(
    whole: tuple[Path, TrainResult], tmp_path: Path, parts: int
) -> None:
    result = fit_steadily(tmp_path, accumulate=parts)
    np.testing.assert_allclose(result.losses, whole[1].losses, rtol=1e-5)
    assert_alike(tmp_path, whole[0])


def test_two_processes_take_the_steps_of_one_and_the_first_writes(
    whole: tuple[Path, TrainResult], tmp_path: Path
) -> None:
    command = [Path(sys.executable).with_name("torchrun"), "--nproc_per_node", "2", "--log-dir", tmp_path / "logs"]
    environment = {**os.environ, "PYTHONPATH": str(TESTS), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [*command, TESTS / "training" / "steady.py", tmp_path / "out"],
        capture_output=True, text=True, timeout=200, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    curves = [json.loads((out / "curves.json").read_text()) for out in (whole[0], tmp_path / "out")]
    for name in ("training", "validation"):
        np.testing.assert_allclose(curves[0][name], curves[1][name], rtol=1e-5)
    assert_alike(tmp_path / "out", whole[0])


def test_parts_hold_every_window_once_and_share_the_sources_evenly() -> None:
    batch = Demonstrations(batch_size=12).batch(0)
    parts = [part_of(batch, index, 3) for index in range(3)]
    assert [len(part.state) for part in parts] == [4, 4, 4]
    rows = np.concatenate([part.state for part in parts])
    np.testing.assert_array_equal(np.sort(rows, 0), np.sort(batch.state, 0))
    assert part_of(batch, 0, 1) is batch


def test_a_batch_that_cannot_be_divided_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="batch_size = 16 cannot be computed in 3 equal parts"):
        fit_steadily(tmp_path, accumulate=3)
    assert STEADY.batch_size == 16


def test_parts_draw_noise_of_their_own(tmp_path: Path) -> None:
    from dataclasses import replace

    data = Demonstrations()
    config = replace(CONFIG, accumulate=2)
    first = train(tiny_flow(), data, [data.batch(100)], config, tmp_path / "a")
    again = train(tiny_flow(), data, [data.batch(100)], config, tmp_path / "b")
    assert first.losses == again.losses
