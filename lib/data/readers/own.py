"""A user's own conformations: extended xyz, an ASE database or an ASE trajectory, in units that the user names.

Frames with the same elements in the same order, the same charges and, where given, the same ``info["name"]``, are one
molecule, called by that name or its formula, with a number that tells apart those of one name: 0 where there is one.
Formal charges are those of `formal_charges`. Where there are several molecules, ``rows`` are numbers of frames.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.db import connect
from ase.io import iread
from numpy.typing import NDArray

from lib.chemistry.formal_charges import formal_charges
from lib.data.readers.checks import COPY_AGAIN, checked, find_files, refuse_empty
from lib.data.readers.molecule import Molecule
from lib.errors import DataError
from lib.units import BOHR, EV, HARTREE, KILOJOULE

ENERGY_UNITS = {"kcal/mol": 1.0, "eV": EV, "Hartree": HARTREE, "kJ/mol": KILOJOULE}
LENGTH_UNITS = {"angstrom": 1.0, "bohr": BOHR}
FORCES = "forces"  # where forces are looked for, unless another key is named
FORMATS = {".xyz": "extxyz", ".extxyz": "extxyz", ".traj": "traj", ".db": "db"}


@dataclass(frozen=True)
class Frame:
    """Its file and number there, positions (N, 3) Å, energy in kcal/mol, forces (N, 3) in kcal/mol/Å or None."""

    file: Path
    number: int
    positions: NDArray[np.float64]
    energy: float
    forces: NDArray[np.float64] | None

    @property
    def place(self) -> tuple[Path, str]:
        """For errors."""
        return self.file, f"frame {self.number}"


def read(
    path: Path | str | Sequence[Path | str],
    energy_unit: str,
    energy_key: str = "energy",
    forces_key: str = FORCES,
    length_unit: str = "angstrom",
    forces_length_unit: str | None = None,
    level: str = "own",
    labelled: bool = True,
) -> Iterator[Molecule]:
    """Molecules of one file or of a list of files.

    Args:
        path: file or files ending in ``.xyz``, ``.extxyz``, ``.traj`` or ``.db``.
        energy_unit: one of `ENERGY_UNITS`; forces are in it per length.
        energy_key: where a frame keeps its energy: ``atoms.info``, a database's key, or a calculator's result.
        forces_key: likewise its forces; under `FORCES` they may be missing in all frames.
        length_unit: one of `LENGTH_UNITS`.
        forces_length_unit: of the forces, where it is another one.
        level: of theory; one of `reference_energies.LEVELS` where its reference energies are to be taken off.
        labelled: whether energies and forces are read; without, all energies are 0, for pre-training.

    Raises:
        DataError: an unknown unit or ending, a missing energy, a periodic cell, charges that are none, or a broken or
            empty file.
    """
    per_length = length_unit if forces_length_unit is None else forces_length_unit
    for what, unit, known in (("energy", energy_unit, ENERGY_UNITS), ("length", length_unit, LENGTH_UNITS),
                              ("length", per_length, LENGTH_UNITS)):  # fmt: skip
        if unit not in known:
            raise DataError(str(path), "", f"unknown {what} unit {unit!r}", f"choose from {sorted(known)}")
    if not isinstance(labelled, bool):
        raise DataError(str(path), "", f"labelled = {labelled!r}", "it is True or False, and not for the command line")
    energy, length = ENERGY_UNITS[energy_unit], LENGTH_UNITS[length_unit]
    unit = energy / LENGTH_UNITS[per_length]
    groups: dict[tuple, list[Frame]] = {}
    for file in _files(path):
        for k, atoms in enumerate(_frames(file)):
            entry = f"frame {k}"
            if atoms.pbc.any():
                raise DataError(file, entry, "the cell is periodic", "only molecules in vacuum are supported: if it is "
                                "one in a box, write it with pbc=\"F F F\" (atoms.pbc = False)")  # fmt: skip
            if not len(atoms):
                raise DataError(file, entry, "it has no atoms", "remove that frame")
            value = _energy(atoms, energy_key, file, entry) * energy if labelled else 0.0
            forces = _forces(atoms, forces_key, file, entry) if labelled else None
            try:
                charges = formal_charges(atoms)
            except ValueError as error:
                raise DataError(file, entry, str(error), "or leave the frame out") from error
            name = str(atoms.info.get("name", atoms.get_chemical_formula()))
            key = (name, tuple(atoms.numbers.tolist()), tuple(charges.tolist()))
            frame = Frame(file, k, atoms.positions * length, value, None if forces is None else forces * unit)
            groups.setdefault(key, []).append(frame)
        if not groups:
            raise DataError(file, "", "it has no frames", COPY_AGAIN)
    names, alike = {}, Counter()
    for key in sorted(groups):  # not in the order of the file, on which names do not depend
        names[key] = f"{alike[key[0]]}-{key[0]}"
        alike[key[0]] += 1
    for key, frames in groups.items():
        yield _molecule(names[key], key, frames, level, numbered=len(groups) > 1)


def arrays_like_forces(path: Path | str) -> list[str]:
    """Names of what could be forces in the first frame of ``path``: arrays (N, 3) that are not the positions."""
    atoms = next(_frames(_files(path)[0]))
    found = atoms.arrays | _results(atoms)
    return sorted(k for k, v in found.items() if np.shape(v) == (len(atoms), 3) and k != "positions")


def _energy(atoms: Atoms, key: str, file: Path, entry: str) -> float:
    """The energy of a frame, in the file's unit."""
    value = _value(atoms, key)
    if value is not None and not np.ndim(value) and not isinstance(value, (str, bool, np.bool_)):
        if not np.isfinite(value):
            raise DataError(file, entry, f"its energy is {value}", "remove that frame")
        return float(value)
    keys = sorted({*atoms.info, *_results(atoms)})
    if value is None:
        raise DataError(file, entry, f"no energy {key!r} among {keys}", "name it with energy_key=")
    raise DataError(file, entry, f"{key!r} is no number but {value!r:.40}", f"name the energy with energy_key=: {keys}")


