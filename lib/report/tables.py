"""Tables: tidy rows from saved results, one row a number, beside what the paper prints.

Columns: `COLUMNS`, and in comparisons `DETAILS`. ``pretrained`` is yes, no, or improvement (per cent, positive where
pre-training is better). ``evidence`` is no where neither arm explains `LEARNT` of the energies' variance (of a subset:
of its molecules'): nothing was learnt there, so nothing follows from it; `ONE_ARM` where only one does, so that the
improvement has a sign, but a size that another learning rate or more steps might change much.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib.data.datasets import SUITES, find, open_store, paper_names
from lib.models import MODELS
from lib.paths import DATA, FIGURES
from lib.report.descriptions import details
from lib.report.statistics import (
    METRICS,
    OF_FORCES,
    Comparison,
    Spread,
    average,
    compare,
    errors_of,
    seed_of,
    spread_of,
)
from lib.runs.results import Result
from lib.study.arms import Arm
from lib.study.scale import Scale

COLUMNS = ["item", "dataset", "system", "model", "pretrained", "metric", "unit", "value", "low", "high", "n_seeds",
           "source", "paper_value"]  # fmt: skip
DETAILS = ["subset", "share", "sigma", "evidence", "n_models"]
PAPER_KEY = ["item", "dataset", "system", "model", "pretrained", "metric", "share"]
ARMS = ("no", "yes", "improvement")
AVERAGE = "average"
LEARNT, ONE_ARM = 0.3, "one arm"  # R²
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
    found = pd.concat([table2, gain, text], ignore_index=True).fillna({"system": "", "share": 1.0})
    return found[[*PAPER_KEY, "unit", "value"]]


def printed_gains(errors: pd.DataFrame, rounding: float = 0.0) -> pd.DataFrame:
    """Improvements (``value``) that follow from printed errors by data set, model and metric.

    ``low`` and ``high`` are the least and most that they can be if the errors are off by ``rounding``.
    """
    wide = errors.pivot(index=["dataset", "model", "metric"], columns="pretrained", values="value").reset_index()
    bounds = {key: 100 * (1 - (wide["yes"] + up) / (wide["no"] - up))
              for key, up in (("value", 0.0), ("low", rounding), ("high", -rounding))}  # fmt: skip
    return wide[["dataset", "model", "metric"]].assign(**bounds, pretrained="improvement", unit="%")


def paper_table2() -> pd.DataFrame:
    """The 32 numbers of the paper's Table 2 and the improvements that follow from them."""
    found = paper_numbers()
    return found[(found["item"] == "Table 2") & (found["model"] != AVERAGE)]


def comparison_table(
    scale: Scale,
    arms: Sequence[Arm],
    items: str | Mapping[str, str],
    part: str = "test",
    molecules: Mapping[str, NDArray[np.int64]] | None = None,
    subset: str = "",
    per_atom: bool = False,
) -> pd.DataFrame:
    """Errors with and without pre-training, improvements, 95 % intervals, and the paper's numbers where it prints any.

    Args:
        scale: which data they are.
        arms: pairs of arms (from scratch, pre-trained), as `arms.compare_arms` gives.
        items: what of the paper they are, of all metrics or by metric (``rmse``, ``mae``, ``force_rmse``,
            ``force_mae``); metrics left out are not shown.
        part: of the test conformations (ISO17: ``test`` are unknown molecules, ``test_known`` known ones).
        molecules: names of subsets and the molecules in them, a group of rows each; None takes all together.
        subset: what ``part`` is called, without ``molecules``.
        per_atom: divide errors by the number of atoms (of a system that has only one).

    Returns:
        Rows of `COLUMNS` and `DETAILS`; where there are several models, also their average improvement.
    """
    rows = []
    couples = list(zip(arms[::2], arms[1::2], strict=True))
    items = dict.fromkeys(METRICS, items) if isinstance(items, str) else items
    tested = {
        (name, forces): [
            [[errors_of(r, part, chosen, forces) for r in arm.results] for arm in couple] for couple in couples
        ]
        for name, chosen in (molecules or {subset: None}).items()
        for forces in {metric.startswith(OF_FORCES) for metric in items}
    }
    for metric, item in items.items():
        for name in molecules or {subset: None}:
            all_errors = tested[name, metric.startswith(OF_FORCES)]
            groups: dict[tuple, list[tuple[dict[str, Any], Comparison]]] = {}
            for (scratch, tuned), errors in zip(couples, all_errors, strict=True):
                if not all(len(e.molecule) for arm in errors for e in arm):
                    continue  # a seed tests none of the subset
                found = compare(*errors, metric, seed_of(scratch.cell.data))
                subset_of = (molecules or {}).get(name)
                learnt = [explained(scale, arm, metric, part, subset_of) >= LEARNT for arm in (scratch, tuned)]
                facts = _facts(scale, scratch, tuned, item, metric)
                facts |= {"subset": name, "evidence": EVIDENCE[sum(learnt)]}
                key = tuple(facts[name] for name in ("item", "dataset", "system", "share", "sigma"))
                groups.setdefault(key, []).append((facts, found))
                divisor = _atoms(scale, scratch) if per_atom else 1.0
                rows += three_rows(facts, found, divisor)
            spread = spread_of([c for group in groups.values() for f, c in group if f["evidence"] != EVIDENCE[0]])
            rows += [_average_row(group, spread) for group in groups.values() if len(group) > 1]
    table = pd.DataFrame(rows, columns=[*COLUMNS, *DETAILS])
    return table if molecules or part != "test" else table.assign(paper_value=_printed(table))


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


