"""A study does what it registered, in that order, and says what is true of planted truths."""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loop.planted_study import CODE, CONFIG, GAINS, PLAN, planted, replicates
from loop.tiny import TASK, TINY, everything
from toys import POCKET

import etude.loop.study.replicate
from etude.compute import SerialExecutor
from etude.core import ConfigError, EtudeError, MismatchError, Rate, RunExistsError, StageFailedError
from etude.core.files import read_json, write_json
from etude.data import DatasetMeta
from etude.loop.chain import Chain
from etude.loop.order import begin
from etude.loop.study.analysis import Analysis, analyse
from etude.loop.study.choice import CHOICE, choose
from etude.loop.study.curves import demonstrations_needed, first_reach, gain_at_equal_cost
from etude.loop.study.page import study_page
from etude.loop.study.plan import StudyPlan, load_plan
from etude.loop.study.record import ArmRecord, Failure, Point, Replicate, simulator_steps
from etude.loop.study.replicate import RESULT, ReplicateJob, load_replicate, why_no_pocket
from etude.loop.study.running import FinishedStudy, register, run_study, write_study
from etude.loop.study.summary import summary
from etude.loop.study.verdict import judge
from etude.loop.study.watching import WORKING, watched

DIM = replace(POCKET, bounds={"light.intensity": (0.4, 0.7)})
AIMED = replace(TINY, arms=("failure",), diagnosis_rollouts=0)
TOY = StudyPlan.of(replace(CONFIG, task=TASK.name), replicates=5, pilot=2, code=CODE)


class Planted:
    """An executor that does no work: every replicate comes out with the truth that was planted, or does not.

    Attributes:
        seen: Names of the jobs that it was sent, and whether the choice was written then.
    """

    def __init__(self, directory: Path, gains: Mapping[str, float] = GAINS, broken: Iterable[str] = ()) -> None:
        self.directory, self.gains, self.broken = directory, dict(gains), set(broken)
        self.seen: list[tuple[str, bool]] = []
        self.stop_before = ""

    def map(self, function: Any, jobs: Iterable[ReplicateJob], *, on_lost: Callable[..., Any]) -> Iterator[Any]:
        for job in jobs:
            if job.name == self.stop_before:
                raise KeyboardInterrupt
            self.seen.append((job.name, (self.directory / CHOICE).exists()))
            yield on_lost(job, EtudeError("its worker died.")) if job.name in self.broken else self._come_out(job)

    def _come_out(self, job: ReplicateJob) -> Replicate:
        gains = {arm: self.gains[arm] for arm in job.config.arms if arm in self.gains}
        rng = np.random.default_rng(job.config.seed)
        result = planted(job.name, rng, gains=gains, plan=TOY, pockets=dict.fromkeys(gains, 1))
        (job.directory / "failed.json").unlink(missing_ok=True)
        write_json(job.directory / RESULT, result.to_json())
        return result


def start(directory: Path, executor: Any, *, plan: StudyPlan = TOY, resume: bool = False) -> FinishedStudy:
    held = register(plan, TASK, directory, resume=resume)
    return run_study(held, TASK, directory, executor=executor, command="etude study toy")


def study(count: int, *, seed: int = 1, pockets: int = 1, **truth: Any) -> Analysis:
    """A study of one arm without pilots."""
    gains = truth.pop("gains", {"gradient": 0.25})
    plan = StudyPlan.of(replace(CONFIG, arms=tuple(gains)), replicates=count, pilot=0, code=CODE)
    plan = replace(plan, nominal_margin=0.1)
    found = replicates(count, seed, plan=plan, gains=gains, pockets=dict.fromkeys(gains, pockets), **truth)
    return analyse(plan, None, [], found)


def test_a_plan_is_hashed_as_sha256sum_does_and_read_back(tmp_path: Path):
    PLAN.save(tmp_path)
    assert hashlib.sha256((tmp_path / "plan.json").read_bytes()).hexdigest() == PLAN.hash
    assert load_plan(tmp_path) == PLAN
    assert PLAN.config.arms == ("same-data-more-steps", "reseeded", "uniform", "gradient", "targeted")
    seeds = {PLAN.seed(phase, index) for phase in ("pilot", "confirm") for index in range(50)}
    assert len(seeds) == 100


def test_a_study_needs_something_to_compare_with_uniform():
    with pytest.raises(ConfigError, match="none is named beside it: got same-data-more-steps, reseeded, uniform"):
        StudyPlan.of(replace(CONFIG, arms=("uniform",)), replicates=5, pilot=0, code=CODE)
    with pytest.raises(ConfigError, match="at least 1 replicate"):
        StudyPlan.of(CONFIG, replicates=0, pilot=0, code=CODE)


