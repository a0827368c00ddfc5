"""Tables: tidy rows from saved results, one row per number, beside the number that the paper prints.

Columns: `COLUMNS`, and in comparisons `DETAILS`. ``pretrained`` is yes, no, or improvement (per cent, positive where
pre-training is better). ``evidence`` is no where neither arm explains `LEARNT` of the energies' variance (of a subset:
of its molecules'): nothing was learnt there, so nothing follows from it. It is `ONE_ARM` where only one arm does: the
sign of the improvement is known, but its size might change much with another learning rate or more steps.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib.data.datasets import SUITES, find, open_store, paper_names
from lib.files import whole_file
from lib.models import MODELS
from lib.paths import DATA, FIGURES
from lib.report.descriptions import details
from lib.report.statistics import (
    Comparison,
    Errors,
    Spread,
    average,
    compare,
    errors_of,
    seed_of,
    spread_of,
)
from lib.runs.results import Result
from lib.study.arms import Arm
from lib.study.cells import Pair
from lib.study.scale import Scale
from lib.training.metrics import ERRORS, OF_FORCES, metric_label, metric_of

COLUMNS = ["item", "dataset", "system", "model", "pretrained", "metric", "unit", "value", "low", "high", "n_seeds",
           "source", "paper_value"]  # fmt: skip
DETAILS = ["subset", "share", "sigma", "evidence", "n_models"]
PAPER_KEY = ["item", "dataset", "system", "model", "pretrained", "metric", "share"]
ARMS = ("no", "yes", "improvement")
AVERAGE = "average"
LEARNT, ONE_ARM = 0.3, "one arm"  # R²
WITHOUT_NUMBERS = ("Figure 5",)  # items of the paper of which it prints no number
PAPERS_SUBSETS = ("", "all", "unknown molecules")  # of test molecules; the others are ours
EVIDENCE = ("no", ONE_ARM, "yes")  # by the number of arms that learnt


def paper_numbers() -> pd.DataFrame:
    """Every error and improvement that the paper prints, and the improvements that follow from printed errors.

    Columns item, dataset, system, model, pretrained, metric, share, unit, value; share is of the training
    conformations.
    """
    table2 = pd.read_csv(DATA / "paper" / "table2.csv")
    gain = printed_gains(table2).assign(item="Table 2")
    text = pd.read_csv(DATA / "paper" / "text.csv", dtype={"system": str}, keep_default_na=False)
    text = text.assign(share=pd.to_numeric(text["share"]))
    numbers = pd.concat([table2, gain, text], ignore_index=True).fillna({"system": "", "share": 1.0})
    return numbers[[*PAPER_KEY, "unit", "value"]]


def in_paper(rows: pd.DataFrame) -> "pd.Series[bool]":
    """Whether the paper treats the case of each row, whether it prints a number or draws a bar only.

    ``rows`` are of a comparison; controls, forces, and subsets that are ours are not in the paper.
    """
    items = {*paper_numbers()["item"], *WITHOUT_NUMBERS}
    subset = rows["subset"].fillna("") if "subset" in rows else pd.Series("", rows.index)
    return rows["item"].isin(items) & subset.isin(PAPERS_SUBSETS)


def printed_gains(errors: pd.DataFrame, rounding: float = 0.0) -> pd.DataFrame:
    """Improvements (``value``) that follow from printed errors by data set, model and metric.

    ``low`` and ``high`` are the least and most that they can be if the errors are off by ``rounding``.
    """
    wide = errors.pivot(index=["dataset", "model", "metric"], columns="pretrained", values="value").reset_index()
    bounds = {
        key: 100 * (1 - (wide["yes"] + up) / (wide["no"] - up))
        for key, up in (("value", 0.0), ("low", rounding), ("high", -rounding))
    }
    return wide[["dataset", "model", "metric"]].assign(**bounds, pretrained="improvement", unit="%")


def paper_table2() -> pd.DataFrame:
    """The 32 numbers of the paper's Table 2 and the improvements that follow from them."""
    numbers = paper_numbers()
    return numbers[(numbers["item"] == "Table 2") & (numbers["model"] != AVERAGE)]


