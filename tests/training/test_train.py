"""Training learns, says when it breaks, and does not notice that it was killed."""

import json
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from training.demonstrations import CONFIG, FEATURES, STATISTICS, Demonstrations, tiny_flow

from etude.core import ConfigError, MismatchError, Observation, RunExistsError, derive_seed
from etude.data import WindowBatch
from etude.policies import CheckpointPolicy
from etude.policies.batches import to_tensors
from etude.policies.checkpoint import build_policy, load_model
from etude.training import TrainConfig
from etude.training.batches import prefetch
from etude.training.train import DivergedError, TrainResult, train

SCRIPT = Path(__file__).with_name("demonstrations.py")


class Killed(Exception):
    pass


def fit(out: Path, config: TrainConfig = CONFIG, *, until: int | None = None, **options: Any) -> TrainResult:
    data = Demonstrations()

    def stop(done: int, _total: int, _loss: float) -> None:
        if done == until:
            raise Killed

    validation = [data.batch(10**6)]
    return train(options.pop("model", None) or tiny_flow(), data, validation, config, out, progress=stop, **options)


def weights(out: Path) -> bytes:
    return (out / "checkpoint" / "model.safetensors").read_bytes()


def everything(out: Path) -> dict[str, bytes]:
    return {str(file.relative_to(out)): file.read_bytes() for file in sorted(out.rglob("*")) if file.is_file()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a training leaves that nobody disturbed."""
    out = tmp_path_factory.mktemp("training") / "whole"
    fit(out)
    return out


@pytest.mark.parametrize("until", [1, 5, 7, 11, 12])
def test_a_training_stopped_after_any_step_and_resumed_ends_the_same(whole: Path, tmp_path: Path, until: int) -> None:
    with pytest.raises(Killed):
        fit(tmp_path / "run", until=until)
    fit(tmp_path / "run", resume=True)
    assert everything(tmp_path / "run") == everything(whole)


def test_a_training_killed_with_signal_9_and_resumed_ends_the_same(whole: Path, tmp_path: Path) -> None:
    command = [sys.executable, str(SCRIPT), str(tmp_path / "run")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if int(line) == 7:
                process.send_signal(signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
    fit(tmp_path / "run", resume=True)
    assert everything(tmp_path / "run") == everything(whole)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_stops_a_training_loses_no_step(whole: Path, tmp_path: Path, number: signal.Signals) -> None:
    told: list[int] = []

    def stop(done: int, _total: int, _loss: float) -> None:
        told.append(done)
        if done == 7:
            signal.raise_signal(number)

    data, handler = Demonstrations(), signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        train(tiny_flow(), data, [data.batch(10**6)], CONFIG, tmp_path / "run", progress=stop)
    assert signal.getsignal(number) is handler
    assert told[-1] == 8  # the step that was under way, behind the state that was saved after the fifth
    train(tiny_flow(), data, [data.batch(10**6)], CONFIG, tmp_path / "run", progress=stop, resume=True)
    assert told == list(range(1, CONFIG.steps + 1))
    assert everything(tmp_path / "run") == everything(whole)


def test_who_stops_a_training_while_it_is_rolled_out_need_not_wait(tmp_path: Path) -> None:
    def stop(_checkpoint: Path) -> Any:
        signal.raise_signal(signal.SIGINT)
        raise AssertionError("the rollouts went on")

    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path, evaluate=stop)


def test_resuming_a_finished_training_changes_nothing(whole: Path) -> None:
    before = everything(whole)
    result = fit(whole, resume=True)
    assert everything(whole) == before
    assert result.steps == CONFIG.steps
    assert len(result.losses) == CONFIG.steps


def test_another_seed_gives_other_weights(whole: Path, tmp_path: Path) -> None:
    fit(tmp_path, replace(CONFIG, seed=1))
    assert weights(tmp_path) != weights(whole)


def test_resuming_with_another_config_says_what_differs(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        fit(tmp_path, until=6)
    with pytest.raises(MismatchError, match=r"learning_rate was 0\.001, is now 0\.01"):
        fit(tmp_path, replace(CONFIG, learning_rate=0.01), resume=True)


def test_a_folder_that_holds_a_training_is_refused(whole: Path) -> None:
    with pytest.raises(RunExistsError, match="--resume"):
        fit(whole)


def test_a_damaged_state_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        fit(tmp_path, until=6)
    file = tmp_path / "state" / "training.safetensors"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(MismatchError, match="is not a training state") as error:
        fit(tmp_path, resume=True)
    assert "\n" not in str(error.value)


class Poisoned(Demonstrations):
    """One batch holds an action that is not a number."""

    def batch(self, step: int) -> WindowBatch:
        batch = super().batch(step)
        if step == 9:
            batch.action[0, 0, 0] = np.nan
        return batch


def test_a_loss_that_is_not_a_number_names_step_and_episodes_and_keeps_the_checkpoint(tmp_path: Path) -> None:
    data = Poisoned()
    with pytest.raises(DivergedError, match="step 9: the loss is nan") as error:
        train(tiny_flow(), data, [data.batch(100)], CONFIG, tmp_path)
    assert error.value.episodes == sorted({(0, int(e)) for e in data.batch(9).episode})
    assert str(tmp_path / "checkpoint") in str(error.value)
    kept = load_model(tmp_path / "checkpoint", FEATURES)
    assert all(bool(value.isfinite().all()) for value in kept.module.state_dict().values())


def test_the_checkpoint_is_the_best_by_validation_and_holds_the_averaged_weights(whole: Path) -> None:
    curves = json.loads((whole / "curves.json").read_text())
    validations = [loss for _, loss in curves["validation"]]
    result = fit(whole, resume=True)
    assert result.best_loss == min(validations)
    data = Demonstrations()
    kept = load_model(whole / "checkpoint")
    generator = torch.Generator().manual_seed(derive_seed(CONFIG.seed, "validate", 0))
    with torch.inference_mode():
        again = kept.loss(to_tensors(data.batch(10**6)), generator)
    assert float(again) == pytest.approx(result.best_loss, rel=1e-5)


def test_a_warm_start_keeps_weights_and_normaliser_of_the_checkpoint(whole: Path, tmp_path: Path) -> None:
    fit(tmp_path, replace(CONFIG, steps=1, learning_rate=1e-12, ema_decay=0.0), model=load_model(whole / "checkpoint"))
    before, after = (load_model(folder / "checkpoint") for folder in (whole, tmp_path))
    for key, value in dict(before.module.named_parameters()).items():
        torch.testing.assert_close(after.module.state_dict()[key], value.detach(), atol=1e-6, rtol=0)
    for name in ("preprocessor", "postprocessor"):
        (file,) = (whole / "checkpoint").glob(f"policy_{name}*.safetensors")
        assert (tmp_path / "checkpoint" / file.name).read_bytes() == file.read_bytes()


def test_a_mixture_of_another_batch_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="batch_size = 16, but the mixture gives 8"):
        fit(tmp_path, replace(CONFIG, batch_size=16))


def test_the_number_of_threads_is_put_back(tmp_path: Path) -> None:
    before = torch.get_num_threads()
    fit(tmp_path, replace(CONFIG, steps=1, threads=before + 1))
    assert torch.get_num_threads() == before


def test_bfloat16_trains_too_and_resumes_the_same(tmp_path: Path) -> None:
    config = replace(CONFIG, precision="bfloat16")
    fit(tmp_path / "whole", config)
    with pytest.raises(Killed):
        fit(tmp_path / "run", config, until=7)
    fit(tmp_path / "run", config, resume=True)
    assert everything(tmp_path / "run") == everything(tmp_path / "whole")


def test_act_trains_in_bfloat16_and_its_backbone_keeps_learning_after_a_warm_start(tmp_path: Path) -> None:
    sizes = {"chunk_size": 8, "n_action_steps": 8, "dim_model": 32, "n_heads": 2, "dim_feedforward": 64}
    model = build_policy("act", FEATURES, STATISTICS, np.random.default_rng(0), **sizes)
    config = replace(CONFIG, steps=20, precision="bfloat16", validate_every=20, checkpoint_every=20)
    result = fit(tmp_path / "first", config, model=model)
    assert np.mean(result.losses[-5:]) < np.mean(result.losses[:5])
    again = load_model(result.checkpoint)
    backbone = {name: p.detach().clone() for name, p in again.module.named_parameters() if ".backbone.stem" in name}
    fit(tmp_path / "second", replace(config, steps=1, warmup_steps=0), model=again)
    after = dict(again.module.named_parameters())
    assert backbone
    assert all(not torch.equal(before, after[name]) for name, before in backbone.items())


def test_batches_are_fetched_ahead_in_order_and_their_errors_arrive() -> None:
    data = Demonstrations()
    steps = list(prefetch(data, range(3, 6)))
    assert [step for step, _ in steps] == [3, 4, 5]
    for step, batch in steps:
        np.testing.assert_array_equal(batch.episode, data.batch(step).episode)

    class Broken:
        def batch(self, step: int) -> WindowBatch:
            raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        next(prefetch(Broken(), range(1)))


@pytest.mark.parametrize(
    ("field", "value"), [("steps", 0), ("learning_rate", -1.0), ("ema_decay", 1.0), ("precision", "float8")]
)
def test_settings_that_cannot_work_are_refused(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=field):
        replace(CONFIG, **{field: value})


def test_the_learning_rate_warms_up_peaks_and_falls_to_a_hundredth() -> None:
    config = TrainConfig(steps=1000, warmup_steps=100, learning_rate=1.0)
    rates = [config.learning_rate_at(step) for step in range(1001)]
    assert rates[0] == pytest.approx(0.01)
    assert max(rates) == pytest.approx(1.0)
    assert all(np.diff(rates[:100]) > 0)
    assert all(np.diff(rates[100:]) < 0)
    assert rates[-1] == pytest.approx(0.01)


def test_the_flow_policy_overfits_ten_episodes(tmp_path: Path) -> None:
    data = Demonstrations(batch_size=32)
    config = replace(
        CONFIG, steps=600, batch_size=32, learning_rate=3e-3, warmup_steps=20, ema_decay=0.98, validate_every=200,
        checkpoint_every=600,
    )  # fmt: skip
    result = train(tiny_flow(), data, [data.batch(10**6)], config, tmp_path)
    assert np.mean(result.losses[-20:]) < 0.2 * np.mean(result.losses[:5])
    policy = CheckpointPolicy(str(result.checkpoint), execute=8).create()
    observations = [
        Observation(images={camera: data.images[camera][i] for camera in data.images}, state=data.state[i])
        for i in range(10)
    ]
    chunks = policy.act(observations, [policy.begin(np.random.default_rng(i)) for i in range(10)])
    error = np.abs(np.stack(chunks) - data.action)
    assert error.mean() < 0.05
    assert error.max() < 0.3
