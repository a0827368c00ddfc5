"""How the gain of pre-training changes with the number of labels: the trials of `lib.study.label_counts` as a table.

Everything comes from runs that are recorded or stored; nothing is trained, and what has no such runs is left out.
"""

from collections.abc import Sequence

import pandas as pd

from lib.models import MODELS
from lib.report.prose import interval
from lib.report.tables import EVIDENCE
from lib.report.trials import TRIAL_COLUMNS, trial_table
from lib.study.arms import LEAVE_OUT
from lib.study.label_counts import COUNTED_MODELS, COUNTS, SCHEDULES, count_trial
from lib.study.trials import PRETRAINED, SCRATCH, arms_of

ITEM = "Number of labels"
FACTS = ["model", "labels", "schedule"]


def label_count_table(models: Sequence[str] = COUNTED_MODELS) -> pd.DataFrame:
    """Errors and gains of ``models`` by number of labels.

    Returns:
        Rows of `FACTS` and of `trials.TRIAL_COLUMNS`; ``labels`` counts the training conformations, ``schedule`` is one
        of `label_counts.SCHEDULES`. All labels are in both, which differ in nothing there.
    """
    parts = []
    for schedule in SCHEDULES:
        for model in models:
            for count in COUNTS:
                trial = count_trial(model, count, schedule)
                arms = arms_of(trial, LEAVE_OUT)
                rows = trial_table(trial, arms, item=ITEM)
                used = {r.about["conformations"]["train"] for arm in arms.values() for r in arm.results.values()}
                facts = {"model": MODELS[model].label, "labels": max(used, default=0), "schedule": schedule}
                parts.append(pd.concat([pd.DataFrame([facts] * len(rows), columns=FACTS), rows], axis=1))
    known = [part for part in parts if len(part)]  # an empty one would make objects of the numbers
    return pd.concat(known, ignore_index=True) if known else pd.DataFrame(columns=[*FACTS, *TRIAL_COLUMNS])


def by_count(table: pd.DataFrame, metric: str = "mae") -> pd.DataFrame:
    """For reading: errors from scratch and pre-trained and how much lower the second is, a column for each schedule.

    A star marks a single seed, ‡ that one arm alone explains `tables.LEARNT` of the variance.
    """
    rows = table[table["metric"] == metric]
    text = {
        facts: f"{_error(of_case, SCRATCH)} → {_error(of_case, PRETRAINED)}: {_gain(of_case)}"
        for facts, of_case in rows.groupby(FACTS, sort=False)
        if (of_case["compared_with"] == SCRATCH).any()
    }
    models = list(rows["model"].unique())
    index = sorted({(model, labels) for model, labels, _ in text}, key=lambda case: (models.index(case[0]), case[1]))
    columns = {schedule: [text.get((*case, schedule), "not run") for case in index] for schedule in SCHEDULES}
    names = pd.MultiIndex.from_tuples(index, names=FACTS[:2]) if index else pd.MultiIndex.from_arrays([[], []])
    return pd.DataFrame(columns, index=names)


def _error(rows: pd.DataFrame, arm: str) -> str:
    return f"{rows[(rows['arm'] == arm) & (rows['compared_with'] != SCRATCH)]['value'].iloc[0]:.2f}"


def _gain(rows: pd.DataFrame) -> str:
    row = rows[rows["compared_with"] == SCRATCH].iloc[0]
    if row["evidence"] == EVIDENCE[0]:
        return "neither arm learns"
    return interval(row) + "‡" * (row["evidence"] != EVIDENCE[-1])


def finding(table: pd.DataFrame, schedule: str) -> str:
    """By how much pre-training lowers the MAE of each model, from few labels to many on one ``schedule``, in words."""
    gains = table[(table["metric"] == "mae") & (table["compared_with"] == SCRATCH) & (table["schedule"] == schedule)]
    told = [
        f"{model} {', '.join(f'{row.value:.0f} %' for row in rows.itertuples())} "
        f"with {', '.join(f'{row.labels:,}' for row in rows.itertuples())} labels"
        for model, rows in gains.groupby("model", sort=False)
    ]
    return "; ".join(told) or "not run"