def comparison_table(
    scale: Scale,
    pairs: Sequence[Pair[Arm]],
    items: str | Mapping[str, str],
    part: str = "test",
    molecules: Mapping[str, NDArray[np.int64]] | None = None,
    subset: str = "",
    per_atom: bool = False,
) -> pd.DataFrame:
    """Errors with and without pre-training, improvements, 95 % intervals, and the paper's numbers where it prints any.

    Args:
        scale: of the arms.
        pairs: of arms, as `arms.compare_arms` gives them.
        items: the table or figure of the paper, of all metrics or by metric (``rmse``, ``mae``, ``force_rmse``,
            ``force_mae``); metrics that are left out are not shown.
        part: of the test conformations (ISO17: ``test`` are unknown molecules, ``test_known`` known ones).
        molecules: names of subsets and the molecules in them, a group of rows each; None takes all together.
        subset: the name of ``part`` in the table, where there are no ``molecules``.
        per_atom: divide errors by the number of atoms (of a system that has only one molecule).

    Returns:
        Rows of `COLUMNS` and `DETAILS`; where there are several models, also their average improvement.
    """
    items = dict.fromkeys(ERRORS, items) if isinstance(items, str) else items
    subsets: Mapping[str, NDArray[np.int64] | None] = molecules or {subset: None}
    errors_by_subset = _errors_by_subset(pairs, part, subsets, items)
    rows = []
    for (metric, item), (name, within) in product(items.items(), subsets.items()):
        compared = [
            (
                _facts(scale, pair, item, metric, name, _evidence(scale, pair, metric, part, within)),
                compare(errors.scratch, errors.pretrained, metric, seed_of(pair.scratch.cell.data)),
                _atoms(scale, pair) if per_atom else 1.0,
            )
            for pair, errors in zip(pairs, errors_by_subset[name, metric.startswith(OF_FORCES)], strict=True)
            if all(len(e.molecule) for arm in errors for e in arm)  # else a seed tests none of the subset
        ]
        rows += [row for each in compared for row in three_rows(*each)]
        rows += _average_rows([(facts, comparison) for facts, comparison, _ in compared])
    table = pd.DataFrame(rows, columns=[*COLUMNS, *DETAILS])
    return table if molecules or part != "test" else table.assign(paper_value=_printed(table))


PairErrors = Pair[list[Errors]]  # of both arms, by seed


def _errors_by_subset(
    pairs: Sequence[Pair[Arm]], part: str, subsets: Mapping[str, NDArray[np.int64] | None], metrics: Iterable[str]
) -> dict[tuple[str, bool], list[PairErrors]]:
    """Test errors of each pair, by subset of molecules and by whether they are those of forces."""
    return {
        (name, of_forces): [
            Pair(*([errors_of(r, part, within, of_forces) for r in arm.results] for arm in p)) for p in pairs
        ]
        for name, within in subsets.items()
        for of_forces in {metric.startswith(OF_FORCES) for metric in metrics}
    }


def _evidence(scale: Scale, pair: Pair[Arm], metric: str, part: str, molecules: NDArray[np.int64] | None) -> str:
    """One of `EVIDENCE`, by the number of arms of ``pair`` that explain `LEARNT` of the variance."""
    return EVIDENCE[sum(explained(scale, arm, metric, part, molecules) >= LEARNT for arm in pair)]


def explained(scale: Scale, arm: Arm, metric: str, part: str, molecules: NDArray[np.int64] | None) -> float:
    """R² of ``arm`` on ``part``, mean over seeds; of energies on some ``molecules`` of it, of forces always on all."""
    of_forces = metric.startswith(OF_FORCES)
    if molecules is None or of_forces:
        return float(np.mean([r.metrics[f"{part}_{OF_FORCES if of_forces else ''}r2"] for r in arm.results]))
    rows = details(scale, [arm], part)
    rows = rows[rows["molecule"].isin(molecules)]
    squares = pd.DataFrame({"error": rows["error"], "label": rows["energy"] - rows["baseline"]}) ** 2
    sums = squares.groupby(rows["seed"]).sum()
    return float((1 - sums["error"] / sums["label"]).mean())


def _facts(scale: Scale, pair: Pair[Arm], item: str, metric: str, subset: str, evidence: str) -> dict[str, Any]:
    """The columns in which the three rows of a pair of arms agree."""
    cell = pair.pretrained.cell
    system, times = cell.data.partition("/")[2], pair.scratch.cell.longer
    if times > 1:
        item += f", {'' if cell.longer == times else 'scratch '}{times} times the steps"
    return {
        "item": item,
        "dataset": scale.data_label(cell.data), "system": system, "model": MODELS[cell.model].label,
        "metric": metric, "n_seeds": len(pair.scratch.results), "paper_value": float("nan"),
        "source": source_of([*pair.scratch.results, *pair.pretrained.results]),
        "share": cell.share, "sigma": cell.sigma, "n_models": 1, "subset": subset, "evidence": evidence,
    }  # fmt: skip


