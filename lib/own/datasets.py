"""Data sets from a user's own files, labelled or not, and the shipped example."""

from pathlib import Path

from lib.data.datasets import DataSet
from lib.paths import DATA

EXAMPLE_LEVEL, EXAMPLE_DIHEDRAL = "GFN2-xTB", (5, 4, 2, 1)  # of theory; the bond from the ring to the ester is turned


def own_dataset(
    path: Path | str,
    energy_unit: str,
    energy_key: str = "energy",
    forces_key: str = "forces",
    length_unit: str = "angstrom",
    forces_length_unit: str | None = None,
    level: str = "own",
) -> DataSet:
    """The labelled conformations in ``path``; the arguments are those of `readers.own.read`."""
    path = Path(path).resolve()
    options = {
        "energy_unit": energy_unit,
        "energy_key": energy_key,
        "forces_key": forces_key,
        "length_unit": length_unit,
        "forces_length_unit": forces_length_unit or length_unit,
    }
    return DataSet(f"own/{path.stem}", "own", str(path), level, tuple(options.items()))


def unlabelled_dataset(path: Path | str, length_unit: str = "angstrom") -> DataSet:
    """The conformations in ``path`` without their energies, if there are any."""
    path = Path(path).resolve()
    options: dict[str, str | bool] = {"energy_unit": "eV", "length_unit": length_unit, "labelled": False}
    return DataSet(f"own/{path.stem}-unlabelled", "own", str(path), None, tuple(options.items()))


def example() -> DataSet:
    """The shipped example: methyl salicylate."""
    return own_dataset(DATA / "mini" / "example" / "methyl-salicylate.xyz", "eV", level=EXAMPLE_LEVEL)
