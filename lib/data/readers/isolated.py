"""Energies of isolated atoms (E0s) in a user's file: frames of one atom that say so, ``config_type=isolated_atom``."""

from collections.abc import Iterator
from pathlib import Path

from ase import Atoms
from ase.symbols import symbols2numbers

from lib.errors import DataError

KEY, SAID = "config_type", "isolatedatom"  # without case, blanks and underscores
CHUNK = 1 << 24  # bytes
REMEDY = 'give frames of one atom with config_type="isolated_atom" and an energy, or energies by hand'


def is_isolated(atoms: Atoms) -> bool:
    """Whether a frame is an isolated atom by its own words."""
    said = str(atoms.info.get(KEY, "")).lower().replace("_", "").replace(" ", "")
    return len(atoms) == 1 and said == SAID


def are_mentioned(path: Path) -> bool:
    """Whether ``path`` has the word, in any case, so that it is worth reading for isolated atoms."""
    tail = b""
    with open(path, "rb") as file:
        while chunk := file.read(CHUNK):
            if b"isolated" in (tail + chunk).lower():
                return True
            tail = chunk[-len(b"isolated") :]
    return False


def isolated_atoms(path: Path, frames: Iterator[tuple[Atoms, float]]) -> dict[str, float]:
    """Energies by element, of ``frames`` of one atom of the file ``path`` with their energies.

    Raises:
        DataError: an element twice with different energies.
    """
    energies: dict[str, float] = {}
    for atoms, energy in frames:
        (symbol,) = atoms.get_chemical_symbols()
        if energies.setdefault(symbol, energy) != energy:
            values = sorted((energies[symbol], energy))
            raise DataError(path, f"isolated {symbol}", f"it has the energies {values} kcal/mol", "leave one of them")
    return dict(sorted(energies.items()))


def by_hand(words: list[str], factor: float) -> dict[str, float]:
    """Energies in kcal/mol by element from ``H=-13.6`` and the like, numbers times ``factor``.

    Raises:
        ValueError: no element, an element twice, or no number.
    """
    energies: dict[str, float] = {}
    for word in words:
        symbol, _, value = word.partition("=")
        try:
            (number,) = symbols2numbers(symbol)
            energy = float(value)
        except (ValueError, KeyError):
            number, energy = 0, float("nan")
        if not number or energy != energy or symbol in energies:
            raise ValueError(f"{word!r} is no energy of an element: give each once, as H=-13.6")
        energies[symbol] = energy * factor
    return dict(sorted(energies.items()))
