"""What a check has to say: a finding, an episode's verdict, and the report of a whole dataset."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

type Severity = Literal["note", "warning", "broken"]
"""A note is worth knowing, a warning worth a look, and what is broken misleads training or stops it."""
type Verdict = Literal["ok", "warning", "broken"]


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that a check found.

    Attributes:
        check: Name of the check.
        severity: How bad it is.
        message: What it is, with frames and times, as a sentence without its end.
        episode: The episode, or None where it concerns the whole dataset.
        first, last: Frames it is about, both included, or None.
        camera: The camera it is about, or "".
        feature: The column it is about, or "".
        dimension: Which of the column's numbers, or None.
    """

    check: str
    severity: Severity
    message: str
    episode: int | None = None
    first: int | None = None
    last: int | None = None
    camera: str = ""
    feature: str = ""
    dimension: int | None = None

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values; what does not apply is left out."""
        return {name: value for name, value in asdict(self).items() if value not in (None, "")}


@dataclass(frozen=True, kw_only=True)
class Report:
    """All findings of a dataset.

    Attributes:
        root: The dataset.
        version: Its format, "v3.0" or "v2.1", or "" where it does not say.
        episodes: Indices of its episodes.
        frames: Frames that its data files hold.
        limits: Where the limits of the joints came from.
        pictures: Whether images were looked at.
        findings: Of the dataset first, then by episode.
    """

    root: Path
    version: str
    episodes: Sequence[int]
    frames: int
    limits: str
    pictures: bool
    findings: Sequence[Finding]

    def of(self, episode: int | None) -> tuple[Finding, ...]:
        """Findings of one episode, or with None those of the whole dataset."""
        return tuple(finding for finding in self.findings if finding.episode == episode)

    def verdict(self, episode: int | None) -> Verdict:
        """The worst that was found of an episode, or with None of the dataset; notes do not count."""
        found = {finding.severity for finding in self.of(episode)}
        return "broken" if "broken" in found else "warning" if "warning" in found else "ok"

    @property
    def broken(self) -> bool:
        """Whether anything is."""
        return any(finding.severity == "broken" for finding in self.findings)

    @property
    def counts(self) -> dict[Verdict, int]:
        """Verdict -> episodes."""
        found = Counter(self.verdict(episode) for episode in self.episodes)
        return {"ok": found["ok"], "warning": found["warning"], "broken": found["broken"]}

    def to_json(self) -> dict[str, Any]:
        """As plain JSON values."""
        return {
            "dataset": str(self.root),
            "version": self.version,
            "broken": self.broken,
            "frames": self.frames,
            "limits": self.limits,
            "pictures": self.pictures,
            "dataset_verdict": self.verdict(None),
            "episodes": [{"episode": index, "verdict": self.verdict(index)} for index in self.episodes],
            "findings": [finding.to_json() for finding in self.findings],
        }


def span(first: int, last: int, fps: float) -> str:
    """Frames in words, with their times."""
    if first == last:
        return f"frame {first} ({first / fps:.2f} s)"
    return f"frames {first} to {last} ({first / fps:.2f} to {last / fps:.2f} s)"


def spots(frames: Sequence[int], fps: float, most: int = 3) -> str:
    """Single frames in words: the first few, and how many more."""
    told = ", ".join(f"{frame} ({frame / fps:.2f} s)" for frame in frames[:most])
    more = f" and {len(frames) - most} more" if len(frames) > most else ""
    return f"frame{'s' if len(frames) > 1 else ''} {told}{more}"
