"""How noise and forces go together: correlations by conformation, denoising errors, and the measures made of them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from lib.report.pseudoforce.probing import Array


def correlations(rows: pd.DataFrame, column: str, force: str = "force", ranks: bool = False) -> Array:
    """Pearson's (or, of ``ranks``, Spearman's) correlation of ``column`` with ``force``, for each conformation."""
    out = []
    for _, group in rows.groupby("conformation"):
        a, b = group[column].to_numpy(), group[force].to_numpy()
        out.append(np.corrcoef(rankdata(a), rankdata(b))[0, 1] if ranks else np.corrcoef(a, b)[0, 1])
    return np.array(out)


def errors_of_noise(rows: pd.DataFrame, sigma: float) -> Array:
    """The denoising error of each conformation in units of σ²."""
    return ((rows["predicted"] - rows["true"]) / sigma).pow(2).groupby(rows["conformation"]).mean().to_numpy()


def error_by_element(rows: pd.DataFrame, sigma: float) -> pd.Series:
    """Mean squared error of the predicted noise of `coordinates` by element, over σ² (Å²); 1 for none predicted."""
    return ((rows["predicted"] - rows["true"]) / sigma).pow(2).groupby(rows["element"]).mean()


def excess(correlation: Array, of_noise: Array, error: Array) -> Array:
    """By how much the predicted noise's ``correlation`` exceeds that of the noise over √(1 - denoising error).

    All (…, K) by conformation; means over them are compared, (…); NaN where a network denoises no better than one that
    predicts nothing.
    """
    left = 1 - error.mean(-1)
    return correlation.mean(-1) - of_noise.mean(-1) / np.sqrt(np.where(left > 0, left, np.nan))


def measures(rows: pd.DataFrame, sigma: float) -> dict[str, tuple[Array, ...]]:
    """By the name of a measure, what of each conformation goes into it, (K,) each: one array is averaged, of two the
    difference is, and of three the `excess`.
    """
    far = _far(rows)
    clean, bonds = (correlations(rows, f"clean_{c}", "clean_force", True) for c in ("predicted", "bonds"))
    pearson, of_noise = correlations(rows, "predicted"), correlations(rows, "true")
    noised, noised_bonds = (correlations(rows, column, ranks=True) for column in ("predicted", "bonds"))
    return {
        "predicted noise": (pearson,),
        "predicted noise, rank": (noised,),
        "excess over the shrinkage": (pearson, of_noise, errors_of_noise(rows, sigma)),
        "beyond bond lengths, rank": (noised, noised_bonds),
        "clean, rank": (clean,),
        "clean, beyond bond lengths, rank": (clean, bonds),
        "clean, near equilibrium, rank": (clean[~far],),
        "clean, far from equilibrium, rank": (clean[far],),
    }


def _far(rows: pd.DataFrame) -> NDArray[np.bool_]:
    """The half of the conformations whose clean geometry has the larger forces (root mean square)."""
    force = np.sqrt(rows["clean_force"].pow(2).groupby(rows["conformation"]).mean().to_numpy())
    return force > np.median(force)


def combine(arrays: Sequence[Array]) -> Array:
    """One number from what goes into a measure, (…, K) each: its mean, the mean difference, or the `excess`."""
    if len(arrays) == 3:
        return excess(*arrays)
    return arrays[0].mean(-1) if len(arrays) == 1 else (arrays[0] - arrays[1]).mean(-1)
