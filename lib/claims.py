"""The ledger: every claim of the paper, decided by a rule from tidy rows, ours or the paper's own.

``data/paper/claims.csv`` has a claim a row, with its place, the rule (``test``, a name of `TESTS`) and the rows that
the rule looks at. Verdicts: `REPRODUCED`, `DIRECTION` (the sign is right, the size is not, or not in every case),
`FAILED`, `NO_EVIDENCE` (nothing was learnt there by either arm) and `UNTESTED`.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import pandas as pd

from lib.datasets import label, paper_names
from lib.matrix import MATRIX
from lib.models import MODELS
from lib.paths import DATA
from lib.scales import get_scale
from lib.tables import AVERAGE, COLUMNS, DETAILS, LEARNT, paper_numbers, printed_gains

REPRODUCED, DIRECTION, FAILED = "reproduced", "direction only", "not reproduced"
NO_EVIDENCE, UNTESTED = "no evidence", "not tested"
VERDICTS = (REPRODUCED, DIRECTION, FAILED, NO_EVIDENCE, UNTESTED)
ITEMS = {"Table 2": "Table 2", "Figure 2a": "Figure 2, ISO17", "Figure 2b": "Figure 2, ISO17",
         "Figure 2c": "Figure 2, SPICE", "Figure 2d": "Figure 2, SPICE",
         **{item: item for item in ("Figure 3", "Figure 4", "Figure 5")}}  # fmt: skip
CELL = ("dataset", "system", "model", "share", "sigma")
SELECTORS = ("item", "dataset", "system", "subset", "model", "metric", "share")
OURS = "our question"  # begins the note of what the paper does not say in so many words
ROUNDING = 0.005  # of the errors in Table 2
NAN = float("nan")


@dataclass(frozen=True)
class Verdict:
    """What a rule found: the number that decides, its 95 % interval where it has one, and why in words."""

    verdict: str
    value: float = NAN
    low: float = NAN
    high: float = NAN
    why: str = ""


def load_claims() -> pd.DataFrame:
    """The claims, a row each."""
    return pd.read_csv(DATA / "paper" / "claims.csv", dtype=str, keep_default_na=False)


def decide(claim: pd.Series, rows: pd.DataFrame, expected: pd.DataFrame | None = None) -> Verdict:
    """The verdict on ``claim`` from ``rows`` of `tables.comparison_table`, data sets by the paper's names.

    Cells where nothing was learnt do not count. Where some of the ``expected`` cells (`whole_matrix`) do not count or
    are missing, a claim is at best `DIRECTION`; where fewer than half count, it is `UNTESTED`.
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
    verdict = TESTS[claim["test"]](found, float(claim["threshold"] or "nan"), claim["model"].split("|"))
    if counted < wanted:
        capped = DIRECTION if verdict.verdict == REPRODUCED else verdict.verdict
        verdict = replace(verdict, verdict=capped, why=f"{verdict.why}; {counted} of {wanted} cells count")
    return verdict


@cache
def whole_matrix() -> pd.DataFrame:
    """The cells of the paper's figures and tables, one a row, by the paper's names."""
    names, rows = paper_names("official"), []
    for item, group in ITEMS.items():
        for cell in (c for c in MATRIX[group](get_scale("paper")) if c.pretrained):
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


def _gains(rows: pd.DataFrame) -> pd.DataFrame:
    return rows[rows["pretrained"] == "improvement"]


def _gains_by_model(rows: pd.DataFrame) -> pd.DataFrame:
    """The improvements, a column per model, of the cases that every model has."""
    keys = ["dataset", "system", "metric"]
    return _gains(rows).pivot_table(index=keys, columns="model", values="value").dropna()


def average_gain(rows: pd.DataFrame, threshold: float, _: list[str]) -> Verdict:
    """The improvement, mean over rows, is certainly positive, and reaches the printed one within its interval."""
    return _size(rows, f"printed {threshold:g} %", lambda low, high: low > 0 and high >= threshold)


def more_than(rows: pd.DataFrame, threshold: float, _: list[str]) -> Verdict:
    """The improvement, mean over rows, is certainly larger than the printed one."""
    return _size(rows, f"printed: more than {threshold:g} %", lambda low, _high: low > threshold)