def test_the_choice_is_made_on_pilots_alone_and_written_before_a_confirming_replicate_starts(tmp_path: Path):
    executor = Planted(tmp_path / "s")
    told: list[str] = []
    register(TOY, TASK, tmp_path / "s")
    analysis = run_study(
        TOY, TASK, tmp_path / "s", executor=executor, command="", on_choice=lambda choice: told.append(choice.arm)
    ).analysis
    assert executor.seen == [
        *((f"pilot/replicate-{i:02d}", False) for i in range(2)),
        *((f"confirm/replicate-{i:02d}", True) for i in range(5)),
    ]
    assert told == ["gradient"]
    assert all({*pilot.arms} > {"gradient", "targeted"} for pilot in analysis.pilots)
    assert all("targeted" not in each.arms and "gradient" in each.arms for each in analysis.confirmed)
    assert choose(TOY, analysis.pilots) == analysis.choice
    alone = analyse(TOY, analysis.choice, [None, None], analysis.confirmed)  # pilots are counted nowhere else
    assert alone.arms == analysis.arms


def test_a_study_that_was_stopped_repeats_no_finished_replicate_and_ends_as_one_that_was_not(tmp_path: Path):
    whole = start(tmp_path / "whole", Planted(tmp_path / "whole"))
    stopped = Planted(tmp_path / "s")
    for moment in ("pilot/replicate-01", "confirm/replicate-03"):
        stopped.stop_before = moment
        with pytest.raises(KeyboardInterrupt):
            start(tmp_path / "s", stopped, resume=True)
    stopped.stop_before = ""
    assert start(tmp_path / "s", stopped, resume=True).analysis == whole.analysis
    assert len(stopped.seen) == len({name for name, _ in stopped.seen}) == 7
    assert {**everything(tmp_path / "s")} == {**everything(tmp_path / "whole")}


def test_another_plan_is_refused_with_what_differs(tmp_path: Path):
    register(TOY, TASK, tmp_path / "s")
    with pytest.raises(RunExistsError, match="--resume"):
        register(TOY, TASK, tmp_path / "s")
    other = replace(TOY, config=replace(TOY.config, accepted=41))
    with pytest.raises(MismatchError, match=r"config.accepted was 40 and is now 41\. Use the same options"):
        register(other, TASK, tmp_path / "s", resume=True)
    newer = replace(TOY, code={**CODE, "commit": "beef"})
    with pytest.raises(MismatchError, match='code.commit was "c0ffee" and is now "beef".*--other-code'):
        register(newer, TASK, tmp_path / "s", resume=True)
    assert register(newer, TASK, tmp_path / "s", resume=True, other_code=True) == TOY
    (tmp_path / "t").mkdir()
    (tmp_path / "t" / "note.txt").touch()
    with pytest.raises(RunExistsError, match="holds no study"):
        register(TOY, TASK, tmp_path / "t", resume=True)


def test_a_plan_that_was_changed_by_hand_no_longer_fits_its_choice(tmp_path: Path):
    start(tmp_path, Planted(tmp_path))
    record = read_json(tmp_path / "plan.json")
    record["analysis"]["margin"] = 0.05
    write_json(tmp_path / "plan.json", record)
    with pytest.raises(MismatchError, match="made under another plan"):
        write_study(tmp_path)
    (tmp_path / CHOICE).unlink()
    with pytest.raises(MismatchError, match="'pilot/replicate-00' followed another plan"):
        write_study(tmp_path)


def test_a_replicate_whose_worker_dies_is_named_and_tried_again(tmp_path: Path):
    executor = Planted(tmp_path, broken=["confirm/replicate-01"])
    analysis = start(tmp_path, executor).analysis
    assert [(each.name, each.why) for each in analysis.failures] == [("confirm/replicate-01", "its worker died.")]
    assert len(analysis.confirmed) == 4
    assert "its worker died." in (tmp_path / "report" / "index.html").read_text()
    executor.broken.clear()
    analysis = start(tmp_path, executor, resume=True).analysis
    assert (len(analysis.confirmed), analysis.failures) == (5, ())
    assert executor.seen[-1][0] == "confirm/replicate-01"


def test_pilots_are_not_tried_again_once_they_have_chosen_and_nobody_is_told_that_they_are(tmp_path: Path):
    executor = Planted(tmp_path, broken=["pilot/replicate-01"])
    analysis = start(tmp_path, executor).analysis
    assert [each.name for each in analysis.failures] == ["pilot/replicate-01"]
    page = (tmp_path / "report" / "index.html").read_text()
    assert "chosen without the pilots that failed" in page
    assert "Go on with --resume" not in page
    executor.broken.clear()
    count = len(executor.seen)
    assert start(tmp_path, executor, resume=True).analysis.choice == analysis.choice
    assert len(executor.seen) == count


