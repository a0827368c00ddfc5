"""Tables of trials: paired differences of the arms that are compared, in the ledger's words."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic import SEEDS

from lib.report import prose
from lib.report import trials as report_trials
from lib.report.figures import trial_errors
from lib.report.statistics import Errors
from lib.report.trials import TRIAL_COLUMNS, beside_reference, trial_table
from lib.report.verdicts import AGAINST, CERTAIN, NO_EVIDENCE, SEEN_ONCE
from lib.runs.results import Result
from lib.study.equilibrium import sources
from lib.study.scales import get_scale
from lib.study.trials import Trial, TrialArm

SIZES = {"worse": 10.0, "reference": 8.0, "better": 4.0}  # kcal/mol
R2 = {"worse": 0.1, "reference": 0.2, "better": 0.9}


@pytest.fixture
def trial(monkeypatch):
    """A trial whose runs have errors of `SIZES`, of the same molecules, a few per cent apart between seeds."""

    def errors_of(result):
        arm, seed = result.key.rsplit(" ", 1)
        error = np.random.default_rng(0).choice([-1.0, 1.0], 400) * SIZES[arm] * (1 + 0.02 * SEEDS[int(seed)])
        return Errors.of(np.repeat(np.arange(40), 10), error)

    monkeypatch.setattr(report_trials, "errors_of", errors_of)
    monkeypatch.setattr(report_trials, "draws_of", lambda _: 0)
    return Trial("a trial", "which?", dict.fromkeys(SIZES, None), (1e-3,), (0, 1, 2), "reference")


def arms(seeds=3):
    return {
        name: TrialArm(
            name, 1e-3, False, {s: Result(f"{name} {s}", Path(), {"test_r2": R2[name]}, {}) for s in range(seeds)}
        )
        for name in SIZES
    }


def rows(table, **where):
    for column, value in where.items():
        table = table[table[column] == value]
    return table


def test_errors_and_differences_from_the_reference_with_their_words(trial):
    table = trial_table(trial, arms())
    assert list(table.columns) == TRIAL_COLUMNS
    errors = rows(table, metric="mae", compared_with="").set_index("arm")["value"]
    assert errors.to_dict() == pytest.approx(SIZES)
    lower = rows(table, metric="mae", compared_with="reference").set_index("arm")
    assert lower["value"].to_dict() == pytest.approx({"worse": -25.0, "better": 50.0})
    assert lower["sign"].to_dict() == {"worse": NO_EVIDENCE, "better": CERTAIN}  # of those neither arm learnt anything
    assert lower["evidence"].to_dict() == {"worse": "no", "better": "one arm"}
    assert set(lower["n_seeds"]) == {3}


def test_pairs_can_be_named_and_a_loss_is_called_so(trial):
    table = trial_table(trial, arms(), [("better", "worse")])
    (row,) = rows(table, metric="mae", compared_with="better").to_dict("records")
    assert (row["arm"], row["sign"]) == ("worse", AGAINST)
    assert row["value"] == pytest.approx(-150.0)


def test_one_seed_is_seen_once_and_only_common_seeds_count(trial):
    known = arms() | {"better": arms(1)["better"]}
    (row,) = rows(trial_table(trial, known), metric="mae", arm="better", compared_with="reference").to_dict("records")
    assert (row["n_seeds"], row["sign"]) == (1, SEEN_ONCE)
    wide = beside_reference(trial_table(trial, known))
    assert "50.0 [50.0, 50.0]*" in set(wide.to_numpy().ravel())
    assert wide["seeds"].tolist() == [len(arm.results) for arm in known.values() if arm.results]


def test_arms_without_results_are_left_out(trial):
    known = arms()
    del known["worse"]
    known["better"] = TrialArm("better", 1e-3, False, {})
    table = trial_table(trial, known)
    assert set(table["arm"]) == {"reference"}
    assert not len(rows(table, compared_with="reference"))
    assert not len(trial_table(trial, {}))


def test_differences_are_told_by_trial_without_its_kind(trial):
    """A trial that a table does not have is told as missing, not as nothing."""
    table = trial_table(replace(trial, name="kind, SchNet, mini set (GFN2-xTB)"), arms())
    told = prose.lower(table, "better", "reference")
    assert told == "SchNet, mini set 50 % [50, 50], certain"
    assert prose.lower(table, "better", "worse") == "no such run is here"


def test_named_differences_have_a_row_a_pair_and_a_column_a_trial(trial):
    known = pd.concat([trial_table(replace(trial, name=name), arms()) for name in ("k, one", "k, two")])
    wide = report_trials.named_differences(
        known, [("reference", "better"), ("reference", "worse"), ("better", "worse")]
    )
    assert list(wide.columns) == ["one", "two"]
    assert list(wide["one"]) == ["50.0 [50.0, 50.0], certain", "-25.0 [-25.0, -25.0], no evidence", ""]


def test_the_picture_has_a_panel_a_trial_and_a_line_at_the_reference(trial):
    tables = [trial_table(replace(trial, name=name), arms(seeds)) for name, seeds in (("k, one", 3), ("k, two", 1))]
    figure = trial_errors(pd.concat(tables), "reference", "a title")
    assert [ax.get_title("right") for ax in figure.axes] == ["one", "two"]
    for ax in figure.axes:
        assert [label.get_text() for label in ax.get_yticklabels()] == list(SIZES)
        assert any(line.get_xdata()[0] == pytest.approx(SIZES["reference"]) for line in ax.lines)
    assert "one seed" in figure._suptitle.get_text()
    assert not [text for text in figure.axes[0].texts if text.get_text() == "*"]
    assert len([text for text in figure.axes[1].texts if text.get_text() == "*"]) == len(SIZES)
    assert trial_errors(trial_table(trial, {}), "reference", "nothing").axes


def test_an_axis_that_one_wide_interval_would_stretch_is_logarithmic(trial):
    table = trial_table(trial, arms())
    assert trial_errors(table, "reference", "a title").axes[0].get_xscale() == "linear"
    table.loc[table["arm"] == "worse", "high"] = 400.0
    (ax,) = trial_errors(table, "reference", "a title").axes
    assert ax.get_xscale() == "log" and ax.get_xlabel() == "MAE (kcal/mol, log)"


def test_the_sets_of_the_title_are_counted():
    sets = report_trials.pretraining_sets(get_scale("smoke"), "egnn")
    assert list(sets.index) == [arm for arm in sources(get_scale("smoke"), "egnn") if arm != "scratch"]
    assert (
        sets.loc["relaxed, many molecules", "conformations"]
        == sets.loc["nonequilibrium, many molecules", "conformations"]
    )
    assert sets["steps"].max() < 1.1 * sets["steps"].min()


def test_the_arm_with_the_lowest_error_is_named_with_that_error(trial):
    table = trial_table(trial, arms())
    words = prose.lowest(pd.concat([table, table.assign(trial="kind, another")]))
    best = rows(table, metric="mae", compared_with="", arm="better").iloc[0]
    assert words == f": better, {prose.interval(best)}; another: better, {prose.interval(best)}"
    assert prose.lowest(table.iloc[:0]) == prose.NO_RUN