def _forces(atoms: Atoms, key: str, file: Path, entry: str) -> NDArray | None:
    """The forces (N, 3) of a frame, in the file's units; None where it has none and none were named."""
    forces = _value(atoms, key)
    if forces is not None and np.shape(forces) != (len(atoms), 3):
        raise DataError(file, entry, f"{key!r} has shape {np.shape(forces)}, not ({len(atoms)}, 3)", "name the forces")
    if forces is None and key != FORCES:
        there = sorted({*atoms.arrays, *_results(atoms)})
        raise DataError(file, entry, f"no forces {key!r} among {there}", "name them with forces_key=")
    return forces


def _molecule(name: str, key: tuple, frames: list[Frame], level: str, numbered: bool) -> Molecule:
    """One molecule from its frames, with their numbers in the file where it is ``numbered``."""
    place, with_forces = frames[0].place, [frame.forces is not None for frame in frames]
    if any(with_forces) and not all(with_forces):
        place = frames[with_forces.index(not with_forces[0])].place
        raise DataError(*place, "forces in some frames of a molecule only", "give them in all, or leave them out")
    molecule = Molecule(
        name=name,
        z=np.array(key[1], dtype=np.int64),
        charges=np.array(key[2], dtype=np.int64),
        positions=np.array([frame.positions for frame in frames], dtype=np.float32),
        energy=np.array([frame.energy for frame in frames], dtype=np.float64),
        forces=np.array([frame.forces for frame in frames], dtype=np.float32) if all(with_forces) else None,
        level=level,
        rows=np.array([frame.number for frame in frames], dtype=np.int64) if numbered else None,
    )
    return checked(*place, molecule)


def _value(atoms: Atoms, key: str) -> Any:
    """``key`` of a frame, wherever ASE put it; None where it is nowhere."""
    for place in (atoms.info, atoms.arrays, _results(atoms)):
        if key in place:
            return place[key]
    return None


def _results(atoms: Atoms) -> dict[str, Any]:
    """What a calculator left with ``atoms``."""
    return atoms.calc.results if atoms.calc is not None else {}


def _files(path: Path | str | Sequence[Path | str]) -> list[Path]:
    """Of a folder those with an ending of `FORMATS`, where it has one; what is named is taken as it is."""
    files = find_files(path, "*")
    known = [file for file in files if file.suffix in FORMATS]
    return known if known and isinstance(path, (str, Path)) and Path(path).is_dir() else files


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
        raise DataError(file, "", f"ASE cannot read it ({error!r:.200})", COPY_AGAIN) from error
