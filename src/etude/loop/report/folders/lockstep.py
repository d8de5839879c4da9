"""The page of a lockstep: a demonstration and a policy from one state, where and how they part."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from etude.core.files import read_json
from etude.loop.report.drawing.document import document, heading
from etude.loop.report.drawing.layout import figure, grid, header, row, scrolling, section
from etude.loop.report.drawing.lines import Curve, curves, key
from etude.loop.report.drawing.markup import Html, join, tag
from etude.loop.report.drawing.wording import sentence_case, value_text
from etude.loop.report.sections.clips import Film, last_frame_beside
from etude.loop.report.sections.source import Source, repeat_section
from etude.loop.report.sections.verdicts import verdict_box

FILES = ("lockstep.json", "lockstep.mp4", "divergence.png")
_CONTENTS = {"video": "Video", "parting": "Where they part", "apart": "How far apart", "repeat": "How to repeat it"}
_COLOURS = ("arm3", "arm2", "arm4", "arm5", "arm1", "arm6", "arm0")


def page(folder: Path) -> str:
    """The whole document."""
    source, found = Source.of(folder), read_json(folder / "lockstep.json")
    sections = join(
        [
            _video(folder),
            _partings(found),
            _apart(found),
            repeat_section(source, FILES),
        ]
    )
    name, policy = f"{found.get('dataset', '')}, episode {found.get('episode', '')}", found.get("policy_name", "policy")
    facts = f"{name} · policy {policy} from step {found['start_step']} · {found['task']}"
    head = heading("Demonstration and policy in lockstep", facts, _CONTENTS, sections)
    return document("Lockstep", head, tag("main", _verdict(found), sections))


def _verdict(found: Mapping[str, Any]) -> Html:
    partings: Sequence[Mapping[str, Any]] = found["partings"]
    ends = [f"The {who} {_ending(found[who])}." for who in ("policy", "demonstration")]
    if not found["replay"]["bit_equal"]:
        ends.append("Replayed here, the demonstration is not the recorded one bit for bit; it is shown as replayed.")
    if not partings:
        return verdict_box("better", f"They never part by more than {_limits(found)}.", *ends)
    return verdict_box("unclear", f"They part at {_place(partings[0])}.", *ends)


def _video(folder: Path) -> Html:
    poster = last_frame_beside(folder / "lockstep.mp4")
    if poster is None:
        return Html("")
    film = Film("", "left the demonstration, right the policy", "lockstep.mp4", poster.name)
    note = "Left the demonstration, right the policy, from the same state."
    return section("video", "Video", note, tag("div", film.draw(), class_="film-wide"))


def _partings(found: Mapping[str, Any]) -> Html:
    rows: list[Html] = []
    for parting in found["partings"]:
        back = "is back at the end" if parting["for_good"] is None else f"for good since step {parting['for_good']}"
        cells = [f"{parting['step']} ({parting['time_s']:.2f} s)", f"{100 * parting['position_m']:.1f} cm"]
        cells += [f"{parting['rotation_rad']:.2f} rad", parting["during"].replace("_", " "), back]
        rows.append(row(sentence_case(parting["thing"]), *cells))
    if not rows:
        return Html("")
    head = header("", "Leaves at step", "Distance", "Angle", "During", "")
    note = f"The first moment at which something is farther than {_limits(found)} from where the demonstration has it."
    return section("parting", "Where they part", note, scrolling(tag("table", head, tag("tbody", *rows))))


def _apart(found: Mapping[str, Any]) -> Html:
    """Curves over time."""
    series, fps, tolerance = found["series"], found["fps"], found["tolerance"]
    wanted = (
        ("Distance", series["position_m"], "distance [m]", tolerance["m"]),
        ("Angle", series["rotation_rad"], "angle [rad]", tolerance["rad"]),
        ("Off the demonstration's path, at whatever speed", series.get("path_m", {}), "distance [m]", tolerance["m"]),
        ("Progress", series["progress"], "progress", None),
        ("Actions", _actions(series), "mean difference of actions", None),
    )
    figures: list[Html] = []
    for caption, of, y_title, level in wanted:
        lines = [
            Curve(sentence_case(name), _COLOURS[i % len(_COLOURS)], _points(values, fps))
            for i, (name, values) in enumerate(of.items())
        ]
        marks = [(level, f"tolerance {value_text(level)}")] if level is not None else []
        drawn = curves(lines, "time [s]", y_title, marks=marks)
        if drawn is not None:
            figures.append(figure(caption, join([key(lines), drawn])))
    if not figures:
        return Html("")
    return section("apart", "How far apart", "While both last.", grid(figures, broad=True))


def _actions(series: Mapping[str, Any]) -> dict[str, Any]:
    names = {"action": "as each acted", "action_in_the_demonstrations_place": "policy in the demonstration's place"}
    return {title: series[name] for name, title in names.items() if series.get(name)}


def _points(values: Sequence[float | None], fps: float) -> list[tuple[float, float]]:
    return [(step / fps, value) for step, value in enumerate(values) if value is not None]


def _place(parting: Mapping[str, Any]) -> str:
    far = f"{100 * parting['position_m']:.1f} cm, {parting['rotation_rad']:.2f} rad"
    during = f", during {parting['during'].replace('_', ' ')}" if parting["during"] else ""
    return f"step {parting['step']} ({parting['time_s']:.2f} s): {parting['thing'].replace('_', ' ')} {far}{during}"


def _limits(found: Mapping[str, Any]) -> str:
    return f"{100 * found['tolerance']['m']:g} cm or {found['tolerance']['rad']:g} rad"


def _ending(end: Mapping[str, Any]) -> str:
    if end["success"]:
        return f"succeeds after {end['length']} steps"
    mode = (end["failure_mode"] or "failure").replace("_", " ")
    return f"ends by {mode} after {end['length']} steps (progress {value_text(end['progress'])})"