def test_where_no_replicate_ends_the_reason_is_told(tmp_path: Path):
    names = [f"pilot/replicate-{i:02d}" for i in range(2)]
    with pytest.raises(StageFailedError, match="not one of 2 replicates .* its worker died. Put it right"):
        start(tmp_path, Planted(tmp_path, broken=names))
    assert not (tmp_path / CHOICE).exists()


def test_a_planted_gain_is_found_and_a_planted_nothing_is_ruled_out():
    good = study(8)
    verdict = judge(good, good.arm("gradient"))
    assert {answer.question: answer.state for answer in verdict.answers}["primary"] == "yes"
    assert verdict.state == "yes", verdict
    nothing = study(8, gains={"gradient": 0.0}, pockets=4)
    verdict = judge(nothing, nothing.arm("gradient"))
    assert [answer.state for answer in verdict.answers][:2] == ["no", "no"]
    assert verdict.state == "no"
    worse = study(8, gains={"gradient": -0.2}, pockets=6)
    assert "worse than uniform" in judge(worse, worse.arm("gradient")).answers[0].sentence


def test_a_study_smaller_than_a_claim_takes_is_undecided():
    few = study(4)
    told = "Gradient, undecided: a claim takes 5 replicates, and 4 came to the end."
    assert judge(few, few.arm("gradient")).headline == told
    one = study(1)
    verdict = judge(one, one.arm("gradient"))
    assert {answer.state for answer in verdict.answers} == {"undecided"}


def test_the_claim_is_met_as_seldom_as_it_should_be_where_there_is_no_gain():
    met = 0
    for seed in range(8):
        found = study(5, seed=seed, gains={"gradient": 0.0}, spread=0.08)
        met += judge(found, found.arm("gradient")).answers[0].state == "yes"
    assert met <= 1


def test_many_arms_are_corrected_together():
    gains = {"gradient": 0.1, "targeted": 0.0, "split": -0.05}
    found = study(6, gains=gains)
    best = found.arm("gradient")
    assert best.p == pytest.approx(min(1.0, 3 * best.above["uniform", "exam"].p))


def test_what_is_confirmed_alone_is_told_alone(tmp_path: Path):
    analysis = start(tmp_path, Planted(tmp_path)).analysis
    assert [arm.name for arm in analysis.compared] == ["gradient"]
    assert "<title>Study of Gradient against uniform" in (tmp_path / "report" / "index.html").read_text()
    (arm,) = analysis.compared
    low = replace(
        arm, p=0.06, above={**arm.above, ("uniform", "exam"): replace(arm.above["uniform", "exam"], mean=1.0)}
    )
    (primary, *_) = judge(analysis, low).answers
    assert "p is 0.060" in primary.sentence
    assert "Holm" not in primary.sentence


def test_budgets_that_differ_are_not_called_equal():
    found = study(5)
    assert "with as many demonstrations" in judge(found, found.arm("gradient")).answers[0].sentence
    more = [replace(each, arms={**each.arms, "gradient": _twice(each.arms["gradient"])}) for each in found.confirmed]
    uneven = analyse(found.plan, None, [], [*more[:2], *found.confirmed[2:]])
    told = "but not with as many demonstrations and gradient steps in 2 of 5 replicates"
    assert told in judge(uneven, uneven.arm("gradient")).answers[0].sentence


def _twice(arm: ArmRecord) -> ArmRecord:
    points = [replace(point, demonstrations=2 * point.demonstrations) for point in arm.points]
    return replace(arm, points=tuple(points))


def test_curves_are_read_by_straight_lines():
    x, y = np.array([0.0, 40.0, 80.0]), np.array([0.2, 0.4, 0.5])
    assert first_reach(x, y, 0.3) == pytest.approx(20.0)
    assert first_reach(x, y, 0.45) == pytest.approx(60.0)
    assert (first_reach(x, y, 0.1), first_reach(x, y, 0.6)) == (0.0, inf)


def test_an_arm_needs_as_many_demonstrations_as_itself_and_has_no_gain_above_itself():
    found = replicates(4, spread=0.0)
    needed = demonstrations_needed(found, "uniform", "uniform", "exam", np.random.default_rng(0))
    assert needed.fewer == pytest.approx(1.0, abs=0.15)
    assert gain_at_equal_cost(found, "uniform", "uniform", "steps", "exam") == [0.0] * 4


