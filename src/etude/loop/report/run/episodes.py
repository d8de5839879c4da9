"""Episodes one can look at: videos of the same case before and after, and the cases that practice lost."""

from collections.abc import Mapping
from dataclasses import dataclass

from etude.core import Case, Outcome
from etude.loop.arms import BASELINE
from etude.loop.report.drawing.layout import header, scrolling, section
from etude.loop.report.drawing.markup import Html, join, tag
from etude.loop.report.drawing.wording import (
    arm_title,
    axis_title,
    factor_title,
    sentence_case,
    test_title,
    unit_suffix,
    value_text,
)
from etude.loop.report.results import TESTS, RunResults, VideoPair, foremost
from etude.loop.report.run.comparison import newly_lost

MAX_LISTED = 40
FACTORS_SHOWN = 3


@dataclass(frozen=True)
class Clip:
    """A video in the report's folder.

    Attributes:
        video: Its path relative to the page.
        poster: Path of a still from it, or None.
    """

    video: str
    poster: str | None


type Clips = Mapping[int, tuple[Clip | None, Clip | None]]
"""Index of a pair -> its two clips, None where the file was missing."""


def videos_section(run: RunResults, clips: Clips) -> Html:
    """Pairs under their categories, played in step."""
    if not run.videos:
        return Html("")
    arm = foremost(run.arms)
    after = arm_title(arm) if arm else "After"
    parts: list[Html] = []
    for category in dict.fromkeys(pair.category for pair in run.videos):
        pairs = [(pair, clips[i]) for i, pair in enumerate(run.videos) if pair.category == category]
        figures = [_pair(run, pair, both, after) for pair, both in pairs]
        parts += [tag("h3", sentence_case(category)), tag("div", *figures, class_="pairs")]
    note = (
        "The same perturbation and the same seed: left the baseline, right after practice. "
        "A shorter episode waits for the longer one."
    )
    return section("videos", "Before and after", note, *parts)


def lost_section(run: RunResults) -> Html:
    """Cases the baseline solved and the practised policy did not."""
    arm = foremost(run.arms)
    if arm is None or BASELINE not in run.arms:
        return Html("")
    lost = [(test, index, outcome) for test in TESTS for index, outcome in newly_lost(run, arm, test)]
    sat = [test for test in TESTS if run.arms[arm].outcomes(test)]
    counts = [
        f"{test_title(test).lower()} {len(newly_lost(run, arm, test))} of {run.arms[arm].rate(test).n}" for test in sat
    ]
    note = f"Solved by the baseline, failed by {arm_title(arm).lower()}: {', '.join(counts) or 'no tests'}."
    if not lost:
        return section("lost", "Cases newly lost", note)
    rows = [_lost_row(run, *case) for case in lost[:MAX_LISTED]]
    left = f" The first {MAX_LISTED} are listed; the data files have all." if len(lost) > MAX_LISTED else ""
    head = header("Test", "Case", "Seed", "Failed by", "Progress", "Farthest from nominal")
    return section(
        "lost", "Cases newly lost", note + left, scrolling(tag("table", head, tag("tbody", *rows), class_="lost"))
    )


def case_words(run: RunResults, case: Case) -> str:
    """The factors of a case that lie farthest from nominal."""
    space = run.space
    distance = {
        name: abs(value - space[name].nominal) / (space[name].high - space[name].low)
        for name, value in case.theta.values.items()
        if name in space.names
    }
    far = sorted(distance, key=lambda name: (-distance[name], name))[:FACTORS_SHOWN]
    texts = [f"{factor_title(space[k])} {value_text(case.theta.values[k])}{unit_suffix(space[k])}" for k in far]
    return ", ".join(texts) or "the nominal world"


def _pair(run: RunResults, pair: VideoPair, clips: tuple[Clip | None, Clip | None], after: str) -> Html:
    screens = [
        _screen(clip, f"{title}, {pair.label}", title) for clip, title in zip(clips, ("Baseline", after), strict=True)
    ]
    words = f"{case_words(run, pair.case)}; seed {pair.case.seed}"
    caption = tag(
        "figcaption", tag("b", pair.label), tag("br"), tag("span", words, class_="interval"), _theta(run, pair.case)
    )
    button = tag("button", "Play both", type="button") if all(clips) else Html("")
    return tag("figure", tag("div", *screens, class_="screens"), button, caption, class_="pair")


def _theta(run: RunResults, case: Case) -> Html:
    """Every value of θ, folded away."""
    if not case.theta.values:
        return Html("")
    known = [name for name in run.space.names if name in case.theta.values]
    rows = [tag("li", f"{axis_title(run.space[name])}: {value_text(case.theta.values[name])}") for name in known]
    return tag("details", tag("summary", f"θ, {len(rows)} factors"), tag("ul", *rows, class_="theta"))


def _screen(clip: Clip | None, said: str, title: str) -> Html:
    label = tag("span", title, class_="screen-title")
    if clip is None:
        return tag("div", label, tag("div", "video missing", class_="missing"), class_="screen")
    video = tag(
        "video", src=clip.video, poster=clip.poster, muted="", playsinline="", preload="metadata", aria_label=said
    )
    return tag("div", label, video, class_="screen")


def _lost_row(run: RunResults, test: str, index: int, outcome: Outcome) -> Html:
    suite = run.suites.get(test)
    label = suite.labels[index] if suite is not None and suite.labels else ""
    name = join([f"{index}", f", {label}" if label else ""])
    texts = [sentence_case(outcome.failure_mode or "unnamed"), f"{outcome.progress:.2f}", case_words(run, outcome.case)]
    return tag(
        "tr",
        tag("td", test_title(test)),
        tag("td", name),
        tag("td", str(outcome.case.seed)),
        *(tag("td", t) for t in texts),
    )
