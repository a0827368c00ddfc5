"""Means over seeds with 95 % intervals: a paired bootstrap over seeds and test molecules.

Each replicate draws seeds with replacement and, for each drawn seed, that seed's test molecules with replacement; the
same draw serves both arms of a comparison. Conformations of one molecule stay together, for their errors are alike.
Method: Efron, Tibshirani 1993, An Introduction to the Bootstrap, chapter 13 (percentile intervals).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

REPLICATES = 2000
METRICS = ("rmse", "mae")


@dataclass(frozen=True)
class Interval:
    """``value`` with its 95 % interval ``low`` to ``high``."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Errors:
    """Test errors of one run by molecule: sums of squares and of absolute values, and counts, (n_molecules,) each."""

    squared: NDArray[np.float64]
    absolute: NDArray[np.float64]
    count: NDArray[np.float64]

    @staticmethod
    def of(predictions: dict[str, NDArray]) -> "Errors":
        """From `runs.Result.predictions`."""
        error = predictions["prediction"] - predictions["energy"]
        _, molecule = np.unique(predictions["molecule"], return_inverse=True)
        return Errors(np.bincount(molecule, error**2), np.bincount(molecule, np.abs(error)),
                      np.bincount(molecule).astype(float))  # fmt: skip

    def score(self, metric: str, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """``rmse`` or ``mae`` with molecules counted ``weights`` (R, n_molecules) times: (R,)."""
        count = weights @ self.count
        if metric == "rmse":
            return np.sqrt(weights @ self.squared / count)
        return weights @ self.absolute / count


def compare(
    scratch: Sequence[Errors], pretrained: Sequence[Errors], metric: str, seed: int = 0
) -> tuple[Interval, Interval, Interval]:
    """Means over seeds of ``metric`` from scratch and pre-trained, and the improvement in per cent (positive: better).

    Args:
        scratch: errors by seed.
        pretrained: errors of the same seeds, on the same test conformations.
        metric: one of `METRICS`.
        seed: of the bootstrap.

    Raises:
        ValueError: the arms have different seeds or test sets.
    """
    if len(scratch) != len(pretrained) or any(
        not np.array_equal(a.count, b.count) for a, b in zip(scratch, pretrained, strict=True)
    ):
        raise ValueError("both arms need the same seeds and the same test conformations")
    rng = np.random.default_rng(seed)
    arms = np.empty((2, len(scratch), REPLICATES))
    plain = np.empty((2, len(scratch)))
    for k, pair in enumerate(zip(scratch, pretrained, strict=True)):
        n = len(pair[0].count)
        weights = rng.multinomial(n, np.full(n, 1 / n), size=REPLICATES).astype(float)
        arms[:, k] = [errors.score(metric, weights) for errors in pair]
        plain[:, k] = [errors.score(metric, np.ones((1, n)))[0] for errors in pair]
    drawn = rng.integers(len(scratch), size=(REPLICATES, len(scratch)))
    means = np.stack([arm[drawn, np.arange(REPLICATES)[:, None]].mean(1) for arm in arms])
    centre = plain.mean(1)
    return (
        _interval(centre[0], means[0]),
        _interval(centre[1], means[1]),
        _interval(100 * (1 - centre[1] / centre[0]), 100 * (1 - means[1] / means[0])),
    )


def _interval(value: float, replicates: NDArray[np.float64]) -> Interval:
    low, high = np.percentile(replicates, [2.5, 97.5])
    return Interval(float(value), float(low), float(high))
