"""Data sets from a user's own files, labelled or not, and the shipped example."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from lib.chemistry.atom_types import ATOM_TYPES
from lib.chemistry.reference_energies import GFN2_XTB
from lib.data.datasets import STORE, DataSet, open_store
from lib.data.readers.frame_values import ENERGY_UNITS, Reading
from lib.data.readers.frames import ending
from lib.data.readers.isolated import energies_by_hand
from lib.data.readers.layouts import OWN
from lib.data.readers.own import free_atoms
from lib.data.store import ConformationStore
from lib.data.store_header import HEADER, UNITS
from lib.errors import DataError, look_up
from lib.paths import DATA

EXAMPLE_LEVEL, EXAMPLE_DIHEDRAL = GFN2_XTB, (5, 4, 2, 1)  # of theory; the bond from the ring to the ester is turned


def own_dataset(
    path: Path | str,
    energy_unit: str | None = None,
    energy_key: str = "energy",
    forces_key: str = "forces",
    length_unit: str = "angstrom",
    forces_length_unit: str | None = None,
    level: str = OWN,
    ignore_cell: bool = False,
) -> DataSet:
    """The labelled conformations in ``path``; the arguments are those of `readers.own.read`.

    ``path`` may be a store too (`ConformationStore`, as ``data convert`` writes it), which has its units and its level.

    Raises:
        DataError: for a store another unit or level is given than it has, or keys, or a unit of forces.
    """
    path = Path(path).resolve()
    if _is_store(path):
        reading = Reading(energy_unit, energy_key, forces_key, length_unit, forces_length_unit)
        reading.refuse_keys(path, "a store")
        return _stored(path, energy_unit, length_unit, level)
    options: dict[str, str | bool] = {
        **({} if energy_unit is None else {"energy_unit": energy_unit}),
        "energy_key": energy_key,
        "forces_key": forces_key,
        "length_unit": length_unit,
        "forces_length_unit": forces_length_unit or length_unit,
        **({"ignore_cell": True} if ignore_cell else {}),
    }
    return DataSet(f"own/{_stem(path)}", "own", str(path), level, tuple(options.items()))


def isolated_atoms(
    data: DataSet, by_hand: Sequence[str] = (), file: Path | str | None = None
) -> tuple[tuple[str, float], ...]:
    """Elements with the energies (kcal/mol) of isolated atoms for fine-tuning on ``data`` (`own_dataset`).

    Args:
        data: whose own frames of one atom count where nothing else is given, if they are there for all elements.
        by_hand: energies in the unit of ``data``, such as ``H=-13.6``.
        file: of isolated atoms alone, in the unit of ``data``.

    Raises:
        ValueError: words that are no energies of elements, an unknown unit, or energies by hand beside a file.
        DataError: the file cannot be read so.
    """
    options = dict(data.options)
    unit = options.get("energy_unit", UNITS["energy"] if data.reader == STORE else None)
    unit, key = None if unit is None else str(unit), str(options.get("energy_key", "energy"))
    if by_hand and file is not None:
        raise ValueError(f"isolated atoms by hand ({by_hand[0]} …) beside the file {file}: choose one of them")
    if by_hand and unit is None:
        raise DataError(
            data.path,
            "",
            f"isolated atoms by hand ({by_hand[0]} …) have no unit",
            "name it with energy_unit (--energy-unit)",
        )
    if by_hand:
        factor = look_up(ENERGY_UNITS, str(unit), "energy unit")
        return tuple(energies_by_hand(list(by_hand), factor).items())
    if file is not None:
        return tuple(sorted(free_atoms(file, unit, key, alone=True).items()))
    energies = free_atoms_of(data)
    return () if lacking(energies, data) else tuple(sorted(energies.items()))


def free_atoms_of(data: DataSet) -> dict[str, float]:
    """Energies in kcal/mol of the free atoms among the frames of ``data``, by element and charge (`free_atoms`)."""
    if data.reader == STORE:
        return {}
    options = dict(data.options)
    unit = options.get("energy_unit")
    return free_atoms(data.path, None if unit is None else str(unit), str(options.get("energy_key", "energy")))


def lacking(energies: Mapping[str, float], data: DataSet) -> list[str]:
    """Elements of ``data`` of which ``energies`` have no free atom."""
    types = np.flatnonzero(open_store(data).compositions.any(0)).tolist()
    return sorted({ATOM_TYPES[index][0] for index in types} - set(energies))


def unlabelled_dataset(path: Path | str, length_unit: str = "angstrom", ignore_cell: bool = False) -> DataSet:
    """The conformations in ``path``, a file or a store, without their energies, if there are any."""
    path = Path(path).resolve()
    unlabelled: dict[str, str | bool] = {"labelled": False}
    name = f"own/{_stem(path)}-unlabelled"
    if _is_store(path):
        return DataSet(name, STORE, str(path), None, tuple(unlabelled.items()))
    options = {"length_unit": length_unit} | unlabelled | ({"ignore_cell": True} if ignore_cell else {})
    return DataSet(name, "own", str(path), None, tuple(options.items()))


def _is_store(path: Path) -> bool:
    return (path / HEADER).is_file()


def _stem(path: Path) -> str:
    """The name of a file without its ending, ``train`` of ``train.xyz.gz``."""
    return path.name.removesuffix(ending(path)) if path.is_file() else path.name


def _stored(path: Path, energy_unit: str | None, length_unit: str, level: str) -> DataSet:
    """The store at ``path``."""
    stored = ConformationStore.open(path)
    for what, given, has in (("energy", energy_unit, UNITS["energy"]), ("length", length_unit, UNITS["positions"])):
        if given not in (None, has):
            raise DataError(path, "", f"the {what} unit of a store is {has}, not {given}", f"leave the {what} unit out")
    if level not in (OWN, stored.level):
        raise DataError(path, "", f"its level of theory is {stored.level!r}, not {level!r}", "leave the level out")
    return DataSet(f"own/{path.name}", STORE, str(path), stored.level)


def example() -> DataSet:
    """The shipped example: methyl salicylate."""
    return own_dataset(DATA / "mini" / "example" / "methyl-salicylate.xyz", "eV", level=EXAMPLE_LEVEL)
