"""The words of a verdict, and how an estimate earns them.

A verdict says two things apart. Its **sign**: does the statement hold? `CERTAIN` and `AGAINST` need a two-sided p-value
of `LEVEL`, which a 95 % interval on one side of zero has, `LIKELY` and `UNLIKELY` one of `LIKELY_LEVEL`; else it is
`UNKNOWN`. From one seed nothing is certain: `SEEN_ONCE`; nor where most cases of a mean, or one of a comparison, have
one seed and borrow the spread of others', nor where cases are missing that could change it. Its **size**, where the
paper prints one: ours `AGREES` where the whole 95 % interval lies within `MARGIN` of the printed number, is `SMALLER`
or `LARGER` where the whole interval lies to one side of it, and `SIZE_UNKNOWN` where the interval is wider than that.
Where one arm learnt nothing, a gain has no size, `ONLY_TUNED` or `ONLY_SCRATCH`, but for one that is `SMALLER` although
nothing was learnt from scratch.

Of some fifty verdicts at 5 % a few would be certain by chance: `adjusted` says for each p-value how large a share of
false ones there may be among those at least as small. Words of sizes and of trials are not adjusted.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.stats import false_discovery_control

CERTAIN, LIKELY, UNKNOWN, UNLIKELY, AGAINST = "certain", "likely", "unknown", "unlikely", "against"
SEEN_ONCE, NO_EVIDENCE, UNTESTED = "one seed", "no evidence", "not tested"
SIGNS = (CERTAIN, LIKELY, UNKNOWN, UNLIKELY, AGAINST, SEEN_ONCE, NO_EVIDENCE, UNTESTED)
AGREES, SMALLER, LARGER, SIZE_UNKNOWN = "agrees", "smaller", "larger", "unknown"
ONLY_TUNED, ONLY_SCRATCH = "only pre-trained learns", "only from scratch learns"
SIZES = (AGREES, SMALLER, LARGER, SIZE_UNKNOWN, ONLY_TUNED, ONLY_SCRATCH)
MARGIN = 10.0  # percentage points of improvement: about what the paper's own 16 differ by (standard deviation 9)
LEVEL, LIKELY_LEVEL = 0.05, 0.2  # of two-sided p-values
NAN = float("nan")


@dataclass(frozen=True)
class Outcome:
    """What a rule makes of the evidence.

    Attributes:
        value: the number that decides, with its 95 % interval ``low`` to ``high``; NaN where there is none.
        low: see ``value``.
        high: see ``value``.
        p_for: one-sided p-value for the statement; NaN where nothing was estimated.
        p_against: one-sided p-value for its opposite.
        size: one of `SIZES`, empty where the statement has none.
        n_seeds: of what decides.
        why: in words.
        complete: whether every case of the paper counts; without all of them nothing is certain.
        of_every: whether the statement is about every case, so that one speaks against it whatever is missing.
        borrowed: whether most cases of a mean, or one of a comparison, have one seed and borrow the spread of others'.
        comparisons: by how many ``p_against`` was multiplied.
        word: the sign where no p-value decides it.
    """

    value: float = NAN
    low: float = NAN
    high: float = NAN
    p_for: float = NAN
    p_against: float = NAN
    size: str = ""
    n_seeds: int = 0
    why: str = ""
    complete: bool = True
    of_every: bool = False
    borrowed: bool = False
    comparisons: int = 1
    word: str = ""

    @property
    def p(self) -> float:
        """The two-sided p-value; NaN where there is none to be judged (one seed, or a word already)."""
        if self.word or self.n_seeds == 1:
            return NAN
        return float(np.minimum(1.0, 2 * np.fmin(self.p_for, self.p_against)))


def sign_of(outcome: Outcome) -> str:
    """The sign of ``outcome``."""
    if outcome.word:
        return outcome.word
    if outcome.n_seeds == 1:
        return SEEN_ONCE
    if 2 * outcome.p_for <= LEVEL:
        return CERTAIN if outcome.complete and not outcome.borrowed else LIKELY
    if 2 * outcome.p_against <= LEVEL:
        decided = outcome.complete or outcome.of_every
        return AGAINST if decided and not outcome.borrowed else UNLIKELY
    if 2 * outcome.p_for <= LIKELY_LEVEL:
        return LIKELY
    return UNLIKELY if 2 * outcome.p_against <= LIKELY_LEVEL else UNKNOWN


def other_signs(outcome: Outcome, draws: int) -> tuple[str, ...]:
    """Signs that another ``draws`` replicates might give, where p lies within two standard errors of a level.

    A share p of R replicates has the standard error √(p (1 - p) / R); times k, where p was multiplied by k.
    """
    if np.isnan(outcome.p):
        return ()
    times = np.array([1, outcome.comparisons])
    p = np.array([outcome.p_for, outcome.p_against])
    error = times * np.sqrt(p / times * (1 - p / times) / draws)
    moved = ((p + 2 * k * error).clip(0, 1) for k in (-1, 1))
    signs = [sign_of(replace(outcome, p_for=float(a), p_against=float(b))) for a, b in moved]
    return tuple(dict.fromkeys(sign for sign in signs if sign != sign_of(outcome)))


def size_of(low: float, high: float, printed: float, margin: float = MARGIN) -> str:
    """The size of an improvement with the interval ``low`` to ``high`` beside the ``printed`` one, all in per cent."""
    if np.isnan(printed):
        return ""
    if printed - margin <= low and high <= printed + margin:
        return AGREES
    if high < printed:
        return SMALLER
    return LARGER if low > printed else SIZE_UNKNOWN


def size_above(low: float, high: float, printed: float) -> str:
    """The same of a printed *more than*: any improvement above ``printed`` agrees."""
    return AGREES if low > printed else SMALLER if high < printed else SIZE_UNKNOWN


def adjusted(p_values: Sequence[float]) -> NDArray[np.float64]:
    """The false-discovery rate at which each of the ``p_values`` (m,) would still stand; NaN are no tests.

    Benjamini, Hochberg 1995, J. R. Stat. Soc. B 57, 289: for p_(k) of m, ascending, the least p_(j) m / j, j >= k.
    """
    p = np.asarray(p_values, dtype=np.float64)
    out, tested = np.full(len(p), NAN), ~np.isnan(p)
    out[tested] = false_discovery_control(p[tested])
    return out
