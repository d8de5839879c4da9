"""The page of a task's pictures: the nominal world, and what each factor does, by kind."""

from collections.abc import Mapping

from etude.core import Factor, Task
from etude.core.space import FACTOR_KINDS
from etude.loop.report.drawing.document import document
from etude.loop.report.drawing.layout import section
from etude.loop.report.drawing.markup import Html, join, tag
from etude.loop.report.drawing.wording import range_text, sentence_case, unit_suffix, value_text

_IMAGE_STYLE = "display: block; max-width: 100%; height: auto; margin: 6px 0 22px; border-radius: 4px;"


def gallery(task: Task, nominal: str, sweeps: Mapping[str, str]) -> str:
    """The whole document.

    Args:
        task: What is shown.
        nominal: Path of the nominal world's picture, relative to the page.
        sweeps: Factor -> path of its picture, relative to the page.
    """
    kinds = [kind for kind in FACTOR_KINDS if any(f.kind == kind for f in task.space.factors)]
    links = [tag("a", sentence_case(name), href=f"#{name}") for name in ("nominal", *kinds)]
    facts = (
        f"“{task.text}” {len(task.cameras)} cameras · {len(task.action_names)} actions at {task.fps} Hz · "
        f"at most {task.max_steps} steps · {len(sweeps)} factors"
    )
    head = tag("header", tag("h1", task.name), tag("p", facts, class_="facts-line"), tag("nav", *links))
    world = section(
        "nominal",
        "Nominal",
        "The world as it is when nothing is varied; the seed draws what the layout leaves open.",
        _picture(nominal, f"The nominal world of {task.name}"),
        _words("Sub-tasks", task.subtasks),
        _words("Ways to fail", task.failure_modes),
    )
    return document(task.name, head, tag("main", world, *(_kind(task, kind, sweeps) for kind in kinds)))


def _kind(task: Task, kind: str, sweeps: Mapping[str, str]) -> Html:
    factors = [factor for factor in task.space.factors if factor.kind == kind]
    note = f"{len(factors)} factors, each from low to high with everything else nominal; the nominal value is framed."
    if kind == "layout":
        note = f"{len(factors)} factors, each from low to high with everything else in one place; its centre is framed."
    return section(kind, sentence_case(kind), note, *(_factor(f, sweeps[f.name]) for f in factors))


def _factor(factor: Factor, picture: str) -> Html:
    span = range_text(factor.low, factor.high, factor)
    words = f"{factor.description}: {span}, nominal {value_text(factor.nominal)}{unit_suffix(factor)}"
    return join([tag("h3", tag("code", factor.name)), _picture(picture, words)])


def _picture(path: str, said: str) -> Html:
    return tag("a", tag("img", src=path, alt=said, loading="lazy", style=_IMAGE_STYLE), href=path)


def _words(title: str, names: tuple[str, ...]) -> Html:
    words = ", ".join(name.replace("_", " ") for name in names)
    return tag("p", tag("b", f"{title}: "), words or "none", class_="note")
