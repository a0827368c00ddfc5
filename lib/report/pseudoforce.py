"""Equation 8 put to the test: the predicted noise as a pseudo-force.

**The sign, once.** At a noised geometry X̂ = X + ε minus the noise points back to the clean one. For a Gaussian q around
X the gradient ∇ log q is -(X̂ - X)/σ² = -ε/σ², and forces are kT ∇ log p: were p like q, forces would point along
*minus* the noise. The paper prints neither minus sign and matches the noise, which points uphill, to -∇E; so a network
that learns it has its energy's maximum where the true energy has its minimum. Here all noises are taken with a minus.

**What follows from no physics.** The best prediction of ε is its mean over all clean geometries that could have been,
m(X̂) = E[ε | X̂] = -σ² ∇ log p_σ(X̂) (Tweedie's formula; Vincent 2011, https://doi.org/10.1162/NECO_a_00142). For any
function of X̂, forces among them, cov(m, f) = cov(ε, f), so m correlates with f more than ε does by sd(ε)/sd(m) =
1/√(1 - D), D the denoising error in units of σ². A network that denoises well must do so too; only the *excess* over
that says anything. What transfer feeds on is the prediction at conformations without noise, which no such identity
rules: does it point along their forces, more than a step that only restores mean bond lengths, and far from
equilibrium?

Forces and energies are GFN2-xTB's. They reach thousands of kcal/mol/Å where noise throws atoms onto others, so ranks
are correlated beside values. That noise is a force only near equilibrium is disputed in later work (DeNS,
arXiv:2403.09549; NDeM, CVPR 2026).
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from ase.data import chemical_symbols
from numpy.typing import NDArray
from scipy.stats import rankdata

from lib.batches import Batch
from lib.chemistry.atom_types import ATOM_TYPES
from lib.chemistry.bonds import bonds_of
from lib.data.store import Conformations
from lib.errors import required
from lib.models import MODELS
from lib.models.base import Model
from lib.noising import gaussian_noise
from lib.report.statistics import REPLICATES, Estimate, mean_of
from lib.report.tables import COLUMNS
from lib.runs.config import RunConfig
from lib.runs.results import Result
from lib.runs.selection import select, splits
from lib.study.scale import Scale
from lib.units import HARTREE

ITEM = "Equation 8"
FOR_BONDS = 300  # training conformations, whose mean bond lengths the baseline restores
Array = NDArray[np.float64]
Lengths = Mapping[tuple[int, int], float]


@dataclass(frozen=True)
class Probe:
    """One conformation, clean and noised.

    Attributes:
        types: (N,) atom types.
        numbers: (N,) atomic numbers.
        clean: (N, 3) Å.
        noise: (N, 3) Å.
        forces: (2, N, 3) kcal/mol/Å, of the clean and of the noised geometry.
        energies: (2,) kcal/mol.
        bonds: (2, N, 3) Å, the step that restores mean bond lengths, of both.
    """

    types: NDArray[np.int64]
    numbers: NDArray[np.int64]
    clean: Array
    noise: NDArray[np.floating]
    forces: Array
    energies: Array
    bonds: Array


def probes(config: RunConfig, count: int, seed: int) -> list[Probe]:
    """``count`` validation conformations of the pre-training ``config``, noised with its σ from ``seed``.

    Those are left out whose self-consistent field does not converge, as where noise tears a molecule apart.
    """
    rng, parts = np.random.default_rng(seed), select(config, splits(config))
    sigma = required(config.sigma, "sigma")
    others = np.random.default_rng([seed, 1])
    lengths = mean_lengths([s.store.gather(others.choice(s.index, FOR_BONDS)) for s in parts["train"]])
    out = []
    for k in range(count):
        selection = parts["validation"][k % len(parts["validation"])]
        conformation = selection.store.gather(rng.choice(selection.index, 1))
        noise = gaussian_noise(len(conformation.types), sigma, rng)
        try:
            out.append(_probe(conformation, noise, lengths))
        except RuntimeError:  # from tblite
            continue
    return out


def _probe(conformation: Conformations, noise: NDArray[np.floating], lengths: Lengths) -> Probe:
    from lib.chemistry.xtb import single_point

    types, clean = conformation.types, conformation.positions.astype(np.float64)
    numbers, charge = _numbers(types), sum(ATOM_TYPES[t][1] for t in types)
    pair = bonds_of(numbers, clean)
    labels = [single_point(numbers, x, charge) for x in (clean, clean + noise)]
    steps = [bond_step(numbers, x, pair, lengths) for x in (clean, clean + noise)]
    return Probe(types, numbers, clean, noise, np.array([label.forces for label in labels]) * HARTREE,
                 np.array([label.energy for label in labels]) * HARTREE, np.array(steps))  # fmt: skip


def _numbers(types: NDArray[np.int64]) -> NDArray[np.int64]:
    """Atomic numbers of atom types."""
    return np.array([chemical_symbols.index(ATOM_TYPES[t][0]) for t in types])


def mean_lengths(conformations: Sequence[Conformations]) -> dict[tuple[int, int], float]:
    """The mean length (Å) of the bonds between two elements, by their atomic numbers, the smaller first."""
    measured: dict[tuple[int, int], list[float]] = {}
    for batch in conformations:
        numbers = _numbers(batch.types)
        for molecule in np.unique(batch.molecule):
            own = batch.molecule == molecule
            z, x = numbers[own], batch.positions[own]
            for i, j in bonds_of(z, x):
                measured.setdefault(_elements(z, i, j), []).append(float(np.linalg.norm(x[i] - x[j])))
    return {key: float(np.mean(values)) for key, values in measured.items()}


def _elements(numbers: NDArray[np.int64], i: int, j: int) -> tuple[int, int]:
    """The two elements of a bond, the smaller atomic number first."""
    first, second = sorted((int(numbers[i]), int(numbers[j])))
    return first, second


def bond_step(numbers: NDArray[np.int64], positions: Array, pairs: NDArray[np.int64], lengths: Lengths) -> Array:
    """The step (N, 3) Å that moves both atoms of each of the ``pairs`` (K, 2) half the way to its mean length.

    The bonds are those of the clean geometry, which the network does not know: a strong baseline.
    """
    step = np.zeros_like(positions)
    for i, j in pairs:
        along = positions[j] - positions[i]
        length = np.linalg.norm(along)
        half = 0.5 * (length - lengths.get(_elements(numbers, i, j), length)) * along / length
        step[i] += half
        step[j] -= half
    return step


def coordinates(probed: Sequence[Probe], result: Result) -> pd.DataFrame:
    """What ``result`` predicts of the probed conformations, beside their forces.

    Returns:
        A row a coordinate: conformation, element of the atom; of the noised geometry ``force`` (kcal/mol/Å), and in Å
        minus the ``true`` noise, minus the ``predicted`` one and the step of ``bonds``; of the clean one
        ``clean_force``, minus the ``clean_predicted`` noise and ``clean_bonds``.
    """
    model = result.weights().build()
    noised, clean = (
        _predict(model, probed, geometries)
        for geometries in ([p.clean + p.noise for p in probed], [p.clean for p in probed])
    )
    columns = {
        "conformation": np.concatenate([np.full(3 * len(p.numbers), k) for k, p in enumerate(probed)]),
        "element": np.concatenate([np.repeat([chemical_symbols[z] for z in p.numbers], 3) for p in probed]),
        "force": _flat(p.forces[1] for p in probed),
        "true": -_flat(p.noise for p in probed),
        "predicted": -noised,
        "bonds": _flat(p.bonds[1] for p in probed),
        "clean_force": _flat(p.forces[0] for p in probed),
        "clean_predicted": -clean,
        "clean_bonds": _flat(p.bonds[0] for p in probed),
    }
    return pd.DataFrame(columns)


def _flat(arrays: Iterable[NDArray[np.floating]]) -> Array:
    """All coordinates of all conformations in a row."""
    return np.concatenate([array.ravel() for array in arrays]).astype(np.float64)


def _predict(model: Model, probed: Sequence[Probe], geometries: Sequence[Array]) -> Array:
    """The noise that ``model`` predicts at the ``geometries`` of the probed molecules, all coordinates in a row, Å."""
    owner = np.repeat(np.arange(len(probed)), [len(p.types) for p in probed])
    positions = np.concatenate(geometries).astype(np.float32)
    batch = Batch.from_arrays(np.concatenate([p.types for p in probed]), positions, owner, model.settings.cutoff)
    with torch.no_grad():
        return model(batch, energy=False).noise.numpy().ravel().astype(np.float64)


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


def _estimate(of_networks: Sequence[tuple[Array, ...]]) -> Estimate:
    """The mean over networks, which are probed at the same conformations."""
    count = len(of_networks[0][0])
    drawn = np.random.default_rng(count).integers(count, size=(REPLICATES, count))
    values = np.array([combine(arrays) for arrays in of_networks])
    draws = np.array([combine([a[drawn] for a in arrays]) for arrays in of_networks])
    return mean_of(values, draws, count)


def equation8_table(
    scale: Scale, configs: Sequence[RunConfig], probed: Sequence[Probe], rows: Sequence[pd.DataFrame]
) -> pd.DataFrame:
    """Every measure of each network and their mean, with 95 % intervals over conformations and, of the mean, networks.

    Args:
        scale: of the runs.
        configs: of the networks, all of one seed.
        probed: the conformations.
        rows: `coordinates` of each network.

    Returns:
        Rows of `tables.COLUMNS` with ``subset``, the measure; ``p_above`` and ``p_below``, one-sided p-values for a
        number above and below zero; ``why``. ``n_seeds`` counts networks, or is 0 where no network is asked.
    """
    measured = [measures(own, required(c.sigma, "sigma")) for own, c in zip(rows, configs, strict=True)]
    out = []
    for name in measured[0]:
        for config, own in zip(configs, measured, strict=True):
            out.append(_row(scale, MODELS[config.model].label, f"{name}, by network", _estimate([own[name]]), 1))
        each = [f"{MODELS[c.model].label} {combine(m[name]):.3f}" for c, m in zip(configs, measured, strict=True)]
        mean = _estimate([m[name] for m in measured])
        out.append(_row(scale, "", name, mean, len(configs), f"mean over {', '.join(each)}"))
    for name, values, unit in _of_no_network(probed, rows[0]):
        why = f"{(values > 0).sum()} of {len(values)} conformations above 0"
        out.append(_row(scale, "", name, _estimate([(values,)]), 0, why, unit))
    return pd.DataFrame(out)


def _of_no_network(probed: Sequence[Probe], rows: pd.DataFrame) -> list[tuple[str, Array, str]]:
    """Measures that ask no network: name, number of each conformation, unit."""
    rises = np.array([(p.energies[1] - p.energies[0]) / len(p.numbers) for p in probed])
    return [
        ("true noise", correlations(rows, "true"), "1"),
        ("true noise, rank", correlations(rows, "true", ranks=True), "1"),
        ("bond lengths, rank", correlations(rows, "bonds", ranks=True), "1"),
        ("clean, bond lengths, rank", correlations(rows, "clean_bonds", "clean_force", True), "1"),
        ("energy of the noise", rises, "kcal/mol/atom"),
    ]


def _row(
    scale: Scale, model: str, measure: str, estimate: Estimate, networks: int, why: str = "", unit: str = "1"
) -> dict[str, object]:
    """One row of `equation8_table`."""
    ends = estimate.interval()
    return dict.fromkeys(COLUMNS, "") | {
        "item": ITEM, "dataset": scale.label, "model": model, "metric": "energy" if unit != "1" else "correlation",
        "unit": unit, "value": ends.value, "low": ends.low, "high": ends.high, "n_seeds": networks,
        "source": "computed", "paper_value": np.nan, "subset": measure, "p_above": estimate.p_above(),
        "p_below": estimate.p_below(), "why": why,
    }  # fmt: skip
