"""Tables of trials: the error of each arm, and by how much it is lower than that of another arm.

Differences are paired over the seeds that both arms have and their test conformations (`statistics`); the word for one
is that of the ledger (`verdicts`): of a single seed it is `verdicts.SEEN_ONCE`.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from lib.data.datasets import NAMES_IN_TABLES
from lib.report.statistics import Comparison, compare, errors_of, estimate, gain, sample, seed_of
from lib.report.tables import EVIDENCE, LEARNT, source_of
from lib.report.verdicts import NO_EVIDENCE, Outcome, sign_of
from lib.runs.results import Result
from lib.runs.selection import select, splits
from lib.study.equilibrium import sources
from lib.study.scale import Scale
from lib.study.trials import Trial, TrialArm
from lib.training.metrics import ERRORS, metric_label, metric_of

TRIAL_COLUMNS = ["item", "trial", "arm", "compared_with", "metric", "unit", "value", "low", "high", "n_seeds", "sign",
                 "evidence", "learning_rate", "at_edge", "source"]  # fmt: skip


def trial_table(
    trial: Trial,
    arms: Mapping[str, TrialArm],
    pairs: Sequence[tuple[str, str]] | None = None,
    item: str = "",
) -> pd.DataFrame:
    """Errors of ``arms`` (`trials.arms_of`) and differences between them, each with its 95 % interval.

    Args:
        trial: theirs.
        arms: by name; those without results are left out.
        pairs: arms that are compared, the one expected to be worse first; None compares each with the reference.
        item: of the ledger, for the table's first column.

    Returns:
        Rows of `TRIAL_COLUMNS`. Where ``compared_with`` is empty ``value`` is the error of ``arm``, else by how many
        per cent it is lower than that of ``compared_with``; ``evidence`` says how many of the arms explain `LEARNT` of
        the variance.
    """
    known = {name: arm for name, arm in arms.items() if arm.results}
    if pairs is None:
        pairs = [(trial.reference, name) for name in trial.arms if name != trial.reference]
    rows = [_error(trial, arm, metric) for arm in known.values() for metric in ERRORS]
    rows += [
        row
        for before, after in pairs
        if before in known and after in known
        for metric in ERRORS
        for row in _difference(trial, known[before], known[after], metric)
    ]
    return pd.DataFrame(rows, columns=TRIAL_COLUMNS).assign(item=item)


def _facts(trial: Trial, arm: TrialArm, results: Sequence[Result], learnt: int, of: int) -> dict[str, object]:
    return {
        "trial": trial.name, "arm": arm.name, "n_seeds": len(results), "learning_rate": arm.learning_rate,
        "at_edge": "yes" if arm.at_edge else "no", "evidence": EVIDENCE[-1] if learnt == of else EVIDENCE[learnt],
        "source": source_of(results),
    }  # fmt: skip


def _learnt(results: Sequence[Result]) -> bool:
    """Whether they explain `LEARNT` of the variance, in the mean over seeds."""
    return sum(result.metrics["test_r2"] for result in results) / len(results) >= LEARNT


def draws_of(result: Result) -> int:
    """The seed of the draws of test molecules of a run: the same for all arms on its data."""
    return seed_of(str(result.config.data[0].name).partition("/")[2])


def _error(trial: Trial, arm: TrialArm, metric: str) -> dict[str, object]:
    results = list(arm.results.values())
    errors = sample([errors_of(result) for result in results], metric, draws_of(results[0]))
    ends = estimate(lambda e: e[0], [errors]).interval()
    return _facts(trial, arm, results, int(_learnt(results)), 1) | {
        "compared_with": "", "metric": metric, "unit": metric_of(metric).unit, "value": ends.value, "low": ends.low,
        "high": ends.high, "sign": "",
    }  # fmt: skip


def _common_seeds(before: TrialArm, after: TrialArm) -> list[int]:
    return sorted(before.results.keys() & after.results.keys())


def comparison_of(before: TrialArm, after: TrialArm, metric: str) -> Comparison | None:
    """Both arms over the seeds that both have; None where they have none in common."""
    seeds = _common_seeds(before, after)
    if not seeds:
        return None
    first, second = ([errors_of(arm.results[seed]) for seed in seeds] for arm in (before, after))
    return compare(first, second, metric, draws_of(before.results[seeds[0]]))


def learnt_of(before: TrialArm, after: TrialArm) -> tuple[bool, bool]:
    """Whether each of two arms explains `LEARNT` of the variance, over the seeds that both have."""
    seeds = _common_seeds(before, after)
    first, second = (_learnt([arm.results[seed] for seed in seeds]) for arm in (before, after))
    return first, second


def _difference(trial: Trial, before: TrialArm, after: TrialArm, metric: str) -> list[dict[str, object]]:
    """One row, or none where the arms have no seed in common."""
    comparison = comparison_of(before, after, metric)
    if comparison is None:
        return []
    lower, learnt = estimate(gain, comparison.samples), sum(learnt_of(before, after))
    ends, n = lower.interval(), len(comparison.scratch.by_seed)
    outcome = Outcome(ends.value, ends.low, ends.high, lower.p_above(), lower.p_below(), n_seeds=n)
    common = [arm.results[seed] for arm in (before, after) for seed in _common_seeds(before, after)]
    return [_facts(trial, after, common, learnt, 2) | {
        "compared_with": before.name, "metric": metric, "unit": "%", "value": ends.value, "low": ends.low,
        "high": ends.high, "n_seeds": n, "sign": sign_of(outcome) if learnt else NO_EVIDENCE,
    }]  # fmt: skip


def pretraining_sets(scale: Scale, model: str) -> pd.DataFrame:
    """What the arms of `equilibrium.sources` are pre-trained on at the first seed of ``scale``, and for how long.

    ``groups`` counts what each data set is grouped by: molecules, or formulas.
    """
    rows = {}
    for arm, source in sources(scale, model).items():
        config = source(scale.seeds[0])
        if config is None:
            continue
        train = select(config, splits(config))["train"]
        number, epochs = sum(len(s.index) for s in train), config.training.epochs
        groups = sum(len(np.unique(s.store.molecule_of(s.index))) for s in train)
        rows[arm] = [number, groups, epochs, epochs * -(-number // config.training.batch_size)]
    columns = ["conformations", "groups", "epochs", "steps"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("pre-trained on")


def short_name(trial: str) -> str:
    """The name of a trial without its kind and without the mini suite's level of theory, for a title or a sentence."""
    return trial.partition(", ")[2].replace(NAMES_IN_TABLES["mini"].partition("{}")[2], "")


