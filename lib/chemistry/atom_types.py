"""The atom types that models know: 28 pairs of element and formal charge, numbered in this order.

Source: the released code's vocabulary (https://github.com/yuyangw/Denoise-Pretrain-ML-Potential), alphabetical. To add
a pair, append one line at the end of `ATOM_TYPES`; weights and records of before, which know 28 types, no longer fit
then and are to be made anew.
"""

import numpy as np
from ase.data import atomic_numbers, chemical_symbols
from numpy.typing import NDArray

ATOM_TYPES: tuple[tuple[str, int], ...] = (
    ("Br", -1), ("Br", 0), ("C", -1), ("C", 0), ("C", 1), ("Ca", 2), ("Cl", -1), ("Cl", 0), ("F", -1), ("F", 0),
    ("H", 0), ("I", -1), ("I", 0), ("K", 1), ("Li", 1), ("Mg", 2), ("N", -1), ("N", 0), ("N", 1), ("Na", 1),
    ("O", -1), ("O", 0), ("O", 1), ("P", 0), ("P", 1), ("S", -1), ("S", 0), ("S", 1),
)  # fmt: skip
NUMBERS: NDArray[np.int64] = np.array([atomic_numbers[symbol] for symbol, _ in ATOM_TYPES])  # (28,) atomic numbers
CLOSEST = 0.3  # Å; closer atoms are a mistake of the input, H2's bond is 0.74 Å long
_HIGHEST_CHARGE = 8
_TYPE_OF = np.full((len(chemical_symbols), 2 * _HIGHEST_CHARGE + 1), -1, dtype=np.int64)
for _index, (_symbol, _charge) in enumerate(ATOM_TYPES):
    _TYPE_OF[atomic_numbers[_symbol], _charge + _HIGHEST_CHARGE] = _index


def type_name(t: int) -> str:
    """What messages call atom type ``t``: the element, and its charge where it has one (``N``, ``N+``, ``Ca2+``)."""
    symbol, charge = ATOM_TYPES[t]
    size = str(abs(charge)) if abs(charge) > 1 else ""
    return f"{symbol}{size}{'+' if charge > 0 else '-'}" if charge else symbol


def atom_types(z: NDArray[np.integer], charges: NDArray[np.integer]) -> NDArray[np.int64]:
    """Atom types (N,) of atomic numbers ``z`` (N,) and formal ``charges`` (N,) in e.

    Raises:
        ValueError: a pair is not in `ATOM_TYPES`; the pair is named.
    """
    z, charges = np.asarray(z, dtype=np.int64), np.asarray(charges, dtype=np.int64)
    inside = (z > 0) & (z < len(chemical_symbols)) & (np.abs(charges) <= _HIGHEST_CHARGE)
    types = np.where(inside, _TYPE_OF[np.where(inside, z, 0), np.where(inside, charges, 0) + _HIGHEST_CHARGE], -1)
    if (types < 0).any():
        first = int(np.flatnonzero(types < 0)[0])
        element = chemical_symbols[z[first]] if 0 < z[first] < len(chemical_symbols) else "no element"
        raise ValueError(
            f"atom {first}: atomic number {z[first]} ({element}) with charge {charges[first]:+d} is not an atom type; "
            f"known are {', '.join(type_name(t) for t in range(len(ATOM_TYPES)))}; another needs a line at the end of "
            "lib.chemistry.atom_types.ATOM_TYPES, and all training anew"
        )
    return types
