"""Test errors of a run by molecule, as the bootstrap draws them.

Conformations of one molecule have errors that are alike, so they stay together; of a single molecule, those of one of
`BLOCKS` stretches of its trajectory do.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.runs.results import FORCES, Result
from lib.training.metrics import OF_FORCES

BLOCKS = 20


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
        return Errors(
            molecules, *(np.bincount(molecule, column).astype(np.float64) for column in (squared, absolute, count))
        )

    def score(self, metric: str, weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """``rmse`` or ``mae`` with molecule k counted ``weights[:, k]`` times, weights (R, all molecules): (R,).

        A ``force_`` before the name changes nothing: the errors decide.
        """
        squared = metric.removeprefix(OF_FORCES) == "rmse"
        columns = np.zeros((weights.shape[1], 2))
        columns[self.molecule] = np.stack([self.squared if squared else self.absolute, self.count], axis=1)
        total, count = (weights @ columns).T  # a copy of the weights of our molecules would take most of the time
        return np.sqrt(total / count) if squared else total / count


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
