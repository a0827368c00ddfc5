"""The ledger: every claim of the paper, decided by a rule from tidy rows, ours or the paper's own.

``data/paper/claims.csv`` has a claim a row, with its place, the rule (``test``, a name of `rules.RULES`) and the rows
that the rule looks at. Verdicts: `REPRODUCED`, `DIRECTION` (the sign is right, the size is not, or not in every case),
`UNDECIDED` (the sign is not certain), `FAILED`, `NO_EVIDENCE` (nothing was learnt there by either arm) and `UNTESTED`.
"""

from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from pathlib import Path

import pandas as pd

from lib.data.datasets import label, paper_names
from lib.models import MODELS
from lib.paths import DATA
from lib.report.rules import (
    BETWEEN_MODELS,
    DIRECTION,
    NAN,
    NO_EVIDENCE,
    OF_SIZE,
    REPRODUCED,
    RULES,
    UNTESTED,
    Verdict,
    improvements,
)
from lib.report.tables import AVERAGE, COLUMNS, DETAILS, LEARNT, ONE_ARM, paper_numbers, printed_gains
from lib.study.matrix import MATRIX
from lib.study.scales import get_scale

ITEMS = {"Table 2": "Table 2", "Figure 2a": "Figure 2, ISO17", "Figure 2b": "Figure 2, ISO17",
         "Figure 2c": "Figure 2, SPICE", "Figure 2d": "Figure 2, SPICE",
         **{item: item for item in ("Figure 3", "Figure 4", "Figure 5")}}  # fmt: skip
CELL = ("dataset", "system", "model", "share", "sigma")
SELECTORS = ("item", "dataset", "system", "subset", "model", "metric", "share")
OURS = "our question"  # begins the note of what the paper does not say in so many words
ROUNDING = 0.005  # of the errors in Table 2


def load_claims() -> pd.DataFrame:
    """The claims, a row each."""
    return pd.read_csv(DATA / "paper" / "claims.csv", dtype=str, keep_default_na=False)


def decide(claim: pd.Series, rows: pd.DataFrame, expected: pd.DataFrame | None = None) -> Verdict:
    """The verdict on ``claim`` from ``rows`` of `tables.comparison_table`, data sets by the paper's names.

    Cells where nothing was learnt do not count. Where some of the ``expected`` cells (`whole_matrix`) do not count or
    are missing, a claim is at best `DIRECTION`; where fewer than half count, it is `UNTESTED`. A claim about a size is
    at best `DIRECTION` where one arm alone learnt.
    """
    found = select(claim, rows)
    if not len(found):
        return Verdict(UNTESTED, why="no such runs at this scale")
    if claim["test"] != "poor" and "evidence" in found:
        learnt = found[found["evidence"] != "no"]
        if not len(learnt):
            one = "a model of the average has" if _of_average(claim) else "both arms have"
            return Verdict(NO_EVIDENCE, why=f"{one} R² below {LEARNT} in all of these cases")
        found = learnt
    counted, wanted = _cells(found), _cells(_wanted(claim, whole_matrix() if expected is None else expected))
    if 2 * counted < wanted:
        return Verdict(UNTESTED, why=f"{counted} of {wanted} cells are there, with R² of {LEARNT} or more")
    verdict = RULES[claim["test"]](found, float(claim["threshold"] or "nan"), claim["model"].split("|"))
    if counted < wanted:
        verdict = _at_best_direction(verdict, f"{counted} of {wanted} cells count")
    if claim["test"] in OF_SIZE and "evidence" in found and (found["evidence"] == ONE_ARM).any():
        verdict = _at_best_direction(verdict, f"one arm has R² below {LEARNT}")
    return verdict


def _at_best_direction(verdict: Verdict, why: str) -> Verdict:
    capped = DIRECTION if verdict.verdict == REPRODUCED else verdict.verdict
    return replace(verdict, verdict=capped, why=f"{verdict.why}; {why}")


@cache
def whole_matrix() -> pd.DataFrame:
    """The cells of the paper's figures and tables, one a row, by the paper's names."""
    names, rows = paper_names("official"), []
    for item, group in ITEMS.items():
        for cell in (pair.pretrained for pair in MATRIX[group](get_scale("paper"))):
            kind, _, system = cell.data.partition("/")
            rows.append({
                "item": item, "dataset": names[label("official", kind)], "system": system,
                "model": MODELS[cell.model].label, "share": cell.share, "sigma": cell.sigma, "n_models": 1,
            })  # fmt: skip
    return pd.DataFrame(rows)


def _wanted(claim: pd.Series, expected: pd.DataFrame) -> pd.DataFrame:
    """Those of the ``expected`` cells that ``claim`` is about: for an average, the cells of all its models."""
    models = {"model": "", "test": ""} if _of_average(claim) else {}
    return select(pd.Series(dict(claim) | {"subset": "", "metric": ""} | models), expected)


