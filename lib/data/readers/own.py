"""A user's own conformations: extended xyz, an ASE database or an ASE trajectory, in units that the user names.

Frames with the same elements in the same order, the same charges and, where given, the same ``info["name"]``, are one
molecule, called by that name or its formula, with a number that tells apart those of one name: 0 where there is one.
Isolated atoms (`isolated`) are no molecules: `free_atoms` reads their energies.
Formal charges are those of `formal_charges`. Where there are several molecules, ``rows`` are numbers of frames.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from ase.io.trajectory import TrajectoryReader
from ase.io.ulm import read_header
from numpy.typing import NDArray

from lib.chemistry.formal_charges import formal_charges
from lib.chemistry.reference_energies import level_named
from lib.data.readers import xyz
from lib.data.readers.ase_database import rows
from lib.data.readers.checks import COPY_AGAIN, checked, find_files, near_origin, refuse_empty
from lib.data.readers.isolated import REMEDY, is_isolated, isolated_atoms
from lib.data.readers.molecule import Molecule
from lib.errors import DataError
from lib.units import BOHR, EV, HARTREE, KILOJOULE

ENERGY_UNITS = {"kcal/mol": 1.0, "eV": EV, "Hartree": HARTREE, "kJ/mol": KILOJOULE}
LENGTH_UNITS = {"angstrom": 1.0, "bohr": BOHR}
FORCES = "forces"  # where forces are looked for, unless another key is named
STATES_LEVEL = ("level_of_theory", "level", "theory", "lot")  # where a frame may say its level of theory
LARGEST = 1e12  # an energy, in any unit
OWN = "own"  # a level of which nothing is known


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
    level: str = OWN,
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
        level: of theory; one of `reference_energies.LEVELS` where its reference energies are to be taken off. A frame
            that says another one in its ``level`` (or another of `STATES_LEVEL`) is refused.
        labelled: whether energies and forces are read; without, all energies are 0, for pre-training.

    Raises:
        DataError: an unknown unit or ending, a missing energy, a periodic cell, charges that are none, or a broken or
            empty file.
    """
    if not isinstance(labelled, bool):
        raise DataError(str(path), "", f"labelled = {labelled!r}", "it is True or False, and not for the command line")
    energy = _factor(path, "energy", energy_unit, ENERGY_UNITS)
    length = _factor(path, "length", length_unit, LENGTH_UNITS)
    per_length = _factor(path, "length", forces_length_unit or length_unit, LENGTH_UNITS)
    groups: dict[tuple, list[Frame]] = {}
    level = level_named(level)
    said: str | None = None if level == OWN else level
    for file in _files(path):
        k = -1
        for k, atoms in enumerate(_frames(file)):
            entry = f"frame {k}"
            if is_isolated(atoms):
                continue
            _refuse_crystal(atoms, file, entry)
            if labelled:
                said = _level(atoms, said, file, entry)
            value = _energy(atoms, energy_key, file, entry) * energy if labelled else 0.0
            forces = _forces(atoms, forces_key, file, entry) if labelled else None
            try:
                charges = formal_charges(atoms)
            except ValueError as error:
                raise DataError(file, entry, str(error), "or leave the frame out") from error
            key = (_name(atoms, file, entry), tuple(atoms.numbers.tolist()), tuple(charges.tolist()))
            forces = None if forces is None else forces * (energy / per_length)
            groups.setdefault(key, []).append(Frame(file, k, atoms.positions * length, value, forces))
        if k < 0:
            raise DataError(file, "", "it has no frames", COPY_AGAIN)
    if not groups:
        raise DataError(str(path), "", "it has isolated atoms and no molecules", "give frames of molecules too")
    names: dict[tuple, str] = {}
    alike: Counter[str] = Counter()
    for key in sorted(groups):  # not in the order of the file, on which names do not depend
        names[key] = f"{alike[key[0]]}-{key[0]}"
        alike[key[0]] += 1
    for key, frames in groups.items():
        yield _molecule(names[key], key, frames, level, numbered=len(groups) > 1)


def free_atoms(path: Path | str, energy_unit: str, energy_key: str = "energy", whole: bool = False) -> dict[str, float]:
    """Energies in kcal/mol by element of the isolated atoms in ``path``; none where it has none.

    Args:
        path: of extended xyz, a database or a trajectory.
        energy_unit: one of `ENERGY_UNITS`.
        energy_key: where a frame keeps its energy.
        whole: whether the file has isolated atoms alone, so that every frame of one atom is one.

    Raises:
        DataError: an isolated atom without an energy, an element with two, or molecules where there are to be none.
    """
    factor, (file,) = _factor(path, "energy", energy_unit, ENERGY_UNITS), _files(path)
    frames = []
    for k, atoms in enumerate(_frames(file)):
        if whole and len(atoms) != 1:
            raise DataError(file, f"frame {k}", f"it has {len(atoms)} atoms, and is no isolated one", REMEDY)
        if whole or is_isolated(atoms):
            frames.append((atoms, _energy(atoms, energy_key, file, f"frame {k}") * factor))
    return isolated_atoms(file, iter(frames))


