"""Which checkpoints are kept: the best by what was asked, and the last ones."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from training.demonstrations import CONFIG, FEATURES, HORIZON, STATISTICS, Demonstrations, tiny_flow

from etude.core import MissingDependencyError, Rate
from etude.policies.checkpoint import build_policy, load_model
from etude.training.history import Best
from etude.training.optimisers import make_optimiser
from etude.training.train import TrainResult, train

SUCCESSES = {4: 1, 6: 3, 8: 3, 12: 2}
"""Steps done -> successes in 5 episodes: best in the middle, where the validation loss is not."""
JUDGED = replace(CONFIG, validate_every=4, evaluate_every=6, keep_last=2)


class Killed(Exception):
    pass


def plan(rates: dict[int, int]) -> Callable[[Path], Rate]:
    """An evaluation that finds what was planned."""

    def evaluate(checkpoint: Path) -> Rate:
        assert load_model(checkpoint).name == "flow"
        return Rate(rates[int(checkpoint.name.partition("-")[2])], 5)

    return evaluate


def fit(out: Path, *, until: int | None = None, config: Any = JUDGED, **options: Any) -> TrainResult:
    data = Demonstrations()

    def stop(done: int, _total: int, _loss: float) -> None:
        if done == until:
            raise Killed

    return train(tiny_flow(), data, [data.batch(10**6)], config, out, progress=stop, **options)


def everything(out: Path) -> dict[str, bytes]:
    return {str(file.relative_to(out)): file.read_bytes() for file in sorted(out.rglob("*")) if file.is_file()}


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, TrainResult]:
    """A training whose policy was rolled out."""
    out = tmp_path_factory.mktemp("choosing") / "judged"
    return out, fit(out, evaluate=plan(SUCCESSES))


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_the_best_by_rollouts_is_the_checkpoint_and_the_best_by_validation_is_kept_beside_it(
    judged: tuple[Path, TrainResult],
) -> None:
    out, result = judged
    assert (result.best_step, str(result.best_rate)) == (6, str(Rate(3, 5)))
    losses = dict(result.validations)
    assert min(losses, key=lambda step: losses[step]) == 12
    assert weights(out / "checkpoint") != weights(out / "checkpoints" / "by-validation")
    assert weights(out / "checkpoints" / "by-validation") == weights(out / "checkpoints" / "step-0000012")


def test_the_curve_of_success_keeps_its_intervals(judged: tuple[Path, TrainResult]) -> None:
    curves = json.loads((judged[0] / "curves.json").read_text())
    assert [point[:3] for point in curves["success"]] == [[6, 3, 5], [12, 2, 5]]
    for _, k, n, low, high in curves["success"]:
        assert (low, high) == Rate(k, n).interval


def test_the_last_checkpoints_are_kept_and_no_more(judged: tuple[Path, TrainResult]) -> None:
    kept = sorted(path.name for path in (judged[0] / "checkpoints").iterdir())
    assert kept == ["by-validation", "step-0000008", "step-0000012"]
    assert not list((judged[0] / "state").glob("candidate*"))


@pytest.mark.parametrize("until", [6, 7, 11])
def test_a_judged_training_that_was_stopped_ends_the_same(
    judged: tuple[Path, TrainResult], tmp_path: Path, until: int
) -> None:
    with pytest.raises(Killed):
        fit(tmp_path, until=until, evaluate=plan(SUCCESSES))
    fit(tmp_path, resume=True, evaluate=plan(SUCCESSES))
    assert everything(tmp_path) == everything(judged[0])


def test_one_killed_in_the_middle_of_its_rollouts_ends_the_same(
    judged: tuple[Path, TrainResult], tmp_path: Path
) -> None:
    def killed(_checkpoint: Path) -> Rate:
        raise Killed

    with pytest.raises(Killed):
        fit(tmp_path, evaluate=killed)
    fit(tmp_path, resume=True, evaluate=plan(SUCCESSES))
    assert everything(tmp_path) == everything(judged[0])


def test_more_success_wins_and_at_equal_success_the_lower_loss() -> None:
    def best(k: int | None, loss: float) -> Best:
        return Best(step=1, loss=loss, weights={}, rate=None if k is None else Rate(k, 5))

    assert best(3, 9.0).beats(best(2, 1.0))
    assert not best(2, 1.0).beats(best(3, 9.0))
    assert best(3, 1.0).beats(best(3, 2.0))
    assert best(0, 1.0).beats(None)
    assert not best(None, 2.0).beats(best(None, 1.0))


@pytest.mark.parametrize("optimizer", ["adam", "sgd"])
@pytest.mark.parametrize("changes", [{}, {"accumulate": 2, "ema_decay": 0.0, "gradient_clip": 0.0}])
def test_every_optimiser_goes_on_where_it_stopped(tmp_path: Path, optimizer: Any, changes: dict[str, Any]) -> None:
    config = replace(CONFIG, optimizer=optimizer, **changes)
    fit(tmp_path / "whole", config=config)
    with pytest.raises(Killed):
        fit(tmp_path / "run", config=config, until=7)
    fit(tmp_path / "run", config=config, resume=True)
    assert everything(tmp_path / "run") == everything(tmp_path / "whole")


def test_without_an_average_the_last_weights_are_saved(tmp_path: Path) -> None:
    data, model = Demonstrations(), tiny_flow()
    train(model, data, [data.batch(100)], replace(CONFIG, steps=4, validate_every=4, ema_decay=0.0), tmp_path)
    saved = load_model(tmp_path / "checkpoint").module.state_dict()
    for key, value in model.module.state_dict().items():
        np.testing.assert_array_equal(saved[key].numpy(), value.numpy())


def test_eight_bits_need_their_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "bitsandbytes.optim", None)
    with pytest.raises(MissingDependencyError, match=r"install etude\[8bit\], or choose adamw"):
        make_optimiser(tiny_flow().module, replace(CONFIG, optimizer="adam8bit"))


def test_a_memory_is_filled_with_every_moment_that_was_learned_from(tmp_path: Path) -> None:
    data = Demonstrations()
    sizes = {"horizon": HORIZON, "vision_widths": (8, 16), "keypoints": 8, "embedding_size": 16}
    model = build_policy("vinn", FEATURES, STATISTICS, np.random.default_rng(0), **sizes)
    result = train(model, data, [data.batch(100)], replace(CONFIG, steps=4, validate_every=2), tmp_path)
    kept: Any = load_model(result.checkpoint).policy
    assert kept.memory.filled == len(data.state)
