"""Formal charges of a user's ASE atoms, one rule for training data and for the calculator."""

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

KEY = "formal_charges"


def formal_charges(atoms: Atoms) -> NDArray[np.int64]:
    """Formal charges (N,) in e: the per-atom array `KEY`, else the initial charges, else zeros.

    Raises:
        ValueError: they are no whole numbers, or do not add up to ``info["charge"]``, where that is given.
    """
    charges = atoms.arrays.get(KEY, atoms.get_initial_charges())
    whole = np.rint(charges)
    if not np.allclose(charges, whole, atol=1e-6):
        k = int(np.argmax(np.abs(charges - whole)))
        raise ValueError(f"atom {k}: charge {charges[k]} is not a formal charge: give whole numbers in the array "
                         f"{KEY!r} (partial charges are of no use here)")  # fmt: skip
    total = atoms.info.get("charge")
    if total is not None and abs(float(total) - whole.sum()) > 1e-6:
        raise ValueError(f"info['charge'] is {total}, but the formal charges of the atoms add up to {whole.sum():g}: "
                         f"say which atoms are charged, in the array {KEY!r}")  # fmt: skip
    return whole.astype(np.int64)
