"""What the readers share: opening HDF5, finding files, the level of theory, and the checks of a molecule."""

import tarfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from lib.chemistry.atom_types import atom_types
from lib.chemistry.reference_energies import LARGEST_RESIDUAL, LEVELS, reference_energies
from lib.data.readers.molecule import Molecule
from lib.errors import DataError

COPY_AGAIN = "copy or download it again"
STATE_LEVEL = f"set the file's attribute level_of_theory or pass level=..., one of {sorted(LEVELS)}"


def find_files(path: Path | str | Sequence[Path | str], pattern: str) -> list[Path]:
    """The files meant by ``path``: itself, those of a folder that match ``pattern``, or a list; sorted by name.

    Hidden files do not count.

    Raises:
        DataError: nothing is there.
    """
    if isinstance(path, (str, Path)):
        path = Path(path)
        files = [path]
        if path.is_dir():
            files = [file for file in path.glob(pattern) if file.is_file() and not file.name.startswith(".")]
        if not files:
            wanted = pattern.removeprefix("**/")
            raise DataError(path, "", f"the folder has no file {wanted}", "name the file or another folder")
    else:
        files = [Path(p) for p in path]
    for file in files:
        if not file.is_file():
            raise DataError(file, "", "there is no such file", "check the path")
    return sorted(files, key=lambda file: (file.name, str(file)))


def refuse_empty(path: Path) -> None:
    """Refuse a file without a byte.

    Raises:
        DataError: it is empty.
    """
    if path.stat().st_size == 0:
        raise DataError(path, "", "the file is empty", COPY_AGAIN)


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a ``.tar.gz`` into ``folder``.

    Raises:
        DataError: it is broken, or a member would land outside ``folder``.
    """
    try:
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")
    except (tarfile.TarError, OSError, EOFError) as error:
        raise DataError(archive, "", f"it cannot be unpacked ({error})", COPY_AGAIN) from error


@contextmanager
def open_hdf5(path: Path) -> Iterator[h5py.File]:
    """Open for reading; whatever HDF5 cannot read, then or later, becomes a `DataError` that names the file."""
    refuse_empty(path)
    try:
        with h5py.File(path) as file:
            yield file
    except OSError as error:
        raise DataError(path, "", f"HDF5 cannot read it ({error})", COPY_AGAIN) from error


def text(value: bytes | str) -> str:
    """A string of HDF5, whichever way it was stored."""
    return value.decode() if isinstance(value, bytes) else str(value)


def one_level(path: Path, found: str | None, wanted: str | None, others: str | None) -> str:
    """The level of theory of a file that states ``found``, where the caller says ``wanted`` and other files ``others``.

    Raises:
        DataError: neither file nor caller says one, any two differ, or it has no reference energies.
    """
    level = found if found is not None else wanted
    if level is None:
        raise DataError(path, "", "it states no level of theory", STATE_LEVEL)
    for other in (wanted, others):
        if other is not None and other != level:
            raise DataError(path, "", f"its level of theory is {level!r}, not {other!r}", "do not mix levels")
    if level not in LEVELS:
        raise DataError(path, "", f"its level of theory {level!r} has no reference energies", STATE_LEVEL)
    return level


def some(groups: Sequence[h5py.Group], path: Path, file: h5py.File, what: str) -> None:
    """Refuse a file without any ``what``.

    Raises:
        DataError: ``groups`` is empty.
    """
    if not groups:
        found = f"no {what} (found {sorted(file)[:3]})"
        raise DataError(path, "", found, "is it another layout? readers are listed in lib.data.readers.READERS")


def dataset(path: Path, group: h5py.Group, key: str) -> NDArray:
    """The array ``group[key]``.

    Raises:
        DataError: it is not there.
    """
    found = group.get(key)
    if not isinstance(found, h5py.Dataset):
        raise DataError(path, group.name, f"no data set {key!r} among {sorted(group)}", "is it another layout?")
    return found[()]


def symbols_to_numbers(path: Path, entry: str, symbols: Sequence[str]) -> NDArray[np.int64]:
    """Atomic numbers (N,) of element symbols.

    Raises:
        DataError: a symbol is no element.
    """
    unknown = sorted(set(symbols) - set(atomic_numbers))
    if unknown:
        raise DataError(path, entry, f"unknown element {unknown[0]!r}", "correct the file's species")
    return np.array([atomic_numbers[s] for s in symbols], dtype=np.int64)


def checked(path: Path, entry: str, molecule: Molecule, keep: NDArray[np.bool_] | None = None) -> Molecule:
    """``molecule``, if its shapes fit, its numbers are finite, its elements known and its level plausible.

    Args:
        path: of the file.
        entry: the place in it.
        molecule: what was read there.
        keep: (M,) which conformations to take, where not all were computed; the others are not looked at.

    Raises:
        DataError: with the file, the entry and the value at fault.
    """
    shape = (len(molecule.energy), len(molecule.z), 3)
    arrays = {"coordinates": molecule.positions, "forces": molecule.forces}
    for what, array in arrays.items():
        if array is not None and array.shape != shape:
            raise DataError(path, entry, f"{what} have shape {array.shape}, not {shape}", COPY_AGAIN)
    numbers = np.arange(len(molecule.energy)) if keep is None else np.flatnonzero(keep)
    if len(numbers) < len(molecule.energy):
        forces = None if molecule.forces is None else molecule.forces[keep]
        molecule = replace(molecule, positions=molecule.positions[keep], energy=molecule.energy[keep], forces=forces)
    arrays = {"coordinates": molecule.positions, "forces": molecule.forces, "energy": molecule.energy}
    for what, array in arrays.items():
        if array is not None and not np.isfinite(array).all():
            frame = numbers[np.argwhere(~np.isfinite(array))[0][0]]
            raise DataError(path, entry, f"{what} of conformation {frame} are not finite", "remove that conformation")
    _check_energies(path, entry, molecule)
    return molecule


def _check_energies(path: Path, entry: str, molecule: Molecule) -> None:
    """Known elements, and energies near those of the free atoms, where the level has such energies."""
    try:
        types = atom_types(molecule.z, molecule.charges)
        residual = np.abs(molecule.energy - reference_energies(molecule.level, types).sum())
    except ValueError as error:
        raise DataError(path, entry, str(error), "or leave the entry out") from error
    heavy = max(int((np.asarray(molecule.z) > 1).sum()), 1)
    if LEVELS[molecule.level] is not None and residual.size and residual.max() > LARGEST_RESIDUAL * heavy:
        far = f"{residual.max() / heavy:.0f} kcal/mol per heavy atom"
        problem = f"an energy is {far} from the free atoms of {molecule.level}"
        raise DataError(path, entry, problem, "the level of theory or the energy unit is another one")
