"""Videos that a command left in its folder, with a still of how each ended, grouped under headings."""

import io
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
from av.error import FFmpegError

from etude.core import Case, EtudeError
from etude.core.files import read_json, write_bytes
from etude.loop.report.drawing.layout import section
from etude.loop.report.drawing.markup import Html, tag
from etude.loop.report.drawing.wording import sentence_case

VIDEOS, LIST = "videos", "videos.json"
"""Folder of a command's videos, and the list of them in it: {"case", "failure_mode", "file"} each."""


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


def films(folder: Path) -> list[Film]:
    """The videos of a command's folder, by its list or else by their names; stills are written beside them."""
    home = folder / VIDEOS
    try:
        listed: list[dict[str, Any]] = read_json(home / LIST)
    except EtudeError:
        listed = [{"file": path.name} for path in sorted(home.glob("*.mp4"))]
    return [film for record in listed if (film := _film(folder, record)) is not None]


def films_section(found: Sequence[Film], title: str, note: str) -> Html:
    """All videos under their headings, in the order of the headings' first one."""
    if not found:
        return Html("")
    parts: list[Html] = []
    for group in dict.fromkeys(film.group for film in found):
        shown = [_figure(film) for film in found if film.group == group]
        parts += [tag("h3", f"{group} ({len(shown)})"), tag("div", *shown, class_="grid dense")]
    return section("videos", title, note, *parts)


def _film(folder: Path, record: dict[str, Any]) -> Film | None:
    """None where the video is missing or cannot be read."""
    path = folder / VIDEOS / Path(str(record["file"])).name
    poster = path.with_suffix(".jpg")
    still = last_frame(path)
    if still is None:
        return None
    if not poster.exists() or poster.read_bytes() != still:
        write_bytes(poster, still)
    group = "Videos"
    if "group" in record or "failure_mode" in record:
        group = sentence_case(str(record.get("group", record.get("failure_mode")) or "success"))
    names = [str(each.relative_to(folder).as_posix()) for each in (path, poster)]
    return Film(group, _caption(record, path), names[0], names[1])


def _caption(record: dict[str, Any], path: Path) -> str:
    if "case" not in record:
        return path.stem.replace("-", " ")
    case = Case.from_json(record["case"])
    told = ", ".join(f"{name} {value:.3g}".replace("-", "−") for name, value in sorted(case.theta.values.items()))
    return f"seed {case.seed}: {told or 'the nominal world'}"


def _figure(film: Film) -> Html:
    video = tag(
        "video",
        src=film.video,
        poster=film.poster,
        controls="",
        muted="",
        playsinline="",
        preload="none",
        aria_label=f"{film.group}, {film.caption}",
    )
    return tag("figure", video, tag("figcaption", film.caption, class_="interval"), class_="film")
