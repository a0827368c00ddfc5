"""Molecule: what every reader yields. `checks.checked` refuses what is implausible, the store what does not fit."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Molecule:
    """M conformations of one molecule of N atoms.

    Attributes:
        name: unique within its file or files.
        z: (N,) atomic numbers.
        charges: (N,) formal charges in e.
        positions: (M, N, 3) Å, float32.
        energy: (M,) kcal/mol, float64.
        forces: (M, N, 3) kcal/mol/Å, float32, or None where the file has none.
        level: level of theory of energy and forces.
        rows: (M,) numbers of the conformations in the file, where something refers to them (ISO17's split), or None.
        notes: what a user should know of how it was read.
    """

    name: str
    z: NDArray[np.integer]
    charges: NDArray[np.integer]
    positions: NDArray[np.float32]
    energy: NDArray[np.float64]
    forces: NDArray[np.float32] | None
    level: str
    rows: NDArray[np.int64] | None = None
    notes: tuple[str, ...] = ()
