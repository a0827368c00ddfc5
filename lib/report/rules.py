"""Rules that decide claims: each looks at tidy rows of one claim and says what they show.

Verdicts are `VERDICTS`. A sign or a size is *certain* where the 95 % interval says so; where an interval holds zero and
no case speaks against the claim, it is undecided, whatever the value. Rules between models have values to go by, and
the interval of the model that the claim names.
"""

from collections.abc import Callable
from dataclasses import dataclass

import pandas as pd

REPRODUCED, DIRECTION, UNDECIDED, FAILED = "reproduced", "direction only", "undecided", "not reproduced"
NO_EVIDENCE, UNTESTED = "no evidence", "not tested"
VERDICTS = (REPRODUCED, DIRECTION, UNDECIDED, FAILED, NO_EVIDENCE, UNTESTED)
SMALLEST = 0.5  # of a printed size: less is not that size, however wide the interval
NAN = float("nan")


@dataclass(frozen=True)
class Verdict:
    """What a rule found: the number that decides, its 95 % interval where it has one, and why in words."""

    verdict: str
    value: float = NAN
    low: float = NAN
    high: float = NAN
    why: str = ""


Rule = Callable[[pd.DataFrame, float, list[str]], Verdict]


def improvements(rows: pd.DataFrame) -> pd.DataFrame:
    """Those of ``rows`` that are improvements in per cent."""
    return rows[rows["pretrained"] == "improvement"]


def _by_model(rows: pd.DataFrame) -> pd.DataFrame:
    """The improvements, a column per model, of the cases that every model has."""
    keys = ["dataset", "system", "metric"]
    return improvements(rows).pivot_table(index=keys, columns="model", values=["value", "low"]).dropna()


def _sign(low: float, high: float) -> str:
    """What an interval says of a gain whose size is another question."""
    return DIRECTION if low > 0 else FAILED if high < 0 else UNDECIDED


def average_gain(rows: pd.DataFrame, threshold: float, _: list[str]) -> Verdict:
    """The improvement, mean over rows, is certainly positive; the printed one lies within its interval, and it is at
    least `SMALLEST` of that.
    """
    gains = improvements(rows)
    value, low, high = (float(gains[key].mean()) for key in ("value", "low", "high"))
    fits = low > 0 and low <= threshold <= high and value >= SMALLEST * threshold
    size = "more than" if low > threshold else "less than" if high < threshold else "compatible with"
    why = f"{value:.1f} % lower, {size} the printed {threshold:g} %"
    return Verdict(REPRODUCED if fits else _sign(low, high), value, low, high, why)


def more_than(rows: pd.DataFrame, threshold: float, _: list[str]) -> Verdict:
    """The improvement, mean over rows, is certainly larger than the printed one."""
    gains = improvements(rows)
    value, low, high = (float(gains[key].mean()) for key in ("value", "low", "high"))
    why = f"{value:.1f} % lower, printed: more than {threshold:g} %"
    return Verdict(REPRODUCED if low > threshold else _sign(low, high), value, low, high, why)


def every_gain(rows: pd.DataFrame, threshold: float, _: list[str]) -> Verdict:
    """Every improvement is certainly above the threshold; not, where one is certainly below it; direction only where at
    least half of them are certainly above zero.
    """
    gains = improvements(rows)
    above, positive = int((gains["low"] > threshold).sum()), int((gains["low"] > 0).sum())
    refuted = int((gains["high"] < threshold).sum())
    worst = gains.loc[gains["value"].idxmin()]
    partly = DIRECTION if 2 * positive >= len(gains) else UNDECIDED
    verdict = REPRODUCED if above == len(gains) else FAILED if refuted else partly
    names = [worst["model"], worst["dataset"], worst["system"], worst["metric"]]
    names += [f"σ = {worst['sigma']:g} Å"] if len(set(gains["sigma"].dropna())) > 1 else []
    names += [f"{100 * worst['share']:g} %"] if len(set(gains["share"])) > 1 else []
    why = f"{above} of {len(gains)} improvements certainly above {threshold:g} %, {refuted} certainly below"
    why += f", {(gains['value'] > 0).sum()} above 0; least: {' '.join(name for name in names if name)}"
    return Verdict(verdict, *(float(worst[key]) for key in ("value", "low", "high")), why)


def largest_gain(rows: pd.DataFrame, _: float, models: list[str]) -> Verdict:
    """The model has the largest improvement on every data set and metric, its intervals above the others' values; or by
    the mean over all (direction).
    """
    wide = _by_model(rows)
    values, lows = (wide[key] if len(wide) else wide for key in ("value", "low"))
    if models[0] not in values or values.shape[1] < 2:
        return Verdict(UNTESTED, why="no case that several models have")
    others = values.drop(columns=models[0]).max(axis=1)
    first, certain = values[models[0]] >= others, lows[models[0]] > others
    mean = values.mean()
    verdict = REPRODUCED if certain.all() else DIRECTION if mean.idxmax() == models[0] else FAILED
    why = f"first in {first.sum()} of {len(first)} cases, in {certain.sum()} certainly"
    why += f"; by the mean {mean.idxmax()} gains most ({mean.max():.1f} %)"
    return Verdict(verdict, float(mean[models[0]]), why=why)


