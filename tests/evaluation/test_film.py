"""Films show the episode that happened, and browsers can play them."""

from dataclasses import replace
from pathlib import Path

import av
import pytest
from PIL import Image
from toys import PlantedPolicy, PointTask

from etude.compute import SerialExecutor
from etude.core import Case, ConfigError, Perturbation
from etude.evaluation import Expert, Runner, film, record_video, side_by_side

TASK = PointTask(image_size=25)
CASE = Case(Perturbation({"light.intensity": 0.3}), 5)


def test_filming_does_not_change_the_episode(tmp_path: Path) -> None:
    outcome = record_video(TASK, PlantedPolicy(), CASE, tmp_path / "case.mp4")
    (unseen,) = Runner(TASK, PlantedPolicy(), SerialExecutor()).run([CASE])
    assert outcome == replace(unseen, smoothness=None)


def test_browsers_can_play_it(tmp_path: Path) -> None:
    path = tmp_path / "case.mp4"
    outcome = record_video(TASK, Expert(TASK), CASE, path, tile_px=75)
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")  # plays before it is all there
    with av.open(str(path)) as container:
        (stream,) = container.streams.video
        assert (stream.codec_context.name, stream.pix_fmt, stream.average_rate) == ("h264", "yuv420p", 20)
        frames = [f.to_ndarray(format="rgb24") for f in container.decode(video=0)]
    assert len(frames) == outcome.length + 1 + TASK.fps  # the last moment is held for a second
    assert frames[0].shape == (76 + 24, 76, 3)
    assert frames[-1][-3, -3, 1] > frames[-1][-3, -3, 0]  # a green bar: it succeeded


def test_films_side_by_side_run_in_step() -> None:
    before, after = film(TASK, PlantedPolicy(failure=1.0), CASE), film(TASK, Expert(TASK), CASE)
    both = side_by_side(before, after)
    assert len(both.frames) == max(len(before.frames), len(after.frames))
    assert both.frames[0].shape[1] == 2 * before.frames[0].shape[1]
    assert (both.frames[-1][:, -288:] == after.frames[-1]).all()


def test_posters_and_animations_are_written(tmp_path: Path) -> None:
    made = film(TASK, Expert(TASK), CASE, title="after", tile_px=75)
    made.save_poster(tmp_path / "poster.png")
    made.save_gif(tmp_path / "film.gif")
    with Image.open(tmp_path / "film.gif") as gif, Image.open(tmp_path / "poster.png") as poster:
        assert gif.size == poster.size == (76, 100)
        assert gif.n_frames > 3  # type: ignore[attr-defined]


def test_an_unknown_camera_is_named() -> None:
    with pytest.raises(ConfigError, match=r"'back'.*front"):
        film(TASK, Expert(TASK), CASE, cameras=["back"])
    with pytest.raises(ConfigError, match="height"):
        side_by_side(film(TASK, Expert(TASK), CASE), film(TASK, Expert(TASK), CASE, tile_px=90))