def arrays_like_forces(path: Path | str) -> list[str]:
    """Names of what could be forces in the first frame of ``path``: arrays (N, 3) that are not the positions."""
    atoms = next(_frames(_files(path)[0]))
    arrays = atoms.arrays | _results(atoms)
    return sorted(k for k, v in arrays.items() if np.shape(v) == (len(atoms), 3) and k != "positions")


def _factor(path: Path | str | Sequence[Path | str], what: str, unit: str, factors: dict[str, float]) -> float:
    """What turns ``unit`` into the project's."""
    if unit not in factors:
        raise DataError(str(path), "", f"unknown {what} unit {unit!r}", f"choose from {sorted(factors)}")
    return factors[unit]


def _refuse_crystal(atoms: Atoms, file: Path, entry: str) -> None:
    """Refuse what is periodic, what has no atoms, and atoms of no element."""
    if atoms.pbc.any():
        raise DataError(
            file,
            entry,
            "the cell is periodic",
            "only molecules in vacuum are supported: if it is one in "
            'a box, write it with pbc="F F F" (atoms.pbc = False)',
        )
    if not len(atoms):
        raise DataError(file, entry, "it has no atoms", "remove that frame")
    unknown = atoms.numbers[(atoms.numbers < 1) | (atoms.numbers >= len(chemical_symbols))]
    if len(unknown):
        raise DataError(file, entry, f"atomic number {unknown[0]} is no element", COPY_AGAIN)


def _level(atoms: Atoms, said: str | None, file: Path, entry: str) -> str | None:
    """The level of theory that a frame says, or else what was ``said`` before; refused where the two differ."""
    stated = next((atoms.info[key] for key in STATES_LEVEL if isinstance(atoms.info.get(key), str)), None)
    if stated is None:
        return said
    if said is not None and level_named(stated) != said:
        raise DataError(file, entry, f"its level of theory is {stated!r}, not {said!r}", "do not mix levels")
    return level_named(stated)


def _name(atoms: Atoms, file: Path, entry: str) -> str:
    """The name of a frame's molecule, or its formula."""
    name = atoms.info.get("name", atoms.get_chemical_formula())
    if not isinstance(name, (str, int, float, np.number)):
        raise DataError(file, entry, f"its name is {name!r:.40}, no text", "give one word, or a quoted text")
    return " ".join(str(name).split())


def _energy(atoms: Atoms, key: str, file: Path, entry: str) -> float:
    """The energy of a frame, in the file's unit."""
    value = _value(atoms, key)
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        number = float(value)
        if not abs(number) < LARGEST:
            raise DataError(file, entry, f"its energy is {number:g}", "remove that frame")
        return number
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
        arrays = sorted({*atoms.arrays, *_results(atoms)})
        raise DataError(file, entry, f"no forces {key!r} among {arrays}", "name them with forces_key=")
    if forces is not None and np.asarray(forces).dtype.kind not in "fiu":
        raise DataError(file, entry, f"{key!r} holds {np.asarray(forces).dtype}, no numbers", "name the forces")
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
        positions=near_origin(np.array([frame.positions for frame in frames])),
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
    place = "frame 0"
    try:
        for k, atoms in enumerate(FORMATS[file.suffix](file)):
            yield atoms
            place = f"frame {k + 1}"
    except DataError:
        raise
    except Exception as error:  # ASE raises many kinds on a broken file
        raise DataError(file, place, f"ASE cannot read it ({error!r:.200})", COPY_AGAIN) from error


def _database(file: Path) -> Iterator[Atoms]:
    for row in rows(file):
        atoms = row.toatoms()
        atoms.info.update(row.key_value_pairs)
        atoms.info.update(row.get("data", {}))
        yield atoms


def _trajectory(file: Path) -> Iterator[Atoms]:
    """The frames of an ASE trajectory, which are as many as its table of offsets has."""
    with open(file, "rb") as opened:
        _, _, count, start, offsets = read_header(opened)
        opened.seek(start + 8 * int(count))
        after = int.from_bytes(opened.read(8), "little")
    ordered = len(offsets) == count and (np.diff(offsets) > 0).all()
    if not ordered or (len(offsets) and offsets[-1] < after < file.stat().st_size):
        raise DataError(file, "", f"it says {count} frames, but its table of frames does not", COPY_AGAIN)
    with TrajectoryReader(str(file)) as trajectory:
        yield from (trajectory[k] for k in range(len(trajectory)))


FORMATS = {".xyz": xyz.frames, ".extxyz": xyz.frames, ".traj": _trajectory, ".db": _database}
