"""ANI-1x: ``ani1x-release.h5``, HDF5, one group per formula.

Layout: ``/C2H6O/{atomic_numbers (N,), coordinates (M,N,3) Å, wb97x_dz.energy (M,) Hartree, wb97x_dz.forces (M,N,3)
Hartree/Å, …}`` (https://doi.org/10.6084/m9.figshare.c.4712477). The key says the level of theory; where a level was not
computed for a conformation its energy is NaN, and the conformation is left out; a group must have one at least.
Isomers share a group.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np

from lib.chemistry.reference_energies import GFN2_XTB, WB97X, level_named
from lib.data.readers.checks import COPY_AGAIN, STATE_LEVEL, checked, find_files, near_origin, one_level
from lib.data.readers.hdf5 import Entry, groups, open_hdf5, stated
from lib.data.readers.molecule import Molecule
from lib.errors import DataError
from lib.units import HARTREE

KEYS = {WB97X: "wb97x_dz", GFN2_XTB: "gfn2_xtb"}


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
            molecules = groups(file_path, file, "group of a formula")
            first = Entry.of(file_path, molecules[0])
            first.dataset("atomic_numbers", "iu", 1)  # is it this layout?
            of_all = one_level(file_path, _level(file_path, file, molecules, level), level, of_all)
            for group in molecules:
                yield _molecule(Entry.of(file_path, group), of_all, f"{KEYS[of_all]}.forces" in first.members)


def _level(path: Path, file: h5py.File, molecules: list[h5py.Group], expected: str | None) -> str | None:
    """The level whose energies the groups hold; where several, the one that the caller expects."""
    held = [name for name, key in KEYS.items() if any(f"{key}.energy" in group for group in molecules)]
    if len(held) > 1 and expected is None:
        raise DataError(path, "", f"it mixes levels of theory {held}", STATE_LEVEL)
    says = stated(path, file, ("level_of_theory",))
    if not held or (says is not None and level_named(says) not in held):
        raise DataError(path, "", f"it says {says!r} but holds energies of {held}", STATE_LEVEL)
    return expected if expected in held else held[0]


def _molecule(entry: Entry, level: str, has_forces: bool) -> Molecule:
    key = KEYS[level]
    if (f"{key}.forces" in entry.members) != has_forces:
        raise DataError(entry.path, entry.name, f"data sets {key}.forces in some groups only", COPY_AGAIN)
    energy = entry.dataset(f"{key}.energy", "f", 1).astype(np.float64) * HARTREE
    z = entry.dataset("atomic_numbers", "iu", 1).astype(np.int64)
    whole = Molecule(
        name=entry.name.rsplit("/", 1)[-1],
        z=z,
        charges=np.zeros_like(z),
        positions=near_origin(entry.dataset("coordinates")),
        energy=energy,
        forces=(entry.dataset(f"{key}.forces") * HARTREE).astype(np.float32) if has_forces else None,
        level=level,
    )
    return checked(entry.path, entry.name, whole, np.isfinite(energy))