def named_differences(table: pd.DataFrame, pairs: Sequence[tuple[str, str]]) -> pd.DataFrame:
    """For reading: how much lower the MAE of the second arm of each of ``pairs`` is than that of the first, in per
    cent, by trial.
    """
    text = {}
    for before, after in pairs:
        rows = table[(table["metric"] == "mae") & (table["compared_with"] == before) & (table["arm"] == after)]
        text[f"{after} against {before}"] = {short_name(row["trial"]): _cell(row) for _, row in rows.iterrows()}
    return pd.DataFrame.from_dict(text, orient="index").fillna("")


def beside_reference(table: pd.DataFrame) -> pd.DataFrame:
    """For reading: arms in rows; their seeds, errors and differences in columns, ``value [low, high]``, * where of a
    single seed.
    """
    text = table.assign(cell=[_cell(row) for _, row in table.iterrows()])
    columns = {
        (row["metric"], row["compared_with"]): metric_label(row["metric"])
        + (f", % lower than {row['compared_with']}" if row["compared_with"] else f" ({row['unit']})")
        for _, row in table.iterrows()
    }
    text["column"] = [columns[row["metric"], row["compared_with"]] for _, row in text.iterrows()]
    wide = text.pivot(index=["trial", "arm"], columns="column", values="cell")
    rows = list(dict.fromkeys(text[["trial", "arm"]].itertuples(index=False, name=None)))
    wide = wide.loc[rows, list(dict.fromkeys(columns.values()))].fillna("")
    own = table[table["compared_with"] == ""].drop_duplicates(["trial", "arm"]).set_index(["trial", "arm"])
    wide.insert(0, "seeds", own["n_seeds"].reindex(wide.index))
    return wide


def _cell(row: pd.Series) -> str:
    digits = 1 if row["unit"] == "%" else 2
    star = "*" if row["n_seeds"] == 1 else ""
    word = f", {row['sign']}" if row["sign"] and row["n_seeds"] > 1 else ""
    return f"{row['value']:.{digits}f} [{row['low']:.{digits}f}, {row['high']:.{digits}f}]{star}{word}"