def _cells(rows: pd.DataFrame) -> int:
    """How many cells ``rows`` are about; an average counts as those of all its models."""
    cells = rows.drop_duplicates([key for key in CELL if key in rows])
    return int(cells["n_models"].sum()) if "n_models" in cells else len(cells)


def _of_average(claim: pd.Series) -> bool:
    return AVERAGE in claim["model"] or (claim["model"] == "" and claim["test"] == "average_gain")


def select(claim: pd.Series, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that ``claim`` is about; a rule that compares models gets all of them."""
    keep = pd.Series(True, rows.index)
    for key in SELECTORS:
        wanted = [w for w in claim[key].split("|") if w]
        if not wanted or (key == "model" and claim["test"] in BETWEEN_MODELS):
            continue
        if key not in rows:
            return rows.iloc[:0]
        values = rows[key].astype(float).map("{:g}".format) if key == "share" else rows[key]
        keep &= values.isin(wanted)
    return rows[keep & ((rows["model"] == AVERAGE) == _of_average(claim))]


def with_paper_names(rows: pd.DataFrame, suite: str) -> pd.DataFrame:
    """``rows`` with the paper's names of data sets."""
    return rows.assign(dataset=rows["dataset"].replace(paper_names(suite)))


def read_rows(paths: Iterable[Path]) -> pd.DataFrame:
    """The rows of the tables at ``paths`` that are there."""
    found = [pd.read_csv(p, keep_default_na=False, na_values=["nan", ""]) for p in paths if p.exists()]
    if not found:
        return pd.DataFrame(columns=[*COLUMNS, *DETAILS], dtype=object)
    rows = pd.concat(found, ignore_index=True)
    return rows.assign(**{key: rows[key].astype(object).fillna("") for key in ("system", "subset") if key in rows})


def paper_rows() -> pd.DataFrame:
    """The paper's Table 2 as rows with the range that rounding leaves, and the averages that follow."""
    paper = paper_numbers()
    errors = paper[(paper["item"] == "Table 2") & (paper["unit"] == "kcal/mol")]
    gains = printed_gains(errors, ROUNDING)
    means = gains.groupby(["dataset", "metric"])[["value", "low", "high"]].mean().reset_index()
    means = means.assign(model=AVERAGE, pretrained="improvement", unit="%")
    errors = errors.assign(low=errors["value"] - ROUNDING, high=errors["value"] + ROUNDING)
    rows = pd.concat([errors, gains, means], ignore_index=True)
    return rows.assign(item="Table 2", system="", subset="", share=1.0, sigma=NAN)


def verdicts(rows: pd.DataFrame, suite: str) -> pd.DataFrame:
    """The verdicts on the claims about the items of ``rows``, a table of one notebook, for reading."""
    named, out = with_paper_names(rows, suite), []
    for _, claim in load_claims().iterrows():
        if set(claim["item"].split("|")) & set(rows["item"]):
            ours = decide(claim, named)
            out.append({"the paper claims": claim["statement"], "verdict": ours.verdict, "why": ours.why})
    return pd.DataFrame(out, columns=["the paper claims", "verdict", "why"]).set_index("the paper claims")


def ledger(rows: pd.DataFrame) -> pd.DataFrame:
    """Every claim with our verdict, our number and interval, and whether the paper's own printed numbers bear it out.

    Args:
        rows: of all tables of a scale, with the paper's names (`with_paper_names`).
    """
    own, out = paper_rows(), []
    for _, claim in load_claims().iterrows():
        ours = decide(claim, rows)
        out.append({
            "claim": claim["claim"], "place": claim["place"], "statement": claim["statement"], "verdict": ours.verdict,
            "value": ours.value, "low": ours.low, "high": ours.high, "unit": claim["unit"], "why": ours.why,
            "n_seeds": select(claim, rows)["n_seeds"].min() if len(rows) else NAN,
            "the paper's own numbers": consistent(claim, own), "note": claim["note"],
        })  # fmt: skip
    return pd.DataFrame(out)


def consistent(claim: pd.Series, own: pd.DataFrame) -> str:
    """Whether the numbers that the paper prints bear ``claim`` out: yes, no, or not printed."""
    found = select(claim, own)
    if claim["note"].startswith(OURS):
        return "not claimed"
    if not len(found):
        return "not printed"
    if claim["test"] == "average_gain":
        half = 0.5 * 10.0 ** -len(claim["threshold"].partition(".")[2])
        low, high = found["low"].mean() - half, found["high"].mean() + half
        return "yes" if low <= float(claim["threshold"]) <= high else f"no: {found['value'].mean():.1f}"
    if claim["test"] == "every_gain":
        gains = improvements(found)
        certain, possible = (gains["low"] > float(claim["threshold"])).all(), gains["high"] > float(claim["threshold"])
        return "yes" if certain else "yes, within rounding" if possible.all() else "no"
    verdict = RULES[claim["test"]](found, float(claim["threshold"] or "nan"), claim["model"].split("|"))
    return "yes" if verdict.verdict == REPRODUCED else f"no: {verdict.why}"
