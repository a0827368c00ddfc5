"""Formal charges of a user's ASE atoms and their spin, one rule for training data and for the calculator."""

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

KEY = "formal_charges"
HIGHEST = 8  # e
WHOLE, RELATIVE = 1e-6, 1e-5  # e, and of its size; what a whole number may be off by
TOTALS = ("charge", "total_charge")  # in atoms.info
CLOSED_SHELL = {"multiplicity": (1,), "spin": (0, 1)}  # 2 S or 2 S + 1: `inspection` sees an odd 2 S


def formal_charges(atoms: Atoms) -> NDArray[np.int64]:
    """Formal charges (N,) in e: the per-atom array `KEY`, else the initial charges, else zeros.

    Raises:
        ValueError: they are no small whole numbers, or do not add up to ``info["charge"]``, where that is given; or the
            atoms say that their shell is open.
    """
    _refuse_spin(atoms)
    charges = np.asarray(atoms.arrays.get(KEY, atoms.get_initial_charges()))
    if charges.shape != (len(atoms),) or charges.dtype.kind not in "fiu":
        raise ValueError(f"the array {KEY!r} has {charges.dtype} of shape {charges.shape}: give a whole number an atom")
    if not (np.abs(charges) <= HIGHEST).all():
        k = int(np.argmin(np.abs(charges) <= HIGHEST))
        raise ValueError(
            f"atom {k}: charge {charges[k]} is no formal charge: give whole numbers from -{HIGHEST} to "
            f"{HIGHEST} in the array {KEY!r}"
        )
    whole = np.rint(charges)
    if not (np.abs(charges - whole) <= WHOLE + RELATIVE * np.abs(whole)).all():
        k = int(np.argmax(np.abs(charges - whole)))
        raise ValueError(
            f"atom {k}: charge {charges[k]} is not a formal charge: give whole numbers in the array "
            f"{KEY!r} (partial charges are of no use here)"
        )
    for key in TOTALS:
        if atoms.info.get(key) is not None and not abs(_number(atoms, key) - whole.sum()) <= 1e-6:
            raise ValueError(
                f"info[{key!r}] is {atoms.info[key]}, but the formal charges of the atoms add up to "
                f"{whole.sum():g}: say which atoms are charged, in the array {KEY!r}"
            )
    return whole.astype(np.int64)


def _refuse_spin(atoms: Atoms) -> None:
    for key, closed in CLOSED_SHELL.items():
        if atoms.info.get(key) is not None and _number(atoms, key) not in closed:
            raise ValueError(
                f"its {key} is {atoms.info[key]}, and the models know no spin: remove the key where all "
                "structures have the same"
            )


def _number(atoms: Atoms, key: str) -> float:
    try:
        return float(atoms.info[key])
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"info[{key!r}] is no number but {atoms.info[key]!r:.40}") from error
