"""`etude watch` and `etude view`: a video or a window, never over something, never half of one."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from data.recordings import write
from toys import PointTask

from etude.cli import main
from etude.cli.output import free_name
from etude.core import Case, Perturbation, rollout
from etude.sim import make_task
from etude.sim.window import Window, WindowUnavailableError

TASK = "franka-stack:cubes=2,image_size=32,max_steps=12"
ETUDE = Path(sys.executable).with_name("etude")

type Run = Callable[..., tuple[str, str]]


@pytest.fixture
def run(capfd: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run a command in an empty folder without a display; its stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)

    def run_command(*arguments: object, code: int = 0) -> tuple[str, str]:
        found = main([str(argument) for argument in arguments])
        out, err = capfd.readouterr()
        assert found == code, err
        return out, err

    return run_command


def decoded(path: Path) -> np.ndarray:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)])


def frames(path: Path) -> int:
    return len(decoded(path))


def test_watch_films_the_expert_and_says_where(run: Run, tmp_path: Path):
    out, _ = run("watch", TASK, "--episodes", 2)
    (video,) = tmp_path.iterdir()
    assert video.name == "franka-stack-expert-seed-0.mp4"
    assert f"video: {video.name}" in out
    assert "seed 0: " in out
    assert "seed 1: " in out
    assert f"etude watch {TASK} --policy expert --seed 2" in out
    assert frames(video) == 2 * (12 + 1 + make_task(TASK).fps)


def test_a_second_video_gets_a_name_of_its_own(run: Run, tmp_path: Path):
    for _ in range(3):
        run("watch", TASK, "--expert")
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {f"franka-stack-expert-seed-0{end}.mp4" for end in ("", "-2", "-3")}


def test_the_same_command_shows_the_same_episode(run: Run):
    watched = ["watch", TASK, "--policy", "random", "--space", "uniform", "--seed", 5, "--out"]
    run(*watched, "a.mp4")
    run(*watched, "b.mp4")
    first, second = (decoded(Path(name)).astype(int) for name in ("a.mp4", "b.mp4"))
    assert first.shape == second.shape
    assert np.abs(first - second).mean() < 1.0  # the encoder is not the same to the bit on every run


def test_without_a_display_a_window_becomes_a_video_and_one_line_says_so(run: Run, tmp_path: Path):
    _, told = run("watch", TASK, "--onscreen")
    assert told.startswith("etude: no window: there is no display")
    assert told.count("\n") == 1
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["franka-stak"], "Did you mean 'franka-stack'?"),
        ([TASK, "--policy", "expurt"], "Did you mean 'expert'?"),
        ([TASK, "--policy", "random", "--expert"], "give one"),
        ([TASK, "--theta", "light.intensty=1"], "Did you mean 'light.intensity'?"),
        ([TASK, "--episodes", "0"], "--episodes 0: needs at least 1"),
        ([TASK, "--out", "film.gif"], "ends in .mp4"),
        ([TASK, "--out", "there.mp4"], "already exists"),
        ([f"{TASK},cameras=none"], "has no cameras"),
    ],
)
def test_watch_refuses_bad_input_and_writes_nothing(options: list[str], told: str, run: Run, tmp_path: Path):
    (tmp_path / "there.mp4").touch()
    out, err = run("watch", *options, code=2)
    assert told in err
    assert err.count("\n") == 1
    assert not out
    assert [path.name for path in tmp_path.iterdir()] == ["there.mp4"]


def test_view_makes_a_video_of_every_frame(run: Run, tmp_path: Path):
    write(tmp_path / "dataset", (9, 4, 12))
    out, _ = run("view", "dataset", "--episode", 2)
    assert "video: dataset-episode-2.mp4" in out
    assert "12 frames, 0.6 s" in out
    assert frames(tmp_path / "dataset-episode-2.mp4") == 12


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["dataset", "--episode", "3"], "has the episodes 0 to 2"),
        (["dataset", "--episode", "-1"], "--episode -1: needs at least 0"),
        (["."], "is not a LeRobot dataset"),
        (["nowhere"], "there is no dataset 'nowhere'"),
        (["dataset", "--out", "there.mp4"], "already exists"),
        (["damaged", "--episode", "1"], "cannot be read"),
    ],
)
def test_view_refuses_bad_input_and_writes_nothing(options: list[str], told: str, run: Run, tmp_path: Path):
    write(tmp_path / "dataset", (9, 4, 12))
    shutil.copytree(tmp_path / "dataset", tmp_path / "damaged")
    next((tmp_path / "damaged" / "videos").glob("*front/*/file-001.mp4")).write_bytes(b"no video")
    (tmp_path / "there.mp4").touch()
    out, err = run("view", *options, code=2)
    assert told in err
    assert not out
    assert {path.name for path in tmp_path.iterdir()} == {"dataset", "damaged", "there.mp4"}


def test_names_are_free(tmp_path: Path):
    path = tmp_path / "a.mp4"
    assert free_name(path) == path
    path.touch()
    (tmp_path / "a-2.mp4").touch()
    assert free_name(path) == tmp_path / "a-3.mp4"


@pytest.fixture
def display() -> Iterator[str]:
    """A screen that nobody sees."""
    xvfb = shutil.which("Xvfb")
    if xvfb is None:
        pytest.skip("Xvfb is not installed")
    read, write_ = os.pipe()
    command = [xvfb, "-displayfd", str(write_), "-screen", "0", "640x480x24"]
    with subprocess.Popen(command, pass_fds=[write_], stderr=subprocess.DEVNULL) as process:
        os.close(write_)
        with os.fdopen(read) as number:
            yield f":{number.readline().strip()}"
        process.terminate()


@pytest.mark.slow
def test_a_window_shows_the_episode_in_its_own_time(display: str, tmp_path: Path):
    begun = time.monotonic()
    done = subprocess.run(
        [ETUDE, "watch", TASK, "--onscreen", "--episodes", "2"],
        cwd=tmp_path, env={**os.environ, "DISPLAY": display}, capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begun >= 2 * 12 / make_task(TASK).fps
    assert "seed 1: " in done.stdout
    assert "video" not in done.stdout
    assert list(tmp_path.iterdir()) == []


def test_a_window_needs_a_display_that_opens(monkeypatch: pytest.MonkeyPatch):
    task = make_task(TASK)
    environment = task.environment(object_state=True)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    for display, told in (("", "neither DISPLAY nor"), (":4711", "':4711' cannot be opened")):
        monkeypatch.setenv("DISPLAY", display)
        with pytest.raises(WindowUnavailableError, match=told):
            Window(environment)
    outcome = rollout(environment, task.expert(), Case(Perturbation(), 0))  # still usable
    assert outcome.length == 12
    environment.close()


def test_other_environments_have_no_window():
    with pytest.raises(WindowUnavailableError, match="seen by its cameras"):
        Window(PointTask().environment())
