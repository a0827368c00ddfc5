"""Normal modes of a molecule from its Hessian, rigid motion projected out."""

import numpy as np
from numpy.typing import NDArray

from lib.units import ACCELERATION

Array = NDArray[np.float64]
WAVENUMBER = 1e15 * np.sqrt(ACCELERATION) / (2 * np.pi * 2.99792458e10)  # cm⁻¹ of sqrt(1 kcal/mol/Å² / (g/mol))


def rigid_motions(positions: Array, mass: Array) -> Array:
    """Orthonormal mass-weighted translations and rotations (3N, 6), or (3N, 5) of a linear molecule."""
    r = positions - np.average(positions, axis=0, weights=mass)
    root = np.sqrt(mass)[:, None]
    motions = [(root * axis).ravel() for axis in np.eye(3)] + [(root * np.cross(axis, r)).ravel() for axis in np.eye(3)]
    vectors, sizes, _ = np.linalg.svd(np.array(motions).T, full_matrices=False)
    return vectors[:, sizes > 1e-2 * sizes.max()]


def normal_modes(hessian: Array, positions: Array, mass: Array) -> tuple[Array, Array]:
    """Wavenumbers (K,) in cm⁻¹ (negative: imaginary) and Cartesian modes (K, N, 3), rigid motion projected out.

    Args:
        hessian: (3N, 3N) kcal/mol/Å².
        positions: (N, 3) Å, where the Hessian was taken.
        mass: (N,) g/mol.

    Returns:
        K = 3N - 6 modes, or 3N - 5 of a linear molecule.
    """
    root = np.sqrt(np.repeat(mass, 3))
    rigid = rigid_motions(positions, mass)
    basis = np.linalg.qr(np.hstack([rigid, np.eye(len(root))]))[0][:, rigid.shape[1] :]
    values, vectors = np.linalg.eigh(basis.T @ (hessian / root[:, None] / root[None, :]) @ basis)
    modes = ((basis @ vectors) / root[:, None]).T.reshape(len(values), -1, 3)
    return np.sign(values) * np.sqrt(np.abs(values)) * WAVENUMBER, modes
