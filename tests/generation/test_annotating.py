"""Demonstrations replayed in their world become sources; those that part are listed, what is no source is refused."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from generation.grasping import STEP_M, GraspTask

from etude.compute import SerialExecutor
from etude.core import Case, EtudeError, MismatchError, Perturbation, Segment, SegmentPlan, StageFailedError
from etude.core.files import read_json
from etude.data import ACTION, DatasetMeta, read_numbers
from etude.generation.annotated import LEFT_OUT
from etude.generation.annotating import annotate_dataset
from etude.generation.annotation import Annotation, Parted, annotate_episode
from etude.generation.loading import load_sources
from etude.loop.making.collecting import collect

TASK = GraspTask()


@pytest.fixture(scope="module")
def demonstrations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("annotating") / "demos"
    collect(TASK, root, accepted=3, draw=lambda _rng: Perturbation({}), seed=0, executor=SerialExecutor())
    return root


@pytest.fixture(scope="module")
def annotated(demonstrations: Path) -> Path:
    return _annotate(demonstrations, demonstrations.with_name("annotated"))


def _annotate(source: Path, out: Path, task: GraspTask = TASK, **more: object) -> Path:
    annotate_dataset(DatasetMeta.open(source), out, task, executor=SerialExecutor(), **more)  # pyright: ignore[reportArgumentType]
    return out


def test_a_source_says_where_everything_was_and_what_was_asked_for(annotated: Path) -> None:
    sources = load_sources(annotated, TASK.segments, task=TASK)
    assert [source.episode for source in sources] == [0, 1, 2]
    for source in sources:
        assert set(source.objects) == {"puck", "goal"}
        assert source.rise("grasp")
        assert source.rise("bring") is None
        step = source.targets["hand"][:, :3, 3] - source.grippers["hand"][:, :3, 3]
        np.testing.assert_allclose(step[:, :2], STEP_M * source.actions[:, :2], atol=1e-12)
        np.testing.assert_array_equal(source.commands["hand"], source.actions[:, 2])
        held = source.signals["grasp"]
        np.testing.assert_array_equal(source.objects["puck"][held], source.grippers["hand"][held])


def test_annotating_keeps_what_was_recorded(demonstrations: Path, annotated: Path) -> None:
    before, after = DatasetMeta.open(demonstrations), DatasetMeta.open(annotated)
    assert [record.case for record in after.episodes] == [record.case for record in before.episodes]
    for episode in range(3):
        kept = [read_numbers(meta, episode, [ACTION])[ACTION] for meta in (before, after)]
        np.testing.assert_array_equal(kept[0], kept[1])


def test_annotating_again_changes_nothing(annotated: Path, tmp_path: Path) -> None:
    again = _annotate(annotated, tmp_path / "again")
    first, second = (load_sources(root, TASK.segments) for root in (annotated, again))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.targets["hand"], other.targets["hand"])
    assert DatasetMeta.open(again).features.keys() == DatasetMeta.open(annotated).features.keys()


def test_a_replay_that_fails_says_where_it_parted(demonstrations: Path) -> None:
    meta = DatasetMeta.open(demonstrations)
    rows = read_numbers(meta, 0, [ACTION, "observation.state"])
    case = meta.episodes[0].case
    assert case is not None
    states = rows["observation.state"].astype("f4")
    there = annotate_episode(TASK.environment(), rows[ACTION].astype("f4"), case, states=states)
    assert isinstance(there, Annotation)
    assert there.length == meta.lengths[0]
    slippery = GraspTask(slip=0.5).environment()
    gone = annotate_episode(slippery, rows[ACTION].astype("f4"), case, states=states)
    assert isinstance(gone, Parted)
    assert gone.frame == 1
    assert gone.subtasks == ()
    assert gone.ending == "timeout"
    assert "parted at frame 1" in str(replace(gone, recorded=True))
    same = replace(gone, frame=None, recorded=True, ending="knocked_away", length=40)
    assert str(same) == "was a failure in the recording, too (knocked away after 40 frames)"


def test_nothing_is_written_where_no_replay_succeeds(demonstrations: Path, tmp_path: Path) -> None:
    with pytest.raises(
        StageFailedError, match=r"no demonstration of .* episode 0 parted at frame 1 .* ended after \d+ as timeout"
    ):
        _annotate(demonstrations, tmp_path / "none", GraspTask(slip=0.5))
    assert not (tmp_path / "none").exists()


class Stop(Exception):
    pass


def _stop_after(count: int) -> Callable[[int, object], None]:
    def stop(episode: int, _result: object) -> None:
        if episode + 1 == count:
            raise Stop

    return stop


def test_a_run_that_was_stopped_goes_on_to_the_same_dataset(
    demonstrations: Path, annotated: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Stop):
        _annotate(demonstrations, tmp_path / "stopped", on_episode=_stop_after(2))
    _annotate(demonstrations, tmp_path / "stopped")
    first, second = (load_sources(root, TASK.segments) for root in (annotated, tmp_path / "stopped"))
    for one, other in zip(first, second, strict=True):
        np.testing.assert_array_equal(one.targets["hand"], other.targets["hand"])
    for file in ("meta/info.json", *(f"data/chunk-000/file-00{i}.parquet" for i in range(len(first)))):
        assert (annotated / file).read_bytes() == (tmp_path / "stopped" / file).read_bytes()


def test_parted_episodes_are_listed_and_the_others_kept(
    demonstrations: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    meta = DatasetMeta.open(demonstrations)
    wrong = tuple(
        replace(record, case=Case(Perturbation({}), 99)) if record.index == 1 else record for record in meta.episodes
    )
    monkeypatch.setattr("etude.generation.annotating._meta", lambda _root: _Forged(meta, wrong))
    result = annotate_dataset(meta, tmp_path / "some", TASK, executor=SerialExecutor())
    assert result.kept == 2
    assert list(result.left_out) == [1]
    assert read_json(tmp_path / "some" / LEFT_OUT).keys() == {"1"}
    kept = [record.case for record in DatasetMeta.open(tmp_path / "some").episodes]
    assert kept == [meta.episodes[0].case, meta.episodes[2].case]


class _Forged:
    """A dataset that says wrong things about its episodes."""

    def __init__(self, meta: DatasetMeta, episodes: object) -> None:
        self._meta, self.episodes = meta, episodes

    def __getattr__(self, name: str) -> object:
        return getattr(self._meta, name)


def test_a_dataset_without_annotation_is_refused_with_the_command_to_run(demonstrations: Path) -> None:
    with pytest.raises(EtudeError, match=r"is not annotated.*etude annotate .*demos --auto --out"):
        load_sources(demonstrations, TASK.segments)


def test_demonstrations_of_another_action_space_are_refused(annotated: Path) -> None:
    other = GraspTask(action_names=("joint_1", "joint_2", "grip"))
    with pytest.raises(MismatchError, match=r"3 \(dx, dy, grip\) there, 3 \(joint_1, joint_2, grip\) here"):
        load_sources(annotated, TASK.segments, task=other)


def test_a_signal_that_never_rises_is_named_with_its_episode(annotated: Path) -> None:
    plan = SegmentPlan(segments={"hand": (Segment(signal="bring", object="puck"), Segment(object="goal"))})
    left_out: list[tuple[int, str]] = []
    with pytest.raises(
        EtudeError, match=r"no demonstration that can be cut .*episode 0: the signal 'bring' never rises"
    ):
        load_sources(annotated, plan, on_left_out=lambda episode, why: left_out.append((episode, why)))
    assert left_out == [(episode, "the signal 'bring' never rises") for episode in range(3)]


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"hand": (Segment(signal="grasp", object="cube"), Segment())}, "has no object 'cube'; it has goal, puck"),
        ({"left": (Segment(),), "right": (Segment(),)}, "has no gripper 'left'; it has hand"),
        ({"hand": (Segment(signal="lift", object="puck"), Segment())}, "no sub-task signal 'lift'.*grasp, bring"),
    ],
)
def test_what_the_plan_needs_and_the_dataset_lacks_is_named(annotated: Path, plan: dict, message: str) -> None:
    with pytest.raises(MismatchError, match=message):
        load_sources(annotated, SegmentPlan(segments=plan))
