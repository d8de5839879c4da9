"""Outcomes survive the disk, and are counted right."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from toys import SPACE

from etude.core import Case, EtudeError, MismatchError, Outcome, Paired, Perturbation, Rate
from etude.evaluation import by_factor, compare, read_outcomes, summarise, write_outcomes


def outcome(success: bool, seed: int = 0, mode: str = "timeout", **theta: float) -> Outcome:
    return Outcome(
        case=Case(Perturbation({name.replace("__", "."): value for name, value in theta.items()}), seed),
        success=success,
        progress=1.0 if success else 0.25,
        stage="reach" if success else "",
        failure_mode="" if success else mode,
        length=10 + seed,
        total_reward=0.1 + seed,
        subtasks={"reach": success},
    )


@st.composite
def some_outcomes(draw: st.DrawFn) -> list[Outcome]:
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    thetas = [Perturbation({n: v for n, v in SPACE.sample(rng).values.items() if rng.random() < 0.7}) for _ in range(5)]
    return [
        Outcome(
            case=Case(theta, int(rng.integers(2**31))),
            success=bool(rng.random() < 0.5),
            progress=float(rng.random()),
            stage=draw(st.text(max_size=5)),
            failure_mode="",
            length=int(rng.integers(100)),
            total_reward=float(rng.normal()),
            subtasks={n: bool(rng.random() < 0.5) for n in ("a", "b") if rng.random() < 0.5},
            smoothness=float(-rng.random()) if rng.random() < 0.5 else None,
        )
        for theta in thetas
    ]


@settings(max_examples=30)
@given(some_outcomes())
def test_outcomes_survive_the_disk(tmp_path_factory: pytest.TempPathFactory, outcomes: list[Outcome]) -> None:
    path = tmp_path_factory.mktemp("outcomes") / "outcomes.parquet"
    write_outcomes(path, outcomes)
    assert read_outcomes(path) == outcomes


def test_columns_are_named_after_factors_and_unset_ones_are_null(tmp_path: Path) -> None:
    path = tmp_path / "outcomes.parquet"
    write_outcomes(path, [outcome(True, light__intensity=0.5), outcome(False, cube__scale=1.1)])
    table = pq.read_table(path)
    fields = ["seed", "success", "progress", "stage", "failure_mode", "length", "total_reward", "smoothness"]
    assert table.column_names == [*fields, "factor:cube.scale", "factor:light.intensity", "subtask:reach"]
    assert table["factor:light.intensity"].to_pylist() == [0.5, None]


def test_no_outcomes_survive_the_disk_too(tmp_path: Path) -> None:
    write_outcomes(tmp_path / "none.parquet", [])
    assert read_outcomes(tmp_path / "none.parquet") == []


def test_a_table_of_before_smoothness_was_measured_still_reads(tmp_path: Path) -> None:
    write_outcomes(tmp_path / "new.parquet", [outcome(True), outcome(False)])
    pq.write_table(pq.read_table(tmp_path / "new.parquet").drop_columns(["smoothness"]), tmp_path / "old.parquet")
    assert read_outcomes(tmp_path / "old.parquet") == [outcome(True), outcome(False)]


def test_what_is_not_a_table_of_outcomes_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(EtudeError, match="does not exist"):
        read_outcomes(tmp_path / "absent.parquet")
    (tmp_path / "text.parquet").write_text("hello")
    with pytest.raises(EtudeError, match="not a table of outcomes"):
        read_outcomes(tmp_path / "text.parquet")


def test_a_summary_counts() -> None:
    outcomes = [outcome(True, i) for i in range(6)] + [outcome(False, 6), outcome(False, 7, mode="wandered_off")]
    summary = summarise(outcomes)
    assert summary.success == Rate(6, 8)
    assert summary.subtasks == {"reach": Rate(6, 8)}
    assert summary.stages == {"": Rate(2, 8), "reach": Rate(6, 8)}
    assert summary.failure_modes == {"timeout": Rate(1, 8), "wandered_off": Rate(1, 8)}
    assert summary.mean_progress == pytest.approx((6 + 0.5) / 8)
    assert summary.tail_progress == pytest.approx(0.25)
    assert summary.mean_smoothness is None
    assert summary.mean_return == pytest.approx(np.mean([o.total_reward for o in outcomes]))
    assert summary.to_json()["success"] == {"k": 6, "n": 8, "low": Rate(6, 8).low, "high": Rate(6, 8).high}


def test_a_summary_of_nothing_has_no_rates() -> None:
    assert summarise([]).success == Rate(0, 0)


def test_bins_of_a_factor_hold_every_case_that_sets_it_once() -> None:
    factor = SPACE["light.intensity"]
    values = [0.2, 0.39, 0.4, 0.99, 1.0]
    outcomes = [outcome(v < 0.5, light__intensity=v) for v in values] + [outcome(True)]
    bins = by_factor(outcomes, factor, bins=4)
    assert [(b.success.k, b.success.n) for b in bins] == [(2, 2), (1, 1), (0, 0), (0, 2)]
    assert (bins[0].low, bins[-1].high) == (0.2, 1.0)


def test_a_comparison_names_the_cases_won_and_lost() -> None:
    first = [outcome(s, i) for i, s in enumerate([True, True, False, False, True])]
    second = [outcome(s, i) for i, s in enumerate([True, False, False, True, False])]
    comparison = compare(first, second)
    assert comparison.paired == Paired(2, 1, 2)
    assert [c.seed for c in comparison.won] == [1, 4]
    assert [c.seed for c in comparison.lost] == [3]
    swapped = compare(second, first)
    assert (swapped.won, swapped.lost) == (comparison.lost, comparison.won)


def test_different_cases_cannot_be_compared() -> None:
    with pytest.raises(MismatchError, match="same cases"):
        compare([outcome(True, 1)], [outcome(True, 2)])