def _size(rows: pd.DataFrame, printed: str, reached: Callable[[float, float], bool]) -> Verdict:
    gains = _gains(rows)
    value, low, high = (float(gains[key].mean()) for key in ("value", "low", "high"))
    verdict = FAILED if value <= 0 else REPRODUCED if reached(low, high) else DIRECTION
    return Verdict(verdict, value, low, high, f"{value:.1f} % lower, {printed}")


def every_gain(rows: pd.DataFrame, threshold: float, _: list[str]) -> Verdict:
    """Every improvement is certainly above the threshold; direction only where none is certainly below zero and their
    mean is above it.
    """
    gains = _gains(rows)
    above, positive = (gains["low"] > threshold).sum(), (gains["value"] > 0).sum()
    worst = gains.loc[gains["value"].idxmin()]
    refuted = (gains["high"] < 0).any() or gains["value"].mean() <= 0
    verdict = REPRODUCED if above == len(gains) else FAILED if refuted else DIRECTION
    why = (f"{above} of {len(gains)} improvements above {threshold:g} % with their interval, {positive} above 0; "
           f"least: {worst['model']} {worst['dataset']} {worst['system']} {worst['metric']}")  # fmt: skip
    return Verdict(verdict, *(float(worst[key]) for key in ("value", "low", "high")), why)


def largest_gain(rows: pd.DataFrame, _: float, models: list[str]) -> Verdict:
    """The model has the largest improvement on every data set and metric, or by the mean over all (direction)."""
    wide = _gains_by_model(rows)
    if models[0] not in wide or wide.shape[1] < 2 or not len(wide):
        return Verdict(UNTESTED, why="no case that several models have")
    first = wide.idxmax(axis=1) == models[0]
    mean = wide.mean()
    verdict = REPRODUCED if first.all() else DIRECTION if mean.idxmax() == models[0] else FAILED
    return Verdict(verdict, float(mean[models[0]]), why=f"first in {first.sum()} of {len(first)} cases; by the mean "
                   f"{mean.idxmax()} gains most ({mean.max():.1f} %)")  # fmt: skip


def group_gain(rows: pd.DataFrame, _: float, models: list[str]) -> Verdict:
    """Each of the models gains more than each other one (mean over data and metrics), or they do on average."""
    mean = _gains_by_model(rows).mean()
    inside, outside = mean[mean.index.isin(models)], mean[~mean.index.isin(models)]
    if not len(inside) or not len(outside):
        return Verdict(UNTESTED, why="only one of the two groups of models was run")
    verdict = REPRODUCED if inside.min() > outside.max() else DIRECTION if inside.mean() > outside.mean() else FAILED
    return Verdict(verdict, float(inside.mean()), why=f"{inside.mean():.1f} % against {outside.mean():.1f} %")


def cheap_reaches(rows: pd.DataFrame, _: float, models: list[str]) -> Verdict:
    """On every data set a pre-trained model of the group has a lower error than every (or any) other from scratch."""
    best, worst, cases = 0, 0, 0
    for _key, group in rows.groupby("dataset"):
        cheap = group[group["model"].isin(models) & (group["pretrained"] == "yes")]["value"]
        others = group[~group["model"].isin(models) & (group["pretrained"] == "no")]["value"]
        if len(cheap) and len(others):
            cases, best, worst = cases + 1, best + (cheap.min() < others.min()), worst + (cheap.min() < others.max())
    if not cases:
        return Verdict(UNTESTED, why="only one of the two groups of models was run")
    verdict = REPRODUCED if best == cases else DIRECTION if worst == cases else FAILED
    return Verdict(verdict, why=f"better than the best elaborate model on {best} and than the worst on {worst} "
                   f"of {cases} data sets")  # fmt: skip


def less_data(rows: pd.DataFrame, _: float, __: list[str]) -> Verdict:
    """5 % of the data with pre-training have a lower error than 50 % without; 20 % without for the direction."""
    tuned = rows[(rows["pretrained"] == "yes") & (rows["share"] == 0.05)]
    scratch = rows[rows["pretrained"] == "no"].set_index("share")["value"]
    if not len(tuned) or 0.5 not in scratch:
        return Verdict(UNTESTED, why="5 % pre-trained and 50 % from scratch are not both there, or nothing was learnt")
    one = tuned.iloc[0]
    if one["high"] >= scratch[0.5] and 0.2 not in scratch:
        return Verdict(UNTESTED, why="20 % from scratch are not there, or nothing was learnt")
    verdict = REPRODUCED if one["high"] < scratch[0.5] else DIRECTION if one["value"] < scratch[0.2] else FAILED
    others = ", ".join(f"{value:.2f} with {100 * share:g} %" for share, value in scratch.items())
    return Verdict(verdict, one["value"], one["low"], one["high"], f"from scratch: {others}")


