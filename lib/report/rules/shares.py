"""Rules about less data: shares of the training conformations against each other."""

from collections.abc import Sequence
from dataclasses import replace

from lib.report.evidence import Case
from lib.report.rules.gains import all_of
from lib.report.rules.rule import BLANK, Part, Question, Rule, untested
from lib.report.statistics import Estimate, Sample, estimate
from lib.report.verdicts import AGAINST, CERTAIN, SEEN_ONCE, Outcome

FEW, TEN_TIMES = 0.05, 0.5  # of the training conformations, section 3.5


def _lower_by(before: Sample, after: Sample) -> Estimate:
    """How much lower the error is ``after``, in per cent of that ``before``."""
    return estimate(lambda errors: 100 * (1 - errors[1] / errors[0]), [before, after])


def less_data(_: Question, cases: Sequence[Case]) -> Outcome:
    """The error of 5 % of the data with pre-training is below that of 50 % without: the paired difference."""
    by_share = {case.share: case for case in cases}
    if FEW not in by_share or TEN_TIMES not in by_share:
        return untested("5 % and 50 % of the data are not both there")
    tuned, scratch = by_share[FEW], by_share[TEN_TIMES]
    outcome = all_of([Part("", _lower_by(scratch.scratch, tuned.tuned), min(tuned.n_seeds, scratch.n_seeds))])
    others = ", ".join(f"{case.scratch.centre:.2f} with {100 * share:g} %" for share, case in sorted(by_share.items()))
    why = f"{tuned.tuned.centre:.2f} pre-trained with 5 %; from scratch {others}"
    return replace(outcome, why=why)


def _ends(cases: Sequence[Case]) -> tuple[Case, Case] | None:
    """The cases of the smallest and of the largest share; None where there is one share."""
    ordered = sorted(cases, key=lambda case: case.share)
    return (ordered[0], ordered[-1]) if len({case.share for case in cases}) > 1 else None


def _in_words(few: float, first: Sample, many: float, last: Sample) -> str:
    """The errors at the smallest and the largest share."""
    return f"{first.centre:.2f} with {100 * few:g} %, {last.centre:.2f} with {100 * many:g} % of the data"


def flat(question: Question, cases: Sequence[Case]) -> Outcome:
    """From scratch the error falls by less than the threshold (per cent) from the smallest to the largest share."""
    ends = _ends(cases)
    if ends is None:
        return untested("fewer than two shares")
    few, many = ends
    fall = _lower_by(few.scratch, many.scratch)
    interval = fall.interval()
    why = _in_words(few.share, few.scratch, many.share, many.scratch)
    return Outcome(fall.value, interval.low, interval.high, fall.p_below(question.threshold),
                   fall.p_above(question.threshold), "", min(few.n_seeds, many.n_seeds), why)  # fmt: skip


def more_data_helps(_: Question, cases: Sequence[Case]) -> Outcome:
    """Pre-trained, the error falls from the smallest to the largest share."""
    ends = _ends(cases)
    if ends is None:
        return untested("fewer than two shares")
    few, many = ends
    outcome = all_of([Part("", _lower_by(few.tuned, many.tuned), min(few.n_seeds, many.n_seeds))])
    why = _in_words(few.share, few.tuned, many.share, many.tuned)
    return replace(outcome, why=why)


def poor(question: Question, cases: Sequence[Case]) -> Outcome:
    """Neither arm explains the threshold (R²) of the variance, by the means over seeds."""
    blank = all(case.learnt == BLANK for case in cases)
    seeds = min(case.n_seeds for case in cases)
    word = SEEN_ONCE if seeds == 1 else CERTAIN if blank else AGAINST
    why = f"an arm reaches R² {question.threshold:g}: {'no' if blank else 'yes'}"
    return Outcome(word=word, n_seeds=seeds, why=why)


RULES = (
    Rule("less_data", less_data),
    Rule("flat", flat, of_learning=True),
    Rule("more_data_helps", more_data_helps),
    Rule("poor", poor, of_learning=True),
)
