"""Means over seeds with 95 % intervals: a paired bootstrap over test molecules, and Student's t over seeds.

Every seed tests the same molecules (other conformations of them). So each replicate draws molecules with replacement
once, for all seeds and both arms; conformations of one molecule stay together, for their errors are alike; of a single
molecule, those of one of `BLOCKS` stretches of its trajectory. Percentile intervals, as in Efron, Tibshirani 1993, An
Introduction to the Bootstrap, chapter 13; where molecules are few (ISO17's unknown isomers are eight groups), what a
draw changes is widened (`widening`) by what Student's t asks for.

Two or three seeds drawn with replacement vary too little. So a replicate moves the logarithm of an arm's mean by

    Σ_s (log e_s - mean log e) g_s / sqrt(n χ²),   g_s ~ N(0, 1), χ² with n - 1 degrees of freedom

for errors e_s of n seeds: any difference of arms then follows Student's t with n - 1 degrees of freedom, as it should.
All arms, models and metrics share the g_s and χ², so what seeds have in common cancels in pairs, and what they have not
averages out over models. Of one seed, nothing is known about others, and the interval is over test data only.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f, norm, t

from lib.runs.results import FORCES, Result
from lib.training.metrics import OF_FORCES

REPLICATES = 2000
TINY, FAR = 1e-300, 100.0  # errors of zero have a logarithm too; what two seeds move a logarithm by has no bound
BLOCKS = 20


@dataclass(frozen=True)
class Interval:
    """``value`` with its 95 % interval ``low`` to ``high``."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Errors:
    """Test errors of one run by molecule: its number, sums of squares and of absolute values, and counts, (n,) each."""

    molecule: NDArray[np.int64]
    squared: NDArray[np.float64]
    absolute: NDArray[np.float64]
    count: NDArray[np.float64]

    @staticmethod
    def of(groups: NDArray[np.int64], error: NDArray[np.float64]) -> "Errors":
        """From the ``error`` (n,) of each conformation and the group that it belongs to (`groups_of`), (n,)."""
        return Errors.of_sums(groups, error**2, np.abs(error), np.ones(len(error)))

    @staticmethod
    def of_sums(
        groups: NDArray[np.int64],
        squared: NDArray[np.float64],
        absolute: NDArray[np.float64],
        count: NDArray[np.float64],
    ) -> "Errors":
        """From what each conformation contributes to the sums, (n,) each."""
        molecules, molecule = np.unique(groups, return_inverse=True)
        return Errors(molecules, *(np.bincount(molecule, column) for column in (squared, absolute, count)))

    def score(self, metric: str, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """``rmse`` or ``mae`` with molecule k counted ``weights[:, k]`` times, weights (R, all molecules): (R,).

        A ``force_`` before the name changes nothing: the errors decide.
        """
        metric, own = metric.removeprefix(OF_FORCES), weights[:, self.molecule]
        if metric == "rmse":
            return np.sqrt(own @ self.squared / (own @ self.count))
        return own @ self.absolute / (own @ self.count)


def groups_of(molecule: NDArray[np.int64], index: NDArray[np.int64]) -> NDArray[np.int64]:
    """What the bootstrap draws: molecules or, of a single one, stretches of its trajectory.

    Args:
        molecule: (n,) its number.
        index: (n,) numbers of the conformations in the store.
    """
    if len(np.unique(molecule)) != 1:
        return molecule
    local = index - index.min()
    return local * BLOCKS // (local.max() + 1)


def errors_of(
    result: Result, part: str = "test", molecules: NDArray[np.int64] | None = None, of_forces: bool = False
) -> Errors:
    """Test errors of an energy run for the bootstrap, all of ``part`` or those of some ``molecules``.

    Raises:
        ValueError: errors of forces are asked for and were not measured.
    """
    rows = result.test_errors(part)
    keep = slice(None) if molecules is None else np.isin(rows["molecule"], molecules)
    groups = groups_of(rows["molecule"][keep], rows["index"][keep])
    if not of_forces:
        return Errors.of(groups, rows["error"][keep])
    if FORCES[0] not in rows:
        raise ValueError(f"run {result.key} measured no forces: its settings have force_weight None")
    return Errors.of_sums(groups, *(rows[key][keep] for key in FORCES))


@dataclass(frozen=True)
class Comparison:
    """Two arms on one metric: ``centres`` (2,), means over seeds from scratch and pre-trained, and their
    ``replicates`` (2, R).
    """

    centres: NDArray[np.float64]
    replicates: NDArray[np.float64]

    def intervals(self) -> tuple[Interval, Interval, Interval]:
        """From scratch, pre-trained, and the improvement in per cent (positive: better)."""
        return (*(_interval(c, r) for c, r in zip(self.centres, self.replicates, strict=True)), average([self]))


def average(comparisons: Sequence[Comparison]) -> Interval:
    """The improvement in per cent, mean over ``comparisons`` (models, say), each of which counts the same."""
    gains = [100 * (1 - c.centres[1] / c.centres[0]) for c in comparisons]
    replicates = [100 * (1 - c.replicates[1] / c.replicates[0]) for c in comparisons]
    return _interval(np.mean(gains), np.mean(replicates, axis=0))


def compare(scratch: Sequence[Errors], pretrained: Sequence[Errors], metric: str, seed: int = 0) -> Comparison:
    """Means over seeds of ``metric`` from scratch and pre-trained.

    Args:
        scratch: errors by seed.
        pretrained: errors of the same seeds, on the same test conformations.
        metric: one of `metrics.ERRORS`, with `OF_FORCES` before it where the errors are those of forces.
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
    rng = np.random.default_rng(seed)
    n = 1 + max(int(errors.molecule.max()) for errors in scratch)
    tested = np.isin(np.arange(n), np.concatenate([errors.molecule for errors in scratch]))
    weights = np.zeros((REPLICATES, n))
    weights[:, tested] = rng.multinomial(tested.sum(), np.full(tested.sum(), 1 / tested.sum()), size=REPLICATES)
    moved, centres, means = _seed_weights(len(scratch), rng), [], []
    for arm in (scratch, pretrained):
        with np.errstate(invalid="ignore"):  # a draw that leaves a seed nothing to test is none
            scores = np.array([errors.score(metric, weights) for errors in arm])
        by_seed = np.array([errors.score(metric, np.ones((1, n)))[0] for errors in arm])
        logarithms, centre = np.log(np.maximum(by_seed, TINY)), max(by_seed.mean(), TINY)
        drawn = centre * (scores.mean(0) / centre) ** widening(int(tested.sum()))
        means.append(drawn * np.exp(np.clip(moved @ (logarithms - logarithms.mean()), -FAR, FAR)))
        centres.append(by_seed.mean())
    return Comparison(np.array(centres), np.array(means))


def _seed_weights(n: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """The weights (R, n) of ``n`` seeds in each replicate, as in the module's docstring; none of one seed."""
    if n == 1:
        return np.zeros((REPLICATES, 1))
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


def _interval(value: np.floating, replicates: NDArray[np.float64]) -> Interval:
    low, high = np.nanpercentile(replicates, [2.5, 97.5])
    return Interval(float(value), float(low), float(high))
