"""A file of finished jobs, one line each, that a killed evaluation continues from."""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from etude.core import MismatchError, Outcome
from etude.core.files import write_bytes


@dataclass(frozen=True)
class Journal:
    """An append-only file: a header that says what it belongs to, then a line per job, each on disk when written.

    There is no file before the first job is finished.
    """

    path: Path
    header: bytes

    @staticmethod
    def open(path: Path, identity: Mapping[str, object]) -> "Journal":
        """Open the journal of an evaluation, or begin it; a line that a kill cut short is dropped.

        Args:
            path: The file.
            identity: What the outcomes depend on, as plain JSON values.

        Raises:
            MismatchError: The file belongs to something else.
        """
        header = {key: _short(value) for key, value in identity.items()}
        if not path.exists():
            return Journal(path, _line(header))
        lines = path.read_bytes().splitlines(keepends=True)
        found = json.loads(lines[0])
        differing = [key for key in header if found.get(key) != header[key]]
        if differing:
            raise MismatchError(f"'{path}' belongs to another evaluation: {', '.join(differing)} differ; delete it.")
        if not lines[-1].endswith(b"\n"):
            write_bytes(path, b"".join(lines[:-1]))
        return Journal(path, _line(header))

    def read(self) -> list[list[Outcome]]:
        """The outcomes of every finished job, in order."""
        lines = self.path.read_text().splitlines()[1:] if self.path.exists() else []
        return [[Outcome.from_json(record) for record in json.loads(line)] for line in lines]

    def append(self, outcomes: Sequence[Outcome]) -> None:
        """Keep one more finished job; it is on disk when this returns."""
        line = _line([outcome.to_json() for outcome in outcomes])
        if not self.path.exists():
            write_bytes(self.path, self.header + line)
            return
        with self.path.open("ab") as file:
            file.write(line)
            file.flush()
            os.fsync(file.fileno())


def _line(value: object) -> bytes:
    return json.dumps(value).encode() + b"\n"


def _short(value: object) -> object:
    """Values as they are, but long ones by their hash."""
    text = json.dumps(value, sort_keys=True)
    return value if len(text) <= 200 else hashlib.sha256(text.encode()).hexdigest()