def test_simulator_steps_count_what_failed_at_full_length():
    spent = {"attempts": 10, "generated": 8, "generated_frames": 300, "rollouts": 5}
    assert simulator_steps(spent, 100) == 300 + 2 * 100 + 5 * 100
    assert simulator_steps({"train_steps": 10}, 100) == simulator_steps({"accepted": 4, "frames": 90}, 100) == 0


def test_records_survive_json():
    (found,) = replicates(1)
    again = Replicate.from_json(json.loads(json.dumps(found.to_json())))
    assert again == found
    assert again.hash == found.hash
    slower = replace(found.arms["uniform"].points[1], wall_s=99.0)
    arm = replace(found.arms["uniform"], points=(found.arms["uniform"].points[0], slower))
    assert replace(found, arms={**found.arms, "uniform": arm}).hash != found.hash  # another number of points
    points = (*found.arms["uniform"].points[:1], slower, *found.arms["uniform"].points[2:])
    arm = replace(found.arms["uniform"], points=points)
    assert replace(found, arms={**found.arms, "uniform": arm}).hash == found.hash  # wall time alone


@pytest.mark.parametrize("count", [1, 2, 6])
def test_the_page_says_what_it_has_however_little_that_is(count: int):
    analysis = study(count, gains={"gradient": -0.2, "targeted": 0.05})
    failure = Failure(name="confirm/replicate-09", seed=1, why="Traceback …\nthe policy never failed.")
    page = study_page(replace(analysis, failures=(failure,), missing=("confirm/replicate-10",)))
    for told in ("confirm/replicate-09", "the policy never failed.", "has not run yet", analysis.plan.hash):
        assert told in page
    assert page.count("../confirm/replicate-") == count
    assert "nan" not in page.lower().replace("nominal", "")
    json.dumps(summary(analysis), allow_nan=False)


def test_intervals_are_called_what_they_are_and_have_a_width_or_are_left_out():
    alike = study(2, gains={"failure": 0.0}, spread=0.0)
    flat = [without_success(each) for each in alike.confirmed]
    analysis = analyse(alike.plan, None, [], flat)
    page = study_page(analysis)
    assert "(±0.0 to ±0.0)" not in page
    assert "bootstrap ±0.0" not in page
    assert "score −" in page
    assert "in each of 2 replicates: no spread, so no interval" in page
    assert "all lines are equal" in page
    assert "0 of 0" not in page
    (verdict,) = (judge(analysis, arm) for arm in analysis.compared)
    assert verdict.state == "undecided"
    assert "every policy solved 0 % of the exam" in verdict.headline
    assert verdict.headline.endswith("No baseline had a pocket: Failure drew everywhere in its first round.")
    told = {answer.question: answer.sentence for answer in verdict.answers}
    assert told["fewer demonstrations"].startswith("Uniform gained nothing on the exam")
    assert told["pockets"].endswith("none could go.")


def without_success(replicate: Replicate) -> Replicate:
    """The same with policies that solve nothing, and no pocket."""

    def failed(point: Point) -> Point:
        return replace(point, solved={test: "0" * len(bits) for test, bits in point.solved.items()})

    arms = {
        name: replace(arm, points=tuple(map(failed, arm.points)), progress=(0.1,) * 10, pockets=0, fates={})
        for name, arm in replicate.arms.items()
    }
    return replace(replicate, arms=arms, pockets=0)


def test_who_waits_sees_how_far_each_replicate_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from contextlib import contextmanager
    from threading import Event

    shown: list[tuple[str, int, int]] = []
    seen = Event()

    @contextmanager
    def progress(title: str, total: int):
        def update(done: int, note: str) -> None:
            shown.append((title, done, total))
            seen.set()

        yield update

    monkeypatch.setattr("etude.loop.study.watching._LOOK_S", 0.01)
    (tmp_path / WORKING).write_text(json.dumps({"title": "training", "total": 9, "done": 4, "note": ""}))
    with watched({"pilot/replicate-00": tmp_path}, progress):
        assert seen.wait(10)
    assert shown[0] == ("pilot/replicate-00: training", 4, 9)


