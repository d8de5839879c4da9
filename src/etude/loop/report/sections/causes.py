"""A diagnosis as cards: each cause's rule, what undoing its factors repaired, and how its failures ended."""

from collections.abc import Mapping

from etude.core import Cause, Diagnosis, Effect, Interaction, PerturbationSpace
from etude.evaluation.comparison import p_text
from etude.loop.report.drawing.charts import difference_bar
from etude.loop.report.drawing.layout import header, rate_text, row, scrolling, section
from etude.loop.report.drawing.markup import Html, join, tag
from etude.loop.report.drawing.wording import count_text, difference_text, factor_title, percent, sentence_case
from etude.loop.report.sections.modes import stacked
from etude.loop.report.sections.pockets import fact, ranges
from etude.loop.report.sections.verdicts import badge

_TONES: Mapping[str, str] = {"confirmed": "good", "refuted": "bad"}
_ORIGINS = {
    "pocket": "a pocket of a search, on fresh rollouts",
    "beam": "a beam search over boxes, on held-out episodes",
    "tree": "a shallow tree, on held-out episodes",
    "logistic": "a logistic model, on held-out episodes",
}
_ALPHA = 0.05
_SIDES = {"low": "low values", "high": "high values", "ends": "both ends", "middle": "the middle"}


def causes_section(diagnosis: Diagnosis, space: PerturbationSpace | None) -> Html:
    """Every cause with its evidence."""
    failed = f"{count_text(diagnosis.failures)} episodes failed"
    if not diagnosis.causes:
        note = f"{failed}; no rule of few factors was found that explains them."
        return section("causes", "Causes", note)
    note = (
        f"{failed}. A cause is a rule: a box of few factors in which the policy fails more often than elsewhere. The "
        "bar shows the box within the factor's range, the mark is nominal. Its proof is a rollout: failures inside are "
        "run again on the same seed with one factor set back to nominal, beside a sham that moves all by 1\u00a0%."
    )
    cards = [_cause(cause, space) for cause in diagnosis.causes]
    return section("causes", "Causes", note, tag("div", *cards, class_="cards wide"))


def main_effects_section(diagnosis: Diagnosis, space: PerturbationSpace | None) -> Html:
    """What each factor explains by itself."""
    if not diagnosis.main_effects:
        return Html("")
    shown = [effect for effect in diagnosis.main_effects if effect.p < _ALPHA]
    rest = ", ".join(_named(effect.factor, space) for effect in diagnosis.main_effects if effect.p >= _ALPHA)
    rows = [row(_named(effect.factor, space), p_text(effect.p), _SIDES[effect.side]) for effect in shown]
    head = header("Factor", "p (Holm)", "Failures gather at")
    table = scrolling(tag("table", head, tag("tbody", *rows), class_="rates")) if rows else Html("")
    other = tag("p", f"Not shown to matter by themselves: {rest}.", class_="note") if rest else Html("")
    note = "Each factor alone, all else being equal, in a logistic model with squares."
    return section("alone", "Factors by themselves", note, table, other)


_BY_THE_LOOP = "Shares of the next round's new demonstrations, which the loop collects without being told."


def plan_section(diagnosis: Diagnosis, space: PerturbationSpace | None, note: str = _BY_THE_LOOP) -> Html:
    """What to practise next: shares as a bar, then where and why."""
    practices = diagnosis.plan.practices
    parts = [
        tag(
            "span",
            percent(practice.share) if practice.share >= 0.05 else "",
            class_=f"mode{1 + i % 8}",
            style=f"flex-grow: {practice.share * 1000:.0f}",
            title=f"{percent(practice.share)}: {practice.why}",
        )
        for i, practice in enumerate(practices)
    ]
    said = "; ".join(f"{percent(practice.share)} {practice.why}" for practice in practices)
    bar = tag("div", *parts, class_="bar", role="img", aria_label=said)
    cards: list[Html] = []
    for i, practice in enumerate(practices):
        share = tag("h3", percent(practice.share), class_=f"swatch mode{1 + i % 8}")
        cards.append(tag("article", share, tag("p", practice.why), ranges(practice.bounds, space)))
    return section("plan", "What to practise", note, bar, tag("div", *cards, class_="cards below"))


