"""Molecules for a file in SPICE's layout: SMILES of its 15 elements, mapped as SPICE maps them."""

from collections.abc import Iterator
from itertools import product

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

HEADS = ("C", "N", "O", "F", "S", "Cl", "Br", "I", "C#C", "N#C", "OC(=O)", "NC(=O)", "CO", "CS", "c1ccccc1", "c1ccncc1",
         "c1ccoc1", "c1ccsc1", "CP(C)", "C[N+](C)(C)", "[O-]C(=O)", "C1CC1", "CC(C)", "FC(F)(F)")  # fmt: skip
TAILS = (*"CNOFSI", "Cl", "Br", "C#N", "C=C", "C(=O)O", "C(=O)N", "S(=O)(=O)C", "P(C)C", "c1ccccc1", "C(C)(C)O", "C=O")
IONS = ("", "[Na+]", "[K+]", "[Li+]", "[Mg+2]", "[Ca+2]", "O", "[Cl-]", "[Br-]")
LONGEST = 10  # CH2 groups between head and tail


def molecules() -> Iterator[str]:
    """Different SMILES in a random order, always the same."""
    parts = product(range(LONGEST + 1), IONS, HEADS, TAILS)
    every = [f"{head}{'C' * length}{tail}" + (f".{ion}" if ion else "") for length, ion, head, tail in parts]
    different = list(dict.fromkeys(every))
    yield from (different[k] for k in np.random.default_rng(6).permutation(len(different)))


def mapped(smiles: str) -> tuple[str, NDArray[np.int64]]:
    """The SMILES with all hydrogens and map numbers from 1, and the atomic numbers (N,) in their order."""
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    for k, atom in enumerate(molecule.GetAtoms()):
        atom.SetAtomMapNum(k + 1)
    return Chem.MolToSmiles(molecule), np.array([atom.GetAtomicNum() for atom in molecule.GetAtoms()])
