"""Bonds and separate molecules from interatomic distances."""

import numpy as np
from ase.data import covalent_radii
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components


def bonds_of(numbers: NDArray[np.integer], positions: NDArray[np.floating]) -> NDArray[np.int64]:
    """Pairs (K, 2) of atoms closer than 1.45 times the sum of their covalent radii."""
    reach = 1.45 * (covalent_radii[numbers][:, None] + covalent_radii[numbers][None, :])
    distance = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    return np.argwhere(np.triu(distance < reach, 1))


def parts_of(numbers: NDArray[np.integer], positions: NDArray[np.floating]) -> NDArray[np.int32]:
    """Which part of a complex each atom (N,) belongs to, 0, 1, …, from the bonds at ``positions`` (N, 3) Å."""
    i, j = bonds_of(numbers, positions).T
    return connected_components(coo_array((np.ones(len(i)), (i, j)), (len(numbers), len(numbers))), directed=False)[1]
