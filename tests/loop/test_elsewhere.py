"""Policies trained elsewhere: the loop hands its demonstrations over, waits, and goes on with what comes back."""

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from loop.tiny import TASK, TINY, everything, run_tiny
from toys import PointTask

from etude.cli import main
from etude.compute import SerialExecutor
from etude.core import ConfigError, EtudeError, MismatchError, Rate
from etude.core.files import read_json, write_json
from etude.data import DatasetMeta
from etude.loop.accepting import accept
from etude.loop.elsewhere import (
    AwaitingPolicyError,
    answer,
    awaited,
    checkpoint_of,
    read_trained,
    trained_policy,
)
from etude.loop.exercise import Exercise, score_candidates
from etude.loop.stages import Arena
from etude.policies import CheckpointPolicy
from etude.policies.inputs.reading import checkpoint_features
from etude.policies.remote.serving import PolicyServer
from etude.sim import registry
from etude.training import TrainConfig
from etude.training.fitting import PolicyChoice, WeightedDataset, train_on

CONFIG = replace(
    TINY,
    arms=("same-data-more-steps", "uniform"),
    fresh_search=(),
    diagnosis_rollouts=0,
    elsewhere=("lerobot", "groot"),
)
ARENA = Arena(TASK, SerialExecutor())


def train_there(handed: Path, out: Path) -> Path:
    """What somebody does with what was handed over."""
    weights = tuple(read_json(handed / "weights.json"))
    config = TrainConfig(steps=3, batch_size=4, threads=1)
    dataset = WeightedDataset(handed / "lerobot", episode_weights=weights)
    train_on([dataset], out, config=config, policy=PolicyChoice())
    return out / "checkpoint"


def check(run: Path) -> Callable[[str], str]:
    return lambda name: accept(name, run, ARENA, CONFIG)


def wait(run: Path, *, resume: bool = True) -> list[Path]:
    """Run until a policy is missing; the folders of what it is to be trained on."""
    with pytest.raises(AwaitingPolicyError, match="waiting for a policy that is trained elsewhere"):
        run_tiny(run, config=CONFIG, resume=resume)
    return awaited(run)


