"""Levels of theory and their reference energies: what a free atom or ion has at that level.

A reference energy belongs to the level, not to the element alone: carbon is -37.83 Hartree in ωB97X/6-31G(d) and -1.79
in GFN2-xTB, which leaves out the core. Energies are learnt relative to the sum of their molecule's references.

Two small tables say what molecules have at a level, so that a file that states none can be recognised:
``in_molecules.csv`` has the energy of each element within a molecule (least squares over the lowest energies of 16
molecules of ANI-1, 449 formulas of ANI-1x, 66 dimers of COMP6 and 3BPA; their molecules are off by -215 to 346
kcal/mol, with medians of -0.8 and 11 kcal/mol in the two files of ANI-1), ``known_molecules.csv`` the usual energies
of whole molecules (medians of 40 rows of ISO17 and of 5 frames of MD22).
"""

import csv
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from ase.symbols import Symbols, symbols2numbers
from numpy.typing import NDArray

from lib.chemistry.atom_types import ATOM_TYPES
from lib.paths import DATA
from lib.units import HARTREE

WB97X, GFN2_XTB = "wB97X/6-31G(d)", "GFN2-xTB"  # levels of ANI-1 and ANI-1x as published, and of the mini suite
FORMATION = ", formation energy"  # ends the name of a level whose files have the references taken off already
LEVELS: dict[str, Path | None] = {  # None: nothing to take off, or references not known; energies stay as in the file
    WB97X: DATA / "levels" / "wb97x_6-31gd.csv",
    GFN2_XTB: DATA / "mini" / "reference_energies.csv",
    GFN2_XTB + FORMATION: None,
    "wB97M-D3BJ/def2-TZVPPD" + FORMATION: None,
    "PBE+vdW-TS": None,
    "PBE+MBD": None,
    "own": None,
}
LARGEST_RESIDUAL = 1000.0  # kcal/mol per heavy atom; a larger one means another level or unit
IN_MOLECULES, KNOWN_MOLECULES = DATA / "levels" / "in_molecules.csv", DATA / "levels" / "known_molecules.csv"


@cache
def level_named(text: str) -> str:
    """The name in `LEVELS` of what a file calls its level, such as ``wb97x/6-31g*``; other texts are returned as is."""
    return next((level for level in LEVELS if _plain(level) == _plain(text)), text)


def _plain(text: str) -> str:
    """Without the differences between spellings: case, ω and w, ``*`` and ``(d)``, dashes, slashes and spaces."""
    text = text.lower().replace("ω", "w").replace("*", "(d)")
    return re.sub(r"[^a-z0-9+,]", "", text)


@cache
def _rows(path: Path) -> list[dict[str, str]]:
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def usual_energy(level: str, z: NDArray[np.integer]) -> float | None:
    """Energy in kcal/mol that a molecule of atomic numbers ``z`` (N,) has near equilibrium; None where not known."""
    formula = Symbols(np.asarray(z, dtype=int)).get_chemical_formula()
    for row in _rows(KNOWN_MOLECULES):
        if (row["level"], row["formula"]) == (level, formula):
            return float(row["energy_kcal_per_mol"])
    of_element = {
        symbols2numbers(row["element"])[0]: float(row["energy_hartree"]) * HARTREE
        for row in _rows(IN_MOLECULES)
        if row["level"] == level
    }
    elements = [int(k) for k in z]
    return sum(of_element[k] for k in elements) if set(elements) <= set(of_element) else None


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


def isolated_energies(
    energies: Sequence[tuple[str, float]], composition: NDArray[np.integer], level: str
) -> NDArray[np.float64] | None:
    """Energies of isolated atoms by type (28,), kcal/mol relative to the references of ``level``; None without any.

    Args:
        energies: elements with the total energies of their atoms, kcal/mol.
        composition: (n, 28) atoms of each type in the molecules that they are for.
        level: of theory.

    Raises:
        ValueError: an element of the molecules has none.
    """
    if not energies:
        return None
    given, out = dict(energies), np.zeros(len(ATOM_TYPES))
    for index in np.flatnonzero(composition.any(0)).tolist():
        element = ATOM_TYPES[index][0]
        if element not in given:
            raise ValueError(f"isolated atoms {sorted(given)} lack {element}: give its energy too, or none at all")
        out[index] = given[element] - reference_energies(level, np.array([index]))[0]
    return out


def reference_energies(level: str, types: NDArray[np.integer]) -> NDArray[np.float64]:
    """Energies (A,) in kcal/mol of free atoms of ``types`` (A,) at ``level``.

    Raises:
        ValueError: ``level`` is not in `LEVELS`, or it has no energy for a type.
    """
    if level not in LEVELS:
        raise ValueError(f"no reference energies for level of theory {level!r}: known are {sorted(LEVELS)}")
    energies, path = _table(level)[types], LEVELS[level]
    if path is not None and np.isnan(energies).any():
        missing = sorted({ATOM_TYPES[t] for t in np.asarray(types)[np.isnan(energies)]})
        raise ValueError(f"{level} has no reference energy of {missing}: add them to {path.name}")
    return energies
