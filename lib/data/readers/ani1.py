"""ANI-1: ``ani_gdb_s01.h5`` … ``ani_gdb_s08.h5``, HDF5.

Layout: ``/gdb11_s01/gdb11_s01-0/{coordinates (M,N,3) Å, energies (M,) Hartree, species (N,) symbols}``. The published
files (https://doi.org/10.6084/m9.figshare.c.3846712) hold ωB97X/6-31G(d) and do not say so inside: a file whose root
groups are named ``gdb11_sNN`` is at that level unless its attribute ``level_of_theory`` says another. Energies tell
whether that was right (`checks.checked`). High-energy conformations (``coordinatesHE``) are not read.
"""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import h5py
import numpy as np

from lib.data.readers.checks import checked, dataset, find_files, one_level, open_hdf5, some, symbols_to_numbers, text
from lib.data.readers.molecule import Molecule
from lib.units import HARTREE

PUBLISHED_LEVEL = "wB97X/6-31G(d)"


def read(path: Path | str | Sequence[Path | str], level: str | None = None) -> Iterator[Molecule]:
    """Molecules of one file, of a list of files, or of a folder's ``*.h5``, also those in folders below it.

    Args:
        path: file, folder or list of files; read in the order of the file names.
        level: level of theory where the files do not state it.

    Raises:
        DataError: a file is broken, empty, of another layout, or of a missing or another level.
    """
    of_all: str | None = None
    for file_path in find_files(path, "**/*.h5"):
        with open_hdf5(file_path) as file:
            of_all = one_level(file_path, _stated_level(file), level, of_all)
            groups = [g for root in file.values() if isinstance(root, h5py.Group) for g in root.values()]
            groups = [g for g in groups if isinstance(g, h5py.Group)]
            some(groups, file_path, file, "group /gdb11_sNN/gdb11_sNN-k")
            for group in groups:
                yield _molecule(file_path, group, of_all)


def _stated_level(file: h5py.File) -> str | None:
    """The attribute ``level_of_theory``, or the published level where all root groups have the published names."""
    if "level_of_theory" in file.attrs:
        return text(file.attrs["level_of_theory"])
    return PUBLISHED_LEVEL if len(file) and all(re.fullmatch(r"gdb11_s\d\d", name) for name in file) else None


def _molecule(path: Path, group: h5py.Group, level: str) -> Molecule:
    symbols = [text(s) for s in dataset(path, group, "species")]
    z = symbols_to_numbers(path, group.name, symbols)
    return checked(path, group.name, Molecule(
        name=group.name.rsplit("/", 1)[-1],
        z=z,
        charges=np.zeros_like(z),
        positions=dataset(path, group, "coordinates").astype(np.float32),
        energy=dataset(path, group, "energies").astype(np.float64) * HARTREE,
        forces=None,
        level=level,
    ))  # fmt: skip
