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

from lib.errors import DataError
from lib.readers.checks import checked, find_files, near_origin, one_level, recognised, symbols_to_numbers
from lib.readers.forces import sign_of
from lib.readers.hdf5 import dataset, groups, open_hdf5, stated, texts
from lib.readers.molecule import Molecule
from lib.units import HARTREE

PUBLISHED_LEVEL = "wB97X/6-31G(d)"
STATES_LEVEL = ("level_of_theory", "lot")


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
            found = [group for root in groups(file_path, file, "group /gdb11_sNN")
                     for group in groups(file_path, root, "group /gdb11_sNN/gdb11_sNN-k")]  # fmt: skip
            of_file = _level(file_path, file, found, level)
            sign = _sign(file_path, found)
            for group in found:
                of_all = one_level(file_path, stated(file_path, group, STATES_LEVEL) or of_file, level, of_all)
                yield _molecule(file_path, group, of_all, sign)


def _level(path: Path, file: h5py.File, found: list[h5py.Group], expected: str | None) -> str | None:
    """What the file says, or the published level where its energies are of that level; None where each group says."""
    says = stated(path, file, STATES_LEVEL)
    if says is not None or expected is not None:
        return says
    silent = [group for group in found if stated(path, group, STATES_LEVEL) is None]
    if not silent:
        return None
    return recognised(path, PUBLISHED_LEVEL, (
        (_numbers(path, group), float(np.min(dataset(path, group, "energies", "f", 1), initial=np.inf)) * HARTREE)
        for group in silent
    ))  # fmt: skip


def _sign(path: Path, found: list[h5py.Group]) -> float | None:
    """1 where ``forces`` are forces, -1 where they are gradients, None where there are none."""
    having = [group for group in found if "forces" in group]
    if not having:
        return None
    if len(having) < len(found):
        lacking = next(group.name for group in found if "forces" not in group)
        raise DataError(path, lacking, "no forces, but other groups have them", "give them in all, or leave them out")
    keys = ("coordinates", "energies", "forces")
    return sign_of(path, ([dataset(path, group, key) for key in keys] for group in having))


def _numbers(path: Path, group: h5py.Group) -> np.ndarray:
    return symbols_to_numbers(path, group.name, texts(path, group, "species"))


def _molecule(path: Path, group: h5py.Group, level: str, sign: float | None) -> Molecule:
    z = _numbers(path, group)
    return checked(path, group.name, Molecule(
        name=group.name.rsplit("/", 1)[-1],
        z=z,
        charges=np.zeros_like(z),
        positions=near_origin(dataset(path, group, "coordinates")),
        energy=dataset(path, group, "energies", "f", 1).astype(np.float64) * HARTREE,
        forces=None if sign is None else (dataset(path, group, "forces") * (sign * HARTREE)).astype(np.float32),
        level=level,
    ))  # fmt: skip
