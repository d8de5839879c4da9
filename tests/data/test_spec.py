import subprocess
import sys
from dataclasses import replace

import pytest
from data.recordings import SPEC

from etude.core import ConfigError, MismatchError
from etude.data import DatasetSpec, require_equal_features


def test_a_specification_survives_json():
    assert DatasetSpec.from_json(SPEC.to_json()) == SPEC


def test_square_images_may_be_given_by_one_number():
    square = replace(SPEC, image_size=64)
    assert square.features["observation.images.front"].shape == (64, 64, 3)
    square.require_equal(replace(SPEC, image_size=(64, 64)), "there")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"image_size": 33}, "image_size = 33"),
        ({"fps": 0}, "fps = 0"),
        ({"action_names": ()}, "action name"),
        ({"cameras": ("a/b",)}, "a/b"),
    ],
)
def test_settings_that_cannot_work_are_refused_by_name(change: dict[str, object], named: str):
    with pytest.raises(ConfigError, match=named):
        replace(SPEC, **change)


def test_a_difference_names_its_field_and_both_values():
    other = replace(SPEC, fps=10, space_hash="ffff")
    with pytest.raises(MismatchError, match=r"fps \(20 there, 10 asked for\), space_hash"):
        SPEC.require_equal(other, "there")


def test_datasets_of_other_features_are_named_with_the_features():
    other = replace(SPEC, cameras=("front",), state_names=("x_m",))
    with pytest.raises(
        MismatchError, match=r"'a' and 'b' differ in observation.images.wrist .*none here.*observation.state .*--map b="
    ):
        require_equal_features({"a": SPEC.features, "b": other.features})


def test_importing_the_room_loads_neither_torch_nor_lerobot_nor_pandas():
    heavy = "import sys, etude.data; print(sorted({'torch', 'lerobot', 'datasets', 'pandas'} & set(sys.modules)))"
    found = subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
