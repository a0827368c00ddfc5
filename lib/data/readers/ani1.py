"""ANI-1: ``ani_gdb_s01.h5`` … ``ani_gdb_s08.h5``, and COMP6 in the same layout, HDF5.

Layout: ``/gdb11_s01/gdb11_s01-0/{coordinates (M,N,3) Å, energies (M,) Hartree, species (N,) symbols}``. A file states
its level of theory in its attribute ``level_of_theory``, or each group states it in ``lot``, as those of COMP6
(https://github.com/isayev/COMP6) do. The published ANI-1 (https://doi.org/10.6084/m9.figshare.c.3846712) holds
ωB97X/6-31G(d) and does not say so: a file that states nothing must have energies of that level (`checks.recognised`).
High-energy conformations (``coordinatesHE``) are not read. What stands in ``forces`` is a gradient in COMP6; which of
the two a file has is told by its energies (`forces.sign_of`).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from lib.chemistry.reference_energies import WB97X
from lib.data.readers.checks import checked, find_files, near_origin, one_level, recognised, symbols_to_numbers
from lib.data.readers.forces import sign_of
from lib.data.readers.hdf5 import Entry, groups, open_hdf5, stated
from lib.data.readers.molecule import Molecule
from lib.errors import DataError
from lib.units import HARTREE

PUBLISHED_LEVEL = WB97X
STATES_LEVEL = ("level_of_theory", "lot")  # where a file or group may say its level of theory
LOOKED_AT = 200  # groups, to tell the level and the sign of forces


def read(path: Path | str | Sequence[Path | str], level: str | None = None) -> Iterator[Molecule]:
    """Molecules of one file, of a list of files, or of a folder's ``*.h5``, also those in folders below it.

    Args:
        path: file, folder or list of files; read in the order of the file names.
        level: level of theory that is expected; needed where the files do not state one and it is not the published.

    Raises:
        DataError: a file is broken, empty, of another layout, or of a missing or another level.
    """
    of_all: str | None = None
    for file_path in find_files(path, "**/*.h5"):
        with open_hdf5(file_path) as file:
            molecules = [
                group
                for root in groups(file_path, file, "group /gdb11_sNN")
                for group in groups(file_path, root, "group /gdb11_sNN/gdb11_sNN-k")
            ]
            of_file = _level(file_path, file, molecules, level)
            sign = _sign(file_path, molecules)
            for group in molecules:
                entry = Entry.of(file_path, group)
                of_all = one_level(file_path, entry.stated(STATES_LEVEL) or of_file, level, of_all)
                yield _molecule(entry, of_all, sign)


def _level(path: Path, file: h5py.File, molecules: list[h5py.Group], expected: str | None) -> str | None:
    """What the file says, or the published level where its energies are of that level; None where each group says."""
    says = stated(path, file, STATES_LEVEL)
    if says is not None or expected is not None or Entry.of(path, molecules[0]).stated(STATES_LEVEL) is not None:
        return says
    sample = [Entry.of(path, group) for group in molecules[:: -(-len(molecules) // LOOKED_AT)]]
    lowest = ((_numbers(entry), entry.dataset("energies", "f", 1).min(initial=np.inf) * HARTREE) for entry in sample)
    return recognised(path, PUBLISHED_LEVEL, lowest)


def _sign(path: Path, molecules: list[h5py.Group]) -> float | None:
    """1 where ``forces`` are forces, -1 where they are gradients, None where there are none."""
    if "forces" not in molecules[0]:
        return None
    sample = (Entry.of(path, group) for group in molecules[:: -(-len(molecules) // LOOKED_AT)])
    arrays = ((entry.dataset("coordinates"), entry.dataset("energies"), entry.dataset("forces")) for entry in sample)
    return sign_of(path, arrays)


def _numbers(entry: Entry) -> NDArray[np.int64]:
    return symbols_to_numbers(entry.path, entry.name, entry.texts("species"))


def _molecule(entry: Entry, level: str, sign: float | None) -> Molecule:
    if ("forces" in entry.members) != (sign is not None):
        raise DataError(entry.path, entry.name, "forces in some groups only", "give them in all, or leave them out")
    z = _numbers(entry)
    return checked(
        entry.path,
        entry.name,
        Molecule(
            name=entry.name.rsplit("/", 1)[-1],
            z=z,
            charges=np.zeros_like(z),
            positions=near_origin(entry.dataset("coordinates")),
            energy=entry.dataset("energies", "f", 1).astype(np.float64) * HARTREE,
            forces=None if sign is None else (entry.dataset("forces") * (sign * HARTREE)).astype(np.float32),
            level=level,
        ),
    )
