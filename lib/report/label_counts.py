"""How the gain of pre-training changes with the number of labels: the trials of `lib.study.label_counts` as a table.

Everything comes from runs that are recorded or stored; nothing is trained, and what has no such runs is left out.
"""

from collections.abc import Sequence

import pandas as pd

from lib.models import MODELS
from lib.report.prose import interval, select
from lib.report.trials import trial_table
from lib.study.arms import LEAVE_OUT
from lib.study.label_counts import COUNTED_MODELS, COUNTS, PRETRAINED, SCHEDULES, SCRATCH, count_trial
from lib.study.trials import arms_of

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
    return pd.concat(known or parts[:1], ignore_index=True)


def by_count(table: pd.DataFrame, metric: str = "mae") -> pd.DataFrame:
    """For reading: both errors and how much lower the pre-trained one is, a row for each number of labels.

    A star marks a single seed.
    """
    out = {}
    for facts, rows in table[table["metric"] == metric].groupby(FACTS, sort=False):
        errors = [select(rows, arm=arm, compared_with="") for arm in (SCRATCH, PRETRAINED)]
        gains = select(rows, arm=PRETRAINED, compared_with=SCRATCH)
        if len(gains):
            row = gains.iloc[0]
            star = "*" if row["n_seeds"] == 1 else ""
            both = " → ".join(f"{part['value'].iloc[0]:.2f}" for part in errors)
            out[facts] = {"MAE, kcal/mol": both, "lower by": f"{interval(row)}{star}", "seeds": row["n_seeds"]}
    frame = pd.DataFrame.from_dict(out, orient="index")
    frame.index = pd.MultiIndex.from_tuples(list(out), names=FACTS) if out else pd.MultiIndex.from_arrays([[]] * 3)
    return frame


def finding(table: pd.DataFrame, schedule: str) -> str:
    """By how much pre-training lowers the MAE of each model, from few labels to many on one ``schedule``, in words."""
    gains = table[(table["metric"] == "mae") & (table["compared_with"] == SCRATCH) & (table["schedule"] == schedule)]
    told = [
        f"{model} {', '.join(f'{row.value:.0f} %' for row in rows.itertuples())} "
        f"with {', '.join(f'{row.labels:,}' for row in rows.itertuples())} labels"
        for model, rows in gains.groupby("model", sort=False)
    ]
    return "; ".join(told) or "not run"
