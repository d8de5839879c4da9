"""The report: right words for every result, the promised summary, a page that opens offline whatever the run was."""

import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from loop.fake_run import ARMS, POCKETS, SPACE, fake_run, outcome, with_outcomes
from rich.console import Console
from toys import POCKET

from etude.core import MismatchError, Outcome, Paired, Perturbation, Rate, UnknownNameError, cvar
from etude.loop.report import ArmResults, Budget, RunResults, foremost, judge, summary, table, write_report
from etude.loop.report.drawing.maps import planes
from etude.loop.report.drawing.svg import ticks
from etude.loop.report.results import TESTS, PracticeRound
from etude.loop.report.run.comparison import compare, newly_lost, pocket_rates, tail_progress, worst_pocket
from etude.loop.report.run.failures import factors_that_matter


@pytest.fixture(scope="module")
def run() -> RunResults:
    return fake_run()


def results(run: RunResults, test: str = "exam", **solved: int | list[bool]) -> RunResults:
    """The run with given numbers of solved cases (the first ones) per arm."""
    n = len(run.suites[test].cases)
    for arm, value in solved.items():
        bits = [i < value for i in range(n)] if isinstance(value, int) else value
        run = with_outcomes(run, arm.replace("_", "-"), test, bits)
    return run


class Links(HTMLParser):
    """Collects what a page loads or points to, and checks that tags nest."""

    def __init__(self) -> None:
        super().__init__()
        self.urls: list[str] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.urls += [value for key, value in attrs if key in ("src", "href", "poster") and value]
        if tag not in ("meta", "img", "br", "input", "col"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def links(page: Path) -> list[str]:
    parser = Links()
    parser.feed(page.read_text())
    assert parser.open == []
    return parser.urls


# --- summary.json


def test_summary_holds_every_promised_key(run: RunResults, tmp_path: Path) -> None:
    write_report(run, tmp_path)
    content = json.loads((tmp_path / "summary.json").read_text())
    assert list(content["arms"]) == sorted(ARMS)
    for arm in ARMS:
        assert set(content["arms"][arm]) == set(TESTS)
        assert all(set(rate) == {"k", "n", "low", "high"} for rate in content["arms"][arm].values())
        spent = {"attempts", "generated", "accepted", "frames", "train_steps", "rollouts", "score_s", "wall_s"}
        assert set(content["budget"][arm]) == spent
    for pair in ("targeted_vs_uniform", "targeted_vs_baseline", "same-data-more-steps_vs_baseline"):
        assert set(content["paired"][pair]) == {"wins", "losses", "p", "e_value"}
        assert content["paired"][pair] == content["paired_by_test"]["exam"][pair]
    assert content["suites"]["exam"] == {"hash": run.suites["exam"].hash, "cases": 80}
    assert content["seeds"] == {"run": 0}


def test_summary_counts_what_the_outcomes_say(run: RunResults) -> None:
    content = json.loads(json.dumps(summary(run)))
    exam = [o.success for o in run.arms["targeted"].exam]
    rate = Rate.of(exam)
    assert content["arms"]["targeted"]["exam"] == {"k": sum(exam), "n": 80, "low": rate.low, "high": rate.high}
    paired = Paired.of(exam, [o.success for o in run.arms["uniform"].exam])
    expected = {"wins": paired.wins, "losses": paired.losses, "p": paired.p, "e_value": paired.e_value}
    assert content["paired"]["targeted_vs_uniform"] == expected


def test_summary_is_json_without_nan_when_nothing_was_tested() -> None:
    run = fake_run()
    empty = {name: ArmResults(budget=Budget()) for name in ARMS}
    json.dumps(summary(replace(run, arms=empty, suites={}, pockets=(), archive=())), allow_nan=False)


# --- comparisons


def test_outcomes_of_other_cases_are_refused(run: RunResults) -> None:
    other = fake_run(1).arms["targeted"]
    with pytest.raises(MismatchError, match="'targeted' did not sit the cases of 'exam'"):
        replace(run, arms={**run.arms, "targeted": replace(run.arms["targeted"], exam=other.exam)})


def test_a_pocket_of_another_space_is_refused(run: RunResults) -> None:
    alien = replace(POCKET, bounds={"moon.x_m": (0, 1)})
    with pytest.raises(UnknownNameError, match=r"moon\.x_m"):
        replace(run, pockets=(alien,))


def test_newly_lost_are_the_losses_of_the_paired_comparison(run: RunResults) -> None:
    for test in TESTS:
        assert len(newly_lost(run, "targeted", test)) == compare(run, "targeted", "baseline", test).losses


def test_pocket_rates_add_up_to_the_exam(run: RunResults) -> None:
    rates = pocket_rates(run, "uniform")
    assert sum(rate.k for rate in rates.values()) == run.arms["uniform"].rate("exam").k
    worst = worst_pocket(run, "uniform")
    assert worst is not None
    assert worst[1].value == min(rate.value for rate in rates.values())


def test_the_tail_averages_seeds_of_one_perturbation_first() -> None:
    rng = np.random.default_rng(0)
    theta = [SPACE.sample(rng) for _ in range(2)]
    suite = fake_run().suites["uniform_test"].cases[0]
    episodes = [
        replace(outcome(replace(suite, theta=theta[i], seed=s), False, rng), progress=p)
        for i, s, p in ((0, 0, 0.0), (0, 1, 0.8), (1, 2, 0.3), (1, 3, 0.3))
    ]
    assert tail_progress(tuple(episodes), 0.5) == pytest.approx(cvar(np.array([0.4, 0.3]), 0.5)) == pytest.approx(0.3)
    assert tail_progress((), 0.5) is None


# --- the verdict in words


def test_verdict_of_a_gain(run: RunResults) -> None:
    verdict = judge(
        results(
            results(run, baseline=18, same_data_more_steps=20, uniform=56, targeted=61),
            "nominal",
            baseline=47,
            targeted=48,
        )
    )
    assert verdict.tone == "better"
    assert verdict.headline == "Targeted practice helped on the exam; against uniform practice no difference is shown."
    assert verdict.sentences[0] == (
        "Exam 18/80 → 61/80: +43 of 80 cases (43 won, 0 lost), p < .001: better; the 95 % intervals do not overlap."
    )
    assert "Nominal 47/60 → 48/60 (+2 points" in verdict.sentences[2]
    assert "+5 of 80 cases (5 won, 0 lost), p = .062: no difference shown" in verdict.sentences[-1]


def test_verdict_of_a_loss(run: RunResults) -> None:
    verdict = judge(results(run, baseline=61, same_data_more_steps=60, uniform=60, targeted=18))
    assert verdict.tone == "worse"
    assert verdict.headline == "Targeted practice made the policy worse on the exam."
    assert "61/80 → 18/80: −43 of 80 cases (0 won, 43 lost), p < .001: worse" in verdict.sentences[0]


def test_verdict_of_a_tie(run: RunResults) -> None:
    verdict = judge(results(run, baseline=40, same_data_more_steps=40, uniform=40, targeted=40))
    assert verdict.tone == "unclear"
    assert verdict.headline.startswith("No change shown on the exam")
    assert "40/80 → 40/80: ±0 of 80 cases (0 won, 0 lost), p = 1: no difference shown" in verdict.sentences[0]
    assert "intervals overlap" in verdict.sentences[0]


def test_verdict_of_a_small_gain_is_not_called_one(run: RunResults) -> None:
    assert judge(results(run, baseline=40, same_data_more_steps=40, uniform=40, targeted=44)).tone == "unclear"


def test_a_gain_that_longer_training_gives_too_is_not_credited_to_practice(run: RunResults) -> None:
    verdict = judge(
        results(results(run, baseline=18, same_data_more_steps=58, targeted=61), "nominal", baseline=47, targeted=47)
    )
    assert verdict.tone == "unclear"
    assert "not shown to be more than training longer" in verdict.headline


def test_a_gain_at_the_cost_of_nominal_says_so(run: RunResults) -> None:
    verdict = judge(results(results(run, baseline=18, targeted=61), "nominal", baseline=55, targeted=40))
    assert verdict.tone == "unclear"
    assert "success in the nominal world fell by 25 points" in verdict.headline
    assert "worse by more than the 3 points" in verdict.sentences[2]


def test_uniform_winning_is_said_in_the_headline(run: RunResults) -> None:
    run = results(
        results(run, baseline=10, same_data_more_steps=12, uniform=70, targeted=45), "nominal", baseline=50, targeted=50
    )
    assert "but less than uniform practice did" in judge(run).headline


@pytest.mark.parametrize(
    ("baseline", "targeted", "words"),
    [
        (47, 48, "as measured; 60 cases cannot rule out a larger loss"),
        (30, 45, "a loss of more than 3 points is ruled out"),
        (55, 52, "though 60 cases cannot tell this from chance"),
        (55, 30, "worse by more than the 3 points"),
    ],
)
def test_nominal_is_read_with_its_uncertainty(run: RunResults, baseline: int, targeted: int, words: str) -> None:
    rng = np.random.default_rng(0)
    mixed = {
        name: rng.permutation(np.arange(60) < k).tolist()
        for name, k in (("baseline", baseline), ("targeted", targeted))
    }
    sentence = next(s for s in judge(results(run, "nominal", **mixed)).sentences if s.startswith("Nominal"))
    assert words in sentence


def test_without_an_exam_the_uniform_test_decides(run: RunResults) -> None:
    arms = {name: replace(arm, exam=()) for name, arm in run.arms.items()}
    bare = replace(run, arms=arms, suites={k: s for k, s in run.suites.items() if k != "exam"}, pockets=())
    assert "on the uniform test" in judge(results(bare, "uniform_test", baseline=20, targeted=70)).headline


def test_a_run_of_the_baseline_alone_claims_nothing(run: RunResults) -> None:
    alone = replace(run, arms={"baseline": run.arms["baseline"]})
    assert "Nothing was compared" in judge(alone).headline


def test_where_no_policy_solves_anything_the_headline_says_what_to_do(run: RunResults) -> None:
    verdict = judge(results(run, **dict.fromkeys(ARMS, 0)))
    assert verdict.tone == "unclear"
    assert verdict.headline.startswith("No policy solved a case of the exam: train the first one longer")


def test_an_arm_without_a_pocket_is_said_to_have_drawn_everywhere(run: RunResults, tmp_path: Path) -> None:
    rounds = (PracticeRound(index=1, places={"everywhere": (6, 6)}, without_pocket=True),)
    targeted = replace(run.arms["targeted"], practice=rounds)
    undirected = replace(run, arms={**run.arms, "targeted": targeted})
    assert judge(undirected).headline.endswith("No pockets: targeted drew everywhere.")
    text = write_report(undirected, tmp_path).read_text()
    assert "6 demonstrations from 6 attempts; no pocket: drawn everywhere." in text
    assert "Dashed: how often" not in text


def test_the_page_speaks_of_nothing_that_is_not_there(run: RunResults, tmp_path: Path) -> None:
    arms = {name: arm for name, arm in run.arms.items() if name != "same-data-more-steps"}
    text = write_report(replace(_all_failed(run), arms=arms, pockets=()), tmp_path).read_text()
    for absent in ("shows by how much", "cases lie in the pockets", "worst pocket"):
        assert absent not in text


def test_the_verdict_is_about_the_first_arm_that_aims_whatever_arms_are_called(run: RunResults) -> None:
    control, spread, aim = (run.arms[name] for name in ("same-data-more-steps", "uniform", "targeted"))
    assert foremost({"baseline": control, "mine": control, "uniform": spread, "heavy": aim, "bold": aim}) == "heavy"
    assert foremost({"baseline": control, "uniform": spread, "wide": spread, "mine": control}) == "wide"
    assert foremost({"baseline": control, "mine": control}) == "mine"
    assert foremost({"baseline": control}) is None


def test_the_terminal_compares_every_arm_that_aims_with_uniform(run: RunResults) -> None:
    arms = {name: run.arms[name] for name in ("baseline", "same-data-more-steps", "uniform")}
    arms |= dict.fromkeys(("failure", "bold"), run.arms["targeted"])
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(table(replace(run, arms=arms)))
    rows = re.findall(r"(\w+) against[^\n]*\n\W*(\w+)", console.export_text())
    against_uniform = [("Failure", "uniform"), ("Bold", "uniform")]
    assert rows == [*against_uniform, *((arm, "baseline") for arm in ("Failure", "steps", "Uniform", "Bold"))]


# --- maps


def test_factors_that_matter_finds_the_planted_ones(run: RunResults) -> None:
    assert set(factors_that_matter(run)[:3]) & set(POCKETS[0].bounds)
    found = planes(run.space, factors_that_matter(run), run.pockets)
    pairs = [{plane.x.name, plane.y.name} for plane in found]
    assert set(POCKETS[0].bounds) in pairs
    assert len(pairs) == len({frozenset(pair) for pair in pairs}) == 3


@pytest.mark.parametrize(("low", "high"), [(-0.3, 0.3), (0.0, 1.0), (1e-4, 3e-4), (-3.1, 3.1), (900, 1300)])
def test_ticks_are_inside_and_few(low: float, high: float) -> None:
    marks = ticks(low, high)
    assert 2 <= len(marks) <= 7
    assert all(low - 1e-9 <= value <= high + 1e-9 for value, _ in marks)
    assert len({text for _, text in marks}) == len(marks)


# --- the page


def test_equal_runs_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_report(fake_run(folder=tmp_path / "videos"), tmp_path / name)
    first, second = (
        {p.relative_to(tmp_path / name).as_posix(): p.read_bytes() for p in (tmp_path / name).rglob("*") if p.is_file()}
        for name in ("a", "b")
    )
    assert first == second
    assert {"index.html", "summary.json", "data/exam.csv", "data/search.csv", "data/new_targeted.csv"} <= set(first)


def test_writing_again_replaces_the_report(tmp_path: Path, run: RunResults) -> None:
    page = write_report(fake_run(3), tmp_path)
    other = page.read_bytes()
    assert write_report(run, tmp_path).read_bytes() != other


def test_the_page_needs_nothing_but_its_folder(tmp_path: Path) -> None:
    page = write_report(fake_run(folder=tmp_path / "videos"), tmp_path / "report")
    text = page.read_text()
    assert not re.search(r"(https?:)?//[a-z0-9.-]+\.[a-z]{2,}|@import|url\(|fetch\(|XMLHttp", text)
    urls = links(page)
    assert any(url.endswith(".mp4") for url in urls)
    for url in urls:
        if url.startswith("#"):
            assert f'id="{url[1:]}"' in text
        else:
            assert (page.parent / url).is_file(), url


def test_a_missing_or_broken_video_is_said_and_does_not_stop_the_report(tmp_path: Path) -> None:
    run = fake_run(folder=tmp_path / "videos")
    (tmp_path / "videos" / "0-a.mp4").write_bytes(b"not a video")
    text = write_report(run, tmp_path / "report").read_text()
    assert text.count("video missing") == 2


def test_videos_rendered_into_the_report_stay(tmp_path: Path) -> None:
    run = fake_run(folder=tmp_path / "elsewhere")
    first = write_report(run, tmp_path)
    inside = tuple(
        replace(pair, before=tmp_path / "videos" / f"{i:02d}-before.mp4") for i, pair in enumerate(run.videos)
    )
    text = first.read_text()
    assert write_report(replace(run, videos=inside), tmp_path).read_text() == text


def test_every_number_of_the_table_is_on_the_page_and_in_the_terminal(run: RunResults, tmp_path: Path) -> None:
    text = write_report(run, tmp_path).read_text()
    console = Console(width=140, record=True, file=io.StringIO())
    console.print(table(run))
    printed = console.export_text()
    for arm in run.arms.values():
        for test in TESTS:
            rate = arm.rate(test)
            for shown in (f"{rate.k}/{rate.n}", f"{rate.low * 100:.0f}–{rate.high * 100:.0f}\u00a0%"):
                assert shown in text
                assert shown in printed
    assert "Targeted against" in printed


def test_names_are_escaped(run: RunResults, tmp_path: Path) -> None:
    evil = "<script>alert('x')</script> & \"quotes\""
    pocket = replace(run.pockets[0], name=evil)
    text = write_report(
        replace(run, run=evil, task=evil, command=evil, pockets=(pocket,), config={evil: [evil]}), tmp_path
    ).read_text()
    assert "<script>alert" not in text
    assert "&lt;script&gt;alert" in text
    links(tmp_path / "index.html")


def _none_found(run: RunResults) -> RunResults:
    arms = {name: replace(arm, exam=(), new_data=()) for name, arm in run.arms.items()}
    return replace(run, pockets=(), arms=arms, suites={"nominal": run.suites["nominal"]}, narrow={}, archive=())


def _all_failed(run: RunResults) -> RunResults:
    for test in TESTS:
        run = results(run, test, **dict.fromkeys(ARMS, 0))
    return replace(run, archive=tuple(replace(row, success=False, severity=1.0) for row in run.archive))


def _bare(run: RunResults) -> RunResults:
    return replace(
        run, arms={"baseline": ArmResults(budget=Budget())}, suites={}, pockets=(), archive=(), seeds={}, narrow={}
    )


def _other_arms(run: RunResults) -> RunResults:
    extra = {"gradient_" + "very_" * 12 + "long_name": run.arms["targeted"], "failure_x_split": run.arms["uniform"]}
    return replace(run, arms={**run.arms, **extra})


def _odd_values(run: RunResults) -> RunResults:
    """A loss that is not a number's logarithm, a fresh search, one-factor pockets, unnamed failures."""
    curves = {"training": ((0, 0.0), (1, -1.0)), "held out": ((0, 0.5),)}
    unnamed: tuple[Outcome, ...] = tuple(replace(o, failure_mode="") for o in run.arms["baseline"].exam)
    baseline = replace(run.arms["baseline"], curves=curves, exam=unnamed, fresh_search=Rate(40, 100))
    pocket = replace(run.pockets[0], bounds={"cube.scale": (0.85, 0.85)}, expert=Rate(0, 0))
    return replace(run, arms={**run.arms, "baseline": baseline}, pockets=(pocket,), exclusions=1)


@pytest.mark.parametrize("change", [_none_found, _all_failed, _bare, _other_arms, _odd_values])
def test_awkward_runs_are_reported_too(run: RunResults, tmp_path: Path, change: object) -> None:
    assert callable(change)
    awkward = change(run)
    page = write_report(awkward, tmp_path)
    links(page)
    assert not re.search(r"\bnan\b", page.read_text(), re.IGNORECASE)
    json.loads((tmp_path / "summary.json").read_text(), parse_constant=pytest.fail)
    Console(file=io.StringIO(), width=100).print(table(awkward))


def test_factors_left_to_the_seed_are_not_drawn_at_nominal(run: RunResults, tmp_path: Path) -> None:
    only = Perturbation({"light.intensity": 0.5})
    cases = [replace(case, theta=only) for case in run.suites["uniform_test"].cases]
    suites = {**run.suites, "uniform_test": replace(run.suites["uniform_test"], cases=tuple(cases))}
    arms = {
        name: replace(arm, uniform_test=tuple(replace(o, case=c) for o, c in zip(arm.uniform_test, cases, strict=True)))
        for name, arm in run.arms.items()
    }
    text = write_report(replace(run, arms=arms, suites=suites), tmp_path).read_text()
    assert text.count("Success against light intensity") == 2
    assert text.count("Success against table friction") == 1
