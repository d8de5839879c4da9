"""Everything that is looked for in a dataset, in one pass over its files."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from etude.data.checking.dataset_checks import check_dataset
from etude.data.checking.episode_checks import CHECKS, Context
from etude.data.checking.evidence import Evidence, Progress, gather
from etude.data.checking.finding import Finding, Report
from etude.data.checking.norms import Limits, learn
from etude.data.checking.source import RawDataset, open_raw


@dataclass(frozen=True, kw_only=True, eq=False)
class Checkup:
    """A dataset that was checked: what was read of it, and what was found.

    Attributes:
        raw: What its metadata says.
        evidence: What its files hold, episode by episode.
        report: What was found.
    """

    raw: RawDataset
    evidence: Sequence[Evidence]
    report: Report


def check(
    root: Path, *, limits: Limits | None = None, pictures: bool = True, on_progress: Progress | None = None
) -> Checkup:
    """Check a LeRobot dataset of v3.0 or v2.1, however broken.

    Args:
        root: The dataset.
        limits: Limits of joints that are known (`read_limits`); others are learned from the dataset.
        pictures: Decode and judge the pictures, rather than only count them.
        on_progress: Called after every video file.

    Raises:
        EtudeError: It is no dataset, or its info.json cannot be read.
    """
    raw = open_raw(root)
    evidence = tuple(gather(raw, pictures=pictures, on_progress=on_progress))
    return Checkup(raw=raw, evidence=evidence, report=_judge(raw, evidence, limits or {}, pictures=pictures))


def _judge(raw: RawDataset, evidence: Sequence[Evidence], limits: Limits, *, pictures: bool) -> Report:
    norms = learn(evidence, limits)
    findings: list[Finding] = [f for f in raw.findings if f.episode is None]
    findings += check_dataset(raw, evidence, norms)
    first_frame = 0
    for e in evidence:
        context = Context(raw=raw, norms=norms, first_frame=first_frame)
        findings += [f for f in raw.findings if f.episode == e.index] + list(e.findings)
        findings += [finding for one in CHECKS for finding in one.run(e, context)]
        first_frame += e.raw.length if e.raw.length is not None else e.frames
    learned = [name for name in norms.features if name not in limits]
    sources = [f"{', '.join(limits)}: given"] if limits else []
    sources += [f"{', '.join(learned)}: learned from the dataset's usual ranges"] if learned else []
    return Report(
        root=raw.root,
        version=raw.meta.version,
        episodes=tuple(raw.episodes),
        frames=sum(e.frames for e in evidence),
        limits="; ".join(sources),
        pictures=pictures,
        findings=tuple(findings),
    )