@pytest.fixture(scope="module")
def begun(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A run that waits for its baseline, and a checkpoint trained on what it handed over."""
    folder = tmp_path_factory.mktemp("elsewhere")
    (handed,) = wait(folder / "run", resume=False)
    return folder / "run", train_there(handed, folder / "there")


@pytest.fixture
def served(begun: tuple[Path, Path]) -> Iterator[str]:
    """The checkpoint as a server."""
    from threading import Thread

    _, checkpoint = begun
    with PolicyServer(CheckpointPolicy(str(checkpoint)), checkpoint_features(checkpoint), port=0) as server:
        Thread(target=server.run, daemon=True).start()
        yield server.url


def test_what_is_handed_over_is_whole_and_says_what_to_do(begun: tuple[Path, Path]):
    run, _ = begun
    handed = run / "round-00" / "hand-over"
    assert DatasetMeta.open(handed / "lerobot").total_episodes == CONFIG.demonstrations
    assert read_json(handed / "weights.json") == pytest.approx([1.0] * CONFIG.demonstrations, rel=0.5)
    assert (handed / "groot" / "meta" / "modality.json").exists()
    told = (handed / "instructions.md").read_text()
    for words in ("lerobot-train", "etude train", "launch_finetune.py", "openpi", str(handed / "lerobot"), "--trained"):
        assert words in told
    assert ".partial" not in told


def test_a_round_goes_on_with_a_server_and_with_checkpoints_and_can_be_stopped_in_between(
    begun: tuple[Path, Path], served: str, tmp_path: Path
):
    run, checkpoint = begun
    assert [path.parent.name for path in awaited(run)] == ["round-00"]
    assert wait(run) == awaited(run)  # asked again, it waits again
    answer(run, str(checkpoint), check(run))
    waiting = wait(run)  # the arms wait together
    assert [path.parent.name for path in waiting] == ["same-data-more-steps", "uniform"]
    before = everything(run)
    assert wait(run) == waiting
    assert everything(run) == before
    shares = {tuple(round(w, 6) for w in read_json(path / "weights.json")) for path in waiting}
    assert len(shares) == 2
    told = (waiting[1] / "instructions.md").read_text()
    assert f"--policy.path={checkpoint}" in told
    with pytest.raises(ConfigError, match=r"several trainings wait; write"):
        answer(run, str(checkpoint), check(run))
    write_json(waiting[0] / "trained.json", {"policy": str(checkpoint)})
    answer(run, served, check(run))
    finished = run_tiny(run, config=CONFIG, resume=True)
    assert set(finished.results[0].arms) == {"baseline", "same-data-more-steps", "uniform"}
    assert trained_policy(run / "round-01" / "uniform" / "train") == served
    assert finished.report.exists()
    assert awaited(run) == []
    with pytest.raises(ConfigError, match=r"no training of the run .* waits for a policy\.$"):
        answer(run, served, check(run))
    with pytest.raises(ConfigError, match=rf"^the score split needs .* server {served}: what remains is failure, rand"):
        checkpoint_of(run / "round-01" / "uniform" / "train", "the score split", ("failure", "random"))
    assert checkpoint_of(run / "round-00" / "train", "the score split", ("random",)) == checkpoint
    write_json(waiting[0] / "trained.json", {"policy": served})
    with pytest.raises(MismatchError, match=r"was done with the policy .* put it back"):
        run_tiny(run, config=CONFIG, resume=True)


def test_scores_that_need_gradients_are_refused_for_a_server_and_the_others_are_not(
    begun: tuple[Path, Path], tmp_path: Path
):
    write_json(tmp_path / "train" / "trained.json", {"policy": "tcp://127.0.0.1:5555"})
    exercise = Exercise(
        score="split",
        train=tmp_path / "train",
        dataset=begun[0] / "round-00" / "hand-over" / "lerobot",
        space=TASK.space,
        seed=0,
        failures=Rate(3, 10),
    )
    with pytest.raises(
        ConfigError, match=r"^the score split needs .* tcp://127.0.0.1:5555: what remains is .*random\.$"
    ):
        score_candidates(exercise, tmp_path, lambda _done, _all: None)
    for score in ("failure", "random"):
        found = score_candidates(replace(exercise, score=score), tmp_path, lambda _done, _all: None)
        assert found.shape == (CONFIG.demonstrations,)
    with_checkpoint = replace(exercise, score="random", train=begun[1].parent)
    assert found.tolist() == score_candidates(with_checkpoint, tmp_path, lambda _done, _all: None).tolist()


def test_a_hand_over_that_was_killed_is_written_again_and_ends_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def killed(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr("etude.data.groot.export_groot", killed)
        with pytest.raises(KeyboardInterrupt):
            run_tiny(run, config=CONFIG)
    assert (run / "round-00" / "hand-over.partial" / "lerobot").exists()
    assert not awaited(run)
    (handed,) = wait(run)
    found = everything(handed)
    shutil.rmtree(run)  # an episode remembers the folder that it came from, so the other run goes to the same
    (handed,) = wait(run, resume=False)
    assert everything(handed) == found


def test_the_command_waits_with_a_code_of_its_own_and_takes_what_comes_back(
    begun: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    small = replace(CONFIG, arms=("same-data-more-steps",), elsewhere=())
    monkeypatch.setattr("etude.cli.loop.preset", lambda _name, _task, seed: replace(small, seed=seed))
    monkeypatch.setattr(registry, "_OWN", {**registry._OWN, "toy-point": PointTask})
    words = [
        "loop",
        TASK.name,
        "--run",
        "vla",
        "--runs-dir",
        str(tmp_path),
        "--processes",
        "1",
        "--elsewhere",
        "lerobot",
    ]

    def loop(*more: str) -> tuple[int, str, str]:
        code = main([*words, *more])
        return code, *capfd.readouterr()

    missing = loop("--resume", "--trained", "x")
    assert missing == (2, "", f"etude: --trained x: no run '{tmp_path}/vla' waits for a policy.\n")
    assert loop("--trained", "x")[::2] == (
        2,
        "etude: --trained x: goes with --elsewhere and --resume, as the run was begun.\n",
    )
    code, told, _ = loop()
    assert code == 3
    assert f"what to do: {tmp_path}/vla/round-00/hand-over/instructions.md" in told
    assert f"--elsewhere lerobot --runs-dir {tmp_path} --resume --trained CHECKPOINT-FOLDER" in told
    code, _, error = loop("--resume", "--trained", str(tmp_path / "missing"))
    assert (code, error.count("\n")) == (2, 1)
    assert loop("--resume")[0] == 3
    assert loop("--resume", "--trained", str(begun[1]))[0] == 3  # the arm waits
    assert (tmp_path / "vla/round-01/same-data-more-steps/hand-over/instructions.md").exists()
    code, told, _ = loop("--resume", "--trained", str(begun[1].parent))
    assert code == 0
    assert "report:" in told


def other_actions(checkpoint: Path, folder: Path) -> Path:
    """The checkpoint, as one of another action space."""
    for file in checkpoint.iterdir():
        if file.is_file():
            (folder / file.name).write_bytes(file.read_bytes())
    record = json.loads((folder / "config.json").read_text())
    record["output_features"]["action"]["shape"] = [7]
    (folder / "config.json").write_text(json.dumps(record))
    return folder


def unanswered(begun: Path, run: Path) -> Path:
    """A run that waits for its baseline, as the one that was begun did at first."""
    shutil.copytree(begun, run, ignore=shutil.ignore_patterns("round-01", "report"))
    for path in (run / "round-00").iterdir():
        if path.name not in ("collect", "hand-over"):
            shutil.rmtree(path)
    (run / "round-00" / "hand-over" / "trained.json").unlink(missing_ok=True)
    return run


def test_two_trainings_cannot_be_answered_with_one_server(begun: tuple[Path, Path], served: str, tmp_path: Path):
    run = unanswered(begun[0], tmp_path / "run")
    write_json(run / "round-00" / "hand-over" / "trained.json", {"policy": served})
    more, uniform = wait(run)
    write_json(more / "trained.json", {"policy": str(begun[1])})
    write_json(uniform / "trained.json", {"policy": served})
    refused = rf"^{served} is the policy of '.*round-00/train' already.*another address"
    with pytest.raises(ConfigError, match=refused):
        run_tiny(run, config=CONFIG, resume=True)
    (uniform / "trained.json").unlink()
    with pytest.raises(ConfigError, match=refused):
        answer(run, served, check(run))
    assert awaited(run) == [uniform]


def test_a_checkpoint_that_was_filled_with_another_policy_is_noticed(begun: tuple[Path, Path], tmp_path: Path):
    run, mine = unanswered(begun[0], tmp_path / "run"), tmp_path / "mine"
    shutil.copytree(begun[1], mine)
    write_json(run / "round-00" / "hand-over" / "trained.json", {"policy": str(mine)})
    for handed in wait(run):
        write_json(handed / "trained.json", {"policy": str(begun[1])})
    (mine / "model.safetensors").write_bytes(b"another")
    with pytest.raises(MismatchError, match=rf"^'{mine}' holds other files than those that '.*round-00/train' was"):
        run_tiny(run, config=CONFIG, resume=True)


def test_a_policy_that_an_arm_cannot_ask_is_refused_before_anything_is_made_for_it(tmp_path: Path):
    write_json(tmp_path / "config.json", {"type": "vinn"})
    asking = replace(CONFIG, arms=("uniform", "gradient"))
    for policy, told in ((str(tmp_path), "gradients of policy 'vinn'"), ("ws://127.0.0.1:9", "ws://127")):
        with pytest.raises(ConfigError, match=rf"^arm 'gradient' needs .*{told}.*another run with arms that ask"):
            accept(policy, tmp_path, ARENA, asking)


def test_a_policy_that_does_not_fit_is_refused_in_one_line(begun: tuple[Path, Path], tmp_path: Path):
    _, checkpoint = begun
    (tmp_path / "other").mkdir()
    (tmp_path / "empty").mkdir()
    other = other_actions(checkpoint, tmp_path / "other")
    wrong = {
        str(other): r"7.*actions? .*2|action.*7",
        str(tmp_path / "empty"): "holds no checkpoint",
        str(tmp_path / "missing"): "is no folder",
        "ws://127.0.0.1:9": r"127\.0\.0\.1:9",
        "http://127.0.0.1:9": "a policy server is ws://HOST:PORT",
    }
    for name, words in wrong.items():
        with pytest.raises(EtudeError, match=words) as error:
            check(tmp_path)(name)
        assert "\n" not in str(error.value)


def test_an_answer_that_is_none_is_refused(tmp_path: Path):
    for content in ({}, [], {"policy": 3}, {"policy": ""}):
        write_json(tmp_path / "trained.json", content)
        with pytest.raises(EtudeError, match="should be"):
            read_trained(tmp_path / "trained.json")


def test_layouts_that_nobody_writes_are_refused():
    with pytest.raises(EtudeError, match=r"unknown layout to train elsewhere with 'grot'\. Did you mean 'groot'\?"):
        replace(CONFIG, elsewhere=("grot",))