def three_rows(facts: dict[str, Any], comparison: Comparison, divisor: float) -> list[dict[str, Any]]:
    """From scratch, pre-trained and improvement; errors are divided by ``divisor``, the atoms, where it is not 1."""
    unit = metric_of(facts["metric"]).unit + ("/atom" if divisor != 1 else "")
    rows = []
    for kind, interval in zip(ARMS, comparison.intervals(), strict=True):
        by, shown = (1.0, "%") if kind == "improvement" else (divisor, unit)
        rows.append(facts | {"pretrained": kind, "unit": shown, "value": interval.value / by,
                             "low": interval.low / by, "high": interval.high / by})  # fmt: skip
    return rows


def _average_rows(compared: Sequence[tuple[dict[str, Any], Comparison]]) -> list[dict[str, Any]]:
    """The improvement, mean over models, where several models share data, share and noise."""
    groups: dict[tuple, list[tuple[dict[str, Any], Comparison]]] = {}
    for facts, comparison in compared:
        key = tuple(facts[name] for name in ("item", "dataset", "system", "share", "sigma"))
        groups.setdefault(key, []).append((facts, comparison))
    spread = spread_of([c for group in groups.values() for f, c in group if f["evidence"] != EVIDENCE[0]])
    return [_average_row(group, spread) for group in groups.values() if len(group) > 1]


def _average_row(group: Sequence[tuple[dict[str, Any], Comparison]], spread: Spread | None = None) -> dict[str, Any]:
    """The improvement, mean over the models of ``group``; ``spread`` is what models of a single seed borrow."""
    facts = [f for f, _ in group]
    interval = average([comparison for _, comparison in group], spread)
    return facts[0] | {
        "model": AVERAGE,
        "pretrained": "improvement",
        "unit": "%",
        "value": interval.value,
        "low": interval.low,
        "high": interval.high,
        "n_seeds": min(f["n_seeds"] for f in facts),
        "source": " and ".join(sorted({word for f in facts for word in f["source"].split(" and ")})),
        "evidence": min((f["evidence"] for f in facts), key=EVIDENCE.index),
        "n_models": len(facts),
    }


def _printed(table: pd.DataFrame) -> pd.Series:
    """The paper's number for each row, whatever the suite is called."""
    names = {label: printed for suite in SUITES for label, printed in paper_names(suite).items()}
    paper = paper_numbers().set_index(PAPER_KEY)["value"]
    keys = table.assign(dataset=table["dataset"].map(names))[PAPER_KEY]
    return pd.Series([paper.get(tuple(key), float("nan")) for key in keys.itertuples(index=False)], table.index)


def _atoms(scale: Scale, pair: Pair[Arm]) -> float:
    """Atoms of the system of ``pair``."""
    return float(open_store(find(f"{scale.suite}/{pair.scratch.cell.data}")).n_atoms[0])


def source_of(results: Sequence[Result]) -> str:
    """The source of a number from several runs: recorded, trained (on this machine), or both."""
    return " and ".join(sorted({result.source for result in results}))


def beside_paper(table: pd.DataFrame, columns: Sequence[str] = ("dataset", "metric")) -> pd.DataFrame:
    """For reading: models in rows, ``columns`` in columns, ``ours [low, high] (paper's)``; * marks a single seed."""

    def cell(row: pd.Series) -> str:
        """The text of one number: ours with its interval, the paper's in parentheses."""
        small = row["value"] < 0.1 or row["unit"].endswith("/atom")
        digits = 1 if row["unit"] == "%" else 4 if small else 2
        ours = f"{row['value']:.{digits}f} [{row['low']:.{digits}f}, {row['high']:.{digits}f}]"
        ours += "*" if row["n_seeds"] == 1 else ""
        return ours if pd.isna(row["paper_value"]) else f"{ours} ({row['paper_value']:.{digits}f})"

    text = table.assign(cell=[cell(row) for _, row in table.iterrows()], metric=table["metric"].map(metric_label))
    wide = text.pivot(index=["model", "pretrained"], columns=list(columns), values="cell")
    order = [(m, kind) for m in table["model"].unique() for kind in ARMS if (m, kind) in wide.index]
    keys = list(text[list(columns)].drop_duplicates().itertuples(index=False, name=None))  # in the paper's order
    return wide.loc[order, keys if len(columns) > 1 else [key for (key,) in keys]].fillna("")


def save_table(table: pd.DataFrame, stem: str, scale: str) -> Path:
    """Write ``figures/<scale>/<stem>.csv``, the same bytes for the same numbers.

    Six digits each, in columns of objects too, which a table with an empty part has: the last ones of a sum are the
    machine's.
    """
    path = FIGURES / scale / f"{stem}.csv"
    with whole_file(path) as part:
        table.infer_objects().to_csv(part, index=False, float_format="%.6g", lineterminator="\n")
    return path
