"""What one arm practised in one round: where, made by whom, who was chosen, and where the next are made."""

from etude.acquisition.shares import effective_sample_size
from etude.core import PerturbationSpace
from etude.loop.report.drawing.histogram import histogram
from etude.loop.report.drawing.layout import figure, grid
from etude.loop.report.drawing.markup import Html, join, tag
from etude.loop.report.drawing.practice import BEFORE, moved_factor, moved_factors, source_bars
from etude.loop.report.drawing.wording import factor_title, percent, sentence_case
from etude.loop.report.results import PracticeRound


def round_part(title: str, practice: PracticeRound, space: PerturbationSpace, colour_class: str) -> Html:
    """A round in sentences, and in one picture where it was aimed by scores.

    Args:
        title: Arm and round; "" where the page says it.
        practice: The round.
        space: Of the perturbations.
        colour_class: Class of the arm's colour.
    """
    sentences = " ".join(words for words in (_regime(practice), _made(practice), _chosen(practice)) if words)
    pictures = _pictures(practice, space, colour_class)
    head = tag("h3", title) if title else Html("")
    return join([head, tag("p", sentences), grid(pictures) if pictures else Html("")])


def _regime(practice: PracticeRound) -> str:
    return f"Regime: {practice.regime}" if practice.regime else ""


def _made(practice: PracticeRound) -> str:
    """How many attempts it took, place by place where there are several."""
    places = {label: counts for label, counts in practice.places.items() if label}
    made, tried = (sum(counts[i] for counts in practice.places.values()) for i in (0, 1))
    told = f"{made} demonstrations from {tried} attempts"
    if len(places) > 1:
        each = (f"{sentence_case(label).lower()} {done} of {tries}" for label, (done, tries) in places.items())
        told += f" ({', '.join(each)})"
    lost = [sentence_case(label).lower() for label, (done, tries) in places.items() if tries >= 10 and not done]
    if practice.by_expert:
        told += f"; {practice.by_expert} of them by the expert, where the generator failed"
    if practice.without_pocket and not practice.regime:
        told += "; no pocket: drawn everywhere"
    if lost:
        told += f"; nothing could be made in {' and '.join(lost)}, so practice there is missing"
    return f"{told}." if tried else ""


def _chosen(practice: PracticeRound) -> str:
    if not practice.scores:
        return ""
    total, others = len(practice.scores), len(practice.chosen) - len(practice.elites)
    told = (
        f"{len(practice.chosen)} of {total} were chosen by {practice.score}: the {len(practice.elites)} scoring best"
        f"{f' and {others} drawn from the rest' if others else ''}; the scores speak for {practice.effective:.1f} of "
        f"{total}."
    )
    if practice.after and len(practice.after.sources) > 1:
        effective = effective_sample_size(practice.after.probabilities)
        told += f" The next are made from effectively {effective:.1f} of {len(practice.after.sources)} sources."
    return told


def _pictures(practice: PracticeRound, space: PerturbationSpace, colour_class: str) -> list[Html]:
    if not practice.scores:
        return []
    chosen, pictures = set(practice.chosen), list[Html]()
    groups = [
        ("Chosen", colour_class, [s for i, s in enumerate(practice.scores) if i in chosen]),
        ("Left out", BEFORE, [s for i, s in enumerate(practice.scores) if i not in chosen]),
    ]
    scores = histogram(f"score ({practice.score})", groups)
    if scores is not None:
        pictures.append(figure("Scores: chosen in colour, left out in grey", scores))
    if practice.before is None or practice.after is None:
        return pictures
    if len(practice.after.sources) > 1:
        drawn = source_bars(practice.before, practice.after, colour_class)
        pictures.append(figure("Choice of sources; the mark is before", drawn))
    for name, share in moved_factors(practice.before, practice.after):
        made = [theta.get(name, space[name].nominal) for theta in practice.candidates]
        best = [value for index, value in enumerate(made) if index in chosen]
        drawn = moved_factor(space[name], practice.before, practice.after, made, best, colour_class)
        pictures.append(figure(f"{sentence_case(factor_title(space[name]))}: {percent(share)} moved", drawn))
    return pictures
