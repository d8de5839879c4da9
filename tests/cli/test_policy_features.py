import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from data.recordings import CAMERAS, SIZE, SPEC, episode
from PIL import Image

from etude.cli import main
from etude.data import DatasetWriter, FeatureStatistics, encode
from etude.policies import Features
from etude.policies.checkpoint import build_policy
from etude.policies.inputs import CameraView, ImageInputs

type Run = Callable[..., tuple[str, str]]
STATISTICS = FeatureStatistics(
    {
        "observation.state": {"mean": np.zeros(3), "std": np.ones(3)},
        "action": {"mean": np.zeros(2), "std": np.ones(2)},
    }
)


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str]) -> Run:
    def run_command(*arguments: object, code: int = 0) -> tuple[str, str]:
        found = main(["policy", "features", *map(str, arguments)])
        out, err = capfd.readouterr()
        assert found == code, err
        return out, err

    return run_command


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "toy"
    with DatasetWriter.create(root, SPEC) as writer:
        writer.commit(encode(episode(0, frames=5), SPEC.fps))
    return root


def save(folder: Path, image_size: tuple[int, int] = SIZE, **options: Any) -> Path:
    features = Features(cameras=CAMERAS, image_size=image_size, state_size=3, action_size=2)
    settings = {"horizon": 4, "n_action_steps": 2, "vision_widths": (8,), "keypoints": 4, **options}
    model = build_policy("flow", features, STATISTICS, np.random.default_rng(0), **settings)
    last = model.module.get_parameter("model.field.leave.weight").data  # zero until it is trained
    last.fill_(0.1)
    model.save(folder / "checkpoint")
    return folder


def test_there_is_a_sheet_per_camera_and_a_film(run: Run, dataset: Path, tmp_path: Path):
    inputs = ImageInputs(size=(24, 24), cameras={"front": CameraView(crop=(0, 0, 0.5, 1))})
    policy, out = save(tmp_path / "policy", inputs=inputs), tmp_path / "out"
    told, _ = run(policy, dataset, "--out", out, "--frames", 3, "--tile", 64, "--video", "--json")
    result = json.loads(told)
    assert {"front.png", "looks.mp4", "wrist.png"} <= {path.name for path in out.iterdir()}
    assert list(result["pictures"]) == ["front", "wrist"]
    assert sum(result["shares"].values()) == pytest.approx(1)
    with Image.open(out / "front.png") as sheet:
        assert sheet.width > 3 * 64
        assert sheet.height > 7 * 64
    with av.open(str(out / "looks.mp4")) as film:
        assert sum(1 for _ in film.decode(video=0)) == 5


def test_frames_of_another_size_are_resized_as_for_training(run: Run, dataset: Path, tmp_path: Path):
    told, _ = run(save(tmp_path / "policy", (16, 24)), dataset, "--out", tmp_path / "out", "--tile", 64)
    assert "front.png: " in told
    assert "of what moves its actions" in told


def test_bad_input_writes_nothing(run: Run, dataset: Path, tmp_path: Path):
    policy, out = save(tmp_path / "policy"), tmp_path / "out"
    for arguments, message in (
        ((policy, dataset, "--episode", 7), "episode 7"),
        ((policy, tmp_path / "nowhere"), "nowhere"),
        ((tmp_path / "nowhere", dataset), "nowhere"),
        ((policy, dataset, "--frames", 0), "frames"),
    ):
        _, err = run(*arguments, "--out", out, code=2)
        assert message in err
        assert err.count("\n") == 1
        assert not out.exists()
    out.mkdir()
    (out / "kept.txt").write_text("mine")
    assert "already" in run(policy, dataset, "--out", out, code=2)[1]
    assert [path.name for path in out.iterdir()] == ["kept.txt"]
