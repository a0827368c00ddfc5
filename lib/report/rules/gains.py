"""Rules about gains: on average, in every case, by model, and of which size."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from lib.report.evidence import Case, gain_of, samples_of
from lib.report.rules.rule import BLANK, Question, Rule, one_arm, seeds_of, untested
from lib.report.statistics import Array, Estimate, estimate
from lib.report.verdicts import NO_EVIDENCE, Outcome, size_above, size_of


def average_gain(question: Question, cases: Sequence[Case]) -> Outcome:
    """The mean improvement over the cases is above zero; its size is held against the printed one.

    Cases where nothing was learnt are counted as the worst and as the best of the others: the interval reaches from the
    lower end of the worst case to the upper end of the best.
    """
    blank = [case for case in cases if case.learnt == BLANK]
    if 2 * len(blank) >= len(cases):
        return Outcome(word=NO_EVIDENCE, why=f"{len(blank)} of {len(cases)} cases learnt nothing in either arm")
    whole = gain_of(cases)
    worst, best = (_bounded(cases, end) for end in (np.min, np.max)) if blank else (whole, whole)
    low, high = worst.interval().low, best.interval().high
    why = f"{whole.value:.1f} % lower"
    if blank:
        names, ends = ", ".join(case.model for case in blank), f"{worst.value:.1f} to {best.value:.1f} %"
        why += f"; {names} learnt nothing: as the worst and the best of the others, {ends}"
    single = sum(case.n_seeds == 1 for case in cases)
    if 0 < single < len(cases):
        why += f"; {single} of {len(cases)} cases have one seed and borrow the spread of the others'"
    size = size_of(low, high, question.threshold)
    return Outcome(whole.value, low, high, worst.p_above(), best.p_below(), size and (one_arm(cases) or size),
                   max(case.n_seeds for case in cases), why)  # fmt: skip


def _bounded(cases: Sequence[Case], end: Callable[..., Array]) -> Estimate:
    """The mean improvement with each case that learnt nothing put at the ``end`` (least or most) of the others."""
    blank = np.array([case.learnt == BLANK for case in cases])

    def mean(errors: Array) -> Array:
        """Mean improvement, blank cases at the end."""
        gains = 100 * (1 - errors[1::2] / errors[::2])
        gains[blank] = end(gains[~blank], axis=0)
        return gains.mean(0)

    return estimate(mean, samples_of(cases))


def more_than(question: Question, cases: Sequence[Case]) -> Outcome:
    """The mean improvement is above zero; its size agrees where it is certainly above the printed one."""
    whole = gain_of(cases)
    ends = whole.interval()
    size = one_arm(cases) or size_above(ends.low, ends.high, question.threshold)
    why = f"{whole.value:.1f} % lower, printed: more than {question.threshold:g} %"
    return Outcome(whole.value, ends.low, ends.high, whole.p_above(), whole.p_below(), size, seeds_of(cases), why)


def every_gain(_: Question, cases: Sequence[Case]) -> Outcome:
    """Every case gains: as certain as the least certain of them; against, where one is certainly below zero."""
    return all_of([(case.name, gain_of([case]), case.n_seeds) for case in cases])


def every_more_than(question: Question, cases: Sequence[Case]) -> Outcome:
    """Every case gains; the size agrees where each is above the printed one, is smaller where one is below it."""
    outcome, sizes = every_gain(question, cases), []
    for case in cases:
        ends = gain_of([case]).interval()
        sizes.append(size_above(ends.low, ends.high, question.threshold))
    below, above = sizes.count("smaller"), sizes.count("agrees")
    size = "smaller" if below else "agrees" if above == len(sizes) else "unknown"
    why = f"{above} of {len(sizes)} certainly above {question.threshold:g} %, {below} certainly below"
    return replace(outcome, size=one_arm(cases) or size, why=f"{why}; {outcome.why}")


def every_model(question: Question, cases: Sequence[Case]) -> Outcome:
    """Each model gains, by its mean improvement over data sets and metrics: a statement about models, not cells."""
    models = list(dict.fromkeys(case.model for case in cases))
    if len(models) < 2:
        return untested("only one model was run")
    own = {model: [case for case in cases if case.model == model] for model in models}
    outcome = all_of([(model, gain_of(group), seeds_of(group)) for model, group in own.items()])
    pairs = [(case.tuned.by_seed < case.scratch.by_seed) for case in cases if case.metric == cases[0].metric]
    gaining, runs = int(sum(p.sum() for p in pairs)), sum(len(p) for p in pairs)
    why = f"{gaining} of {runs} pairs of seeds gain in {cases[0].metric.upper()}; {outcome.why}"
    return replace(outcome, why=why)


def all_of(parts: Sequence[tuple[str, Estimate, int]]) -> Outcome:
    """A statement that every part (name, estimate, seeds) is above zero.

    It is as certain as its least certain part (the largest p-value: an intersection-union test); what speaks against it
    is the part that does so most, its p-value times the number of parts (Bonferroni). The value and interval are those
    of the part that decides, whose seeds count.
    """
    ends = [e.interval() for _, e, _ in parts]
    p_for, p_against = [e.p_above() for _, e, _ in parts], [e.p_below() for _, e, _ in parts]
    refuting = min(1.0, len(parts) * min(p_against))
    against = refuting < max(p_for)
    k = int(np.argmin(p_against)) if against else _least_certain(p_for, [e.value for _, e, _ in parts])
    certain, below = sum(i.low > 0 for i in ends), sum(i.high < 0 for i in ends)
    positive = sum(e.value > 0 for _, e, _ in parts)
    why = f"{positive} of {len(parts)} above 0, {certain} with the whole interval; {below} wholly below"
    if len(parts) > 1:
        why += f"; decided by {parts[k][0]}{f' (its p times {len(parts)})' if against else ''}"
    return Outcome(parts[k][1].value, ends[k].low, ends[k].high, max(p_for), refuting, "", parts[k][2], why)


def _least_certain(p_for: Sequence[float], values: Sequence[float]) -> int:
    """The part with the largest p-value; of several, the one with the smallest value."""
    return min(range(len(p_for)), key=lambda k: (-p_for[k], values[k]))


RULES = (
    Rule("average_gain", average_gain, of_size=True, bounded=True),
    Rule("more_than", more_than, of_size=True),
    Rule("every_gain", every_gain),
    Rule("every_more_than", every_more_than, of_size=True),
    Rule("every_model", every_model),
)
