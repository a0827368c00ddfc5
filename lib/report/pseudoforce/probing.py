"""The conformations that equation 8 is tested at, clean and noised, with their GFN2-xTB forces and bond steps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lib.chemistry.atom_types import ATOM_TYPES, NUMBERS
from lib.chemistry.bonds import bonds_of
from lib.data.store import Conformations
from lib.errors import required
from lib.noising import gaussian_noise
from lib.runs.config import RunConfig
from lib.runs.selection import select, splits
from lib.units import HARTREE

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
    numbers, charge = NUMBERS[types], sum(ATOM_TYPES[t][1] for t in types)
    pair = bonds_of(numbers, clean)
    labels = [single_point(numbers, x, charge) for x in (clean, clean + noise)]
    steps = [bond_step(numbers, x, pair, lengths) for x in (clean, clean + noise)]
    return Probe(types, numbers, clean, noise, np.array([label.forces for label in labels]) * HARTREE,
                 np.array([label.energy for label in labels]) * HARTREE, np.array(steps))  # fmt: skip


def mean_lengths(conformations: Sequence[Conformations]) -> dict[tuple[int, int], float]:
    """The mean length (Å) of the bonds between two elements, by their atomic numbers, the smaller first."""
    measured: dict[tuple[int, int], list[float]] = {}
    for batch in conformations:
        numbers = NUMBERS[batch.types]
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
