"""Scaling of the energy target: the baseline that is taken off before a model learns, and the unit of the rest.

A relative energy E (total minus free atoms) becomes (E - baseline) / std. Two baselines:

``mean``         the mean of the training conformations, as in the released code;
``composition``  the sum over atoms of one energy per atom type, by least squares on the training conformations. It
                 takes off what follows from the formula, so that a thousand conformations suffice to learn the rest.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lib.chemistry.atom_types import ATOM_TYPES

BASELINES = ("mean", "composition")


def energy_baseline(
    mean: Tensor | float, per_type: Tensor, types: Tensor, molecule: Tensor, n_molecules: int
) -> Tensor:
    """Baseline = mean + Σ over a molecule's atoms of per_type: the formula's one home.

    Args:
        mean: kcal/mol, float64.
        per_type: (28,) kcal/mol per atom, float64.
        types: (A,) atom types of all molecules.
        molecule: (A,) the molecule of each atom.
        n_molecules: how many there are.

    Returns:
        (n_molecules,) kcal/mol, float64.
    """
    atoms = per_type[types]
    return mean + atoms.new_zeros(n_molecules).index_add(0, molecule, atoms)


@dataclass(frozen=True)
class Scaling:
    """``mean`` and ``std`` in kcal/mol, ``per_type`` (28,) in kcal/mol per atom; the baseline is `energy_baseline`."""

    mean: float
    std: float
    per_type: NDArray[np.float64]

    @staticmethod
    def fit(baseline: str, energy: NDArray[np.float64], composition: NDArray[np.int64]) -> "Scaling":
        """Fit to training conformations.

        Args:
            baseline: one of `BASELINES`.
            energy: (n,) relative energies, kcal/mol.
            composition: (n, 28) number of atoms of each type.

        Raises:
            ValueError: unknown baseline, or energies that do not vary.
        """
        if baseline not in BASELINES:
            raise ValueError(f"no baseline {baseline!r}: choose from {BASELINES}")
        per_type = np.zeros(len(ATOM_TYPES))
        if baseline == "composition":
            per_type = np.linalg.lstsq(composition.astype(float), energy, rcond=None)[0]
        rest = energy - composition @ per_type
        if not rest.std() > 0:
            raise ValueError(f"{len(energy)} training energies do not vary once their {baseline} is taken off: "
                             "give more of them")  # fmt: skip
        return Scaling(float(rest.mean()), float(rest.std()), per_type)

    @staticmethod
    def from_target(target: Mapping[str, Any]) -> "Scaling":
        """The scaling that a run was trained with, from its ``target`` in results and weights files."""
        return Scaling(target["mean"], target["std"], np.array(target["per_type"], dtype=np.float64))

    def baselines(self, types: NDArray[np.int64], molecule: NDArray[np.int64], n_molecules: int) -> NDArray[np.float64]:
        """`energy_baseline` for arrays: types and molecule (A,) of each atom; (n_molecules,) kcal/mol."""
        per_type, types, molecule = (torch.as_tensor(array) for array in (self.per_type, types, molecule))
        return energy_baseline(self.mean, per_type, types, molecule, n_molecules).numpy()
