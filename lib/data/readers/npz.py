"""Arrays of one trajectory in ``.npz``: MD17, revised MD17, MD22, and what sGDML writes.

Layouts: ``R (M,N,3), E (M,) or (M,1), F (M,N,3), z (N,)`` (http://www.sgdml.org); ``coords, energies, forces,
nuclear_charges`` in revised MD17 (https://doi.org/10.6084/m9.figshare.12672038). Energies of MD17 are in kcal/mol, and
its lengths in Å; ``e_unit`` and ``r_unit`` say so in some files, and ``theory`` names the level.
"""

import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from lib.data.readers.checks import ANOTHER_LAYOUT, COPY_AGAIN, refuse_empty, refuse_kind, text
from lib.errors import DataError

NAMES = {
    "positions": ("R", "coords", "coordinates", "positions"),
    "numbers": ("z", "nuclear_charges", "atomic_numbers", "numbers"),
    "energy": ("E", "energies", "energy"),
    "forces": ("F", "forces"),
}
SAYS = {"theory": "level", "name": "name", "e_unit": "energy_unit", "r_unit": "length_unit"}  # info of each frame
SILENT = ("", "unknown")  # what a text has where nobody filled it in
BROKEN = (OSError, ValueError, LookupError, EOFError, MemoryError, OverflowError, RuntimeError, TypeError, SyntaxError,
          NotImplementedError, zipfile.BadZipFile, zlib.error)  # what numpy raises  # fmt: skip


def frames(path: Path) -> Iterator[Atoms]:
    """The conformations of ``path``; energy and forces are under their names in the file, ``energy`` and ``forces``.

    Raises:
        DataError: the file is broken, or of another layout.
    """
    refuse_empty(path)
    arrays, said = _load(path)
    names = {what: next((name for name in known if name in arrays), None) for what, known in NAMES.items()}
    for what in ("positions", "numbers"):
        if names[what] is None:
            raise DataError(path, "", f"no {what}, {NAMES[what]}, among {sorted(arrays)}", ANOTHER_LAYOUT)
    positions, numbers = arrays[str(names["positions"])], arrays[str(names["numbers"])]
    refuse_kind(path, str(names["positions"]), positions.dtype, positions.shape, "f", 3)
    refuse_kind(path, str(names["numbers"]), numbers.dtype, numbers.shape, "iu", 1)
    count, atoms = positions.shape[:2]
    if positions.shape[2] != 3 or len(numbers) != atoms:
        raise DataError(path, "", f"positions {positions.shape} and {len(numbers)} atomic numbers", COPY_AGAIN)
    by_frame = {name: array for name, array in arrays.items() if array.shape == (count,) or array.shape == (count, 1)}
    by_atom = {name: array for name, array in arrays.items() if array.shape == positions.shape}
    for what, of_all in (("energy", by_frame), ("forces", by_atom)):
        name = names[what]
        if name is not None:
            if name not in of_all:
                problem = f"shape {arrays[name].shape} beside {count} conformations of {atoms} atoms"
                raise DataError(path, name, problem, COPY_AGAIN)
            of_all[what] = of_all[name]
    for k in range(count):
        out = Atoms(numbers=numbers, positions=positions[k])
        out.info |= said | {name: array[k].reshape(-1)[0] for name, array in by_frame.items()}
        for name, array in by_atom.items():
            if array is not positions:
                out.arrays[name] = array[k]
        yield out


def _load(path: Path) -> tuple[dict[str, NDArray], dict[str, str]]:
    """The arrays of numbers in ``path``, and what it says of itself (`SAYS`)."""
    try:
        refuse_cut(path)
        with np.load(path) as content:
            arrays = {name: content[name] for name in content.files if name not in SAYS}
            said = {key: text(path, name, content[name]).strip() for name, key in SAYS.items() if name in content.files}
    except DataError:
        raise
    except BROKEN as error:
        raise DataError(path, "", f"numpy cannot read it ({error})", COPY_AGAIN) from error
    numbers = {name: array for name, array in arrays.items() if array.dtype.kind in "fiu"}
    return numbers, {key: value for key, value in said.items() if value.lower() not in SILENT}


def refuse_cut(path: Path) -> None:
    """Refuse an archive with a wrong checksum, or an array that is not as long as its header says.

    Raises:
        DataError: naming the array.
    """
    with zipfile.ZipFile(path) as archive:
        broken = archive.testzip()
        if broken is not None:
            raise DataError(path, broken, "its checksum is wrong", COPY_AGAIN)
        for member in archive.infolist():
            with archive.open(member) as stream:
                version = np.lib.format.read_magic(stream)
                read_header = (
                    np.lib.format.read_array_header_1_0 if version == (1, 0) else (np.lib.format.read_array_header_2_0)
                )
                shape, _, kind = read_header(stream)
                declared, held = int(np.prod(shape, dtype=object)) * kind.itemsize, member.file_size - stream.tell()
            if declared != held and not kind.hasobject:
                raise DataError(path, member.filename, f"it declares {declared} bytes, but has {held}", COPY_AGAIN)
