"""Several ways of training held against several test files: errors of each, mean over seeds, with intervals.

A published benchmark on a user's files is a `table`: of ``python -m lib finetune`` for each way of training, with
several seeds, and of the benchmark's test files.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from scipy.stats import t as student

from lib.data.datasets import DataSet
from lib.own.evaluation import ALL, ENERGY, FORCE, SHIFTED, compare
from lib.own.pretrained import load_pretrained

QUANTITIES = (ENERGY, SHIFTED, FORCE)
CONFIDENCE = 0.95


def table(arms: Mapping[str, Sequence[Path]], tests: Mapping[str, DataSet]) -> pd.DataFrame:
    """Errors of the potentials of ``arms``, each seed by itself, on ``tests``.

    Args:
        arms: weights files by the name of how they were trained, one a seed.
        tests: labelled conformations by name.

    Returns:
        A row a test, quantity and arm: ``seeds``, and ``rmse`` in meV (of forces in meV/Å), the mean over seeds, with
        ``low`` and ``high``, its 95 % interval by Student's t; NaN of a single seed. Tests without forces have none.

    Raises:
        DataError: a file cannot be read.
        ValueError: an arm has no weights, or holds layers that give no energies.
    """
    rows = []
    for arm, paths in arms.items():
        if not paths:
            raise ValueError(f"{arm!r} has no weights: name a file for each seed")
        potentials = [load_pretrained(path).calculator().potential for path in paths]
        for name, dataset in tests.items():
            tables = pd.concat([compare(potential, dataset).table() for potential in potentials])
            of_seeds = tables[tables["group"] == ALL].groupby("quantity")["rmse (meV)"]
            rows += [
                {"test": name, "quantity": quantity, "arm": arm, "seeds": len(paths), **_interval(values.to_numpy())}
                for quantity, values in of_seeds
                if quantity in QUANTITIES
            ]
    order = {name: k for k, name in enumerate([*tests, *QUANTITIES, *arms])}
    return (
        pd.DataFrame(rows)
        .sort_values(["test", "quantity", "arm"], key=lambda names: names.map(order))
        .reset_index(drop=True)
    )


def _interval(values: np.ndarray) -> dict[str, float]:
    """Mean of ``values`` (n,) and its interval."""
    mean, count = float(values.mean()), len(values)
    half = np.nan
    if count > 1:
        half = float(student.ppf((1 + CONFIDENCE) / 2, count - 1) * values.std(ddof=1) / np.sqrt(count))
    return {"rmse": mean, "low": mean - half, "high": mean + half}
