"""A user's own conformations: extended xyz, an ASE database or an ASE trajectory, in units that the user names.

Frames with the same elements in the same order, the same charges and, where given, the same ``info["name"]``, are one
molecule. Formal charges are read from a per-atom array ``formal_charges``; without it they are 0.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.db import connect
from ase.io import iread
from numpy.typing import NDArray

from lib.errors import DataError
from lib.readers.checks import COPY_AGAIN, checked, find_files, refuse_empty
from lib.readers.molecule import Molecule
from lib.units import BOHR, EV, HARTREE, KILOJOULE

ENERGY_UNITS = {"kcal/mol": 1.0, "eV": EV, "Hartree": HARTREE, "kJ/mol": KILOJOULE}
LENGTH_UNITS = {"angstrom": 1.0, "bohr": BOHR}
FORMATS = {".xyz": "extxyz", ".extxyz": "extxyz", ".traj": "traj", ".db": "db"}


def read(
    path: Path | str | Sequence[Path | str],
    energy_unit: str,
    energy_key: str = "energy",
    forces_key: str = "forces",
    length_unit: str = "angstrom",
    level: str = "own",
    labelled: bool = True,
) -> Iterator[Molecule]:
    """Molecules of one file or of a list of files.

    Args:
        path: file or files ending in ``.xyz``, ``.extxyz``, ``.traj`` or ``.db``.
        energy_unit: one of `ENERGY_UNITS`; forces are in it per length unit.
        energy_key: where a frame keeps its energy: ``atoms.info``, a database's key, or a calculator's result.
        forces_key: likewise its forces, which may be missing in all frames.
        length_unit: one of `LENGTH_UNITS`.
        level: of theory; one of `levels.LEVELS` where its reference energies are to be taken off.
        labelled: whether energies and forces are read; without, all energies are 0, for pre-training.

    Raises:
        DataError: an unknown unit or ending, a missing energy, a periodic cell, or a broken or empty file.
    """
    for what, unit, known in (("energy", energy_unit, ENERGY_UNITS), ("length", length_unit, LENGTH_UNITS)):
        if unit not in known:
            raise DataError(str(path), "", f"unknown {what} unit {unit!r}", f"choose from {sorted(known)}")
    if not isinstance(labelled, bool):
        raise DataError(str(path), "", f"labelled = {labelled!r}", "it is True or False, and not for the command line")
    energy, length = ENERGY_UNITS[energy_unit], LENGTH_UNITS[length_unit]
    groups: dict[tuple, list[tuple[NDArray, float, NDArray | None]]] = {}
    names: dict[tuple, tuple[Path, str]] = {}
    for file in find_files(path, "*"):
        for k, atoms in enumerate(_frames(file)):
            entry = f"frame {k}"
            if atoms.pbc.any():
                raise DataError(file, entry, "the cell is periodic", "only molecules in vacuum are supported")
            value = _value(atoms, energy_key) if labelled else 0.0
            if value is None:
                keys = sorted({*atoms.info, *(atoms.calc.results if atoms.calc else ())})
                raise DataError(file, entry, f"no energy {energy_key!r} among {keys}", "name it with energy_key=")
            forces = _value(atoms, forces_key) if labelled else None
            charges = np.asarray(atoms.arrays.get("formal_charges", np.zeros(len(atoms))), dtype=np.int64)
            name = str(atoms.info.get("name", atoms.get_chemical_formula()))
            key = (name, tuple(atoms.numbers.tolist()), tuple(charges.tolist()))
            names.setdefault(key, (file, entry))
            groups.setdefault(key, []).append((atoms.positions * length, float(value) * energy, forces))
        if not groups:
            raise DataError(file, "", "it has no frames", COPY_AGAIN)
    for k, (key, frames) in enumerate(groups.items()):
        yield _molecule(k, key, frames, names[key], energy / length, level)


def _molecule(
    number: int, key: tuple, frames: list[tuple], place: tuple[Path, str], unit: float, level: str
) -> Molecule:
    """One molecule from its frames; ``unit`` converts forces to kcal/mol/Å."""
    with_forces = [frame[2] is not None for frame in frames]
    if any(with_forces) and not all(with_forces):
        raise DataError(*place, "forces in some frames of a molecule only", "give them in all, or leave them out")
    molecule = Molecule(
        name=f"{number}-{key[0]}",
        z=np.array(key[1], dtype=np.int64),
        charges=np.array(key[2], dtype=np.int64),
        positions=np.array([frame[0] for frame in frames], dtype=np.float32),
        energy=np.array([frame[1] for frame in frames], dtype=np.float64),
        forces=(np.array([frame[2] for frame in frames]) * unit).astype(np.float32) if all(with_forces) else None,
        level=level,
    )
    return checked(*place, molecule)


def _value(atoms: Atoms, key: str) -> Any:
    """``key`` of a frame, wherever ASE put it; None where it is nowhere."""
    results = atoms.calc.results if atoms.calc is not None else {}
    for place in (atoms.info, atoms.arrays, results):
        if key in place:
            return place[key]
    return None


def _frames(file: Path) -> Iterator[Atoms]:
    if file.suffix not in FORMATS:
        raise DataError(file, "", f"the ending {file.suffix!r} is none of {sorted(FORMATS)}", "convert the file")
    refuse_empty(file)
    try:
        if FORMATS[file.suffix] == "db":
            for row in connect(file, type="db").select():
                atoms = row.toatoms()
                atoms.info.update(row.key_value_pairs)
                atoms.info.update(row.data)
                yield atoms
        else:
            yield from iread(file, format=FORMATS[file.suffix])
    except DataError:
        raise
    except Exception as error:  # ASE raises many kinds on a broken file
        raise DataError(file, "", f"ASE cannot read it ({error!r})", COPY_AGAIN) from error
