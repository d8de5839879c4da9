"""Pages of commands' folders: recognised by their files, whole without the network, right for odd results too."""

import re
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from loop import fake_folders as fake
from loop.fake_run import POCKETS, SPACE, fake_run
from loop.test_report import links

from etude.cli import main
from etude.core import Case, EtudeError, Outcome, Perturbation, Rate
from etude.core.files import read_json, write_json
from etude.core.statistics import cases_needed, losses_needed
from etude.evaluation import factor_effects
from etude.loop.report import kind_of, write_page, write_report
from etude.loop.report.drawing.histogram import histogram
from etude.loop.report.drawing.needs import _lines  # pyright: ignore[reportPrivateUsage]
from etude.loop.report.drawing.svg import ticks
from etude.loop.report.sections.factors import grid_axes
from etude.loop.report.sections.source import Source

type Make = Callable[[Path, np.random.Generator], Path]


class FakeTask:
    """What a page asks of a task."""

    name, space, subtasks = fake.TASK, SPACE, ("grasp", "stack")


@pytest.fixture(autouse=True)
def known_task(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(source: Source) -> Any:
        return FakeTask()

    monkeypatch.setattr(Source, "make_task", make)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def filmed_evaluation(folder: Path, rng: np.random.Generator) -> Path:
    found = fake.outcomes(60, rng)
    fake.evaluation(folder, found)
    fake.filmed(folder, found)
    return folder


def factors(folder: Path, rng: np.random.Generator) -> Path:
    return fake.evaluation(folder, *fake.one_factor_each(rng))


KINDS: dict[str, tuple[str, Make]] = {
    "evaluation": ("eval", filmed_evaluation),
    "factors": ("eval", factors),
    "grid": ("eval", lambda folder, rng: fake.evaluation(folder, fake.grid_outcomes(rng, SPACE.names[:2]))),
    "search": ("search", fake.search),
    "comparison": ("compare", fake.comparison),
    "sequential": ("compare", lambda folder, rng: fake.comparison(folder, rng, sequential=True)),
    "seeds": ("compare", lambda folder, rng: fake.comparison(folder, rng, seeds=3, n=24)),
    "diagnosis": ("diagnose", lambda folder, _rng: fake.diagnosed(folder, fake.diagnosis())),
    "needs": ("estimate", lambda folder, _rng: fake.estimated(folder)),
    "needs alone": ("estimate", lambda folder, _rng: fake.estimated(folder, divided=False)),
    "lockstep": ("lockstep", lambda folder, _rng: fake.lockstep(folder)),
    "scores": ("score", fake.scored),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_needs_nothing_but_its_folder(kind: str, tmp_path: Path, rng: np.random.Generator) -> None:
    command, make = KINDS[kind]
    folder = make(tmp_path / "made", rng)
    found = kind_of(folder)
    assert found is not None
    assert found.name == command
    page = write_page(folder)
    text = page.read_text()
    assert not re.search(r"(https?:)?//[a-z0-9.-]+\.[a-z]{2,}|@import|url\(|fetch\(|XMLHttp", text)
    assert not re.search(r"\bnan\b|\bNone\b", text)
    for url in links(page):
        if url.startswith("#"):
            assert f'id="{url[1:]}"' in text
        else:
            assert (folder / url).is_file(), url


@pytest.mark.parametrize("kind", KINDS)
def test_equal_folders_have_equal_pages(kind: str, tmp_path: Path) -> None:
    _, make = KINDS[kind]
    pages = [write_page(make(tmp_path / name, np.random.default_rng(1))) for name in ("a", "b")]
    assert pages[0].read_bytes() == pages[1].read_bytes() == write_page(pages[0].parent).read_bytes()


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_written_where_the_task_cannot_be_made(
    kind: str, tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = KINDS[kind][1](tmp_path / "made", rng)

    def cannot(source: Source) -> None:
        """No such task here."""

    monkeypatch.setattr(Source, "make_task", cannot)
    links(write_page(folder))


@pytest.mark.parametrize("kind", KINDS)
def test_the_contents_link_to_every_section(kind: str, tmp_path: Path, rng: np.random.Generator) -> None:
    text = write_page(KINDS[kind][1](tmp_path / "made", rng)).read_text()
    assert re.findall(r'href="#([a-z]+)"', text) == re.findall(r'<section[^>]* id="([a-z]+)"', text)


class Text(HTMLParser):
    """What a reader sees."""

    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def words(page: Path) -> str:
    parser = Text()
    parser.feed(page.read_text())
    return " ".join(" ".join(parser.parts).split())


# --- evaluations


def test_an_evaluation_tells_every_rate_with_its_interval(tmp_path: Path, rng: np.random.Generator) -> None:
    found = fake.outcomes(60, rng)
    text = words(write_page(fake.evaluation(tmp_path, found)))
    modes = {o.failure_mode for o in found if not o.success}
    rates = [Rate.of([o.success for o in found]), Rate.of([o.subtasks["grasp"] for o in found])]
    rates += [Rate.of([o.failure_mode == mode for o in found]) for mode in modes]
    for rate in rates:
        assert f"{rate.k}/{rate.n} {rate.low * 100:.0f}–{rate.high * 100:.0f} %" in text
    assert "12.3 ms a call" in text
    assert "etude eval --config THIS-FOLDER/settings.json" in text


def test_factors_are_told_the_most_harmful_first_with_their_paired_difference(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    found, matched = fake.one_factor_each(rng)
    text = words(write_page(fake.evaluation(tmp_path, found, matched)))
    effects = factor_effects(found, matched)
    assert next(iter(effects)) == SPACE.names[0]
    assert "cube red x [m] 0/12 0–24 % 12/12 76–100 % −100 points" in text
    assert text.index("cube red x [m]") < text.index("cube red y [m]")
    assert "no factor" not in text


def test_too_few_cases_of_each_factor_are_told_with_how_many_it_takes(tmp_path: Path, rng: np.random.Generator) -> None:
    found, matched = fake.one_factor_each(rng)
    seeds = {outcome.case.seed for outcome in matched[:3]}
    found, matched = ([each for each in of if each.case.seed in seeds] for of in (found, matched))
    text = words(write_page(fake.evaluation(tmp_path, found, matched)))
    assert "With 3 cases of each no factor can be told from chance" in text
    tests = len(factor_effects(found, matched))
    assert f"at least {losses_needed(tests)} cases lost" in text
    assert f"takes {cases_needed(0.3, tests)} cases to see one that costs 30 points" in text


def test_no_p_value_is_given_where_cases_share_an_unperturbed_world(tmp_path: Path, rng: np.random.Generator) -> None:
    text = words(write_page(fake.evaluation(tmp_path, *fake.one_factor_each(rng))))
    assert re.search(r"the cases less these: −\d+ points \(\d+ won, \d+ lost\)", text)


@pytest.mark.parametrize(
    ("names", "drawn"), [(SPACE.names[:1], True), (SPACE.names[:2], True), (SPACE.names[:3], False)]
)
def test_grids_of_one_or_two_factors_are_maps(
    names: tuple[str, ...], drawn: bool, tmp_path: Path, rng: np.random.Generator
) -> None:
    found = fake.grid_outcomes(rng, names)
    assert (grid_axes(found) is not None) == drawn
    assert ('id="grid"' in write_page(fake.evaluation(tmp_path, found)).read_text()) == drawn


def test_a_grid_may_have_holes_only_where_cells_cannot_be(rng: np.random.Generator) -> None:
    found = fake.grid_outcomes(rng, SPACE.names[:2])[2:]
    assert grid_axes(found) is None
    assert grid_axes(found, holes=True) == grid_axes(fake.grid_outcomes(rng, SPACE.names[:2]))


def test_videos_stand_under_how_they_ended_and_missing_ones_are_left_out(
    tmp_path: Path, rng: np.random.Generator
) -> None:
    page = write_page(filmed_evaluation(tmp_path, rng))
    videos = [url for url in links(page) if url.endswith(".mp4")]
    assert videos == ["videos/0.mp4", "videos/1.mp4"]
    assert (tmp_path / "videos" / "0.jpg").is_file()


def test_parts_of_a_suite_are_told_the_worst_first(tmp_path: Path, rng: np.random.Generator) -> None:
    folder = fake.evaluation(tmp_path, fake.outcomes(10, rng))
    write_json(folder / "summary.json", {"labels": {"pocket-1": {"k": 4, "n": 5}, fake.EVIL: {"k": 1, "n": 5}}})
    page = write_page(folder)
    links(page)
    text = words(page)
    assert text.index("1/5") < text.index("4/5")


def succeeded(outcome: Outcome) -> Outcome:
    return replace(outcome, success=True, progress=1.0, failure_mode="")


def failed(outcome: Outcome) -> Outcome:
    return replace(outcome, success=False, progress=0.0, failure_mode="", smoothness=None, subtasks={})


@pytest.mark.parametrize(
    ("change", "count", "told"),
    [
        (succeeded, 40, "No failure was seen; with 95 % confidence it fails in less than 8.8 % of such cases."),
        (failed, 40, "It fails everywhere that was tried; at most 8.8 % of such cases may succeed."),
        (succeeded, 1, "1/1 succeed"),
        (failed, 1, "0/1 succeed"),
        (failed, 0, "No case was run."),
    ],
)
def test_odd_evaluations_are_told_in_words(
    change: fake.Change, count: int, told: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    page = write_page(fake.evaluation(tmp_path, [change(o) for o in fake.outcomes(count, rng)]))
    links(page)
    assert told in words(page)
    assert not re.search(r"\bnan\b", page.read_text(), re.IGNORECASE)


def test_a_histogram_leaves_out_what_is_not_a_number_and_counts_the_rest() -> None:
    drawn = histogram("x", [("Cases", "ink-bad", [1.0, 1.0, float("nan"), None, float("inf"), 3.0])])
    assert drawn is not None
    assert sum(int(count) for count in re.findall(r"<title>(\d+) cases", drawn)) == 3
    assert histogram("x", [("Cases", "ink-bad", [None, float("nan")])]) is None


# --- searches


def test_a_search_tells_pockets_suites_and_the_failure_volume(tmp_path: Path, rng: np.random.Generator) -> None:
    text = words(write_page(fake.search(tmp_path, rng)))
    for pocket in POCKETS:
        for rate in (pocket.inside, pocket.outside, pocket.expert):
            assert f"{rate.k}/{rate.n}" in text
    assert "Boxes that fresh rollouts did not confirm (1)" in text
    assert re.search(r"\d+/30 evenly spread cases failed", text)
    assert "pocket-1 4" in text


@pytest.mark.parametrize(
    ("rate", "told"),
    [
        (1.0, "No failure found in 60 rollouts. With 95 % confidence it fails in less than 11.4 % of the space"),
        (0.0, "It failed in all 60 rollouts. A policy that fails everywhere has no pockets"),
        (0.6, "No pocket: nowhere does it fail clearly more often than elsewhere; one box was tried"),
    ],
)
def test_a_search_without_pockets_says_what_that_means(
    rate: float, told: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    page = write_page(fake.search(tmp_path, rng, rate=rate, pockets=()))
    links(page)
    assert told in words(page)


def test_a_search_is_told_without_what_an_older_one_did_not_write(tmp_path: Path, rng: np.random.Generator) -> None:
    folder = fake.search(tmp_path, rng)
    for name in ("exam", "dev", "uniform", "nominal", "building", "settings"):
        (folder / f"{name}.json").unlink()
    links(write_page(folder))


# --- comparisons, diagnoses, locksteps


def test_a_comparison_tells_both_rates_and_who_won_what(tmp_path: Path, rng: np.random.Generator) -> None:
    text = words(write_page(fake.comparison(tmp_path, rng)))
    assert "A is better" in text
    assert "first-0" in text
    assert "Only B" in text
    assert "p (Holm)" in text


def test_a_sequential_comparison_tells_what_stopping_saved(tmp_path: Path, rng: np.random.Generator) -> None:
    page = write_page(fake.comparison(tmp_path, rng, sequential=True))
    assert re.search(r"Stopping early saved \d+ rollouts", words(page))
    assert "evidence E against cases" in page.read_text()


def test_a_diagnosis_tells_every_effect_with_its_sham_and_verdict(tmp_path: Path) -> None:
    text = words(write_page(fake.diagnosed(tmp_path, fake.diagnosis())))
    assert "2 causes found: 1 proven, 1 untestable." in text
    assert "18/20 70–97 % 1/20 1–24 % +85 points (+60 to +95) p < .001 proven" in text
    assert "untestable" in text
    assert "Not shown to matter by themselves: light intensity." in text
    assert "60 %" in text


@pytest.mark.parametrize(
    ("failures", "told"),
    [(Rate(0, 50), "No failure in 50 episodes."), (Rate(9, 50), "9/50 episodes failed, and no rule explains them.")],
)
def test_a_diagnosis_without_causes_says_so(failures: Rate, told: str, tmp_path: Path) -> None:
    found = fake.diagnosis(causes=(), failures=failures, main_effects=(), notes=(), rollouts=0)
    assert told in words(write_page(fake.diagnosed(tmp_path, found)))


def test_a_lockstep_tells_where_they_part(tmp_path: Path) -> None:
    text = words(write_page(fake.lockstep(tmp_path / "a")))
    assert "They part at step 3 (0.15 s): gripper 3.1 cm, 0.10 rad, during grasp 1." in text
    assert "is not the recorded one bit for bit" in text
    never = words(write_page(fake.lockstep(tmp_path / "b", parting=False, video=False)))
    assert "They never part by more than 2 cm or 0.2 rad." in never


# --- hostile names


def hostile_evaluation(folder: Path, rng: np.random.Generator) -> Path:
    found = [
        replace(o, case=Case(Perturbation({fake.EVIL: float(i)}), i), failure_mode="" if o.success else fake.EVIL)
        for i, o in enumerate(fake.outcomes(4, rng, rate=0.5))
    ]
    return fake.evaluation(folder, found, policy=fake.EVIL, task=fake.EVIL)


def hostile_search(folder: Path, rng: np.random.Generator) -> Path:
    return fake.search(folder, rng, pockets=(replace(POCKETS[0], name=fake.EVIL),))


HOSTILE: dict[str, Make] = {
    "evaluation": hostile_evaluation,
    "search": hostile_search,
    "comparison": lambda folder, rng: fake.comparison(folder, rng, name=fake.EVIL),
    "diagnosis": lambda folder, _rng: fake.diagnosed(folder, fake.diagnosis(policy=fake.EVIL, notes=(fake.EVIL,))),
    "lockstep": lambda folder, _rng: fake.lockstep(folder, thing=fake.EVIL),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_names_are_escaped(kind: str, tmp_path: Path, rng: np.random.Generator) -> None:
    page = write_page(HOSTILE[kind](tmp_path, rng))
    text = page.read_text()
    assert "alert" in text
    assert "<script>alert" not in text
    links(page)


# --- scores and estimates


@pytest.mark.parametrize(("alike", "told"), [(False, "none of these does"), (True, "of these 1 does")])
def test_factors_that_scores_go_with_are_told_with_what_chance_reaches(
    alike: bool, told: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    text = words(write_page(fake.scored(tmp_path, rng, alike=alike)))
    assert "Of 20 factors that have nothing to do with it, the one that goes with it most would go beyond |ρ|" in text
    assert told in text
    assert "… 8 more" in text
    assert not re.search(r"ρ = -", text)


def test_an_estimate_of_one_pocket_counts_in_words(tmp_path: Path) -> None:
    folder = fake.estimated(tmp_path)
    needs = read_json(folder / "needs.json")["needs"]
    write_json(folder / "needs.json", {"needs": needs[2:]})
    text = words(write_page(folder))
    assert "1 pocket " in text
    assert "How many demonstrations these pockets take cannot be told." in text


def test_a_need_too_long_for_a_line_takes_two() -> None:
    assert _lines("about 120 demonstrations (70–260)") == ["about 120 demonstrations (70–260)"]
    long = "cannot be told from so little: at least 46 demonstrations"
    assert _lines(long) == ["cannot be told from so little:", "at least 46 demonstrations"]


# --- the command, and the run's report


def test_a_folder_of_no_kind_is_refused_with_what_is_looked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(EtudeError, match=r"holds nothing to report.*run\.json.*plan\.json.*diagnosis\.json"):
        write_page(tmp_path)
    assert main(["report", str(tmp_path / "nowhere")]) == 2
    assert "does not exist" in capsys.readouterr().err


def test_a_changed_file_is_told_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_json(fake.lockstep(tmp_path) / "lockstep.json", {"task": fake.TASK})
    assert main(["report", str(tmp_path)]) == 2
    assert "is not as etude lockstep of this version leaves it" in capsys.readouterr().err


def test_etude_report_says_which_folder_it_found(
    tmp_path: Path, rng: np.random.Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = fake.evaluation(tmp_path, fake.outcomes(5, rng))
    assert main(["report", str(folder)]) == 0
    assert "etude eval" in capsys.readouterr().out
    assert main(["report", str(folder), "--json"]) == 0
    assert capsys.readouterr().out == f'{{"kind": "eval", "page": "{folder}/index.html"}}\n'


def test_the_report_of_a_run_shows_its_diagnosis_and_what_became_of_pockets(tmp_path: Path) -> None:
    run = fake_run()
    arms = {**run.arms, "targeted": replace(run.arms["targeted"], followed=fake.followed(), fresh_search=Rate(9, 60))}
    page = write_report(replace(run, arms=arms, diagnosis=fake.diagnosis()), tmp_path)
    text = words(page)
    links(page)
    for told in ("Causes", "What to practise", "Gone, or moved?", "1 gone, 1 new", "after 9/60", "cause-1 proven"):
        assert told in text


@pytest.mark.parametrize(("low", "high"), [(0.02, 0.98), (0.1, 0.97), (0, 1), (-0.3, 0.2), (41, 44), (3, 3e5)])
def test_an_axis_has_two_ticks_at_least(low: float, high: float) -> None:
    found = [value for value, _ in ticks(low, high)]
    assert 2 <= len(found) <= 8
    assert all(low - 1e-9 <= value <= high + 1e-9 for value in found)
