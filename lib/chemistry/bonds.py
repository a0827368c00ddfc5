"""Bonds and separate molecules from interatomic distances."""

import numpy as np
from ase.data import covalent_radii
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

# In units of `bond_lengths`: a bond near equilibrium is shorter than the first, one of a nonequilibrium conformation
# shorter than the second; beyond the third it is broken.
BONDED, STRETCHED, BROKEN = 1.3, 1.45, 1.6


def bond_lengths(numbers: NDArray[np.integer]) -> NDArray[np.float64]:
    """Sums (N, N) of the covalent radii of atoms with atomic ``numbers`` (N,), in Å: about the length of a bond."""
    return covalent_radii[numbers][:, None] + covalent_radii[numbers]


def bonds_of(numbers: NDArray[np.integer], positions: NDArray[np.floating]) -> NDArray[np.int64]:
    """Pairs (K, 2) of atoms at ``positions`` (N, 3) Å that are closer than `STRETCHED` times `bond_lengths`."""
    distance = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    return np.argwhere(np.triu(distance < STRETCHED * bond_lengths(numbers), 1))


def parts_of(numbers: NDArray[np.integer], positions: NDArray[np.floating]) -> NDArray[np.int32]:
    """Which part of a complex each atom (N,) belongs to, 0, 1, …, from the bonds at ``positions`` (N, 3) Å."""
    i, j = bonds_of(numbers, positions).T
    return connected_components(coo_array((np.ones(len(i)), (i, j)), (len(numbers), len(numbers))), directed=False)[1]
