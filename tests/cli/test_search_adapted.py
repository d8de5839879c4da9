"""`etude search` on somebody else's environment says what is missing, before it writes anything."""

from pathlib import Path

import pytest

from etude.cli.search import Options, run
from etude.core import ConfigError


@pytest.mark.parametrize(
    ("task", "words"),
    [
        ("gymnasium/Pusher-v5:success=reward:0", r"has no factors.*GymnasiumConfig\(factors=…\).*any-environment.md"),
        ("gym_aloha/AlohaInsertion-v0", r"has no scripted expert.*GymnasiumConfig\(make_expert=…\)"),
    ],
)
def test_a_search_without_factors_or_expert_says_what_to_give(task: str, words: str, tmp_path: Path):
    with pytest.raises(ConfigError, match=words):
        run(Options(task=task, policy="random", out=tmp_path / "search"))
    assert not (tmp_path / "search").exists()
