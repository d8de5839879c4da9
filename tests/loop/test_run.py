"""A run is begun once, goes on only as it was begun, and can be read again when it is finished."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from loop.tiny import TASK, TINY, StopsAfter, everything, run_tiny

from etude.core import EtudeError, FactorRangeError, MismatchError, RunExistsError, UnknownNameError
from etude.loop.run import load_config, read_run
from etude.loop.stage import load_manifest


def contents(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def test_a_folder_that_holds_a_run_is_refused(finished: Path):
    before = contents(finished)
    with pytest.raises(RunExistsError, match="--resume"):
        run_tiny(finished)
    assert contents(finished) == before


def test_a_folder_that_holds_something_else_is_refused(tmp_path: Path):
    (tmp_path / "notes.txt").write_text("mine")
    for resume in (False, True):
        with pytest.raises(RunExistsError, match="holds no run; choose another name"):
            run_tiny(tmp_path, resume=resume)
    assert contents(tmp_path) == {"notes.txt": b"mine"}


def test_going_on_with_another_config_says_what_differs(finished: Path):
    before = contents(finished)
    other = replace(TINY, seed=1, narrow={"light.intensity": (0.7, 0.8)}, accepted=5)
    with pytest.raises(MismatchError) as error:
        run_tiny(finished, config=other, resume=True)
    told = str(error.value)
    assert "seed was 0 and is now 1" in told
    assert "narrow.light.intensity was [0.7, 0.9] and is now [0.7, 0.8]" in told
    assert "accepted was 4 and is now 5" in told
    assert "train_steps" not in told
    assert contents(finished) == before


def test_narrow_ranges_that_the_space_has_not_are_refused_before_anything_is_written(tmp_path: Path):
    with pytest.raises(UnknownNameError, match="Did you mean 'light.intensity'"):
        run_tiny(tmp_path / "r", config=replace(TINY, narrow={"light.intensty": (0.7, 0.9)}))
    with pytest.raises(FactorRangeError, match="light.intensity"):
        run_tiny(tmp_path / "r", config=replace(TINY, narrow={"light.intensity": (0.7, 9.0)}))
    assert list(tmp_path.iterdir()) == []


def test_a_run_that_is_not_finished_says_what_is_missing(finished: Path, tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        run_tiny(tmp_path / "r", executor=StopsAfter(3))
    with pytest.raises(EtudeError, match=r"not finished: '.*round-00/collect' is missing; continue it with --resume"):
        read_run(tmp_path / "r", load_config(tmp_path / "r"), TASK)
    without_exam = tmp_path / "without"
    shutil.copytree(finished, without_exam)
    shutil.rmtree(without_exam / "round-01" / "uniform" / "evaluate")
    before = contents(without_exam)
    with pytest.raises(EtudeError, match="round-01/uniform/evaluate' is missing"):
        read_run(without_exam, TINY, TASK)
    assert contents(without_exam) == before
    run_tiny(without_exam, resume=True)
    assert everything(without_exam) == everything(finished)


def test_the_report_of_a_finished_run_is_written_again_to_the_bit(finished: Path, tmp_path: Path):
    run = tmp_path / finished.name
    shutil.copytree(finished, run)
    shutil.rmtree(run / "report")
    (run / "report.partial").mkdir()
    (run / "report.partial" / "old").touch()
    assert load_config(run) == TINY
    again = read_run(run, TINY, TASK)
    assert again.report == run / "report" / "index.html"
    assert contents(run / "report") == contents(finished / "report")
    assert not (run / "report.partial").exists()


def test_a_folder_without_a_run_has_no_config(tmp_path: Path):
    with pytest.raises(EtudeError, match=r"holds no run: it has no run\.json"):
        load_config(tmp_path)


def test_replicates_are_chains_of_their_own(tmp_path: Path):
    config = replace(TINY, replicates=2, arms=("same-data-more-steps",), train_steps=1, retrain_steps=1)
    finished = run_tiny(tmp_path / "r", config=config)
    assert len(finished.results) == 2
    assert not (tmp_path / "r" / "round-00").exists()
    collected = [load_manifest(tmp_path / "r" / f"replicate-0{i}" / "round-00" / "collect") for i in range(2)]
    assert collected[0].key["seed"] != collected[1].key["seed"]
    assert finished.results[0].seeds["run"] == finished.results[1].seeds["run"] == 0
