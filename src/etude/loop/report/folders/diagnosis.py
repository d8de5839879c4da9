"""The page of a diagnosis: causes, what undoing them repaired, and what to practise."""

from pathlib import Path

from etude.core import Diagnosis
from etude.core.diagnosis import VERDICTS
from etude.core.files import read_json
from etude.loop.report.drawing.document import document, heading
from etude.loop.report.drawing.markup import Html, join, tag
from etude.loop.report.drawing.wording import count_text, percent
from etude.loop.report.sections.causes import (
    causes_section,
    effect_words,
    main_effects_section,
    notes_section,
    plan_section,
    verdict_word,
)
from etude.loop.report.sections.source import Source, repeat_section
from etude.loop.report.sections.verdicts import verdict_box

FILES = ("diagnosis.json", "counterfactuals.parquet")
_CONTENTS = {
    "causes": "Causes",
    "plan": "What to practise",
    "alone": "Factors by themselves",
    "notes": "To keep in mind",
    "repeat": "How to repeat it",
}


def page(folder: Path) -> str:
    """The whole document."""
    source = Source.of(folder)
    diagnosis = Diagnosis.from_json(read_json(folder / "diagnosis.json"))
    space = diagnosis.space
    sections = join(
        [
            causes_section(diagnosis, space),
            plan_section(diagnosis, space),
            main_effects_section(diagnosis, space),
            notes_section(diagnosis),
            repeat_section(source, FILES),
        ]
    )
    facts = (
        f"Policy {diagnosis.policy} · {diagnosis.failures.n} episodes · {diagnosis.rollouts} rollouts to test causes"
    )
    head = heading(f"Diagnosis on {diagnosis.task}", facts, _CONTENTS, sections)
    return document(f"Diagnosis on {diagnosis.task}", head, tag("main", _verdict(diagnosis), sections))


def _verdict(diagnosis: Diagnosis) -> Html:
    failures = diagnosis.failures
    if failures.n and not failures.k:
        bound = percent(failures.high, 1)
        words = f"With 95 % confidence it fails in less than {bound} of such episodes; there is nothing to diagnose."
        return verdict_box("better", f"No failure in {failures.n} episodes.", words)
    confirmed = [cause for cause in diagnosis.causes if cause.verdict == "confirmed"]
    if not diagnosis.causes:
        return verdict_box("unclear", f"{count_text(failures)} episodes failed, and no rule explains them.")
    found = f"{len(diagnosis.causes)} cause{'s' if len(diagnosis.causes) > 1 else ''} found"
    counts = {verdict: sum(cause.verdict == verdict for cause in diagnosis.causes) for verdict in VERDICTS}
    told = ", ".join(f"{count} {verdict_word(verdict)}" for verdict, count in counts.items() if count)
    strongest = {cause.name: cause.effects[0] for cause in confirmed if cause.effects}
    lines = [f"{name}: {effect_words(effect, diagnosis.space)}." for name, effect in strongest.items()]
    return verdict_box("unclear", f"{found}: {told}.", *lines)
