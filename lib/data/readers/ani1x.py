"""ANI-1x: ``ani1x-release.h5``, HDF5, one group per formula.

Layout: ``/C2H6O/{atomic_numbers (N,), coordinates (M,N,3) Å, wb97x_dz.energy (M,) Hartree, wb97x_dz.forces (M,N,3)
Hartree/Å, …}`` (https://doi.org/10.6084/m9.figshare.c.4712477). The key says the level of theory; where a level was not
computed for a conformation its energy is NaN, and the conformation is left out. Isomers share a group.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np

from lib.data.readers.checks import STATE_LEVEL, checked, dataset, find_files, one_level, open_hdf5, some, text
from lib.data.readers.molecule import Molecule
from lib.errors import DataError
from lib.units import HARTREE

KEYS = {"wB97X/6-31G(d)": "wb97x_dz", "GFN2-xTB": "gfn2_xtb"}


def read(path: Path | str | Sequence[Path | str], level: str | None = None) -> Iterator[Molecule]:
    """Molecules (formulas) of one file, of a list of files, or of a folder's ``*.h5``.

    Args:
        path: file, folder or list of files; read in the order of the file names.
        level: which level of theory to take where a file has several of `KEYS`.

    Raises:
        DataError: a file is broken, empty, of another layout, or of a missing or another level.
    """
    of_all: str | None = None
    for file_path in find_files(path, "*.h5"):
        with open_hdf5(file_path) as file:
            groups = [g for g in file.values() if isinstance(g, h5py.Group) and "atomic_numbers" in g]
            some(groups, file_path, file, "group with atomic_numbers")
            of_all = one_level(file_path, _stated_level(file_path, file, groups, level), level, of_all)
            for group in groups:
                molecule = _molecule(file_path, group, of_all)
                if len(molecule.energy):
                    yield molecule


def _stated_level(path: Path, file: h5py.File, groups: list[h5py.Group], wanted: str | None) -> str | None:
    """The level whose energies the groups hold; where several, the one the caller wants."""
    found = [name for name, key in KEYS.items() if any(f"{key}.energy" in g for g in groups)]
    if len(found) > 1 and wanted is None:
        raise DataError(path, "", f"it mixes levels of theory {found}", STATE_LEVEL)
    stated = file.attrs.get("level_of_theory")
    if stated is not None and text(stated) not in found:
        raise DataError(path, "", f"it says {text(stated)!r} but holds energies of {found}", STATE_LEVEL)
    return wanted if wanted in found else (found or [None])[0]


def _molecule(path: Path, group: h5py.Group, level: str) -> Molecule:
    key = KEYS[level]
    energy = dataset(path, group, f"{key}.energy").astype(np.float64) * HARTREE
    z = dataset(path, group, "atomic_numbers").astype(np.int64)
    has_forces = f"{key}.forces" in group
    whole = Molecule(
        name=group.name.rsplit("/", 1)[-1],
        z=z,
        charges=np.zeros_like(z),
        positions=dataset(path, group, "coordinates").astype(np.float32),
        energy=energy,
        forces=(dataset(path, group, f"{key}.forces") * HARTREE).astype(np.float32) if has_forces else None,
        level=level,
    )
    return checked(path, group.name, whole, np.isfinite(energy))
