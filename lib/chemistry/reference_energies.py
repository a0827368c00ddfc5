"""Levels of theory and their reference energies: what a free atom or ion has at that level.

A reference energy belongs to the level, not to the element alone: carbon is -37.83 Hartree in ωB97X/6-31G(d) and -1.79
in GFN2-xTB, which leaves out the core. Energies are learnt relative to the sum of their molecule's references.
"""

import csv
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lib.chemistry.atom_types import ATOM_TYPES
from lib.paths import DATA
from lib.units import HARTREE

FORMATION = ", formation energy"  # ends the name of a level whose files have the references taken off already
LEVELS: dict[str, Path | None] = {  # None: nothing to take off, or references not known; energies stay as in the file
    "wB97X/6-31G(d)": DATA / "levels" / "wb97x_6-31gd.csv",
    "GFN2-xTB": DATA / "mini" / "reference_energies.csv",
    "GFN2-xTB" + FORMATION: None,
    "wB97M-D3BJ/def2-TZVPPD" + FORMATION: None,
    "PBE+vdW-TS": None,
    "PBE+MBD": None,
    "own": None,
}
LARGEST_RESIDUAL = 1000.0  # kcal/mol per heavy atom; a larger one means another level or unit


@cache
def _table(level: str) -> NDArray[np.float64]:
    """Energy of each of the atom types at ``level``, (28,) kcal/mol; NaN: missing, 0: nothing is taken off."""
    path = LEVELS[level]
    energies = np.full(len(ATOM_TYPES), np.nan if path else 0.0)
    if path is None:
        return energies
    with open(path, newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            energies[ATOM_TYPES.index((row["element"], int(row["charge"])))] = float(row["energy_hartree"]) * HARTREE
    return energies


def reference_energies(level: str, types: NDArray[np.integer]) -> NDArray[np.float64]:
    """Energies (A,) in kcal/mol of free atoms of ``types`` (A,) at ``level``.

    Raises:
        ValueError: ``level`` is not in `LEVELS`, or it has no energy for a type.
    """
    if level not in LEVELS:
        raise ValueError(f"no reference energies for level of theory {level!r}: known are {sorted(LEVELS)}")
    energies = _table(level)[types]
    if np.isnan(energies).any():
        missing = sorted({ATOM_TYPES[t] for t in np.asarray(types)[np.isnan(energies)]})
        raise ValueError(f"{level} has no reference energy of {missing}: add them to {LEVELS[level].name}")
    return energies
