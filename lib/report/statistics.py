"""Estimates with 95 % intervals over seeds and test molecules: of an error, a gain, or any paired difference.

**Test molecules.** Both arms of a seed test the same conformations, and seeds have most test molecules in common (of
published ANI-1x few: there each seed has a split of its own). So each replicate draws molecules with replacement once,
for all seeds and all arms on these data; the interval is between percentiles, as in Efron, Tibshirani 1993, An
Introduction to the Bootstrap, chapter 13. Where molecules are few (ISO17's unknown isomers are
eight groups), what a draw changes is widened (`widening`) by what Student's t asks for.

**Seeds.** Two or three seeds drawn with replacement vary too little. So a replicate moves the logarithm of an arm's
mean by

    Σ_s (log e_s - mean log e) g_s / sqrt(n χ²),   g_s ~ N(0, 1), χ² with n - 1 degrees of freedom

for errors e_s of n seeds: any difference of arms then follows Student's t with n - 1 degrees of freedom, as it should.
All arms, models and metrics share the g_s and χ², so what seeds have in common cancels in pairs, and what they have not
averages out over models. Of one seed nothing is known about others: its interval is over test data only, unless it
borrows (`borrow`) the spread of other arms' seeds.

**Not counted twice.** What a seed's errors have to themselves (its own conformations, what it happens to do badly)
shows both in the spread of the seeds and in the draws of molecules. It is taken off the latter as far as the spread of
the seeds has it (`_common`).
"""

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f, norm, t

from lib.report.errors import BLOCKS, Errors, errors_of, groups_of

__all__ = ["BLOCKS", "Comparison", "Errors", "Estimate", "Interval", "Sample", "Spread",
           "average", "borrow", "compare", "errors_of", "estimate", "gain", "groups_of", "mean_of", "sample",
           "seed_of", "spread_of", "widening"]  # fmt: skip
