"""Equation 8 tested: the predicted noise as a pseudo-force.

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
from lib.training.metrics import METRICS
from lib.units import HARTREE

ITEM = "Equation 8"


def pseudo_forces(config: RunConfig, result: Result, count: int, seed: int) -> pd.DataFrame:
    """Forces beside noise at ``count`` noised validation conformations of the pre-training run ``result``.

    Returns:
        One row per coordinate: conformation, element of the atom, force (kcal/mol/Å), minus the true noise and minus
        the predicted noise (Å).
    """
    from lib.chemistry.xtb import single_point

    rng, model, parts = np.random.default_rng(seed), result.weights().build(), []
    selections = select(config, splits(config))["validation"]
    for k in range(count):
        selection = selections[k % len(selections)]
        conformation = selection.store.gather(rng.choice(selection.index, 1))
        example = denoised(model, conformation, config.sigma, rng)
        charge = sum(ATOM_TYPES[t][1] for t in conformation.types)
        try:
            noised = (example.clean + example.noise).astype(float)
            force = single_point(example.numbers, noised, charge).forces * HARTREE
        except RuntimeError:
            continue  # the self-consistent field does not converge where noise tears a molecule apart
        elements = np.repeat([chemical_symbols[z] for z in example.numbers], 3)
        true, predicted = -example.noise.ravel(), -example.predicted.ravel()
        parts.append(pd.DataFrame({"conformation": k, "element": elements, "force": force.ravel(),
                                   "true": true, "predicted": predicted}))  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def correlations(rows: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """Pearson's correlation of ``column`` (true or predicted) of `pseudo_forces` with the force, by conformation."""
    return np.array([group["force"].corr(group[column]) for _, group in rows.groupby("conformation")])


def error_by_element(rows: pd.DataFrame, sigma: float) -> pd.Series:
    """Mean squared error of the predicted noise of `pseudo_forces` by element, in units of σ² (σ in Å)."""
    return ((rows["predicted"] - rows["true"]) / sigma).pow(2).groupby(rows["element"]).mean()


def correlation_table(scale: Scale, configs: Sequence[RunConfig], probes: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Mean correlations with 95 % bootstrap intervals over conformations, of all seeds of a model together.

    ``probes`` are of `pseudo_forces`, one per config. The true noise has a row too: equation 8 would make it 1 if the
    clean geometries were minima. Networks of one seed are probed at the same noised conformations, which count once in
    that row. Each model also has a row of the difference to the true noise, conformation by conformation.
    """
    table = []
    models = list(dict.fromkeys(c.model for c in configs))
    for model in models:
        of_model = [rows for c, rows in zip(configs, probes, strict=True) if c.model == model]
        predicted, true = ([correlations(rows, column) for rows in of_model] for column in ("predicted", "true"))
        table.append(_row(scale, ITEM, MODELS[model].label, predicted))
        gains = [p - t for p, t in zip(predicted, true, strict=True)]
        table.append(_row(scale, f"{ITEM}, beyond the true noise", MODELS[model].label, gains))
    by_seed = {c.seed: rows for c, rows in zip(configs, probes, strict=True)}
    table.append(_row(scale, f"{ITEM}, true noise", "none", [correlations(rows, "true") for rows in by_seed.values()]))
    return pd.DataFrame(table, columns=COLUMNS)


def _row(scale: Scale, item: str, model: str, values: Sequence[NDArray[np.float64]]) -> dict:
    together = np.concatenate(values)
    low, high = bootstrap((together,), np.mean, rng=np.random.default_rng(0), method="percentile").confidence_interval
    return dict.fromkeys(COLUMNS, "") | {
        "item": item, "dataset": scale.label, "model": model, "metric": "correlation",
        "unit": METRICS["correlation"].unit,
        "value": together.mean(), "low": low, "high": high, "n_seeds": len(values), "source": "computed",
        "paper_value": np.nan,
    }  # fmt: skip
