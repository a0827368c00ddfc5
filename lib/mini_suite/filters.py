"""What is refused: fused or dissociated geometries, energies and forces that no thermal motion gives.

A conformation is kept when, with r the sum of two covalent radii (Cordero et al. 2008, as tabulated by RDKit), bonded
atoms are between 0.65 r and 1.45 r apart, other atoms of one molecule at least 1.15 r, atoms of two molecules at least
1.6 r (0.75 r beside a monatomic ion); when its energy is at most `MAX_ENERGY` per atom above the lowest of its
molecule; and when no force exceeds `MAX_FORCE`. A self-consistent field that does not converge is an error in tblite
and drops the conformation.
"""

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

BONDED = (0.65, 1.45)  # times the sum of covalent radii
NOT_BONDED = 1.15
BETWEEN_MOLECULES = 1.6
BESIDE_AN_ION = 0.75  # where one of the two is a monatomic ion: its covalent radius says little
MAX_ENERGY = 8.0  # kcal/mol per atom above the lowest
MAX_FORCE = 600.0  # kcal/mol/Å, norm on one atom


class GeometryFilter:
    """Distance bounds of every atom pair of one molecule or dimer, from its bonds."""

    def __init__(self, molecule: Chem.Mol) -> None:
        """Take bonds, elements and fragments from ``molecule`` (with its hydrogens)."""
        table = Chem.GetPeriodicTable()
        radii = np.array([table.GetRcovalent(a.GetAtomicNum()) for a in molecule.GetAtoms()])
        total = radii[:, None] + radii[None, :]
        bonded = Chem.GetAdjacencyMatrix(molecule).astype(bool)
        fragment = np.empty(len(radii), dtype=int)
        for k, atoms in enumerate(Chem.GetMolFrags(molecule)):
            fragment[list(atoms)] = k
        apart = fragment[:, None] != fragment[None, :]
        alone = ~bonded.any(0) & np.array([a.GetFormalCharge() != 0 for a in molecule.GetAtoms()])
        between = np.where(alone[:, None] | alone[None, :], BESIDE_AN_ION, BETWEEN_MOLECULES)
        lower = np.where(bonded, BONDED[0], np.where(apart, between, NOT_BONDED)) * total
        upper = np.where(bonded, BONDED[1] * total, np.inf)
        self.pairs = np.triu_indices(len(radii), 1)
        self.lower, self.upper = lower[self.pairs], upper[self.pairs]

    def accepts(self, positions: NDArray[np.float64]) -> bool:
        """Whether every pair of ``positions`` (N, 3) Å lies within its bounds."""
        if not np.isfinite(positions).all():
            return False
        distance = np.linalg.norm(positions[self.pairs[0]] - positions[self.pairs[1]], axis=1)
        return bool((distance >= self.lower).all() and (distance <= self.upper).all())


def plausible(
    energy: NDArray[np.float64], forces: NDArray[np.float64], max_energy: float | None = None
) -> NDArray[np.bool_]:
    """Which of M labelled conformations of one molecule are kept.

    Args:
        energy: (M,) kcal/mol.
        forces: (M, N, 3) kcal/mol/Å.
        max_energy: kcal/mol above the lowest; default `MAX_ENERGY` per atom.
    """
    allowed = MAX_ENERGY * forces.shape[1] if max_energy is None else max_energy
    above = energy - energy.min()
    largest = np.linalg.norm(forces, axis=-1).max(axis=-1)
    return np.isfinite(energy) & (above <= allowed) & (largest <= MAX_FORCE)