REPLICATES = 10_000  # a share of 0.025 of them is known to 0.0016
TINY, FAR = 1e-300, 100.0  # errors of zero have a logarithm too; what two seeds move a logarithm by has no bound
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Interval:
    """``value`` with its 95 % interval ``low`` to ``high``."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Sample:
    """Mean test errors of one arm in one metric.

    Attributes:
        by_seed: (n,) of each seed.
        draws: (n, R) the same under draws of test molecules.
        moves: (R,) what other seeds might add to the logarithm of the mean.
        molecules: how many are drawn.
    """

    by_seed: Array
    draws: Array
    moves: Array
    molecules: int

    @staticmethod
    def of_seeds(by_seed: Array) -> "Sample":
        """A number (n,) of each seed that no test molecules decide."""
        logarithms = np.log(np.maximum(by_seed, TINY))
        moves = _seed_weights(len(by_seed)) @ (logarithms - logarithms.mean())
        return Sample(by_seed, np.repeat(by_seed[:, None], REPLICATES, axis=1), moves, 1)

    @property
    def centre(self) -> float:
        """The mean over seeds."""
        return float(self.by_seed.mean())

    def replicates(self, common: float) -> Array:
        """Means over seeds (R,), of the draws of molecules the share ``common`` in the standard deviation."""
        centre = max(self.centre, TINY)
        power = common * widening(self.molecules)
        return centre * (self.draws.mean(0) / centre) ** power * np.exp(np.clip(self.moves, -FAR, FAR))


@dataclass(frozen=True)
class Estimate:
    """A number ``value`` from the errors of several arms, and its ``replicates`` (R,)."""

    value: float
    replicates: Array

    def interval(self, level: float = 0.05) -> Interval:
        """The interval between percentiles that leaves out the share ``level``; NaN where there are no replicates."""
        known = self.replicates[np.isfinite(self.replicates)]
        low, high = np.percentile(known, [50 * level, 100 - 50 * level]) if len(known) else (np.nan, np.nan)
        return Interval(self.value, float(low), float(high))

    def p_above(self, threshold: float = 0.0) -> float:
        """One-sided p-value for a true number above ``threshold``: the share of replicates that are not above it."""
        known = self.replicates[np.isfinite(self.replicates)]
        return float((1 + (known <= threshold).sum()) / (1 + len(known)))

    def p_below(self, threshold: float = 0.0) -> float:
        """One-sided p-value for a true number below ``threshold``."""
        known = self.replicates[np.isfinite(self.replicates)]
        return float((1 + (known >= threshold).sum()) / (1 + len(known)))


def sample(errors: Sequence[Errors], metric: str, seed: int = 0) -> Sample:
    """Mean test errors of an arm.

    Args:
        errors: by seed.
        metric: one of `metrics.ERRORS`, with `metrics.OF_FORCES` before it where the errors are those of forces.
        seed: of the draws of molecules; arms with the same molecules and ``seed`` share their draws.
    """
    tested = np.unique(np.concatenate([e.molecule for e in errors]))
    weights, count = _drawn(tested.tobytes(), seed), len(tested)
    with np.errstate(invalid="ignore"):  # a draw that leaves a seed nothing to test is none
        draws = np.array([e.score(metric, weights) for e in errors])
    by_seed = np.array([e.score(metric, np.ones((1, weights.shape[1])))[0] for e in errors])
    logarithms = np.log(np.maximum(by_seed, TINY))
    moves = _seed_weights(len(errors)) @ (logarithms - logarithms.mean())
    return Sample(by_seed, draws, moves, count)


@lru_cache(maxsize=2)  # arms and metrics on the same data share them
def _drawn(tested: bytes, seed: int) -> Array:
    """How often each replicate draws each molecule, (R, all molecules), of those ``tested`` (int64)."""
    molecules = np.frombuffer(tested, dtype=np.int64)
    weights = np.zeros((REPLICATES, 1 + int(molecules.max())))
    share = np.full(len(molecules), 1 / len(molecules))
    weights[:, molecules] = np.random.default_rng(seed).multinomial(len(molecules), share, size=REPLICATES)
    return weights


def seed_of(name: str) -> int:
    """The seed of the draws of molecules of the data set ``name``, the same in every process."""
    return zlib.crc32(name.encode())


def estimate(function: Callable[[Array], Array], samples: Sequence[Sample]) -> Estimate:
    """The number that ``function`` makes of the errors (k, ...) of k arms, with its replicates.

    Draws of molecules count with the part that seeds have in common; where arms differ in their seeds, with all.
    """
    counts = {len(s.by_seed) for s in samples}
    common = 1.0
    if len(counts) == 1 and counts != {1}:
        draws, by_seed = (np.array([getattr(s, name) for s in samples]) for name in ("draws", "by_seed"))
        common = _common(function(draws), function(by_seed))
    value = function(np.array([s.centre for s in samples]))
    return Estimate(float(value), function(np.array([s.replicates(common) for s in samples])))


def _common(draws: Array, by_seed: Array) -> float:
    """The share in the standard deviation of the mean over seeds that they have in common, under ``draws`` (n, R).

    With variance v of a seed and covariance c of two, the mean has (v + (n - 1) c) / n, of which (v - c) / n is what
    seeds have to themselves. That is taken off as far as the spread of the numbers ``by_seed`` (n,) has it already.
    """
    known = draws[:, np.isfinite(draws).all(0)]
    whole = known.mean(0).var() if known.shape[1] > 1 else 0.0
    if whole == 0:
        return 1.0
    n = len(known)
    own = (known.var(1).mean() - whole) / (n - 1)
    twice = np.clip(own, 0, by_seed.var(ddof=1) / n)
    return float(np.sqrt(max(1 - twice / whole, 0)))


def mean_of(by_network: Array, draws: Array, units: int) -> Estimate:
    """The mean over networks of a number that is no error, with Student's t over networks and draws of what is tested.

    Args:
        by_network: (n,) of each network.
        draws: (n, R) the same under draws.
        units: how many are drawn.
    """
    value = by_network.mean()
    moved = widening(units) * (_common(draws, by_network) if len(draws) > 1 else 1.0) * (draws.mean(0) - value)
    return Estimate(float(value), value + moved + _seed_weights(len(by_network)) @ (by_network - value))


def gain(errors: Array) -> Array:
    """The improvement in per cent, mean over pairs of arms: errors (2 k, ...), scratch and pre-trained in turns."""
    return 100 * (1 - errors[1::2] / errors[::2]).mean(0)


@dataclass(frozen=True)
class Spread:
    """Covariance (2, 2) of the logarithms of errors from scratch and pre-trained between seeds, and its degrees of
    freedom.
    """

    covariance: Array
    freedom: int


@dataclass(frozen=True)
class Comparison:
    """Two arms on one metric."""

    scratch: Sample
    pretrained: Sample

    @property
    def samples(self) -> tuple[Sample, Sample]:
        """Both arms."""
        return self.scratch, self.pretrained

    def intervals(self) -> tuple[Interval, Interval, Interval]:
        """From scratch, pre-trained, and the improvement in per cent (positive: better)."""
        scratch, pretrained = (estimate(lambda errors: errors[0], [s]).interval() for s in self.samples)
        return scratch, pretrained, estimate(gain, self.samples).interval()


def average(comparisons: Sequence[Comparison], spread: "Spread | None" = None) -> Interval:
    """The improvement in per cent, mean over ``comparisons`` (models, say), each of which counts the same.

    Those of a single seed borrow ``spread``; None takes that of the others' seeds.
    """
    spread = spread_of(comparisons) if spread is None else spread
    return estimate(gain, [s for k, c in enumerate(comparisons) for s in borrow(c, spread, k).samples]).interval()


def spread_of(comparisons: Sequence[Comparison]) -> Spread | None:
    """The spread between seeds, pooled over those ``comparisons`` that have several; None where none has."""
    several = [c for c in comparisons if len(c.scratch.by_seed) > 1]
    if not several:
        return None
    scatter, freedom = np.zeros((2, 2)), 0
    for comparison in several:
        logarithms = np.log(np.maximum([s.by_seed for s in comparison.samples], TINY))
        logarithms -= logarithms.mean(1, keepdims=True)
        scatter += logarithms @ logarithms.T
        freedom += logarithms.shape[1] - 1
    return Spread(scatter / freedom, freedom)


def borrow(comparison: Comparison, spread: Spread | None, seed: int) -> Comparison:
    """A ``comparison`` of one seed with the ``spread`` of others' seeds, drawn from ``seed``; any other as it is."""
    if spread is None or len(comparison.scratch.by_seed) > 1:
        return comparison
    rng = np.random.default_rng([seed, 1])
    values, vectors = np.linalg.eigh(spread.covariance)
    root = vectors * np.sqrt(np.maximum(values, 0))
    length = np.sqrt(spread.freedom / rng.chisquare(spread.freedom, REPLICATES))
    moves = root @ rng.standard_normal((2, REPLICATES)) * length
    arms = (replace(s, moves=m) for s, m in zip(comparison.samples, moves, strict=True))
    return Comparison(*arms)


