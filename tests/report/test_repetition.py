"""Runs trained again and held against their record."""

from dataclasses import replace

import pytest

from lib.report import repetition
from lib.runs.results import record
from lib.runs.runner import run_here
from lib.study import matrix
from lib.study.arms import cell_runs
from lib.study.cells import members
from lib.study.scales import get_scale
from lib.training.execution import QUIET

CELLS = members(matrix.pairs(["egnn"], ["ani1"]))


def test_what_is_recorded_is_trained_again_and_agrees(tmp_path, monkeypatch):
    scale = get_scale("smoke")
    assert set(repetition.repeat(scale, CELLS, 0, QUIET)["within tolerance"]) == {"no record"}
    monkeypatch.setattr("lib.runs.results.RECORDS", tmp_path)
    results = [run_here(cell_runs(scale, cell, [0])[0], QUIET) for cell in CELLS]
    record(results[0], "smoke")
    record(replace(results[1], metrics={k: 1.3 * v for k, v in results[1].metrics.items()}), "smoke")
    table = repetition.repeat(scale, CELLS, 0, QUIET).set_index(["pretrained", "metric"])
    assert table.loc[("no", "test_mae"), "recorded"] == results[0].metrics["test_mae"]
    assert set(table.loc["no", "within tolerance"]) == {"yes"}
    assert set(table.loc["yes", "within tolerance"]) == {"no"}
    assert table.loc[("yes", "test_rmse"), "difference (%)"] == pytest.approx(100 * (1 / 1.3 - 1))


def test_a_record_is_no_training(tmp_path, monkeypatch):
    """Recorded, and not stored: `run` reads, `run_here` trains."""
    from lib.runs.runner import run

    scale = get_scale("smoke")
    config = cell_runs(scale, matrix.pairs(["schnet"], ["ani1"])[0].scratch, [1])[0]
    trained = run_here(config, QUIET)
    monkeypatch.setattr("lib.runs.results.RECORDS", tmp_path / "records")
    record(trained, "smoke")
    monkeypatch.setattr("lib.runs.runner.RUNS", tmp_path / "runs")
    assert run(config, QUIET).source == "recorded"
    again = run_here(config, QUIET)
    assert again.source == "trained"
    assert again.metrics == trained.metrics
