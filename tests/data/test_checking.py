"""Every planted fault is found where it is, nothing is found in clean data, and a repaired copy is clean."""

import shutil
from pathlib import Path

import pytest
from data.faults import FAULTS, FRAMES, HIT, IMAGES, Fault, legacy, write_clean

from etude.data.checking import check


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("checking") / "clean"
    write_clean(root)
    return root


@pytest.fixture
def copy(clean: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(clean, tmp_path / "dataset"))


@pytest.mark.parametrize("version", ["v3.0", "v2.1", "images"])
def test_nothing_is_found_in_clean_data(clean: Path, tmp_path: Path, version: str):
    root = clean
    if version == "v2.1":
        root = tmp_path / "legacy"
        legacy(clean, root)
    elif version == "images":
        root = tmp_path / "images"
        write_clean(root, IMAGES, episodes=2)
    report = check(root).report
    assert [finding.message for finding in report.findings] == []
    assert report.counts["ok"] == len(report.episodes) > 1
    assert report.frames == len(report.episodes) * FRAMES


@pytest.mark.parametrize("name", FAULTS)
def test_a_planted_fault_is_found(copy: Path, name: str):
    fault: Fault = FAULTS[name]
    fault.plant(copy)
    report = check(copy).report
    found = report.of(None if fault.whole else HIT)
    matching = [f for f in found if (f.check, f.severity) == (fault.check, fault.severity) and fault.told in f.message]
    assert matching, [(f.check, f.severity, f.message) for f in report.findings]
    assert fault.first is None or matching[0].first == fault.first
    assert report.broken == any(f.severity == "broken" for f in report.findings)
    for other in set(report.episodes) - {HIT}:  # the others are not blamed
        assert report.verdict(other) == "ok" or name in ("no length", "length", "missing row", "place"), report.of(
            other
        )
