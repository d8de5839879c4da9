"""Every command reads `--config FILE`, and leaves a file that it can be repeated with."""

import json
import shlex
from pathlib import Path

import pytest

from etude.cli import entry, main
from etude.cli.collect import Options as Collect
from etude.cli.configuration import options_of
from etude.cli.output import remember_settings, remembered_options, require_same_settings
from etude.cli.train import Options as Train
from etude.cli.usage import parse
from etude.cli.verbs import VERBS, find_verb
from etude.core import ConfigError, MismatchError, UnknownNameError


def write(folder: Path, text: str, name: str = "config.json") -> str:
    (folder / name).write_text(text)
    return str(folder / name)


@pytest.mark.parametrize("verb", VERBS)
def test_what_a_command_ran_with_repeats_it(verb: str, tmp_path: Path):
    name, words = find_verb(shlex.split(VERBS[verb].example)[1:])
    options = entry.import_module(VERBS[verb].module).Options
    first = parse(options, name, words)
    file = write(tmp_path, json.dumps({"command": verb, "options": options_of(first)}))
    out = ["--out", str(first.out)] if getattr(first, "out", None) else []
    assert parse(options, verb, ["--config", file, *out]) == first


def test_the_command_line_wins_and_what_is_null_is_left_out(tmp_path: Path):
    told = {"dataset": ["a:1", "b:2"], "steps": 20, "batch-size": "auto", "policy": "act", "warm_start": None}
    options = parse(Train, "train", ["--config", write(tmp_path, json.dumps(told)), "--steps", "7", "--out", "o"])
    assert (options.dataset, options.steps, options.batch_size) == (("a:1", "b:2"), 7, "auto")
    assert (options.policy, options.warm_start) == ("act", None)


def test_toml_is_read_too_and_the_thing_a_command_acts_on_may_be_in_it(tmp_path: Path):
    file = write(tmp_path, 'task = "franka-stack"\nepisodes = 3\nnarrow = true\n', "collect.toml")
    options = parse(Collect, "collect", [f"--config={file}", "--out", "o"])
    assert (options.task, options.episodes, options.narrow) == ("franka-stack", 3, True)
    other = parse(Collect, "collect", ["so101-lift", "--config", file, "--out", "o"])
    assert (other.task, other.episodes) == ("so101-lift", 3)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"step": 3}', "Did you mean 'steps'?"),
        ('{"steps": ', "is not valid JSON"),
        ("[1]", "must hold options by name"),
        ('{"steps": {"of": 3}}', "'steps' must be a value or a list"),
        ('{"steps": "many"}', "--steps: invalid literal for int()"),
        ('{"command": "eval", "options": {}}', "is of `etude eval`, not of `etude train`"),
    ],
)
def test_what_a_file_cannot_say_is_one_line(text: str, told: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["train", "--config", write(tmp_path, text), "--out", "o", "--dataset", "d"]) == 2
    printed = capsys.readouterr().err
    assert told in printed
    assert printed.count("\n") == 1


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--config"], "--config needs a file"),
        (["--config", "nowhere.json"], "cannot be read"),
        (["--config", "a", "--config", "b"], "given twice"),
    ],
)
def test_a_file_that_is_not_there_is_said(words: list[str], told: str):
    with pytest.raises(ConfigError, match=told):
        parse(Train, "train", words)


def test_a_toml_error_names_the_file(tmp_path: Path):
    with pytest.raises(ConfigError, match=r"bad\.toml: it is not valid TOML"):
        parse(Train, "train", ["--config", write(tmp_path, "steps =", "bad.toml")])


def test_an_option_that_does_not_exist_suggests_config():
    with pytest.raises(UnknownNameError, match="Did you mean '--config'"):
        parse(Train, "train", ["--confg", "x"])


def test_settings_are_kept_in_beside_or_inside_what_was_written(tmp_path: Path):
    options = parse(Collect, "collect", ["t", "--episodes", "1", "--out", str(tmp_path / "data")])
    with remembered_options("collect", options):
        pass
    assert not list(tmp_path.iterdir())
    (tmp_path / "data" / "meta").mkdir(parents=True)
    (tmp_path / "data" / "meta" / "info.json").write_text("{}")
    with remembered_options("collect", options):
        pass
    kept = json.loads((tmp_path / "data" / "meta" / "etude" / "settings.json").read_text())
    assert kept == {"command": "collect", "options": options_of(options)}
    assert "out" not in kept["options"]
    video = parse(Collect, "collect", ["t", "--episodes", "1", "--out", str(tmp_path / "a.mp4")])
    (tmp_path / "a.mp4").write_text("")
    with remembered_options("collect", video):
        pass
    assert (tmp_path / "a.mp4.settings.json").exists()


def test_options_and_what_decides_the_result_live_in_one_file(tmp_path: Path):
    record = tmp_path / "settings.json"
    remember_settings(record, {"seed": 1})
    options = parse(Train, "train", ["--dataset", "d", "--out", str(tmp_path)])
    with remembered_options("train", options):
        pass
    remember_settings(record, {"seed": 5})
    require_same_settings(record, {"seed": 1})
    with pytest.raises(MismatchError, match="seed was 1 and is now 2"):
        require_same_settings(record, {"seed": 2})
    assert json.loads(record.read_text())["options"]["dataset"] == ["d"]


def test_a_command_that_was_killed_has_left_its_options_with_the_first_it_wrote(tmp_path: Path):
    options = parse(Train, "train", ["--dataset", "d", "--out", str(tmp_path)])
    with pytest.raises(KeyboardInterrupt), remembered_options("train", options):  # noqa: PT012
        remember_settings(tmp_path / "settings.json", {"seed": 1})
        raise KeyboardInterrupt
    kept = json.loads((tmp_path / "settings.json").read_text())
    assert kept == {"settings": {"seed": 1}, "command": "train", "options": options_of(options)}


def test_settings_of_an_older_run_are_still_compared(tmp_path: Path):
    record = tmp_path / "settings.json"
    record.write_text('{"seed": 1}')
    with pytest.raises(MismatchError, match="seed was 1 and is now 2"):
        require_same_settings(record, {"seed": 2})
