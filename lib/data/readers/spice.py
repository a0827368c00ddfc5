"""SPICE 1.1.x: one HDF5 file, one group per molecule.

Layout (https://doi.org/10.5281/zenodo.8222043): ``atomic_numbers (N,), conformations (M,N,3) bohr, formation_energy
(M,) Hartree, dft_total_energy (M,) Hartree, dft_total_gradient (M,N,3) Hartree/bohr, smiles (1,) mapped, subset (1,)``.
The gradient is +dE/dx; forces are minus that. Atoms stand in the order of the SMILES map numbers, so formal charges are
sorted by them. The paper fits ``formation_energy``, which has the energies of free atoms and ions taken off.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from lib.chemistry.reference_energies import FORMATION
from lib.data.readers.checks import checked, dataset, find_files, one_level, open_hdf5, some, text
from lib.data.readers.molecule import Molecule
from lib.errors import DataError
from lib.units import BOHR, HARTREE

PUBLISHED_LEVEL = "wB97M-D3BJ/def2-TZVPPD" + FORMATION


def read(
    path: Path | str | Sequence[Path | str], level: str | None = None, subsets: Sequence[str] | None = None
) -> Iterator[Molecule]:
    """Molecules of one file, of a list of files, or of a folder's ``*.hdf5``, with formation energies.

    Args:
        path: file, folder or list of files; read in the order of the file names.
        level: level of theory; the attribute ``level_of_theory`` of a file says it, the published files do not.
        subsets: read only groups whose subset contains one of these words, e.g. ``["Dipeptides", "DES370K"]``.

    Raises:
        DataError: a file is broken, empty, of another layout; a SMILES is not mapped or does not fit the atoms; or no
            group belongs to ``subsets``.
    """
    of_all: str | None = None
    for file_path in find_files(path, "*.hdf5"):
        with open_hdf5(file_path) as file:
            stated = file.attrs.get("level_of_theory")
            found = PUBLISHED_LEVEL if stated is None else text(stated) + FORMATION
            of_all = one_level(file_path, found, level, of_all)
            groups = _groups(file)
            some(groups, file_path, file, "group with conformations")
            names = {group.name: _subset(file_path, group) for group in groups}
            chosen = [g for g in groups if subsets is None or any(word in names[g.name] for word in subsets)]
            if not chosen:
                raise DataError(
                    file_path, "", f"no group of {list(subsets)}", f"choose from {sorted(set(names.values()))}"
                )
            for group in chosen:
                yield _molecule(file_path, group, of_all)


def subsets_of(path: Path | str | Sequence[Path | str]) -> dict[str, str]:
    """The subset of each molecule of ``path`` (as for `read`), by its name.

    Raises:
        DataError: a file is broken or of another layout.
    """
    out = {}
    for file_path in find_files(path, "*.hdf5"):
        with open_hdf5(file_path) as file:
            out |= {_name(group): _subset(file_path, group) for group in _groups(file)}
    return out


def _groups(file: h5py.File) -> list[h5py.Group]:
    """Those that hold a molecule."""
    return [g for g in file.values() if isinstance(g, h5py.Group) and "conformations" in g]


def _name(group: h5py.Group) -> str:
    return group.name.rsplit("/", 1)[-1]


def _subset(path: Path, group: h5py.Group) -> str:
    return text(dataset(path, group, "subset")[0])


def _molecule(path: Path, group: h5py.Group, level: str) -> Molecule:
    z = dataset(path, group, "atomic_numbers").astype(np.int64)
    return checked(path, group.name, Molecule(
        name=_name(group),
        z=z,
        charges=charges_in_map_order(path, group.name, text(dataset(path, group, "smiles")[0]), z),
        positions=(dataset(path, group, "conformations") * BOHR).astype(np.float32),
        energy=dataset(path, group, "formation_energy").astype(np.float64) * HARTREE,
        forces=(dataset(path, group, "dft_total_gradient") * (-HARTREE / BOHR)).astype(np.float32),
        level=level,
    ))  # fmt: skip


def charges_in_map_order(path: Path, entry: str, smiles: str, z: NDArray[np.int64]) -> NDArray[np.int64]:
    """Formal charges (N,) of a mapped SMILES, in the order of its map numbers, checked against ``z`` (N,).

    Raises:
        DataError: the SMILES cannot be read, lacks map numbers 1 … N, or names other elements.
    """
    options = Chem.SmilesParserParams()
    options.removeHs = False
    molecule = Chem.MolFromSmiles(smiles, options)
    if molecule is None:
        raise DataError(path, entry, f"RDKit cannot read the SMILES {smiles!r}", "correct the SMILES")
    atoms = sorted(molecule.GetAtoms(), key=lambda atom: atom.GetAtomMapNum())
    if [atom.GetAtomMapNum() for atom in atoms] != list(range(1, len(z) + 1)):
        raise DataError(path, entry, f"the SMILES {smiles!r} does not map atoms 1 to {len(z)}", "give a mapped SMILES")
    if [atom.GetAtomicNum() for atom in atoms] != z.tolist():
        raise DataError(path, entry, f"the SMILES {smiles!r} names other elements than atomic_numbers", "correct one")
    return np.array([atom.GetFormalCharge() for atom in atoms], dtype=np.int64)
