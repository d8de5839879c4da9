import json
from collections.abc import Callable
from typing import Any

import pytest

from etude.cli import main
from etude.policies.act.backbones import BACKBONES
from etude.policies.names import policy_names
from etude.training import measuring
from etude.training.config import TrainConfig

type Capture = pytest.CaptureFixture[str]


@pytest.fixture
def listed(capsys: Capture) -> Callable[..., Any]:
    def run(*options: str) -> Any:
        assert main(["policy", "list", "--image-size", "32", "--cameras", "1", "--joints", "2", *options]) == 0
        return capsys.readouterr().out

    return run


@pytest.fixture
def hasty(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "_BUDGET_S", 0.0)
    monkeypatch.setattr(measuring, "_TIMES", (1, 1))


def test_every_policy_and_backbone_is_listed_with_its_parameters(listed: Callable[..., Any]) -> None:
    told = json.loads(listed("--no-measure", "--json"))
    assert {row["policy"] for row in told["policies"]} == set(policy_names())
    parameters = {row["backbone"]: row["parameters"] for row in told["policies"] if row["policy"] == "act"}
    assert list(parameters) == list(BACKBONES)
    assert parameters["light"] < parameters["resnet18"] < parameters["resnet34"]
    assert "vqbet" in told["others"]


@pytest.mark.usefixtures("hasty")
@pytest.mark.slow
def test_memory_and_speed_are_measured(listed: Callable[..., Any]) -> None:
    options = ("--batch-size", "2", "--threads", "1")
    for row in json.loads(listed(*options, "--json"))["policies"]:
        assert row["training_bytes"] > 16 * row["parameters"]  # weights, gradients and two moments at least
        assert row["act_s"] > 0
        assert row["train_s_per_window"] > 0
    assert "act ms" in listed(*options)


@pytest.mark.usefixtures("hasty")
def test_more_windows_take_more_memory_and_larger_images_do() -> None:
    import numpy as np

    from etude.policies import Features

    taken = []
    for size in (32, 64):
        features = Features(cameras=("front",), image_size=(size, size), state_size=2, action_size=2)
        model = measuring.untrained("act", features, np.random.default_rng(0), backbone="light")
        taken.append(measuring.measure(model, TrainConfig(batch_size=2, threads=1)).memory)
    assert taken[1].per_window > taken[0].per_window > 0
    assert taken[1].fixed == taken[0].fixed


def test_a_policy_that_cannot_be_made_does_not_hide_the_others(
    listed: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from etude.core import ConfigError

    made = measuring.untrained

    def untrained(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "diffusion":
            raise ConfigError("diffusers is not installed.")
        return made(name, *arguments, **options)

    monkeypatch.setattr(measuring, "untrained", untrained)
    assert "diffusers is not installed." in listed("--no-measure")


def test_too_many_cameras_are_refused(capsys: Capture) -> None:
    assert main(["policy", "list", "--cameras", "5"]) == 2
    assert "at most 4" in capsys.readouterr().err