def compare(scratch: Sequence[Errors], pretrained: Sequence[Errors], metric: str, seed: int = 0) -> Comparison:
    """Means over seeds of ``metric`` from scratch and pre-trained.

    Args:
        scratch: errors by seed.
        pretrained: errors of the same seeds, on the same test conformations.
        metric: one of `metrics.ERRORS`, with `metrics.OF_FORCES` before it where the errors are those of forces.
        seed: of the bootstrap.

    Raises:
        ValueError: the arms have different seeds or test sets.
    """
    pairs = list(zip(scratch, pretrained, strict=False))
    same = all(np.array_equal(a.molecule, b.molecule) and np.array_equal(a.count, b.count) for a, b in pairs)
    if len(scratch) != len(pretrained) or not same:
        raise ValueError(
            f"{len(scratch)} and {len(pretrained)} runs: both arms need the same seeds and test conformations"
        )
    return Comparison(sample(scratch, metric, seed), sample(pretrained, metric, seed))


def _seed_weights(n: int) -> Array:
    """The weights (R, n) of ``n`` seeds in each replicate, as in the module's docstring; none of one seed."""
    if n == 1:
        return np.zeros((REPLICATES, 1))
    rng = np.random.default_rng([n, 2])
    contrast = rng.standard_normal((REPLICATES, n))
    contrast -= contrast.mean(1, keepdims=True)
    contrast /= np.linalg.norm(contrast, axis=1, keepdims=True)
    even = (rng.permutation(REPLICATES) + 0.5) / REPLICATES  # lengths by their quantiles: few draws have long tails
    return contrast * np.sqrt(f.ppf(even, n - 1, n - 1) / n)[:, None]


def widening(n: int) -> float:
    """By how much a percentile bootstrap over ``n`` molecules is too narrow for 95 %; 1 for one.

    Drawing n of n underestimates the variance by (n - 1) / n, and a percentile interval takes the normal distribution's
    quantile where Student's is due.
    """
    return float(np.sqrt(n / (n - 1)) * t.ppf(0.975, n - 1) / norm.ppf(0.975)) if n > 1 else 1.0
