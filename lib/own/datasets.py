"""Data sets from a user's own files, labelled or not, and the shipped example."""

from pathlib import Path

from lib.data.datasets import STORE, DataSet
from lib.data.readers.frames import ending
from lib.data.readers.layouts import OWN
from lib.data.readers.own import free_atoms
from lib.data.store import HEADER, ConformationStore
from lib.errors import DataError
from lib.paths import DATA

EXAMPLE_LEVEL, EXAMPLE_DIHEDRAL = "GFN2-xTB", (5, 4, 2, 1)  # of theory; the bond from the ring to the ester is turned


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
        DataError: another unit or level is given for a store than it has.
    """
    path = Path(path).resolve()
    if _is_store(path):
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


def unlabelled_dataset(path: Path | str, length_unit: str = "angstrom", ignore_cell: bool = False) -> DataSet:
    """The conformations in ``path``, a file or a store, without their energies, if there are any."""
    path = Path(path).resolve()
    unlabelled: dict[str, str | bool] = {"labelled": False}
    name = f"own/{_stem(path)}-unlabelled"
    if _is_store(path):
        return DataSet(name, STORE, str(path), None, tuple(unlabelled.items()))
    options = {"length_unit": length_unit} | unlabelled | ({"ignore_cell": True} if ignore_cell else {})
    return DataSet(name, "own", str(path), None, tuple(options.items()))


def free_atoms_of(dataset: DataSet) -> dict[str, float]:
    """Energies in kcal/mol of the free atoms in the file of ``dataset``, by the names of their types; `free_atoms`."""
    if dataset.reader != "own":
        return {}
    options = dict(dataset.options)
    unit, key = options.get("energy_unit"), str(options.get("energy_key", "energy"))
    return free_atoms(dataset.path, None if unit is None else str(unit), key)


def _is_store(path: Path) -> bool:
    return (path / HEADER).is_file()


def _stem(path: Path) -> str:
    """The name of a file without its ending, ``train`` of ``train.xyz.gz``."""
    return path.name.removesuffix(ending(path)) if path.is_file() else path.name


def _stored(path: Path, energy_unit: str | None, length_unit: str, level: str) -> DataSet:
    """The store at ``path``."""
    stored = ConformationStore.open(path)
    for what, given, has in (("energy", energy_unit, "kcal/mol"), ("length", length_unit, "angstrom")):
        if given not in (None, has):
            raise DataError(path, "", f"the {what} unit of a store is {has}, not {given}", f"leave the {what} unit out")
    if level not in (OWN, stored.level):
        raise DataError(path, "", f"its level of theory is {stored.level!r}, not {level!r}", "leave the level out")
    return DataSet(f"own/{path.name}", STORE, str(path), stored.level)


def example() -> DataSet:
    """The shipped example: methyl salicylate."""
    return own_dataset(DATA / "mini" / "example" / "methyl-salicylate.xyz", "eV", level=EXAMPLE_LEVEL)
