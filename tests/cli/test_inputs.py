import json
from pathlib import Path
from typing import Any

import pytest

from etude.cli.inputs import image_inputs
from etude.core import ConfigError
from etude.policies.inputs import CameraView, ImageInputs


def test_options_come_on_top_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "inputs.json"
    file.write_text(json.dumps({"size": [64, 64], "shift": 0.1, "cameras": {"front": {"hide": [[0, 0, 0.5, 0.5]]}}}))
    told = image_inputs(file, size=[48, 96], crop=["front=0.1,0,0.9,1"], hide=["front=0,0.9,1,1"], jitter=0.2)
    assert told == ImageInputs(
        size=(48, 96),
        cameras={"front": CameraView(crop=(0.1, 0, 0.9, 1), hide=((0, 0, 0.5, 0.5), (0, 0.9, 1, 1)))},
        shift=0.1,
        colour_jitter=0.2,
    )
    assert image_inputs(None, size=[64]) == ImageInputs(size=(64, 64))
    assert image_inputs(None) is None


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"crop": ["front=0.1,0,0.9"]}, "'front=0.1,0,0.9' must be CAMERA=LEFT,TOP,RIGHT,BOTTOM"),
        ({"keep": ["0.1,0,0.9,1"]}, "does not say which camera"),
        ({"hide": ["front=0.5,0,0.4,1"]}, "left < right"),
        ({"size": [1, 2, 3]}, "--image-size 1 2 3: give one number"),
        ({"shift": 0.7}, "shift = 0.7"),
    ],
)
def test_what_cannot_be_read_is_refused(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        image_inputs(None, **wrong)