def flat(rows: pd.DataFrame, threshold: float, _: list[str]) -> Verdict:
    """From scratch the error falls by less than the threshold (per cent) from the smallest to the largest share."""
    scratch = rows[rows["pretrained"] == "no"].set_index("share")["value"].sort_index()
    if len(scratch) < 2:
        return Verdict(UNTESTED, why="fewer than two shares")
    fall = 100 * (1 - scratch.iloc[-1] / scratch.iloc[0])
    why = f"{fall:.1f} % lower from {100 * scratch.index[0]:g} % to {100 * scratch.index[-1]:g} % of the data"
    return Verdict(REPRODUCED if fall < threshold else FAILED, fall, why=why)


def poor(rows: pd.DataFrame, threshold: float, _: list[str]) -> Verdict:
    """Neither arm explains the threshold (R²) of the variance."""
    learnt = (rows["evidence"] == "yes").any()
    return Verdict(
        FAILED if learnt else REPRODUCED, why=f"an arm reaches R² {threshold:g}: {'yes' if learnt else 'no'}"
    )


def best_sigma(rows: pd.DataFrame, threshold: float, _: list[str]) -> Verdict:
    """The lowest error is at σ = threshold in every metric, or inside 0.05 to 0.5 Å (direction)."""
    tuned = rows[rows["pretrained"] == "yes"]
    best = tuned.loc[tuned.groupby("metric")["value"].idxmin()].set_index("metric")["sigma"]
    inside = best.between(0.05, 0.5).all()
    verdict = REPRODUCED if (best == threshold).all() else DIRECTION if inside else FAILED
    return Verdict(verdict, float(best.mean()), why=", ".join(f"{m}: best at {s:g} Å" for m, s in best.items()))


def sigma_gain(rows: pd.DataFrame, threshold: float, models: list[str]) -> Verdict:
    """`every_gain` at each σ up to the threshold."""
    return every_gain(rows[rows["sigma"] <= threshold], 0.0, models)


def sigma_harm(rows: pd.DataFrame, threshold: float, _: list[str]) -> Verdict:
    """At σ = threshold the error is certainly higher than from scratch; direction: higher."""
    gains = _gains(rows)
    at = gains[gains["sigma"] == threshold]
    if not len(at):
        return Verdict(UNTESTED, why=f"σ = {threshold:g} Å was not run")
    value, low, high = (float(at[key].mean()) for key in ("value", "low", "high"))
    verdict = REPRODUCED if high < 0 else DIRECTION if value < 0 else FAILED
    best = gains.groupby("metric")["value"].max().mean()
    way = "higher" if value < 0 else "lower"
    why = f"error {abs(value):.1f} % {way} than from scratch; at the best σ {best:.1f} % lower"
    return Verdict(verdict, value, low, high, why)


def correlation(rows: pd.DataFrame, threshold: float, _: list[str]) -> Verdict:
    """Every correlation's interval lies above the threshold."""
    worst = rows.loc[rows["value"].idxmin()]
    above = (rows["low"] > threshold).all()
    verdict = REPRODUCED if above else DIRECTION if (rows["value"] > threshold).all() else FAILED
    return Verdict(verdict, *(float(worst[key]) for key in ("value", "low", "high")),
                   f"least: {worst['model']}, {worst['value']:.2f}")  # fmt: skip


TESTS: dict[str, Callable[[pd.DataFrame, float, list[str]], Verdict]] = {
    test.__name__: test
    for test in (average_gain, more_than, every_gain, largest_gain, group_gain, cheap_reaches, less_data, flat, poor,
                 best_sigma, sigma_gain, sigma_harm, correlation)
}  # fmt: skip
BETWEEN_MODELS = ("largest_gain", "group_gain", "cheap_reaches")


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
        gains = _gains(found)
        certain, possible = (gains["low"] > float(claim["threshold"])).all(), gains["high"] > float(claim["threshold"])
        return "yes" if certain else "yes, within rounding" if possible.all() else "no"
    verdict = TESTS[claim["test"]](found, float(claim["threshold"] or "nan"), claim["model"].split("|"))
    return "yes" if verdict.verdict == REPRODUCED else f"no: {verdict.why}"
