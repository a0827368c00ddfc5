"""What the readers share: finding files, the level of theory, and the checks of a molecule."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from ase.data import atomic_numbers
from numpy.typing import NDArray

from lib.chemistry.atom_types import atom_types
from lib.chemistry.reference_energies import LARGEST_RESIDUAL, LEVELS, level_named, reference_energies, usual_energy
from lib.data.readers.molecule import Molecule
from lib.errors import DataError

COPY_AGAIN = "copy or download it again"
ANOTHER_LAYOUT = "is it another layout? readers are listed in lib.data.readers.READERS"
STATE_LEVEL = f"set the file's attribute level_of_theory or give level (--level), one of {sorted(LEVELS)}"
OF_ATOMS = ("atomic numbers", "charges")  # arrays that all conformations of a molecule share
KINDS = {"f": "floating-point numbers", "iu": "whole numbers", "SO": "texts"}
FAR = 2048.0  # Å from the origin, where float32 begins to round by more than 1e-4 Å
DENSEST = 1100  # bytes that one compressed byte can stand for: gzip packs zeros 1032 to 1
APART = 60.0  # kcal/mol: the median over a file's molecules beyond which its level is taken for another one


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
            none = "files" if pattern == "*" else f"file {pattern.removeprefix('**/')}"
            raise DataError(path, "", f"the folder has no {none}", "name the file or another folder")
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


def refuse_kind(
    path: Path, entry: str, kind: np.dtype, shape: tuple[int, ...], kinds: str, dimensions: int | None = None
) -> None:
    """Refuse an array of another type than one of ``kinds`` (keys of `KINDS`), or of other ``dimensions``.

    Raises:
        DataError: with the type or shape at fault; without ``dimensions``, a single value is at fault.
    """
    if kind.kind not in kinds:
        raise DataError(path, entry, f"its values are of type {kind}, not {KINDS[kinds]}", "correct the file")
    if (not shape) if dimensions is None else len(shape) != dimensions:
        number = "one or more" if dimensions is None else dimensions
        raise DataError(path, entry, f"it has shape {shape}, not one of {number} dimensions", "correct the file")


def text(path: Path, entry: str, value: Any) -> str:
    """A text of a file, whichever way it was stored, also as an array of one.

    Raises:
        DataError: it is no text, several, or not UTF-8.
    """
    if type(value) is bytes and value.isascii():
        return value.decode()
    single = value.reshape(-1)[0] if isinstance(value, np.ndarray) and value.size == 1 else value
    try:
        single = single.decode() if isinstance(single, bytes) else single
    except UnicodeDecodeError as error:
        raise DataError(path, entry, f"{single!r:.40} is no UTF-8 text", "correct the file") from error
    if not isinstance(single, str):
        raise DataError(path, entry, f"{single!r:.40} is no text", "correct the file")
    return str(single)


def one_level(path: Path, stated: str | None, expected: str | None, others: str | None) -> str:
    """The level of theory of a file that states ``stated``, where the caller expects one and other files have one.

    Raises:
        DataError: neither file nor caller says one, any two differ, or it has no reference energies.
    """
    if stated is None and expected is None:
        raise DataError(path, "", "it states no level of theory", STATE_LEVEL)
    level = level_named(stated or expected)
    for other in (expected, others):
        if other is not None and level_named(other) != level:
            raise DataError(path, "", f"its level of theory is {level!r}, not {other!r}", "do not mix levels")
    if level not in LEVELS:
        raise DataError(path, "", f"its level of theory {level!r} has no reference energies", STATE_LEVEL)
    return level


def recognised(path: Path, level: str, lowest: Iterable[tuple[NDArray[np.integer], float]]) -> str:
    """``level``, the published one of a layout, if a file that states none has the energies of that level.

    Args:
        path: of the file.
        level: a name in `LEVELS`.
        lowest: atomic numbers (N,) and lowest energy in kcal/mol of each of its molecules.

    Raises:
        DataError: the median molecule is more than `APART` from what `usual_energy` says, or it knows none of them.
    """
    usual = [(energy, usual_energy(level, z)) for z, energy in lowest]
    away = [energy - known for energy, known in usual if known is not None]
    if not away:
        raise DataError(
            path,
            "",
            f"it states no level of theory, and its energies cannot be told from those of others than {level}",
            f"if it is that one, give level (--level) {level!r}, else: {STATE_LEVEL}",
        )
    if not abs(np.median(away)) <= APART:
        raise DataError(
            path,
            "",
            f"it states no level of theory, and its energies are {np.median(away):.0f} kcal/mol from those of {level}",
            STATE_LEVEL,
        )
    return level


def symbols_to_numbers(path: Path, entry: str, symbols: Sequence[str]) -> NDArray[np.int64]:
    """Atomic numbers (N,) of element symbols.

    Raises:
        DataError: a symbol is no element.
    """
    unknown = sorted(set(symbols) - (set(atomic_numbers) - {"X"}))
    if unknown:
        raise DataError(path, entry, f"unknown element {unknown[0]!r}", "correct the file's species")
    return np.array([atomic_numbers[s] for s in symbols], dtype=np.int64)


def near_origin(positions: NDArray[np.floating]) -> NDArray[np.float32]:
    """Positions (M, N, 3) in float32, Å; conformations that reach beyond `FAR` are first centred in float64.

    Nearer ones stay where they are, to the bit: float32 moves them by less than 1e-4 Å, and what was computed from
    them stays the same.
    """
    if positions.ndim == 3 and positions.size and max(positions.max(), -positions.min()) > FAR:
        positions = positions.astype(np.float64)
        far = np.isfinite(positions).all((1, 2)) & (np.abs(positions).max((1, 2)) > FAR)
        with np.errstate(over="ignore", invalid="ignore"):
            positions[far] -= positions[far].mean(1, keepdims=True)
    with np.errstate(over="ignore"):
        return positions.astype(np.float32, copy=False)


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
    if 0 in shape or (keep is not None and not keep.any()):
        raise DataError(
            path,
            entry,
            f"{shape[0]} conformations of {shape[1]} atoms, none with an energy",
            "leave the entry out, or copy the file again",
        )
    _check_shapes(path, entry, molecule, COPY_AGAIN)
    numbers = np.arange(len(molecule.energy)) if keep is None else np.flatnonzero(keep)
    if len(numbers) < len(molecule.energy):
        forces = None if molecule.forces is None else molecule.forces[keep]
        molecule = replace(molecule, positions=molecule.positions[keep], energy=molecule.energy[keep], forces=forces)
    _check_finite(path, entry, molecule, numbers)
    _check_energies(path, entry, molecule)
    _check_positions(path, entry, molecule.positions, numbers)
    return molecule


def check_arrays(path: Path, molecule: Molecule) -> None:
    """Refuse a ``molecule`` for the store at ``path`` whose arrays have not the shapes that `Molecule` states, or hold
    numbers that are not finite. `checked` says it of a file, and looks at values too.

    Raises:
        DataError: with the molecule and the array at fault.
    """
    _check_shapes(path, molecule.name, molecule, "give every conformation its energy and all its atoms")
    _check_finite(path, molecule.name, molecule, np.arange(len(molecule.energy)))


def _arrays(molecule: Molecule) -> dict[str, tuple[NDArray, tuple[int, ...]]]:
    """The arrays of ``molecule`` that are there, by what users call them, with the shapes that they should have."""
    m, n = len(molecule.energy), len(molecule.z)
    arrays: dict[str, tuple[NDArray | None, tuple[int, ...]]] = {
        "atomic numbers": (molecule.z, (n,)),
        "charges": (molecule.charges, (n,)),
        "energies": (molecule.energy, (m,)),
        "coordinates": (molecule.positions, (m, n, 3)),
        "forces": (molecule.forces, (m, n, 3)),
        "row numbers": (molecule.rows, (m,)),
    }
    return {what: (array, shape) for what, (array, shape) in arrays.items() if array is not None}


def _check_shapes(path: Path, entry: str, molecule: Molecule, remedy: str) -> None:
    for what, (array, shape) in _arrays(molecule).items():
        if array.shape != shape:
            raise DataError(path, entry, f"{what} have shape {array.shape}, not {shape}", remedy)


def _check_finite(path: Path, entry: str, molecule: Molecule, numbers: NDArray[np.integer]) -> None:
    """``numbers`` (M,) are those of the conformations in the file."""
    for what, (array, _) in _arrays(molecule).items():
        if array.size and not (np.isfinite(array.max()) and np.isfinite(array.min())):
            if what in OF_ATOMS:
                raise DataError(path, entry, f"{what} are not finite", "correct them")
            frame = numbers[np.argwhere(~np.isfinite(array))[0][0]]
            raise DataError(path, entry, f"{what} of conformation {frame} are not finite", "remove that conformation")


def _check_positions(path: Path, entry: str, positions: NDArray[np.float32], numbers: NDArray[np.integer]) -> None:
    """No atom far from its molecule's centre, and none on top of the next one, as in rows that were never written."""
    if max(positions.max(), -positions.min()) > FAR:
        frame = int(np.abs(positions).max((1, 2)).argmax())
        raise DataError(
            path,
            entry,
            f"coordinates of conformation {numbers[frame]} reach "
            f"{np.abs(positions[frame]).max():.3g} Å from its centre",
            "remove that conformation",
        )
    same = positions[:, 1:, 0] == positions[:, :-1, 0]
    frames, atoms = np.nonzero(same)
    beside = (positions[frames, atoms + 1] == positions[frames, atoms]).all(-1)
    if beside.any():
        frame, atom = frames[beside][0], atoms[beside][0]
        raise DataError(
            path,
            entry,
            f"atoms {atom} and {atom + 1} of conformation {numbers[frame]} are in one place",
            "remove that conformation",
        )


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