def test_a_real_replicate_that_was_stopped_ends_as_one_that_was_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    plan = StudyPlan.of(AIMED, replicates=1, pilot=0, code=CODE)
    examine, calls = Chain.examine, iter(range(100))

    def stopped(chain: Chain, *given: Any) -> Any:
        if next(calls) == 3:
            raise KeyboardInterrupt
        return examine(chain, *given)

    monkeypatch.setattr(Chain, "examine", stopped)
    with pytest.raises(KeyboardInterrupt):
        start(tmp_path / "s", SerialExecutor(), plan=plan)
    assert load_replicate(tmp_path / "s/confirm/replicate-00") is None
    found = start(tmp_path / "s", SerialExecutor(), plan=plan, resume=True).analysis
    whole = start(tmp_path / "whole", SerialExecutor(), plan=plan).analysis
    assert [each.hash for each in found.confirmed] == [each.hash for each in whole.confirmed]
    (replicate,) = found.confirmed
    assert [arm.name for arm in found.arms] == ["baseline", "same-data-more-steps", "reseeded", "uniform", "failure"]
    ends = {name: arm.last for name, arm in replicate.arms.items()}
    assert {ends[name].demonstrations for name in ("uniform", "failure")} == {AIMED.accepted}
    assert ends["failure"].steps > ends["uniform"].steps  # it pays for looking for failures
    made = DatasetMeta.open(tmp_path / "s/confirm/replicate-00/round-01/uniform/generate/dataset")
    assert [ends[name].frames for name in ("same-data-more-steps", "uniform")] == [0, made.total_frames]
    assert (tmp_path / "s/confirm/replicate-00/report/index.html").exists()


def without_pockets(monkeypatch: pytest.MonkeyPatch, passed_over: int) -> list[int]:
    """Let the search confirm a pocket only of later baselines; returns the seeds of all that are tried."""
    seeds: list[int] = []

    def planted_begin(chain: Chain) -> Any:
        pupil = begin(chain)
        if chain.seed not in seeds:
            seeds.append(chain.seed)
        confirmed = [DIM.to_json()] if len(seeds) > passed_over else []
        write_json(chain.search_directory / "pockets.json", {"pockets": confirmed, "refuted": []})
        return pupil

    monkeypatch.setattr(etude.loop.study.replicate, "begin", planted_begin)
    return seeds


def test_a_replicate_takes_the_first_baseline_that_has_a_pocket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seeds = without_pockets(monkeypatch, passed_over=2)
    plan = StudyPlan.of(AIMED, replicates=1, pilot=0, code=CODE, baselines=3)
    found = start(tmp_path, SerialExecutor(), plan=plan)
    (replicate,) = found.analysis.confirmed
    assert (replicate.passed_over, replicate.pockets, len(set(seeds))) == (2, 1, 3)
    assert replicate.seed == seeds[2]
    folders = {path.name for path in (tmp_path / "confirm/replicate-00").iterdir()}
    assert {"passed-over-0", "passed-over-1", "round-00", "round-01"} <= folders
    assert "2 baselines were passed over" in found.report.read_text()
    assert "up to 3 baselines" in plan.hypotheses["left out"]
    assert start(tmp_path, SerialExecutor(), plan=plan, resume=True).analysis.confirmed == (replicate,)


def test_where_no_baseline_has_a_pocket_a_replicate_fails_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    without_pockets(monkeypatch, passed_over=9)
    plan = StudyPlan.of(AIMED, replicates=1, pilot=0, code=CODE, baselines=2)
    with pytest.raises(StageFailedError, match="none of 2 baselines") as ended:
        start(tmp_path, SerialExecutor(), plan=plan)
    assert "--resume" not in str(ended.value)  # it would end alike
    failure = load_replicate(tmp_path / "confirm/replicate-00")
    assert isinstance(failure, Failure)
    assert failure.final
    with pytest.raises(EtudeError, match="none of 2 baselines") as ended:
        write_study(tmp_path)
    assert "--resume" not in str(ended.value)


@pytest.mark.parametrize(("failures", "fix"), [(48, "trains longer, on more first"), (3, "a harder task")])
def test_failing_everywhere_and_failing_seldom_are_mended_in_opposite_ways(failures: int, fix: str):
    told = why_no_pocket(2, Rate(failures, 48))
    assert f"fail in {failures} of 48 uniform rollouts" in told
    assert fix in told


def test_an_error_of_the_chain_is_a_failure_that_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def broken(chain: Chain) -> Any:
        raise ZeroDivisionError("somewhere")

    monkeypatch.setattr(etude.loop.study.replicate, "run_chain", broken)
    plan = StudyPlan.of(replace(TINY, arms=("failure",)), replicates=1, pilot=0, code=CODE)
    with pytest.raises(StageFailedError, match="ZeroDivisionError: somewhere"):
        start(tmp_path, SerialExecutor(), plan=plan)
    failure = load_replicate(tmp_path / "confirm/replicate-00")
    assert isinstance(failure, Failure)
    assert "Traceback" in failure.why
