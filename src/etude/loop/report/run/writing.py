"""Writes the report's folder: the page, the summary, the data behind the pictures, and the videos."""

import csv
import io
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path

from etude.core import Perturbation
from etude.core.files import write_bytes, write_json
from etude.loop.report.results import TESTS, RunResults
from etude.loop.report.run.episodes import Clip
from etude.loop.report.run.page import page
from etude.loop.report.run.summary import summary
from etude.loop.report.sections.clips import last_frame


def write_report(run: RunResults, out: Path) -> Path:
    """Write index.html, summary.json, data/*.csv and videos/ into a folder that opens offline.

    Equal results give equal bytes. Writing into the folder of an earlier report replaces it.

    Args:
        run: What to report.
        out: The folder; made when missing.
    Returns:
        Path of the page.
    """
    out.mkdir(parents=True, exist_ok=True)
    clips = {
        i: (_place(pair.before, out, f"{i:02d}-before"), _place(pair.after, out, f"{i:02d}-after"))
        for i, pair in enumerate(run.videos)
    }
    files = ["summary.json", *_write_tables(run, out)]
    write_json(out / "summary.json", summary(run))
    write_bytes(out / "index.html", page(run, clips, files).encode())
    return out / "index.html"


def _place(source: Path, out: Path, name: str) -> Clip | None:
    """Bring a video into the folder, with a still of how it ended; None when it is missing or no video."""
    still = last_frame(source) if source.is_file() else None
    if still is None:
        return None
    video, poster = Path("videos") / f"{name}{source.suffix}", Path("videos") / f"{name}.jpg"
    write_bytes(out / poster, still)
    if source.resolve() != (out / video).resolve():
        shutil.copyfile(source, out / video)
    return Clip(video.as_posix(), poster.as_posix())


def _write_tables(run: RunResults, out: Path) -> list[str]:
    """Every θ the report speaks of, with what happened there; returns the files' names relative to the page."""
    names = list(run.space.names)
    tables: dict[str, tuple[list[str], Iterable[Sequence[object]]]] = {}
    for test in TESTS:
        tables[test] = (_case_columns(run, names), _case_rows(run, names, test))
    archive = [[row.seed, row.severity, row.success, *_values(row.theta, names)] for row in run.archive]
    tables["search"] = (["seed", "severity", "success", *names], archive)
    for arm, results in run.arms.items():
        tables[f"new_{arm}"] = (names, [_values(theta, names) for theta in results.new_data])
    written: list[str] = []
    for name, (columns, rows) in tables.items():
        content = [list(row) for row in rows]
        if content:
            write_bytes(out / "data" / f"{name}.csv", _csv([columns, *content]))
            written.append(f"data/{name}.csv")
    return written


def _case_columns(run: RunResults, names: Sequence[str]) -> list[str]:
    results = [f"{arm}.{key}" for arm in run.arms for key in ("success", "progress", "failure_mode")]
    return ["case", "label", "seed", *results, *names]


def _case_rows(run: RunResults, names: Sequence[str], test: str) -> list[list[object]]:
    outcomes = {arm: results.outcomes(test) for arm, results in run.arms.items()}
    cases = next(([outcome.case for outcome in sat] for sat in outcomes.values() if sat), [])
    suite = run.suites.get(test)
    labels = suite.labels if suite is not None and suite.labels else [""] * len(cases)
    rows: list[list[object]] = []
    for index, case in enumerate(cases):
        results: list[object] = []
        for sat in outcomes.values():
            results += [sat[index].success, sat[index].progress, sat[index].failure_mode] if sat else ["", "", ""]
        rows.append([index, labels[index], case.seed, *results, *_values(case.theta, names)])
    return rows


def _values(theta: Perturbation, names: Sequence[str]) -> list[object]:
    """In the order of the space; empty where the seed draws."""
    return [theta.values.get(name, "") for name in names]


def _csv(rows: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()
