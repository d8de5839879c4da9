"""Videos that a command left in its folder, with a still of how each ended, grouped under headings."""

import io
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.error import FFmpegError

from etude.core import Case, EtudeError
from etude.core.files import read_json, write_bytes
from etude.loop.report.drawing.layout import section
from etude.loop.report.drawing.markup import Html, tag
from etude.loop.report.drawing.wording import sentence_case, value_text

VIDEOS, LIST = "videos", "videos.json"
"""Folder of a command's videos, and the list of them in it: {"case", "failure_mode", "file"} each."""
_SAID = 3  # values of θ in a caption


@dataclass(frozen=True)
class Film:
    """A video to show.

    Attributes:
        group: Heading that it is shown under.
        caption: One line about it.
        video: Its path relative to the page.
        poster: Path of a still from it, or None.
    """

    group: str
    caption: str
    video: str
    poster: str | None

    def draw(self) -> Html:
        """The video with its controls; it is loaded when it is played."""
        shown = {"src": self.video, "poster": self.poster, "aria_label": f"{self.group} {self.caption}".strip()}
        return tag("video", controls="", muted="", playsinline="", preload="none", **shown)


def last_frame(source: Path) -> bytes | None:
    """How an episode ended, as JPEG; None when the file is missing or no video."""
    last: deque[av.VideoFrame] = deque(maxlen=1)
    try:
        with av.open(str(source)) as container:
            last.extend(container.decode(video=0))
    except (FFmpegError, IndexError, OSError):
        return None
    if not last:
        return None
    jpeg = io.BytesIO()
    last[0].to_image().save(jpeg, format="JPEG", quality=85)
    return jpeg.getvalue()


def films(folder: Path, groups: Mapping[str, str] | None = None) -> list[Film]:
    """The videos of a command's folder, by its list or else by their names; stills are written beside them.

    Args:
        folder: The command's.
        groups: What the list says of a video's kind -> heading; by default the failure mode is one.
    """
    home = folder / VIDEOS
    try:
        listed: list[dict[str, Any]] = read_json(home / LIST)
    except EtudeError:
        listed = [{"file": path.name} for path in sorted(home.glob("*.mp4"))]
    return [film for record in listed if (film := _film(folder, record, groups or {})) is not None]


def films_section(found: Sequence[Film], title: str, note: str) -> Html:
    """All videos under their headings, in the order of the headings' first one."""
    if not found:
        return Html("")
    parts: list[Html] = []
    for group in dict.fromkeys(film.group for film in found):
        shown = [_figure(film) for film in found if film.group == group]
        parts += [tag("h3", f"{group} ({len(shown)})"), tag("div", *shown, class_="grid dense")]
    return section("videos", title, note, *parts)


def last_frame_beside(video: Path) -> Path | None:
    """Write how a video ended beside it; None where the video is missing or cannot be read."""
    poster, still = video.with_suffix(".jpg"), last_frame(video)
    if still is None:
        return None
    if not poster.exists() or poster.read_bytes() != still:
        write_bytes(poster, still)
    return poster


def _film(folder: Path, record: dict[str, Any], groups: Mapping[str, str]) -> Film | None:
    """None where the video is missing or cannot be read."""
    path = folder / VIDEOS / Path(str(record["file"])).name
    poster = last_frame_beside(path)
    if poster is None:
        return None
    mode = sentence_case(str(record["failure_mode"] or "success")) if "failure_mode" in record else "Videos"
    group = groups.get(str(record.get("kind")), mode)
    return Film(group, _caption(record, path), *(f"{VIDEOS}/{each.name}" for each in (path, poster)))


def _caption(record: dict[str, Any], path: Path) -> str:
    told = record.get("case", record)
    if "theta" not in told:
        return path.stem.replace("-", " ")
    case = Case.from_json(told)
    values = [f"{name} {value_text(value)}" for name, value in sorted(case.theta.values.items())]
    more = f" and {len(values) - _SAID} more" if len(values) > _SAID + 1 else ""
    shown = values[:_SAID] if more else values
    return f"seed {case.seed}: {', '.join(shown) or 'the nominal world'}{more}"


def _figure(film: Film) -> Html:
    return tag("figure", film.draw(), tag("figcaption", film.caption, class_="interval"), class_="film")
