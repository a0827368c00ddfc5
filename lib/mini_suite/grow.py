"""More molecules of the suite's kind: those of mini ANI-1 with one heavy atom changed or added, in a random order.

``python -m lib.mini_suite.grow`` writes ``molecules/more.smi`` again. A molecule of up to `LARGEST` heavy atoms grows
by a C, N or O in place of a hydrogen, or has one atom replaced, or a single bond made double. What is left is what
RDKit takes for a molecule without charges or radicals, has none of `UNLIKELY`, is in none of the suite's lists, and
keeps its bonds when GFN2-xTB relaxes it (`relaxed.sample`).
"""

import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from itertools import compress
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from rdkit import Chem
from rdkit.Chem.rdForceFieldHelpers import MMFFHasAllMoleculeParams
from rdkit.rdBase import BlockLogs

from lib.machine import available_cores
from lib.mini_suite import ani1, ani1x, relaxed
from lib.mini_suite.build import ONE_THREAD, SEED
from lib.mini_suite.sampling import read_molecules

LARGEST = 8  # heavy atoms, as mini ANI-1
NUMBER = 3000
ELEMENTS = (6, 7, 8)
UNLIKELY = [
    Chem.MolFromSmarts(pattern)
    for pattern in (
        "[O,N]!:[O,N]!:[O,N]",  # chains of three
        "[OX2][OX2]",
        "[R;r3,r4,r5,r6,r7]#*",
        "[R;r3,r4,r5,r6,r7]=[R;r3,r4,r5,r6,r7]=*",
        "[C,N]=[C;r3]",
        "[OH,NH2][CX3]=[CX3,N;!a]",  # enols, and the like, which would be something else
        "[OH,NH2,NH][CX4][OH,NH2,NH]",
    )
]
HEADER = f"""\
# More molecules of 1 to {LARGEST} heavy atoms of C, N, O: those of mini ANI-1 with one heavy atom changed or added
# (lib.mini_suite.grow says how), in a fixed random order; none is in the lists of mini ANI-1 or mini ANI-1x.
"""


def neighbours(smiles: str) -> Iterator[str]:
    """Molecules one change away from ``smiles``, in canonical SMILES, some of them several times."""
    parent = Chem.MolFromSmiles(smiles)
    Chem.Kekulize(parent, clearAromaticFlags=True)
    for atom in parent.GetAtoms():
        for element in ELEMENTS:
            if parent.GetNumHeavyAtoms() < LARGEST and atom.GetTotalNumHs():
                grown = Chem.RWMol(parent)
                grown.AddBond(atom.GetIdx(), grown.AddAtom(Chem.Atom(element)), Chem.BondType.SINGLE)
                yield from _canonical(grown)
            if element != atom.GetAtomicNum():
                changed = Chem.RWMol(parent)
                changed.GetAtomWithIdx(atom.GetIdx()).SetAtomicNum(element)
                yield from _canonical(changed)
    for bond in parent.GetBonds():
        if bond.GetBondType() == Chem.BondType.SINGLE:
            joined = Chem.RWMol(parent)
            joined.GetBondWithIdx(bond.GetIdx()).SetBondType(Chem.BondType.DOUBLE)
            yield from _canonical(joined)


def _canonical(molecule: Chem.RWMol) -> Iterator[str]:
    """The canonical SMILES of ``molecule``, where it is one that may serve."""
    for atom in molecule.GetAtoms():
        atom.SetNoImplicit(False)
        atom.SetNumExplicitHs(0)
    try:
        smiles = Chem.MolToSmiles(molecule)
        made = Chem.MolFromSmiles(smiles)
    except (ValueError, RuntimeError):
        return
    if made is None or any(a.GetFormalCharge() or a.GetNumRadicalElectrons() for a in made.GetAtoms()):
        return
    if any(made.HasSubstructMatch(pattern) for pattern in UNLIKELY) or not MMFFHasAllMoleculeParams(Chem.AddHs(made)):
        return
    yield Chem.MolToSmiles(made)


def candidates() -> list[str]:
    """All that one change makes of mini ANI-1's molecules, but the suite's own, in a random order that is always the
    same.
    """
    suite = [smiles for path in (ani1.MOLECULES, ani1x.MOLECULES) for smiles in read_molecules(path)]
    known = {Chem.CanonSmiles(smiles) for smiles in suite}
    with BlockLogs():  # of what RDKit refuses
        made = {grown for smiles in read_molecules(ani1.MOLECULES) for grown in neighbours(smiles)} - known
    ordered = sorted(made)
    return [ordered[k] for k in np.random.default_rng(SEED).permutation(len(ordered))]


def _relaxes(smiles: str) -> bool:
    try:
        relaxed.sample(smiles, SEED)
    except (ValueError, RuntimeError):
        return False
    return True


def write_list(path: Path, number: int = NUMBER, processes: int | None = None) -> None:
    """Write the first ``number`` of `candidates` that relax."""
    chosen: list[str] = []
    with ProcessPoolExecutor(processes or available_cores(), mp_context=get_context("spawn")) as pool:
        rest = candidates()
        while len(chosen) < number and rest:
            tried, rest = rest[:100], rest[100:]
            chosen += compress(tried, pool.map(_relaxes, tried))
    path.write_text(HEADER + "\n".join(chosen[:number]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    os.environ.update(ONE_THREAD)
    write_list(relaxed.MOLECULES)
