"""`etude search` on somebody else's environment says what is missing, before it writes anything."""

from dataclasses import replace
from pathlib import Path

import pytest

from etude.cli.search import Options, run
from etude.core import ConfigError
from etude.sim import registry
from etude.sim.adapter import ready_config


def test_a_search_without_factors_says_what_to_give(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"has no factors.*GymnasiumConfig\(factors=…\).*any-environment.md"):
        run(Options(task="gymnasium/Pusher-v5:success=reward:0", policy="random", out=tmp_path / "search"))
    assert not (tmp_path / "search").exists()


def test_a_search_without_an_expert_says_what_to_give(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    nobody = replace(ready_config("gym_aloha/AlohaInsertion-v0"), make_expert=None)
    monkeypatch.setattr(registry, "ready_config", lambda _env_id: nobody)
    with pytest.raises(ConfigError, match=r"has no scripted expert.*GymnasiumConfig\(make_expert=…\)"):
        run(Options(task="gym_aloha/AlohaInsertion-v0", policy="random", out=tmp_path / "search"))
    assert not (tmp_path / "search").exists()
