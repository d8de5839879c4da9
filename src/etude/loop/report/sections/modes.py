"""How episodes ended, as bars of counts."""

from collections.abc import Mapping, Sequence

from etude.core import Outcome
from etude.loop.report.drawing.markup import Html, join, tag
from etude.loop.report.drawing.wording import sentence_case

UNNAMED = "unnamed"
"""What a failure without a mode is called."""


def failure_mode(outcome: Outcome) -> str:
    """How an episode failed; "" where it did not."""
    return "" if outcome.success else outcome.failure_mode or UNNAMED


def failure_modes(outcomes: Sequence[Outcome]) -> list[str]:
    """All failure modes, the most frequent first."""
    names = [failure_mode(outcome) for outcome in outcomes if not outcome.success]
    return sorted(set(names), key=lambda name: (-names.count(name), name))


def mode_key(modes: Sequence[str]) -> Html:
    """The colours of success and of the modes."""
    keys = [tag("span", "Success", class_="swatch mode0")]
    keys += [tag("span", sentence_case(mode), class_=f"swatch mode{1 + i % 8}") for i, mode in enumerate(modes)]
    return tag("p", *keys, class_="legend")


def mode_bar(title: str, outcomes: Sequence[Outcome], modes: Sequence[str]) -> Html:
    """A title, then a bar of all episodes by how they ended."""
    found = [failure_mode(outcome) for outcome in outcomes]
    counts = {"Success": found.count("")} | {mode: found.count(mode) for mode in modes}
    return join([tag("span", title), stacked(title, counts)])


def stacked(title: str, counts: Mapping[str, int]) -> Html:
    """One bar of parts with their counts; the first part is success."""
    total = sum(counts.values())
    parts: list[Html] = []
    for index, (mode, count) in enumerate(counts.items()):
        if count:
            kind = 0 if index == 0 else 1 + (index - 1) % 8
            shown = str(count) if count / total >= 0.04 else ""
            hint = f"{sentence_case(mode)}: {count} of {total}"
            parts.append(tag("span", shown, class_=f"mode{kind}", style=f"flex-grow: {count}", title=hint))
    said = "; ".join(f"{sentence_case(mode)} {count}" for mode, count in counts.items() if count)
    return tag("div", *parts, class_="bar", role="img", aria_label=f"{title}: {said}")
