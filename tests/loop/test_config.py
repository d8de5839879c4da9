"""Configs survive JSON, and say at once what cannot work."""

import json
from dataclasses import replace
from typing import Any

import pytest
from loop.tiny import TINY

from etude.core import ConfigError, UnknownNameError
from etude.loop.config import LoopConfig
from etude.loop.presets import PRESETS, preset
from etude.loop.run import check_config
from etude.sim import make_task, task_names


@pytest.mark.parametrize("config", [TINY, *PRESETS.values()], ids=["tiny", *PRESETS])
def test_a_config_survives_json(config: LoopConfig):
    assert LoopConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize("name", PRESETS)
def test_a_preset_fits_every_task(name: str):
    for world in task_names():
        config = preset(name, world, 7)
        check_config(config, make_task(config.task))
        assert config.seed == 7
        assert set(config.arms) > {"same-data-more-steps", "uniform"}
    assert preset(name, "franka-stack:cubes=3,image_size=32", 7).task == "franka-stack:cubes=3,image_size=32"


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"rounds": 0}, "rounds must be at least 1, got 0"),
        ({"search_rollouts": 0}, "search_rollouts must be at least 1"),
        ({"exam_cases": 0}, "exam_cases must be at least 1"),
        ({"dev_cases": -1}, "dev_cases must be at least 0"),
        ({"seed": -1}, "seed must be at least 0"),
        ({"new_share": 1.5}, "new_share must lie in"),
        ({"uniform_share": -0.1}, "uniform_share must lie in"),
    ],
)
def test_a_value_that_cannot_work_is_refused(changed: dict[str, Any], told: str):
    with pytest.raises(ConfigError, match=told):
        replace(TINY, **changed)


def test_unknown_names_are_told_with_the_nearest():
    with pytest.raises(UnknownNameError, match="Did you mean 'targeted'"):
        replace(TINY, arms=("targetted",))
    with pytest.raises(UnknownNameError, match="Did you mean 'smoke'"):
        preset("smok", "franka-stack", 0)


def test_a_narrow_range_that_the_space_has_not_is_refused():
    task = make_task("franka-stack")
    with pytest.raises(UnknownNameError, match="light.intensity"):
        check_config(replace(TINY, narrow={"light.intensty": (0.7, 0.9)}), task)


def test_a_preset_narrows_only_what_the_task_varies():
    narrow = preset("state", "franka-stack:state=objects,vary=layout", 0).narrow
    assert set(narrow) < set(preset("state", "franka-stack:state=objects", 0).narrow)
    assert preset("state", "franka-stack:state=objects,vary=layout", 0).narrow_layout


def test_where_no_corner_is_left_out_first_demonstrations_keep_to_published_layouts():
    assert not preset("demo", "franka-stack", 0).narrow_layout
    assert preset("demo", "franka-stack:vary=physics", 0).narrow_layout
    assert preset("demo", "so101-sort", 0).narrow_layout
    assert not preset("demo", "so101-sort", 0).narrow
