"""SPICE 1.1.x: one HDF5 file, one group per molecule.

Layout (https://doi.org/10.5281/zenodo.8222043): ``atomic_numbers (N,), conformations (M,N,3) bohr, formation_energy
(M,) Hartree, dft_total_energy (M,) Hartree, dft_total_gradient (M,N,3) Hartree/bohr, smiles (1,) mapped, subset (1,)``.
The gradient is +dE/dx; forces are minus that. Atoms stand in the order of the SMILES map numbers, so formal charges are
sorted by them; the released code takes atom types in the order of the SMILES, hydrogens last. The paper fits
``formation_energy``, which has the energies of free atoms and ions taken off.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.rdBase import BlockLogs

from lib.chemistry.atom_types import atom_types
from lib.chemistry.reference_energies import FORMATION, WB97X, level_named, reference_energies
from lib.data.readers.checks import STATE_LEVEL, checked, find_files, near_origin, one_level
from lib.data.readers.hdf5 import Entry, groups, open_hdf5, refuse_endless_texts, stated
from lib.data.readers.molecule import Molecule
from lib.errors import DataError
from lib.units import BOHR, HARTREE

PUBLISHED_LEVEL = "wB97M-D3BJ/def2-TZVPPD" + FORMATION
COMPARED_WITH, COMPARABLE = WB97X, {1, 6, 7, 8}  # whose free atoms are known, and near the published ones
ALIKE = 0.02  # Hartree an atom; in the published C8H18N+ they are 0.002 apart, those of GFN2-xTB about 5


def read(
    path: Path | str | Sequence[Path | str],
    level: str | None = None,
    subsets: Sequence[str] | None = None,
    misplaced: bool = False,
) -> Iterator[Molecule]:
    """Molecules of one file, of a list of files, or of a folder's ``*.hdf5``, with formation energies.

    Args:
        path: file, folder or list of files; read in the order of the file names.
        level: level of theory that is expected; the attribute ``level_of_theory`` of a file says it. The published
            files say nothing, and are told by the energies of free atoms that were taken off.
        subsets: read only groups whose subset contains one of these words, e.g. ``["Dipeptides", "DES370K"]``.
        misplaced: give atoms the elements and charges in the order of the SMILES, hydrogens last, as the released code
            does, which is wrong; to measure what that does.

    Raises:
        DataError: a file is broken, empty, of another layout; a SMILES is not mapped or does not fit the atoms; or no
            group belongs to ``subsets``.
    """
    of_all: str | None = None
    for file_path in find_files(path, "*.hdf5"):
        with open_hdf5(file_path) as file:
            molecules = groups(file_path, file, "group of a molecule")
            refuse_endless_texts(file_path, molecules, ("subset", "smiles"))
            says = stated(file_path, file, ("level_of_theory",))
            if says is None and level is None:
                says = _recognised(file_path, molecules)
            expected = None if says is None else level_named(says).removesuffix(FORMATION) + FORMATION
            of_all = one_level(file_path, expected, level, of_all)
            chosen = molecules
            if subsets is not None:
                subset = {group: Entry.of(file_path, group, True).one_text("subset") for group in molecules}
                chosen = [group for group in molecules if any(word in subset[group] for word in subsets)]
                if not chosen:
                    remedy = f"choose from {sorted(set(subset.values()))}"
                    raise DataError(file_path, "", f"no group of {list(subsets)}", remedy)
            for group in chosen:
                molecule = _molecule(Entry.of(file_path, group, True), of_all)
                yield _misplaced(Entry.of(file_path, group, True), molecule) if misplaced else molecule


def subsets_of(path: Path | str | Sequence[Path | str]) -> dict[str, str]:
    """The subset of each molecule of ``path`` (as for `read`), by its name.

    Raises:
        DataError: a file is broken or of another layout.
    """
    out: dict[str, str] = {}
    for file_path in find_files(path, "*.hdf5"):
        with open_hdf5(file_path) as file:
            molecules = groups(file_path, file, "group of a molecule")
            refuse_endless_texts(file_path, molecules, ("subset",))
            out |= {_name(group.name): Entry.of(file_path, group, True).one_text("subset") for group in molecules}
    return out


def _recognised(path: Path, molecules: list[h5py.Group]) -> str:
    """`PUBLISHED_LEVEL`, unless what was taken off the energies is far from the free atoms of density functionals.

    That is looked at in the first molecule of C, H, N and O alone. It tells density functionals from semi-empirical
    levels, not from one another.

    Raises:
        DataError: it is far.
    """
    entries = (Entry.of(path, group) for group in molecules)
    elements = ((entry, entry.dataset("atomic_numbers", "iu", 1).astype(np.int64)) for entry in entries)
    first = next(((entry, z) for entry, z in elements if set(z.tolist()) <= COMPARABLE), None)
    if first is None:
        return PUBLISHED_LEVEL
    entry, z = first
    taken = entry.dataset("dft_total_energy", "f", 1) - entry.dataset("formation_energy", "f", 1)
    free = reference_energies(COMPARED_WITH, atom_types(z, np.zeros_like(z))).sum() / HARTREE
    away = np.abs(taken - free).max(initial=0.0) / max(len(z), 1)
    if not away <= ALIKE:
        raise DataError(
            path,
            entry.name,
            f"it states no level of theory, and its free atoms are {away:.3g} Hartree an "
            f"atom from those of {COMPARED_WITH}: it is not the published level",
            STATE_LEVEL,
        )
    return PUBLISHED_LEVEL


def _name(entry: str) -> str:
    return entry.rsplit("/", 1)[-1]


def _molecule(entry: Entry, level: str) -> Molecule:
    z = entry.dataset("atomic_numbers", "iu", 1).astype(np.int64)
    return checked(
        entry.path,
        entry.name,
        Molecule(
            name=_name(entry.name),
            z=z,
            charges=charges_in_map_order(entry.path, entry.name, entry.one_text("smiles"), z),
            positions=near_origin(entry.dataset("conformations") * BOHR),
            energy=entry.dataset("formation_energy", "f", 1).astype(np.float64) * HARTREE,
            forces=(entry.dataset("dft_total_gradient") * (-HARTREE / BOHR)).astype(np.float32),
            level=level,
        ),
    )


def _misplaced(entry: Entry, molecule: Molecule) -> Molecule:
    """``molecule`` with the elements and charges in the order of the SMILES, whose explicit hydrogens come last."""
    atoms = list(Chem.AddHs(Chem.MolFromSmiles(entry.one_text("smiles"))).GetAtoms())
    z = np.array([atom.GetAtomicNum() for atom in atoms], dtype=molecule.z.dtype)
    charges = np.array([atom.GetFormalCharge() for atom in atoms], dtype=np.int64)
    if sorted(z) != sorted(molecule.z):
        problem = f"without its map the SMILES has {len(z)} atoms of other elements than atomic_numbers"
        raise DataError(entry.path, entry.name, problem, "read it in the order of its map")
    return replace(molecule, z=z, charges=charges)


def charges_in_map_order(path: Path, entry: str, smiles: str, z: NDArray[np.int64]) -> NDArray[np.int64]:
    """Formal charges (N,) of a mapped SMILES, in the order of its map numbers, checked against ``z`` (N,).

    Raises:
        DataError: the SMILES cannot be read, lacks map numbers 1 … N, or names other elements.
    """
    options = Chem.SmilesParserParams()
    options.removeHs = False  # type: ignore[assignment]  # RDKit's stubs give every option the type of the options
    with BlockLogs():  # the error says what RDKit would print over several lines
        molecule = Chem.MolFromSmiles(smiles, options)
    if molecule is None:
        raise DataError(path, entry, f"RDKit cannot read the SMILES {smiles!r}", "correct the SMILES")
    atoms = sorted(molecule.GetAtoms(), key=lambda atom: atom.GetAtomMapNum())
    if [atom.GetAtomMapNum() for atom in atoms] != list(range(1, len(z) + 1)):
        raise DataError(path, entry, f"the SMILES {smiles!r} does not map atoms 1 to {len(z)}", "give a mapped SMILES")
    if [atom.GetAtomicNum() for atom in atoms] != z.tolist():
        raise DataError(path, entry, f"the SMILES {smiles!r} names other elements than atomic_numbers", "correct one")
    return np.array([atom.GetFormalCharge() for atom in atoms], dtype=np.int64)