def _facts(scale: Scale, scratch: Arm, tuned: Arm, item: str, metric: str) -> dict[str, Any]:
    """What the three rows of a pair of arms share."""
    cell, (kind, *system) = tuned.cell, tuned.cell.data.split("/")
    times = scratch.cell.longer
    if times > 1:
        item += f", {'' if cell.longer == times else 'scratch '}{times} times the steps"
    runs = [*scratch.results, *tuned.results]
    return {
        "item": item,
        "dataset": scale.data_label(kind), "system": system[0] if system else "", "model": MODELS[cell.model].label,
        "metric": metric, "n_seeds": len(scratch.results), "source": source_of(runs), "paper_value": float("nan"),
        "share": cell.share, "sigma": cell.sigma, "n_models": 1,
    }  # fmt: skip


def three_rows(facts: dict[str, Any], found: Comparison, divisor: float) -> list[dict[str, Any]]:
    """From scratch, pre-trained and improvement."""
    rows = []
    for kind, interval in zip(ARMS, found.intervals(), strict=True):
        plain = kind == "improvement"
        unit = "kcal/mol/angstrom" if facts["metric"].startswith(OF_FORCES) else "kcal/mol"
        unit = "%" if plain else f"{unit}/atom" if divisor != 1 else unit
        by = 1.0 if plain else divisor
        rows.append(facts | {"pretrained": kind, "unit": unit, "value": interval.value / by,
                             "low": interval.low / by, "high": interval.high / by})  # fmt: skip
    return rows


def _average_row(group: Sequence[tuple[dict[str, Any], Comparison]], spread: Spread | None = None) -> dict[str, Any]:
    """The improvement, mean over models that share data; ``spread`` is what models of a single seed borrow."""
    facts = [f for f, _ in group]
    interval = average([found for _, found in group], spread)
    return facts[0] | {
        "model": AVERAGE, "pretrained": "improvement", "unit": "%", "value": interval.value, "low": interval.low,
        "high": interval.high, "n_seeds": min(f["n_seeds"] for f in facts),
        "source": " and ".join(sorted({word for f in facts for word in f["source"].split(" and ")})),
        "evidence": min((f["evidence"] for f in facts), key=EVIDENCE.index), "n_models": len(facts),
    }  # fmt: skip


def _printed(table: pd.DataFrame) -> pd.Series:
    """The paper's number for each row, whatever the suite is called."""
    names = {ours: printed for suite in SUITES for ours, printed in paper_names(suite).items()}
    paper = paper_numbers().set_index(PAPER_KEY)["value"]
    keys = table.assign(dataset=table["dataset"].map(names))[PAPER_KEY]
    return pd.Series([paper.get(tuple(key), float("nan")) for key in keys.itertuples(index=False)], table.index)


def _atoms(scale: Scale, arm: Arm) -> float:
    """Atoms of the system of ``arm``."""
    return float(open_store(find(f"{scale.suite}/{arm.cell.data}")).n_atoms[0])


def source_of(results: Sequence[Result]) -> str:
    """Where a number of several runs comes from: recorded, trained (on this machine), or both."""
    return " and ".join(sorted({result.source for result in results}))


def beside_paper(table: pd.DataFrame, columns: Sequence[str] = ("dataset", "metric")) -> pd.DataFrame:
    """For reading: models in rows, ``columns`` in columns, ``ours [low, high] (paper's)``; * marks a single seed."""

    def cell(row: pd.Series) -> str:
        small = row["value"] < 0.1 or row["unit"].endswith("/atom")
        digits = 1 if row["unit"] == "%" else 4 if small else 2
        ours = f"{row['value']:.{digits}f} [{row['low']:.{digits}f}, {row['high']:.{digits}f}]"
        ours += "*" if row["n_seeds"] == 1 else ""
        return ours if pd.isna(row["paper_value"]) else f"{ours} ({row['paper_value']:.{digits}f})"

    text = table.assign(cell=[cell(row) for _, row in table.iterrows()], metric=table["metric"].map(metric_label))
    wide = text.pivot(index=["model", "pretrained"], columns=list(columns), values="cell")
    order = [(m, kind) for m in table["model"].unique() for kind in ARMS if (m, kind) in wide.index]
    met = list(text[list(columns)].drop_duplicates().itertuples(index=False, name=None))  # in the paper's order
    return wide.loc[order, met if len(columns) > 1 else [key for (key,) in met]].fillna("")


def metric_label(metric: str) -> str:
    """What tables and figures call a metric."""
    return f"force {metric.removeprefix(OF_FORCES).upper()}" if metric.startswith(OF_FORCES) else metric.upper()


def save_table(table: pd.DataFrame, stem: str, scale: str) -> Path:
    """Write ``figures/<scale>/<stem>.csv``, the same bytes for the same numbers."""
    path = FIGURES / scale / f"{stem}.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_csv(path, index=False, float_format="%.6g", lineterminator="\n")
    return path
