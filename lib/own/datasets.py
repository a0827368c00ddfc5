"""Data sets from a user's own files, labelled or not, and the shipped example."""

from collections.abc import Sequence
from pathlib import Path

from lib.data.datasets import DataSet
from lib.data.readers import isolated, own
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


def isolated_atoms(
    data: DataSet, by_hand: Sequence[str] = (), file: Path | str | None = None
) -> tuple[tuple[str, float], ...]:
    """Elements with the energies (kcal/mol) of isolated atoms for fine-tuning on ``data`` (`own_dataset`).

    Args:
        data: whose own frames of isolated atoms (``config_type=isolated_atom``) count where nothing else is given.
        by_hand: energies in the unit of ``data``, such as ``H=-13.6``.
        file: of isolated atoms alone, in the unit of ``data``.

    Raises:
        ValueError: words that are no energies of elements, or energies by hand beside a file.
        DataError: the file cannot be read so.
    """
    options = {name: str(value) for name, value in data.options}
    unit = options["energy_unit"]
    if by_hand and file is not None:
        raise ValueError(f"isolated atoms by hand ({by_hand[0]} …) beside the file {file}: choose one of them")
    if by_hand:
        return tuple(isolated.by_hand(list(by_hand), own.ENERGY_UNITS[unit]).items())
    if file is None and not isolated.are_mentioned(Path(data.path)):
        return ()
    path = data.path if file is None else file
    return tuple(own.free_atoms(path, unit, options["energy_key"], whole=file is not None).items())


def unlabelled_dataset(path: Path | str, length_unit: str = "angstrom") -> DataSet:
    """The conformations in ``path`` without their energies, if there are any."""
    path = Path(path).resolve()
    options: dict[str, str | bool] = {"energy_unit": "eV", "length_unit": length_unit, "labelled": False}
    return DataSet(f"own/{path.stem}-unlabelled", "own", str(path), None, tuple(options.items()))


def example() -> DataSet:
    """The shipped example: methyl salicylate."""
    return own_dataset(DATA / "mini" / "example" / "methyl-salicylate.xyz", "eV", level=EXAMPLE_LEVEL)