def notes_section(diagnosis: Diagnosis) -> Html:
    """What a person should know."""
    if not diagnosis.notes:
        return Html("")
    return section("notes", "To keep in mind", "", tag("ul", *(tag("li", note) for note in diagnosis.notes)))


def effect_words(effect: Effect, space: PerturbationSpace | None) -> str:
    """One effect as a sentence without its full stop."""
    name = _named(effect.factor, space)
    if not effect.repaired.n:
        return f"{name}: {verdict_word(effect.verdict)}"
    return (
        f"{name} back to nominal repairs {count_text(effect.repaired)}, the sham {count_text(effect.sham)}: "
        f"{verdict_word(effect.verdict)}"
    )


def verdict_word(verdict: str) -> str:
    """As `etude diagnose` says it."""
    return "proven" if verdict == "confirmed" else verdict


def _cause(cause: Cause, space: PerturbationSpace | None) -> Html:
    facts = [fact("fails inside", cause.inside, "ink-bad"), fact("fails outside", cause.outside, "ink-bad")]
    if cause.expert.n:
        facts.append(fact("expert succeeds inside", cause.expert, "ink-good"))
    if cause.volume == cause.volume:
        facts.append(row("share of the space", percent(cause.volume, 1), ""))
    found = f"{p_text(cause.p)} (Holm)"
    found += f"; found by {_ORIGINS.get(cause.origin, cause.origin)}" if cause.origin else ""
    title = tag("h3", cause.name, " ", _badge(cause.verdict))
    table = tag("table", tag("tbody", *facts), class_="facts")
    rule = tag("div", ranges(cause.bounds, space), table, tag("p", found, class_="note"), _modes(cause))
    proof = tag("div", _effects(cause, space), _interaction(cause.interaction, space))
    return tag("article", title, tag("div", rule, proof, class_="halves"))


def _effects(cause: Cause, space: PerturbationSpace | None) -> Html:
    if not cause.effects:
        return tag("p", "No factor was undone in a rollout: the cause is untested.", class_="none")
    rows = [
        row(
            _named(effect.factor, space),
            rate_text(effect.repaired),
            rate_text(effect.sham),
            _difference(effect.difference),
            p_text(effect.p) if effect.repaired.n else "",
            _badge(effect.verdict),
        )
        for effect in cause.effects
    ]
    head = header("Back to nominal", "Repairs", "Sham repairs", "Difference", "p (Holm)", "")
    return scrolling(tag("table", head, tag("tbody", *rows), class_="effects"))


def _interaction(interaction: Interaction | None, space: PerturbationSpace | None) -> Html:
    if interaction is None:
        return Html("")
    first, second = (_named(name, space) for name in interaction.factors)
    words = (
        f"{sentence_case(first)} and {second} undone together repair {count_text(interaction.repaired)}: "
        f"{difference_text(interaction.difference)} beyond the stronger one alone."
    )
    return tag("p", tag("b", "Interaction. "), words)


def _modes(cause: Cause) -> Html:
    """How the failures inside ended."""
    if not cause.failure_modes:
        return Html("")
    ordered = sorted(cause.failure_modes.items(), key=lambda item: (-item[1], item[0]))
    keys = [
        tag("span", f"{sentence_case(m)} {n}", class_=f"swatch mode{1 + i % 8}") for i, (m, n) in enumerate(ordered)
    ]
    bar = stacked("Failures inside", {"Success": 0} | dict(ordered))
    return join([tag("p", *keys, class_="legend"), bar])


def _difference(difference: tuple[float, float, float]) -> Html:
    if difference[0] != difference[0]:
        return tag("span", "not measured", class_="none")
    return join([tag("span", difference_text(difference), class_="interval"), difference_bar(difference, "ink-plain")])


def _badge(verdict: str) -> Html:
    return badge(verdict_word(verdict), _TONES.get(verdict, ""))


def _named(name: str, space: PerturbationSpace | None) -> str:
    return factor_title(space[name]) if space is not None and name in space.names else name
