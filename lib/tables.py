"""Tables: tidy rows from saved results, one row a number, beside what the paper prints.

Columns: `COLUMNS`. ``pretrained`` is yes, no, or improvement (per cent, positive where pre-training is better).
"""

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from lib.comparison import Arm
from lib.datasets import LABELS
from lib.models import MODELS
from lib.paths import DATA, FIGURES
from lib.results import Result
from lib.scales import Scale
from lib.statistics import METRICS, compare

COLUMNS = ["item", "dataset", "system", "model", "pretrained", "metric", "unit", "value", "low", "high", "n_seeds",
           "source", "paper_value"]  # fmt: skip


def paper_table2() -> pd.DataFrame:
    """The 32 numbers of the paper's Table 2 and the improvements that follow from them."""
    printed = pd.read_csv(DATA / "paper" / "table2.csv")
    wide = printed.pivot(index=["dataset", "model", "metric"], columns="pretrained", values="value").reset_index()
    gain = wide.assign(pretrained="improvement", unit="%", value=100 * (1 - wide["yes"] / wide["no"]))
    return pd.concat([printed, gain.assign(item="Table 2")[printed.columns]], ignore_index=True)


def table2(scale: Scale, arms: Sequence[Arm]) -> pd.DataFrame:
    """RMSE and MAE with and without pre-training, improvements, 95 % intervals, and the paper's numbers.

    Args:
        scale: which data they are.
        arms: pairs of arms (from scratch, pre-trained) of each model and data set, as `comparison.compare_arms` gives;
            arms of a longer control make rows of their own item, for which the paper has no numbers.
    """
    paper = paper_table2().set_index(["dataset", "model", "pretrained", "metric"])["value"]
    rows = []
    for scratch, tuned in zip(arms[::2], arms[1::2], strict=True):
        errors = [[r.errors() for r in arm.results] for arm in (scratch, tuned)]
        for metric in METRICS:
            for kind, interval in zip(("no", "yes", "improvement"), compare(*errors, metric), strict=True):
                key = (LABELS[scratch.data], MODELS[scratch.model].label, kind, metric)
                plain = scratch.longer == 1
                rows.append({
                    "item": "Table 2" if plain else f"control, {scratch.longer} times the steps",
                    "dataset": scale.data_label(scratch.data), "system": "", "model": key[1], "pretrained": kind,
                    "metric": metric, "unit": "%" if kind == "improvement" else "kcal/mol",
                    "value": interval.value, "low": interval.low, "high": interval.high,
                    "n_seeds": len(scratch.results), "source": _source([*scratch.results, *tuned.results]),
                    "paper_value": paper.get(key, float("nan")) if plain else float("nan"),
                })  # fmt: skip
    return pd.DataFrame(rows, columns=COLUMNS)


def _source(results: Sequence[Result]) -> str:
    """Where a number of several runs comes from: recorded, trained (on this machine), or both."""
    return " and ".join(sorted({result.source for result in results}))


def beside_paper(table: pd.DataFrame) -> pd.DataFrame:
    """The table for reading: models in rows, data sets and metrics in columns, ``ours [low, high] (paper's)``."""

    def cell(row: pd.Series) -> str:
        digits = 1 if row["unit"] == "%" else 2
        ours = f"{row['value']:.{digits}f} [{row['low']:.{digits}f}, {row['high']:.{digits}f}]"
        return ours if pd.isna(row["paper_value"]) else f"{ours} ({row['paper_value']:.{digits}f})"

    text = table.assign(cell=[cell(row) for _, row in table.iterrows()], metric=table["metric"].str.upper())
    wide = text.pivot(index=["model", "pretrained"], columns=["dataset", "metric"], values="cell")
    order = pd.MultiIndex.from_product([table["model"].unique(), ["no", "yes", "improvement"]], names=wide.index.names)
    return wide.reindex(order)


def save_table(table: pd.DataFrame, stem: str, scale: str) -> Path:
    """Write ``figures/<scale>/<stem>.csv``, the same bytes for the same numbers."""
    path = FIGURES / scale / f"{stem}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
    return path
