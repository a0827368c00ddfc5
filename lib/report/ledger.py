"""The ledger: every claim with its verdict, the number that decides, and whether the paper's own numbers bear it out.

Each finding counts once in the `summary`, with the weakest of its rows, and once in the control of false discoveries
(`verdicts.adjusted`), with the largest p-value of its rows.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from lib.data.datasets import paper_names
from lib.paths import FIGURES
from lib.report.claims import RECOMPUTED, Claim, cases_of, decide, load_claims
from lib.report.evidence import Case, gather
from lib.report.statistics import REPLICATES, Comparison, Sample
from lib.report.tables import COLUMNS, DETAILS, paper_numbers
from lib.report.verdicts import (
    AGAINST,
    CERTAIN,
    LEVEL,
    LIKELY,
    NO_EVIDENCE,
    SEEN_ONCE,
    SIGNS,
    UNKNOWN,
    UNLIKELY,
    UNTESTED,
    Outcome,
    adjusted,
    other_signs,
    sign_of,
)
from lib.study.scale import SIGMA, Scale
from lib.study.scales import get_scale

NOT_CLAIMED, BY_CONSTRUCTION = "not claimed", "yes, being made of them"  # of the paper's own numbers
ROUNDING = 0.005  # kcal/mol, of the errors in Table 2
WEAKEST_FIRST = (UNTESTED, NO_EVIDENCE, AGAINST, UNLIKELY, UNKNOWN, SEEN_ONCE, LIKELY, CERTAIN)


def ledger(scale: Scale, measured: pd.DataFrame, cases: Sequence[Case] | None = None) -> pd.DataFrame:
    """Every claim with its verdict.

    Args:
        scale: whose runs decide.
        measured: rows of equation 8 and of cost (`measured_rows`).
        cases: None takes all runs that are recorded or stored (`evidence.gather`).
    """
    claims, own = load_claims(), paper_cases()
    cases = gather(scale) if cases is None else cases
    outcomes = [decide(claim, cases, measured) for claim in claims]
    q = _by_finding(claims, outcomes)
    rows = []
    for claim, outcome in zip(claims, outcomes, strict=True):
        rows.append({
            "claim": claim.claim, "finding": claim.finding, "place": claim.place, "statement": claim.statement,
            "sign": sign_of(outcome), "size": outcome.size, "value": outcome.value, "low": outcome.low,
            "high": outcome.high, "unit": claim.unit,
            "printed": claim.number if claim.rule.of_size else np.nan, "p": outcome.p, "q": q[claim.finding],
            "n_seeds": outcome.n_seeds or np.nan,
            "close to": ", ".join(other_signs(outcome, REPLICATES)),
            "why": outcome.why, "the paper's own numbers": consistent(claim, own), "note": claim.note,
        })  # fmt: skip
    return pd.DataFrame(rows)


def _by_finding(claims: Sequence[Claim], outcomes: Sequence[Outcome]) -> dict[str, float]:
    """The false-discovery rate at which each finding stands, by the largest p-value of its rows; NaN for no test."""
    largest: dict[str, float] = {}
    for claim, outcome in zip(claims, outcomes, strict=True):
        largest[claim.finding] = float(np.maximum(largest.get(claim.finding, 0.0), outcome.p))
    return dict(zip(largest, adjusted(list(largest.values())), strict=True))


def summary(table: pd.DataFrame) -> pd.DataFrame:
    """How many findings and rows of a `ledger` have which sign; ``stand``: findings with a false-discovery rate of
    `LEVEL` at most. A finding counts once, with the weakest sign of its rows.
    """
    order = {sign: k for k, sign in enumerate(WEAKEST_FIRST)}
    findings = table.groupby("finding", sort=False).agg({"sign": lambda s: min(s, key=order.__getitem__), "q": "first"})
    stand = findings[(findings["q"] <= LEVEL) & findings["sign"].isin((CERTAIN, AGAINST))]
    counts = {"findings": findings["sign"], "stand": stand["sign"], "rows": table["sign"]}
    return pd.DataFrame({k: v.value_counts().reindex(SIGNS, fill_value=0) for k, v in counts.items()})


def verdicts(scale: str, items: Iterable[str]) -> pd.DataFrame:
    """The verdicts on the claims about ``items``, for reading at the end of their notebook.

    All runs that are recorded or stored decide, as in the whole ledger, of which these are rows.
    """
    claims = [claim for claim in load_claims() if set(claim.select["item"]) & set(items)]
    cases = gather(get_scale(scale), {item for claim in claims for item in claim.select["item"]})
    outcomes, measured = [], measured_rows(scale)
    for claim in claims:
        outcome = decide(claim, cases, measured)
        outcomes.append({
            "claim or question": claim.statement, "sign": sign_of(outcome), "size": outcome.size,
            "value": outcome.value, "low": outcome.low, "high": outcome.high, "why": outcome.why,
        })  # fmt: skip
    return pd.DataFrame(outcomes).set_index("claim or question")


def rounding(repeated: pd.DataFrame, cases: Sequence[Case], suite: str) -> pd.DataFrame:
    """What rounding does from machine to machine, a number of its own beside the intervals, which do not hold it.

    Args:
        repeated: runs trained again (`repetition.repeat`, ``table2_repeated.csv``).
        cases: of the scale (`evidence.gather`).
        suite: of the runs.

    Returns:
        A row for each arm that was trained again (kcal/mol) and its improvement (%): recorded, here, difference, and
        the interval of the mean over the recorded seeds.
    """
    by_case = {(c.model, c.dataset, c.metric): c for c in cases if c.item == "Table 2"}
    rows, names = [], paper_names(suite)
    for (model, dataset, metric), group in repeated.groupby(["model", "dataset", "metric"], sort=False):
        case = by_case.get((model, names[dataset], metric.removeprefix("test_")))
        arms = group.set_index("pretrained")
        if case is None or set(arms.index) != {"no", "yes"}:
            continue
        numbers = {arm: (arms.loc[arm, "recorded"], arms.loc[arm, "here"]) for arm in ("no", "yes")}
        numbers["improvement"] = tuple(100 * (1 - numbers["yes"][k] / numbers["no"][k]) for k in (0, 1))
        for (arm, (before, now)), ends in zip(numbers.items(), case.comparison.intervals(), strict=True):
            rows.append({"model": model, "dataset": case.dataset, "metric": case.metric, "pretrained": arm,
                         "unit": "%" if arm == "improvement" else "kcal/mol", "recorded": before, "here": now,
                         "difference": now - before, "low": ends.low, "high": ends.high,
                         "within the interval": ends.low <= now <= ends.high})  # fmt: skip
    return pd.DataFrame(rows)


def read_rows(paths: Iterable[Path]) -> pd.DataFrame:
    """The rows of those tables at ``paths`` that are there."""
    tables = [pd.read_csv(p, keep_default_na=False, na_values=["nan", ""]) for p in paths if p.exists()]
    if not tables:
        return pd.DataFrame(columns=[*COLUMNS, *DETAILS], dtype=object)
    rows = pd.concat(tables, ignore_index=True)
    return rows.assign(**{key: rows[key].astype(object).fillna("") for key in ("system", "subset") if key in rows})


def measured_rows(scale: str) -> pd.DataFrame:
    """Equation 8 (notebook 01) and cost (notebook 08) of ``scale``, those that are there: columns item, model, subset,
    value, low, high, p_above, p_below, n_seeds, why.
    """
    folder = FIGURES / scale
    parts = [read_rows([folder / "equation8.csv"])]
    if (folder / "table_s4.csv").exists():
        times = pd.read_csv(folder / "table_s4.csv")
        parts.append(pd.DataFrame({"item": "Cost", "model": times["model"], "value": times["milliseconds"],
                                   "subset": times["atoms"].map("{:g} atoms on a CPU".format)}))  # fmt: skip
    if (folder / "paper_cost.csv").exists():
        training = pd.read_csv(folder / "paper_cost.csv")
        costs = {"a GPU": training["GPU-hours"], "one thread": 1 / training["conformations/s, one thread"]}
        for where, values in costs.items():
            rows = pd.DataFrame({"item": "Cost", "model": training["model"], "value": values,
                                 "subset": training["task"] + f" trained on {where}"})  # fmt: skip
            parts.append(rows.dropna(subset="value"))
    rows = pd.concat(parts, ignore_index=True)
    words = [key for key in ("item", "model", "subset", "why") if key in rows]
    return rows.assign(**{key: rows[key].astype(object).fillna("") for key in words})


def paper_cases() -> list[Case]:
    """The paper's Table 2 as cases, whose draws are what the printed errors may have been before rounding."""
    paper = paper_numbers()
    errors = paper[(paper["item"] == "Table 2") & (paper["unit"] == "kcal/mol")]
    rng, cases = np.random.default_rng(0), []
    for (dataset, model, metric), rows in errors.groupby(["dataset", "model", "metric"], sort=False):
        printed = rows.set_index("pretrained")["value"]
        arms = []
        for arm in ("no", "yes"):
            draws = printed[arm] + rng.uniform(-ROUNDING, ROUNDING, (1, REPLICATES))
            arms.append(Sample(np.array([printed[arm]]), draws, np.zeros(REPLICATES), 1))
        cases.append(Case("Table 2", dataset, "", "", model, metric, 1.0, SIGMA, (True, True), Comparison(*arms)))
    return cases


def consistent(claim: Claim, own: Sequence[Case]) -> str:
    """Whether the numbers that the paper prints (`paper_cases`) bear ``claim`` out: yes, no, or not printed."""
    if not claim.of_paper:
        return NOT_CLAIMED
    if claim.rule.of_rows or not cases_of(claim, own):
        return "not printed"
    outcome = decide(claim, own, whole=False)
    if claim.note.startswith(RECOMPUTED):
        return BY_CONSTRUCTION
    if claim.rule.of_size:
        return _size_is_printed(claim, outcome)
    sure = 2 * outcome.p_for <= LEVEL
    return "yes" if sure else "yes, within rounding" if outcome.value > 0 else f"no: {outcome.why}"


def _size_is_printed(claim: Claim, outcome: Outcome) -> str:
    """The same of a size: the printed number lies within what rounding leaves of ours, or all of ours above it."""
    if claim.rule.name == "every_more_than":
        return {"agrees": "yes", "unknown": "yes, within rounding"}.get(outcome.size, f"no: {outcome.why}")
    half = 0.5 * 10.0 ** -len(claim.threshold.partition(".")[2])
    fits = outcome.low - half <= claim.number <= outcome.high + half
    return "yes" if fits else f"no: {outcome.value:.1f}"
