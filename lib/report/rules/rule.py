"""What a rule is, and what a claim hands to it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pandas as pd

from lib.report.evidence import Case
from lib.report.verdicts import ONLY_SCRATCH, ONLY_TUNED, UNTESTED, Outcome

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


def one_arm(cases: Sequence[Case]) -> str:
    """Which arm alone learnt in one of the ``cases``, in the words of a size; empty where both did in all."""
    if any(case.learnt == (False, True) for case in cases):
        return ONLY_TUNED
    return ONLY_SCRATCH if any(case.learnt == (True, False) for case in cases) else ""


def seeds_of(cases: Sequence[Case]) -> int:
    """The fewest seeds of the ``cases``."""
    return min(case.n_seeds for case in cases)


def untested(why: str) -> Outcome:
    """Nothing to decide from."""
    return Outcome(word=UNTESTED, why=why)
