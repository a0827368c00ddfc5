"""The baseline of energies: what a trained model's answer is added to, mean + Σ over a molecule's atoms of per_type.

`training.scaling` fits it; weights files and results keep it as their ``target``.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def energy_baseline(
    mean: Tensor | float, per_type: Tensor, types: Tensor, molecule: Tensor, n_molecules: int
) -> Tensor:
    """The formula.

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


def baseline_of_target(
    target: Mapping[str, Any], types: NDArray[np.int64], molecule: NDArray[np.int64], n_molecules: int
) -> NDArray[np.float64]:
    """`energy_baseline` of a ``target`` with its ``mean`` and ``per_type``, for arrays."""
    per_type = torch.as_tensor(np.array(target["per_type"], dtype=np.float64))
    types, molecule = torch.as_tensor(types), torch.as_tensor(molecule)
    return energy_baseline(target["mean"], per_type, types, molecule, n_molecules).numpy()
