"""Rules about gains: on average, in every case, by model, and of which size."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from lib.report.evidence import Case, gain_of, samples_of
from lib.report.rules.rule import BLANK, Part, Question, Rule, mostly_borrowed, part_of, seeds_of, size_with, untested
from lib.report.statistics import Array, Estimate, estimate
from lib.report.verdicts import AGREES, LEVEL, NO_EVIDENCE, SIZE_UNKNOWN, SMALLER, Outcome, size_above, size_of


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
        why += f"; {names} learnt nothing: {ends} with the worst or the best gain of the others in its place"
    single = sum(case.n_seeds == 1 for case in cases)
    if 0 < single < len(cases):
        why += f"; {single} of {len(cases)} cases have one seed and borrow the spread of the others'"
    size = size_of(low, high, question.threshold)
    return Outcome(whole.value, low, high, worst.p_above(), best.p_below(), size_with(size, cases), seeds_of(cases),
                   why, borrowed=mostly_borrowed(cases))  # fmt: skip


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
    """The mean improvement is above the printed one."""
    whole, printed = gain_of(cases), question.threshold
    ends = whole.interval()
    size = size_with(size_above(ends.low, ends.high, printed), cases)
    why = f"{whole.value:.1f} % lower, printed: more than {printed:g} %"
    return Outcome(whole.value, ends.low, ends.high, whole.p_above(printed), whole.p_below(printed), size,
                   seeds_of(cases), why, borrowed=mostly_borrowed(cases))  # fmt: skip


def every_gain(_: Question, cases: Sequence[Case]) -> Outcome:
    """Every case gains: as certain as the least certain of them; against, where one is certainly below zero."""
    return all_of(_each(cases))


def _each(cases: Sequence[Case]) -> list[Part]:
    """The gain of each case."""
    return [Part(case.name, gain_of([case]), case.n_seeds) for case in cases]


def every_more_than(question: Question, cases: Sequence[Case]) -> Outcome:
    """Every case gains more than is printed; the size is smaller where one is certainly below that."""
    outcome, sizes = all_of(_each(cases), question.threshold), []
    for case in cases:
        ends = gain_of([case]).interval()
        sizes.append(size_above(ends.low, ends.high, question.threshold))
    below, above = sizes.count(SMALLER), sizes.count(AGREES)
    size = SMALLER if below else AGREES if above == len(sizes) else SIZE_UNKNOWN
    return replace(outcome, size=size_with(size, cases))


def every_model(question: Question, cases: Sequence[Case]) -> Outcome:
    """Each model gains, by its mean improvement over data sets and metrics: a statement about models, not cells."""
    models = list(dict.fromkeys(case.model for case in cases))
    if len(models) < 2:
        return untested("only one model was run")
    own = {model: [case for case in cases if case.model == model] for model in models}
    outcome = all_of([part_of(model, gain_of(group), group) for model, group in own.items()])
    pairs = [(case.tuned.by_seed < case.scratch.by_seed) for case in cases if case.metric == cases[0].metric]
    gaining, runs = int(sum(p.sum() for p in pairs)), sum(len(p) for p in pairs)
    why = f"{gaining} of {runs} pairs of seeds gain in {cases[0].metric.upper()}; {outcome.why}"
    return replace(outcome, why=why)


def all_of(parts: Sequence[Part], threshold: float = 0.0) -> Outcome:
    """A statement that every part is above ``threshold``.

    It is as certain as its least certain part (the largest p-value: an intersection-union test); what speaks against it
    is the part that does so most, its p-value times the number of parts, its interval that much wider (Bonferroni). The
    value and interval are those of the part that decides, whose seeds count.
    """
    estimates, count = [part.estimate for part in parts], len(parts)
    ends = [e.interval() for e in estimates]
    p_for, p_against = [e.p_above(threshold) for e in estimates], [e.p_below(threshold) for e in estimates]
    refuting = min(1.0, count * min(p_against))
    against = refuting < max(p_for)
    k = int(np.argmin(p_against)) if against else _least_certain(p_for, [e.value for e in estimates])
    certain, below = sum(i.low > threshold for i in ends), sum(i.high < threshold for i in ends)
    positive = sum(e.value > threshold for e in estimates)
    why = f"{positive} of {count} above {threshold:g}, {certain} with the whole interval; {below} wholly below"
    shown = estimates[k].interval(LEVEL / count) if against else ends[k]
    if count > 1:
        corrected = f" (p-value and interval corrected for {count} comparisons)" if against else ""
        why += f"; decided by {parts[k].name}{corrected}"
    return Outcome(estimates[k].value, shown.low, shown.high, max(p_for), refuting, "", parts[k].n_seeds, why,
                   of_every=True, borrowed=parts[k].borrowed, comparisons=count)  # fmt: skip


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
