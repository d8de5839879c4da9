"""Marks in the terminal: an episode is shown frame by frame, and keys say when a sub-task is done."""

import os
import re
import select
import shutil
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from etude.core import ConfigError

if TYPE_CHECKING:
    from etude.data import DatasetMeta
    from etude.generation.marking import Command, Marking

HELP = (
    "space plays and pauses; . and , step, > and < jump by ten frames; m marks the next sub-task, 1 to 9 a certain "
    "one; u takes the last mark back; Enter keeps the marks; s skips the episode; q stops, "
    "without the marks of this episode"
)
_KEYS: "Mapping[str, Command]" = {
    " ": "play",
    ".": "forward",
    ",": "back",
    ">": "jump",
    "<": "rewind",
    "m": "mark",
    "u": "undo",
    "\n": "keep",
    "\r": "keep",
    "s": "skip",
    "q": "stop",
}
_ARROWS: "Mapping[str, Command]" = {"\x1b[C": "forward", "\x1b[D": "back", "\x1b[A": "jump", "\x1b[B": "rewind"}
_KEY = re.compile(r"\x1b\[[\d;]*.|.", re.DOTALL)  # an arrow is several characters
_MOST_COLUMNS, _TEXT_LINES = 128, 4  # of the picture in the terminal; what stands below it
_CLEAR = "\x1b[H\x1b[2J"


class TerminalMarker:
    """Asks the person at the terminal for the marks of one episode after the other; an annotation's Marker.

    Without a terminal the keys are read from a pipe, the pictures are left out, and time passes by a frame a key.
    """

    def __init__(
        self,
        meta: "DatasetMeta",
        rows: Sequence[Sequence[str]],
        *,
        picture: Path | None = None,
        keys: TextIO | None = None,
    ) -> None:
        """Prepare.

        Args:
            meta: The demonstrations.
            rows: For every gripper, the sub-tasks to mark, in order.
            picture: File to write the frame that is shown to, for an image viewer; None writes none.
            keys: Where keys come from; by default the terminal.
        """
        self._meta, self._rows, self._picture = meta, tuple(map(tuple, rows)), picture
        self._keys = keys or sys.stdin
        self._live = self._keys.isatty() and sys.stderr.isatty()
        self._pressed = ""

    def __call__(self, episode: int, length: int) -> "Mapping[str, Any] | None":
        """Mark an episode of so many frames; None where it is skipped.

        Raises:
            MarkingStopped: The person stops, or there are no more keys.
        """
        from etude.generation.annotating import MarkingStopped
        from etude.generation.marking import Marking

        marking = Marking(length=length, rows=self._rows)
        frames = self._frames(episode)
        self._pressed = ""  # what was pressed before this episode is not about it
        with _one_key_at_a_time(self._keys if self._live else None):
            self._show(episode, marking, frames)
            while not marking.ending:
                marking = self._next(marking)
                self._show(episode, marking, frames)
        if marking.ending == "stop":
            raise MarkingStopped
        return marking.done() if marking.ending == "keep" else None

    def _next(self, marking: "Marking") -> "Marking":
        """The state after the next key, or after the time of a frame."""
        if marking.playing:
            if self._live and not self._pressed and not select.select([self._keys], [], [], 1 / self._meta.fps)[0]:
                return marking.after("tick")
            marking = marking if self._live else marking.after("tick")
        key = self._key()
        if not key:
            return marking.after("stop")
        if key in "123456789" and int(key) <= len(marking.signals):
            return marking.after("mark", marking.signals[int(key) - 1])
        command = _KEYS.get(key) or _ARROWS.get(key)
        return marking.after(command) if command else marking

    def _key(self) -> str:
        if not self._live:
            return self._keys.read(1)
        pressed = self._pressed or os.read(self._keys.fileno(), 64).decode(errors="replace")  # several, of who is fast
        found = _KEY.match(pressed)
        key = found[0] if found else ""
        self._pressed = pressed[len(key) :]
        return key

    def _show(self, episode: int, marking: "Marking", frames: "Sequence[Any]") -> None:
        state = "playing" if marking.playing else marking.ending or "paused"
        marks = ", ".join(f"{name} {marking.marks.get(name, '-')}" for name in marking.signals)
        line = f"episode {episode}  frame {marking.frame} of {marking.length}  {state}  {marks}"
        line += f"  ({marking.notice})" if marking.notice else ""
        if frames and self._picture:
            frames[marking.frame].save(self._picture)
        if self._live:
            drawn = half_blocks(frames[marking.frame], *shutil.get_terminal_size()) if frames else ""
            print(f"{_CLEAR}{drawn}{line}\n{HELP}", file=sys.stderr, flush=True)
        elif not marking.playing:
            print(line, file=sys.stderr, flush=True)

    def _frames(self, episode: int) -> "list[Any]":
        """The pictures of all frames, the cameras side by side; none where nobody looks, or there are none."""
        if not self._meta.cameras or not (self._live or self._picture):
            return []
        from PIL import Image

        from etude.data import read_images

        views = [list(read_images(self._meta, episode, camera)) for camera in self._meta.cameras[:2]]
        pictures: list[Any] = []
        for moment in zip(*views, strict=True):
            shown = [Image.fromarray(view) for view in moment]
            whole = Image.new("RGB", (sum(one.width for one in shown), max(one.height for one in shown)))
            for i, one in enumerate(shown):
                whole.paste(one, (sum(other.width for other in shown[:i]), 0))
            pictures.append(whole)
        return pictures


def half_blocks(picture: Any, columns: int, lines: int) -> str:
    """An image as coloured text, two pixels a character, one above the other, in a terminal of some size."""
    scale = min(min(columns, _MOST_COLUMNS) / picture.width, 2 * max(1, lines - _TEXT_LINES) / picture.height)
    width, rows = max(1, int(scale * picture.width)), max(1, int(scale * picture.height / 2))
    pixels = picture.resize((width, 2 * rows)).load()
    drawn: list[str] = []
    for row in range(rows):
        cells = [(*pixels[x, 2 * row], *pixels[x, 2 * row + 1]) for x in range(width)]
        drawn.append("".join("\x1b[38;2;{};{};{};48;2;{};{};{}m▀".format(*cell) for cell in cells))
    return "".join(f"{line}\x1b[0m\n" for line in drawn)


@contextmanager
def _one_key_at_a_time(terminal: TextIO | None) -> Generator[None]:
    """Let keys through without Enter, and as they were afterwards."""
    if terminal is None:
        yield
        return
    try:
        import termios
        import tty
    except ImportError as error:
        raise ConfigError("--manual needs a terminal of Linux or macOS; elsewhere pipe the keys in.") from error
    before = termios.tcgetattr(terminal)
    try:
        tty.setcbreak(terminal)
        yield
    finally:
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
