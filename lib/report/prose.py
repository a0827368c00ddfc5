"""Findings as sentences whose numbers come from the tables, so that no sentence can outlive its number.

A notebook's last cells read the csv files that its tables were saved to and put their numbers into its own prose::

    table = prose.read("table2", scale)
    gains = prose.gains(table, dataset="mini ANI-1x (GFN2-xTB)", metric="mae")
    prose.tell(f"Pre-training lowers the MAE by {prose.listing(gains)}; certain for {prose.certain(gains)}.")
"""

from collections.abc import Iterable
from textwrap import dedent

import pandas as pd
from IPython.display import Markdown

from lib.data.datasets import MD22_SYSTEMS
from lib.errors import DataError
from lib.paths import FIGURES
from lib.report.tables import AVERAGE, EVIDENCE
from lib.report.trials import short_name

NUMBERS = ("value", "low", "high", "paper_value", "share", "sigma")  # columns that may be empty
SMOKE, NO_RUN = "smoke", "no such run is here"
CAUTION = (
    "*At `smoke` scale the networks are barely trained: these numbers prove that the machinery runs, nothing else.*"
)


def read(stem: str, scale: str) -> pd.DataFrame:
    """The table ``figures/<scale>/<stem>.csv``; empty texts stay empty texts.

    Raises:
        DataError: the table has not been written.
    """
    path = FIGURES / scale / f"{stem}.csv"
    if not path.exists():
        raise DataError(path, "", "there is no such table", "run the cell that saves it first")
    empty = {column: ["", "nan"] for column in NUMBERS}
    return pd.read_csv(path, keep_default_na=False, na_values=empty, dtype={"unit": str})


def select(table: pd.DataFrame, **where: object) -> pd.DataFrame:
    """The rows of ``table`` whose columns have the values of ``where``.

    Raises:
        ValueError: a column that the table does not have.
    """
    for column, value in where.items():
        if column not in table:
            raise ValueError(f"no column {column!r} in the table: choose from {list(table.columns)}")
        table = table[table[column] == value]
    return table


def gains(table: pd.DataFrame, **where: object) -> pd.DataFrame:
    """The improvements (per cent) among the rows of ``table`` that `select` gives."""
    return select(table, pretrained="improvement", **where)


def rounded(number: float) -> str:
    """A whole number; one that would hide its sign as zero has as many digits as show it."""
    text = f"{number:.0f}"
    return f"{number:.1g}" if text in ("0", "-0") and number else text


def interval(row: pd.Series, digits: int | None = None) -> str:
    """``28 % [11, 35]``: the value of ``row`` with its unit and 95 % interval; a star marks a single seed."""
    unit = "" if row["unit"] == "1" else " " + row["unit"].replace("angstrom", "Å").replace("sigma^2", "σ²")
    if digits is None and row["unit"] != "%":
        digits = 2
    texts = [rounded(row[name]) if digits is None else f"{row[name]:.{digits}f}" for name in ("value", "low", "high")]
    numbers = [(text.lstrip("-") if float(text) == 0 else text).replace("-", "−") for text in texts]
    return f"{numbers[0]}{unit} [{numbers[1]}, {numbers[2]}]" + "*" * int(row["n_seeds"] == 1)


def listing(rows: pd.DataFrame, by: str = "model", digits: int | None = None) -> str:
    """Each of ``rows`` by its name in the column ``by``, with its `interval` and the paper's number if there is one.

    An average over models of which one learnt nothing has no number here: the ledger bounds it.
    """
    texts = []
    for _, row in rows.iterrows():
        printed = "" if pd.isna(row.get("paper_value")) else f" (paper: {row['paper_value']:.3g})"
        blank = row.get("model") == AVERAGE and row.get("evidence") == EVIDENCE[0]
        number = "no number, for a model learns nothing (notebook 09 bounds it)" if blank else interval(row, digits)
        texts.append(f"{_name(row[by])} {number}{printed}")
    return "; ".join(texts) or "nothing, for no such run is here"


def names(values: Iterable[object]) -> str:
    """``A, B and C``, each once; ``none`` where there is none."""
    words = list(dict.fromkeys(_name(value) for value in values))
    return " and ".join(filter(None, [", ".join(words[:-1]), *words[-1:]])) or "none"


def certain(rows: pd.DataFrame, by: str = "model") -> str:
    """The `names` of those ``rows`` whose whole interval is above zero."""
    return names(rows[rows["low"] > 0][by])


def count_certain(rows: pd.DataFrame) -> str:
    """``5 of 8``: how many of ``rows`` have their whole interval above zero."""
    return f"{int((rows['low'] > 0).sum())} of {len(rows)}"


def lower(table: pd.DataFrame, arm: str, than: str, metric: str = "mae") -> str:
    """By how much the error of ``arm`` is lower than that of the arm ``than``, by trial, with the ledger's word for it.

    Args:
        table: of trials (`trials.trial_table`), which are told by their `trials.short_name`.
        arm: the one expected to be better.
        than: the other one.
        metric: of the errors.
    """
    rows = select(table, arm=arm, compared_with=than, metric=metric)
    if rows.empty:
        return NO_RUN
    cells = (f"{short_name(row['trial'])} {interval(row)}, {row['sign']}" for _, row in rows.iterrows())
    return "; ".join(cells)


def lowest(table: pd.DataFrame, metric: str = "mae") -> str:
    """Which arm of each trial of ``table`` has the lowest error, and that error with its interval."""
    rows = select(table, compared_with="", metric=metric).reset_index(drop=True)
    if rows.empty:
        return NO_RUN
    best = rows.loc[rows.groupby("trial", sort=False)["value"].idxmin()]
    return "; ".join(f"{short_name(row['trial'])}: {row['arm']}, {interval(row)}" for _, row in best.iterrows())


def tell(text: str, scale: str = "") -> Markdown:
    """``text`` as Markdown; at smoke scale with a word of caution before it."""
    text = dedent(text).strip()
    return Markdown(f"{CAUTION}\n\n{text}" if scale == SMOKE else text)


def _name(value: object) -> str:
    """What prose calls a model, a system, or a share of the data or σ given as a number."""
    return f"{value:g}" if isinstance(value, float) else MD22_SYSTEMS.get(str(value), str(value))
