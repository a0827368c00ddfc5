"""The audit of the released code as a table: what each departure changes, and whether a conclusion goes with it.

Everything comes from runs that are recorded or stored; what has none is shown as `NOT_RUN`.
"""

from collections.abc import Mapping
from dataclasses import replace

import pandas as pd

from lib.models import MODELS
from lib.report.prose import interval, names
from lib.report.published import CHANGES, OPEN, SAME, verdict_reversed
from lib.report.trials import TRIAL_COLUMNS, trial_table
from lib.study.audit import DEPARTURES, compared_arms
from lib.study.trials import Trial, TrialArm

NOT_RUN = "not run"
ITEM = "Audit"  # of the ledger's first column
GAIN, GAIN_AS_RELEASED, CHANGED = (
    "gain here",
    "gain as released",
    "error of the pre-trained network, lower here by",
)
VERDICT = "conclusion changes"
Trials = Mapping[tuple[str, str], Trial]  # by departure and model, `study.audit.audit_trials`


def audit_table(trials: Trials, arms: Mapping[str, Mapping[str, TrialArm]]) -> pd.DataFrame:
    """Errors of all arms and their differences, rows of `TRIAL_COLUMNS`; ``arms`` (`trials.arms_of`) by trial."""
    parts = [
        trial_table(trial, _of_common_seeds(arms[trial.name]), compared_arms(DEPARTURES[departure]), ITEM)
        for (departure, _), trial in trials.items()
    ]
    known = [part for part in parts if len(part)]
    return pd.concat(known, ignore_index=True) if known else pd.DataFrame(columns=TRIAL_COLUMNS)


def _of_common_seeds(arms: Mapping[str, TrialArm]) -> Mapping[str, TrialArm]:
    """The ``arms`` with the seeds that all of them have, so that gains with and without a departure are of the same
    ones; as they are where an arm has no result.
    """
    common = set.intersection(*(set(arm.results) for arm in arms.values())) if arms else set()
    if not common:
        return arms
    return {name: replace(arm, results={s: arm.results[s] for s in sorted(common)}) for name, arm in arms.items()}


def in_short(trials: Trials, table: pd.DataFrame, metric: str = "mae") -> pd.DataFrame:
    """For reading: each departure and model with the gain of pre-training in per cent, as this project does it and as
    the code does, and by how much the error of the pre-trained network is lower here.

    The last column compares the signs of the two gains (`published.verdict_reversed`). A star marks a single seed.
    """
    rows = []
    for (departure, model), trial in trials.items():
        pairs = compared_arms(DEPARTURES[departure])
        own = table[(table["trial"] == trial.name) & (table["metric"] == metric)]
        differences = [own[(own["compared_with"] == before) & (own["arm"] == after)] for before, after in pairs]
        cells = [interval(part.iloc[0], 1) if len(part) else NOT_RUN for part in differences]
        signs = [str(part.iloc[0]["sign"]) if len(part) else "" for part in differences[:2]]
        verdict = verdict_reversed(*signs) if all(signs) else NOT_RUN
        facts = {"the released code": DEPARTURES[departure].words, "data": trial.name.rpartition(", ")[2]}
        numbers = dict(zip((GAIN, GAIN_AS_RELEASED, CHANGED), cells, strict=True))
        rows.append(facts | {"model": MODELS[model].label} | numbers | {VERDICT: verdict})
    return pd.DataFrame(rows).set_index(["the released code", "data", "model"])


def finding(short: pd.DataFrame) -> str:
    """Which departures change a conclusion, in a sentence, from `in_short`."""
    cases = {
        word: names(f"{words} ({model})" for words, _, model in short.index[short[VERDICT] == word])
        for word in (CHANGES, SAME, OPEN, NOT_RUN)
    }
    return (
        f"Departures that change the answer to whether pre-training helps: {cases[CHANGES]}. That leave it as it is: "
        f"{cases[SAME]}. Run, and undecided (a single seed decides nothing): {cases[OPEN]}. Not run: {cases[NOT_RUN]}."
    )
