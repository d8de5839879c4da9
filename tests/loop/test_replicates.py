from pathlib import Path

import numpy as np
import pytest
from loop.fake_run import fake_run
from scipy import stats

from etude.core.files import read_json
from etude.loop.report.run.replicates import across, difference, write_overview


def test_the_interval_is_the_paired_t_of_scipy():
    runs = [fake_run(seed=seed) for seed in range(4)]
    found = difference(runs, "targeted", "baseline", "exam")
    pairs = [(run.arms["targeted"].rate("exam").value, run.arms["baseline"].rate("exam").value) for run in runs]
    expected = stats.ttest_rel(*np.transpose(pairs)).confidence_interval(0.95)
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high))


def test_one_replicate_has_no_interval():
    assert difference([fake_run()], "targeted", "uniform", "nominal")["low"] is None


def test_the_overview_leads_to_every_replicate(tmp_path: Path):
    runs = [fake_run(seed=seed) for seed in range(2)]
    page = write_overview(runs, ["../replicate-00/report/index.html", "../replicate-01/report/index.html"], tmp_path)
    assert page.read_text().count("report/index.html") == 2
    assert read_json(tmp_path / "summary.json") == across(runs)
