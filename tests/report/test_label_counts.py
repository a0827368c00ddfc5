"""The gain by number of labels: what stands in the table, and what the figure shows of it."""

import matplotlib as mpl
import matplotlib.pyplot as plt
import pandas as pd
import pytest

from lib.report import label_counts, prose
from lib.report.figures import gain_by_labels, set_style
from lib.report.figures.comparisons import ONE_ARM, SINGLE_SEED, WITHOUT_EVIDENCE
from lib.report.label_counts import by_count, finding, label_count_table
from lib.study.label_counts import EPOCHS, SCHEDULES, STEPS

mpl.use("Agg")
ERRORS = {250: (20.0, 16.0), 1000: (10.0, 6.0), 13061: (8.0, 2.0)}  # kcal/mol from scratch and pre-trained, by labels


def case(schedule, labels, evidence="yes", n_seeds=1):
    """The three rows of one number of labels, in MAE."""
    scratch, tuned = ERRORS[labels]
    facts = {"model": "EGNN", "labels": labels, "schedule": schedule, "metric": "mae", "evidence": evidence}
    facts |= {"n_seeds": n_seeds, "compared_with": "", "unit": "kcal/mol"}
    gain = 100 * (1 - tuned / scratch)
    return [
        facts | {"arm": "scratch", "value": scratch, "low": 0.9 * scratch, "high": 1.1 * scratch},
        facts | {"arm": "pre-trained", "value": tuned, "low": 0.9 * tuned, "high": 1.1 * tuned},
        facts | {"arm": "pre-trained", "compared_with": "scratch", "unit": "%", "value": gain, "low": gain - 5,
                 "high": gain + 5},
    ]  # fmt: skip


@pytest.fixture
def table():
    parts = [row for labels in ERRORS for row in case(STEPS, labels)]
    return pd.DataFrame(parts + [row for labels in (250, 1000) for row in case(EPOCHS, labels, "one arm", 3)])


@pytest.fixture
def style():
    set_style()
    yield
    plt.close("all")


def test_a_row_for_each_number_of_labels_and_a_column_for_each_schedule(table):
    text = by_count(table)
    assert list(text.columns) == list(SCHEDULES)
    assert text.index.tolist() == [("EGNN", labels) for labels in ERRORS]
    assert text.loc[("EGNN", 1000)].tolist() == ["10.00 → 6.00: 40 % [35, 45]*", "10.00 → 6.00: 40 % [35, 45]‡"]
    assert text.loc[("EGNN", 13061)].tolist() == ["8.00 → 2.00: 75 % [70, 80]*", "not run"]


def test_a_pair_that_learns_nothing_has_no_number():
    text = by_count(pd.DataFrame(case(STEPS, 250, "no")))
    assert text.loc[("EGNN", 250), STEPS] == "20.00 → 16.00: neither arm learns"


def test_the_finding_follows_the_labels_of_one_schedule(table):
    assert finding(table, STEPS) == "EGNN 20 %, 40 %, 75 % with 250, 1,000, 13,061 labels"
    assert finding(table, EPOCHS) == "EGNN 20 %, 40 % with 250, 1,000 labels"
    assert finding(table[:0], STEPS) == "not run"


def test_what_is_not_run_leaves_an_empty_table_with_its_columns(monkeypatch):
    monkeypatch.setattr(label_counts, "arms_of", lambda *_: {})
    empty = label_count_table(["egnn"])
    assert empty.empty
    assert by_count(empty).empty
    assert list(label_count_table([]).columns) == list(empty.columns)


def test_the_recorded_runs_with_all_labels_are_those_of_table_2():
    """Both tables are drawn from the same runs."""
    counts = label_count_table(["egnn"])
    gains = counts.query("labels == 13061 and metric == 'mae' and compared_with == 'scratch'")
    printed = prose.gains(prose.read("table2_all_labels", "laptop"), model="EGNN", metric="mae")
    (of_matrix,) = printed[printed["dataset"].str.contains("ANI-1x")]["value"]
    assert gains["value"].tolist() == pytest.approx([of_matrix] * 2, rel=1e-5)
    assert gains["schedule"].tolist() == list(SCHEDULES)


def test_the_figure_shows_every_error_and_gain_and_says_what_marks_mean(table, style):
    figure = gain_by_labels(table, "mini ANI-1x")
    errors, gains = figure.axes[0], figure.axes[2]
    lines = {line.get_label(): line for line in errors.lines}
    for arm, column in (("from scratch", 0), ("pre-trained", 1)):
        drawn = lines[f"EGNN, {arm}"].get_xydata().tolist()
        assert drawn == [[labels, both[column]] for labels, both in ERRORS.items()]
    assert [text.get_text() for text in gains.texts] == ["*"] * len(ERRORS)
    assert [text.get_text() for text in figure.axes[3].texts] == ["‡"] * 2  # three seeds, and one arm that learns
    assert figure.legends[0].get_title().get_text() == f"{SINGLE_SEED}\n{ONE_ARM}"
    pale = gain_by_labels(pd.DataFrame(case(STEPS, 250, "no")), "mini ANI-1x")
    assert WITHOUT_EVIDENCE in pale.legends[0].get_title().get_text()
