"""What a rule is, and what a claim hands to it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pandas as pd

from lib.report.evidence import Case
from lib.report.statistics import Estimate
from lib.report.verdicts import ONLY_SCRATCH, ONLY_TUNED, SMALLER, UNTESTED, Outcome

BLANK = (False, False)  # neither arm learnt


@dataclass(frozen=True)
class Question:
    """What a claim asks of the evidence.

    Attributes:
        models: those that the claim names; empty where it names none.
        threshold: the number that the claim prints, or that we read into it; NaN where there is none.
    """

    models: tuple[str, ...] = ()
    threshold: float = float("nan")


@dataclass(frozen=True)
class Rule:
    """A rule, and what it has to be given.

    Attributes:
        name: as in ``claims.csv``.
        decide: what it makes of the cases (or, where ``of_rows``, of the rows) that the claim is about.
        between_models: it compares models, so it is given all of them, whichever the claim names.
        of_size: it speaks of the size of a gain, which an arm that learnt nothing does not have.
        of_learning: it asks whether anything was learnt, so it is given the cases where nothing was.
        of_rows: it looks at tidy rows that are no comparison of arms: equation 8, cost.
        bounded: it can do with models that learnt nothing.
    """

    name: str
    decide: Callable[[Question, Sequence[Case]], Outcome] | Callable[[Question, pd.DataFrame], Outcome] = field(
        repr=False
    )
    between_models: bool = False
    of_size: bool = False
    of_learning: bool = False
    of_rows: bool = False
    bounded: bool = False


@dataclass(frozen=True)
class Part:
    """One of the comparisons that a statement is made of.

    Attributes:
        name: for reading.
        estimate: of what should be positive.
        n_seeds: of what decides.
        borrowed: whether a case of one seed that decides borrows the spread of others' seeds.
    """

    name: str
    estimate: Estimate
    n_seeds: int
    borrowed: bool = False


def part_of(name: str, estimate: Estimate, cases: Sequence[Case]) -> Part:
    """The part that is estimated from ``cases`` that are compared: one of a single seed makes all of it borrowed."""
    return Part(name, estimate, seeds_of(cases), len({min(case.n_seeds, 2) for case in cases}) > 1)


def seeds_of(cases: Sequence[Case]) -> int:
    """The most seeds of one of the ``cases``: one where all have one."""
    return max(case.n_seeds for case in cases)


def mostly_borrowed(cases: Sequence[Case]) -> bool:
    """Whether most of the ``cases`` have a single seed, while others have several."""
    single = sum(case.n_seeds == 1 for case in cases)
    return len(cases) < 2 * single < 2 * len(cases)


def size_with(size: str, cases: Sequence[Case]) -> str:
    """The ``size``, or which arm alone learnt in one of the ``cases``: then a gain has none.

    Where nothing was learnt from scratch, the gain is too large if anything, so one that is smaller stays so.
    """
    if any(case.learnt == (False, True) for case in cases):
        return size if size in ("", SMALLER) else ONLY_TUNED
    return ONLY_SCRATCH if size and any(case.learnt == (True, False) for case in cases) else size


def untested(why: str) -> Outcome:
    """Nothing to decide from."""
    return Outcome(word=UNTESTED, why=why)