def group_gain(rows: pd.DataFrame, _: float, models: list[str]) -> Verdict:
    """Each of the models gains more than each other one (mean over data and metrics), or they do on average."""
    wide = _by_model(rows)
    mean = wide["value"].mean() if len(wide) else pd.Series(dtype=float)
    inside, outside = mean[mean.index.isin(models)], mean[~mean.index.isin(models)]
    if not len(inside) or not len(outside):
        return Verdict(UNTESTED, why="only one of the two groups of models was run")
    verdict = REPRODUCED if inside.min() > outside.max() else DIRECTION if inside.mean() > outside.mean() else FAILED
    each = ", ".join(f"{model} {value:.0f}" for model, value in mean.items())
    return Verdict(verdict, float(inside.mean()), why=f"{inside.mean():.1f} % against {outside.mean():.1f} % ({each})")


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
    """5 % of the data with pre-training have a certainly lower error than 50 % without; than 20 % without for the
    direction; not, where it is certainly higher than with 50 %. Certain is where intervals do not overlap.
    """
    tuned = rows[(rows["pretrained"] == "yes") & (rows["share"] == 0.05)]
    scratch = rows[rows["pretrained"] == "no"].set_index("share")
    if not len(tuned) or 0.5 not in scratch.index:
        return Verdict(UNTESTED, why="5 % pre-trained and 50 % from scratch are not both there, or nothing was learnt")
    one, half = tuned.iloc[0], scratch.loc[0.5]
    points = 0.2 in scratch.index and one["high"] < scratch.loc[0.2, "low"]
    verdict = REPRODUCED if one["high"] < half["low"] else FAILED if one["low"] > half["high"] else UNDECIDED
    verdict = DIRECTION if verdict == UNDECIDED and points else verdict
    others = ", ".join(f"{row['value']:.2f} with {100 * share:g} %" for share, row in scratch.iterrows())
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
    learnt = (rows["evidence"] != "no").any()
    return Verdict(
        FAILED if learnt else REPRODUCED, why=f"an arm reaches R² {threshold:g}: {'yes' if learnt else 'no'}"
    )


def best_sigma(rows: pd.DataFrame, threshold: float, _: list[str]) -> Verdict:
    """The lowest error is at σ = threshold in every metric, or beside it (direction); not, where the error there is
    certainly above the lowest.
    """
    tuned = rows[rows["pretrained"] == "yes"]
    lowest = tuned.loc[tuned.groupby("metric")["value"].idxmin()].set_index("metric")
    at = tuned[tuned["sigma"] == threshold].set_index("metric")
    if len(at) < len(lowest):
        return Verdict(UNTESTED, why=f"σ = {threshold:g} Å was not run")
    best, steps = lowest["sigma"], sorted(tuned["sigma"].unique())
    near = [steps[k] for k in range(len(steps)) if abs(k - steps.index(threshold)) <= 1]
    refuted = (at["low"] > lowest["high"].reindex(at.index)).any()
    partly = FAILED if refuted else DIRECTION if best.isin(near).all() else UNDECIDED
    verdict = REPRODUCED if (best == threshold).all() else partly
    return Verdict(verdict, float(best.mean()), why=", ".join(f"{m}: best at {s:g} Å" for m, s in best.items()))


def sigma_gain(rows: pd.DataFrame, threshold: float, models: list[str]) -> Verdict:
    """`every_gain` at each σ up to the threshold."""
    return every_gain(rows[rows["sigma"] <= threshold], 0.0, models)


def sigma_harm(rows: pd.DataFrame, threshold: float, _: list[str]) -> Verdict:
    """At σ = threshold the error is certainly higher than from scratch."""
    gains = improvements(rows)
    at = gains[gains["sigma"] == threshold]
    if not len(at):
        return Verdict(UNTESTED, why=f"σ = {threshold:g} Å was not run")
    value, low, high = (float(at[key].mean()) for key in ("value", "low", "high"))
    verdict = REPRODUCED if high < 0 else FAILED if low > 0 else UNDECIDED
    best = gains.groupby("metric")["value"].max().mean()
    way = "higher" if value < 0 else "lower"
    why = f"error {abs(value):.1f} % {way} than from scratch; at the best σ {best:.1f} % lower"
    return Verdict(verdict, value, low, high, why)


def correlation(rows: pd.DataFrame, threshold: float, _: list[str]) -> Verdict:
    """Every value's interval lies above the threshold; not, where one lies below it."""
    worst = rows.loc[rows["value"].idxmin()]
    above, below = (rows["low"] > threshold).all(), (rows["high"] < threshold).any()
    verdict = REPRODUCED if above else FAILED if below else UNDECIDED
    return Verdict(verdict, *(float(worst[key]) for key in ("value", "low", "high")),
                   f"least: {worst['model']}, {worst['value']:.2f}")  # fmt: skip


RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (average_gain, more_than, every_gain, largest_gain, group_gain, cheap_reaches, less_data, flat, poor,
                 best_sigma, sigma_gain, sigma_harm, correlation)
}  # fmt: skip
BETWEEN_MODELS = ("largest_gain", "group_gain", "cheap_reaches")
OF_SIZE = ("average_gain", "more_than")  # an arm that learnt nothing makes a gain look larger than it is
