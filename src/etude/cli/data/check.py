"""`etude data check`: what is broken in a dataset, and a repaired copy of it."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from etude.cli.output import require_free, whole_folder
from etude.cli.terminal import show, show_json, show_next, watch
from etude.core import ConfigError, RunExistsError

if TYPE_CHECKING:
    from etude.data.checking import Checkup, Repaired, Report

BROKEN = 1


@dataclass(frozen=True, kw_only=True)
class Options:
    """Look for what is wrong in a LeRobot dataset of v3.0 or v2.1, however broken, with a verdict per episode.

    Looked for: frozen, black and blank cameras; dropped and duplicated frames; gaps in the timestamps; jumps of states
    and actions; joints outside their limits, or that never move; episodes whose features or lengths differ; statistics
    and totals that do not match; missing, extra, short and unreadable files; NaN; index columns that do not count up.
    What is usual is learned from most of the dataset's episodes. Exit code: 0, or 1 when something is broken.

    With --repair a copy is written with what can be restored; episodes that are themselves broken are left out. The
    original is only read.

    Examples:
        etude data check data/demo
        etude data check data/demo --limits limits.json --picture outliers.png
        etude data check data/demo --repair --out data/repaired

    Attributes:
        dataset: Folder of the dataset, or its name on the Hugging Face hub.
        limits: JSON file {"observation.state": {JOINT: [low, high]}, "action": …}; what it leaves out is learned.
        numbers_only: Count the videos' frames without looking at them, which is much quicker.
        picture: Draw the worst finding of each episode into this file (.png): images around it, and a curve.
        repair: Write a repaired copy to --out.
        out: Folder of the repaired copy.
        json: Print one line of JSON, and nothing else.
    """

    dataset: Annotated[Positional[str], arg(metavar="DATASET")]
    limits: Annotated[Path | None, arg(metavar="FILE")] = None
    numbers_only: bool = False
    picture: Annotated[Path | None, arg(metavar="FILE")] = None
    repair: bool = False
    out: Annotated[Path | None, arg(metavar="DIR")] = None
    json: bool = False

    def __post_init__(self) -> None:
        if self.repair != (self.out is not None):
            raise ConfigError("--repair and --out DIR go together: the repaired copy is written there.")
        if self.picture is not None and self.picture.suffix != ".png":
            raise ConfigError(f"--picture {self.picture}: its name ends in .png.")


def run(options: Options) -> None:
    """Check, and repair."""
    from etude.data.checking import check, read_limits
    from etude.data.checking.source import open_raw
    from etude.data.finding import find_dataset

    if options.out is not None:
        require_free(options.out, resumable=False)
    if options.picture is not None and options.picture.exists():
        raise RunExistsError(options.picture, "choose another name, or remove it")
    root = Path(options.dataset) if Path(options.dataset).exists() else find_dataset(options.dataset)
    raw = open_raw(root)
    limits = read_limits(options.limits, raw.meta.features) if options.limits is not None else {}
    with watch()("videos", max(1, sum(len(episode.clips) for episode in raw.episodes.values()))) as update:
        checkup = check(
            root, limits=limits, pictures=not options.numbers_only, on_progress=lambda done, _: update(done, "")
        )
    repaired = _repair(checkup, options.out) if options.out is not None else None
    drawn = _draw(checkup, options.picture) if options.picture is not None else False
    _tell(options, checkup.report, repaired, drawn=drawn)
    if checkup.report.broken:
        raise SystemExit(BROKEN)


def _repair(checkup: "Checkup", out: Path) -> "Repaired":
    from etude.data.checking import repair

    with whole_folder(out) as partial, watch()("episodes written", len(checkup.evidence)) as update:
        return repair(checkup, partial, on_progress=lambda done, _: update(done, ""))


def _draw(checkup: "Checkup", path: Path) -> bool:
    """Draw the outliers; returns whether there were any."""
    from etude.data.checking import outliers
    from etude.evaluation.outliers import OutlierStrip, draw_outliers

    strips = [
        OutlierStrip(
            title=f"episode {one.finding.episode}: {checkup.report.verdict(one.finding.episode)}",
            message=one.finding.message,
            images=one.images,
            camera=one.camera,
            curve_name=one.name,
            curve=one.curve,
            fault=(one.finding.first, one.finding.last if one.finding.last is not None else one.finding.first),
            fps=one.fps,
        )
        for one in outliers(checkup)
    ]
    if strips:
        path.parent.mkdir(parents=True, exist_ok=True)
        draw_outliers(strips).save(path)
    return bool(strips)


def _tell(options: Options, report: "Report", repaired: "Repaired | None", *, drawn: bool) -> None:
    if options.json:
        told = report.to_json() | ({"picture": str(options.picture)} if drawn else {})
        if repaired is not None:
            dropped = {str(episode): why for episode, why in repaired.dropped.items()}
            restored = {"restored": list(repaired.restored), "kept": list(repaired.kept), "dropped": dropped}
            told["repaired"] = {"out": str(options.out), **restored}
        show_json(told)
        return
    show(*_lines(report))
    if drawn:
        show(f"picture: {options.picture}")
    if repaired is not None:
        show("", *_repair_lines(repaired, options.out))
        show_next(f"etude data check {options.out}")
    elif not report.episodes:
        show_next(f"etude data recover {options.dataset} --out {Path(options.dataset).name}-recovered")
    elif report.verdict(None) != "ok" or report.counts["broken"]:
        show_next(f"etude data check {options.dataset} --repair --out {Path(options.dataset).name}-repaired")


def _lines(report: "Report") -> list[str]:
    counts = ", ".join(f"{count} {verdict}" for verdict, count in report.counts.items() if count)
    lines = [f"{report.root}: LeRobot {report.version}, {len(report.episodes)} episodes ({counts or 'none'}), "
             f"{report.frames} frames"]  # fmt: skip
    lines += [f"limits of the joints: {report.limits}"] if report.limits else []
    lines += [] if report.pictures else ["pictures were not looked at (--numbers-only)"]
    for episode in (None, *report.episodes):
        found = report.of(episode)
        if found:
            lines += ["", f"{'dataset' if episode is None else f'episode {episode}'}: {report.verdict(episode)}"]
            lines += [f"  {finding.severity:<7}  {finding.check}: {finding.message}" for finding in found]
    stray = sorted({f.episode for f in report.findings if f.episode is not None} - set(report.episodes))
    return [*lines, *(f"  episode {f.episode}: {f.message}" for f in report.findings if f.episode in stray)]


def _repair_lines(repaired: "Repaired", out: Path | None) -> list[str]:
    return [
        f"repaired copy with {len(repaired.kept)} episodes: {out}",
        *(f"  {words}" for words in repaired.restored),
        *(f"  episode {episode} is left out: {why}" for episode, why in repaired.dropped.items()),
        *(f"  column '{name}' is left out: it holds no numbers" for name in repaired.columns),
    ]
