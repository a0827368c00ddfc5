"""Rules that look at measurements other than errors of arms: equation 8 and cost."""

from math import isnan

import pandas as pd

from lib.report.rules.rule import Question, Rule, untested
from lib.report.verdicts import SEEN_ONCE, Outcome


def above(question: Question, rows: pd.DataFrame) -> Outcome:
    """The measured number (the mean over networks where networks are asked) is above zero.

    Rows have p-values of their own, one-sided, for a number above zero and below it.

    Raises:
        ValueError: the claim has a threshold, for which there are no such values.
    """
    if not isnan(question.threshold):
        raise ValueError(f"the rule 'above' compares with zero, not with a threshold ({question.threshold:g})")
    if len(rows) != 1:
        return untested(f"{len(rows)} rows where one should decide")
    row = rows.iloc[0]
    return Outcome(
        row["value"], row["low"], row["high"], row["p_above"], row["p_below"], "", int(row["n_seeds"]), str(row["why"])
    )


def cheaper(question: Question, rows: pd.DataFrame) -> Outcome:
    """Each of the models costs less than each other one, whatever the size and the machine it was timed on.

    The number that decides is the smallest ratio of another's cost to one of theirs. Timed once on each machine, as
    from one seed.
    """
    wide = rows.pivot_table(index="subset", columns="model", values="value")
    inside = [m for m in wide.columns if m in question.models]
    outside = [m for m in wide.columns if m not in question.models]
    if not inside or not outside:
        return untested("only one of the two groups of models was timed")
    ratios = [
        (wide.loc[place, b] / wide.loc[place, a], f"{b} over {a}, {place}")
        for a in inside
        for b in outside
        for place in wide.index
    ]
    least, pair = min(ratios)
    why = f"{sum(ratio > 1 for ratio, _ in ratios)} of {len(ratios)} ratios above 1; least: {pair}"
    return Outcome(float(least), why=why, word=SEEN_ONCE, n_seeds=1)


RULES = (
    Rule("above", above, of_rows=True),
    Rule("cheaper", cheaper, between_models=True, of_rows=True),
)
