"""Reference energies of the mini suite: the free atoms and ions of `atom_types.ATOM_TYPES` in GFN2-xTB.

Each in its ground state's number of unpaired electrons (that of the neutral atom with as many electrons in the same
shell), at 300 K electronic temperature but for C+, whose occupations converge from 475 K on. An ion without valence
electrons has energy 0 in GFN2-xTB, which leaves out the core.
"""

import csv
from pathlib import Path

import numpy as np
from ase.data import atomic_numbers

from lib.chemistry.atom_types import ATOM_TYPES
from lib.chemistry.xtb import single_point

VALENCE = {"H": 1, "Li": 1, "C": 4, "N": 5, "O": 6, "F": 7, "Na": 1, "Mg": 2, "P": 5, "S": 6, "Cl": 7, "K": 1, "Ca": 2,
           "Br": 7, "I": 7}  # fmt: skip
UNPAIRED = {0: 0, 1: 1, 2: 0, 3: 1, 4: 2, 5: 3, 6: 2, 7: 1, 8: 0}  # by valence electrons, Hund's rule
HOTTER = {("C", 1): 475.0}  # K


def write_reference_energies(path: Path) -> None:
    """Compute and write the table, one row for each atom type."""
    rows: list[list[str | int | float]] = [
        ["element", "charge", "unpaired", "electronic_temperature_kelvin", "energy_hartree"]
    ]
    for element, charge in ATOM_TYPES:
        electrons = VALENCE[element] - charge
        unpaired, temperature = UNPAIRED[electrons], HOTTER.get((element, charge), 300.0)
        energy = 0.0
        if electrons:
            numbers = np.array([atomic_numbers[element]])
            energy = single_point(numbers, np.zeros((1, 3)), charge, unpaired, temperature).energy
        rows.append([element, charge, unpaired, temperature, f"{energy:.12f}"])
    with open(path, "w", newline="", encoding="utf-8") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)
