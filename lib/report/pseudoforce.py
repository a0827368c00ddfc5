"""Equation 8 put to the test: the predicted noise as a pseudo-force.

At a noised geometry X̂ = X + ε minus the noise points back to the clean one. For a Gaussian q around X the gradient
∇ log q is -(X̂ - X)/σ² = -ε/σ² (the paper prints it without the sign), and forces are the gradient of log p, times kT.
If p is like q, as equation 8 has it, minus the noise, true or predicted, correlates with the forces: here GFN2-xTB's.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from ase.data import chemical_symbols
from numpy.typing import NDArray
from scipy.stats import bootstrap

from lib.chemistry.atom_types import ATOM_TYPES
from lib.models import MODELS
from lib.report.examples import denoised
from lib.report.tables import COLUMNS
from lib.runs.config import RunConfig
from lib.runs.results import Result
from lib.runs.selection import select, splits
from lib.study.scale import Scale
from lib.units import HARTREE

ITEM = "Equation 8"


def pseudo_forces(config: RunConfig, result: Result, count: int, seed: int) -> pd.DataFrame:
    """Forces beside noise at ``count`` noised validation conformations of the pre-training run ``result``.

    Returns:
        A row a coordinate: conformation, element of the atom, force (kcal/mol/Å), minus the true noise and minus the
        predicted noise (Å).
    """
    from lib.chemistry.xtb import single_point

    rng, model, parts = np.random.default_rng(seed), result.weights().build(), []
    selections = select(config, splits(config))["validation"]
    for k in range(count):
        chosen = selections[k % len(selections)]
        found = chosen.store.gather(rng.choice(chosen.index, 1))
        seen = denoised(model, found, config.sigma, rng)
        charge = sum(ATOM_TYPES[t][1] for t in found.types)
        try:
            force = single_point(seen.numbers, (seen.clean + seen.noise).astype(float), charge).forces * HARTREE
        except RuntimeError:
            continue  # the self-consistent field does not converge where noise tears a molecule apart
        elements = np.repeat([chemical_symbols[z] for z in seen.numbers], 3)
        parts.append(pd.DataFrame({"conformation": k, "element": elements, "force": force.ravel(),
                                   "true": -seen.noise.ravel(), "predicted": -seen.predicted.ravel()}))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def correlations(found: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """Pearson's correlation of ``column`` (true or predicted) with the force, for each conformation."""
    return np.array([group["force"].corr(group[column]) for _, group in found.groupby("conformation")])


def error_by_element(found: pd.DataFrame, sigma: float) -> pd.Series:
    """Mean squared error of the predicted noise of `pseudo_forces` by element, over σ² (Å²); 1 for none predicted."""
    return ((found["predicted"] - found["true"]) / sigma).pow(2).groupby(found["element"]).mean()


def correlation_table(scale: Scale, configs: Sequence[RunConfig], found: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Mean correlations with 95 % bootstrap intervals over conformations, of all seeds of a model together.

    The true noise has a row too: equation 8 would make it 1 if the clean geometries were minima. Networks of one seed
    are probed at the same noised conformations, which count once for it; so each model also has a row of the difference
    to the true noise, conformation by conformation.
    """
    rows = []
    models = list(dict.fromkeys(c.model for c in configs))
    for model in models:
        own = [f for c, f in zip(configs, found, strict=True) if c.model == model]
        predicted, true = ([correlations(f, column) for f in own] for column in ("predicted", "true"))
        rows.append(_row(scale, ITEM, MODELS[model].label, predicted))
        more = [p - t for p, t in zip(predicted, true, strict=True)]
        rows.append(_row(scale, f"{ITEM}, beyond the true noise", MODELS[model].label, more))
    of_seed = {c.seed: f for c, f in zip(configs, found, strict=True)}
    rows.append(_row(scale, f"{ITEM}, true noise", "none", [correlations(f, "true") for f in of_seed.values()]))
    return pd.DataFrame(rows, columns=COLUMNS)


def _row(scale: Scale, item: str, model: str, values: Sequence[NDArray[np.float64]]) -> dict:
    together = np.concatenate(values)
    low, high = bootstrap((together,), np.mean, rng=np.random.default_rng(0), method="percentile").confidence_interval
    return dict.fromkeys(COLUMNS, "") | {
        "item": item, "dataset": scale.label, "model": model, "metric": "correlation", "unit": "1",
        "value": together.mean(), "low": low, "high": high, "n_seeds": len(values), "source": "computed",
        "paper_value": np.nan,
    }  # fmt: skip
