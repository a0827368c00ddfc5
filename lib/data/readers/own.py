"""A user's own conformations, in the formats of `frames.FORMATS` and `layouts.LAYOUTS`, in units that the user names.

Frames with the same elements in the same order, the same charges and, where given, the same ``info["name"]``, are one
molecule, called by that name or its formula, with a number that tells apart those of one name: 0 where there is one.
Formal charges are those of `formal_charges`. Where there are several molecules, or free atoms among them, ``rows`` are
numbers of frames. Free atoms are no molecules: their energies are references (`free_atoms`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray

from lib.chemistry.atom_types import atom_types, type_name
from lib.chemistry.formal_charges import formal_charges
from lib.chemistry.reference_energies import level_named
from lib.data.readers.boxes import refuse_cut_by_box
from lib.data.readers.checks import COPY_AGAIN, checked, near_origin
from lib.data.readers.frames import FORMATS, ending, files_with, frames, is_free_atom, results_of, value_of
from lib.data.readers.frames import free_atoms as free_frames
from lib.data.readers.layouts import ENDINGS, OWN, molecules
from lib.data.readers.molecule import Molecule
from lib.errors import DataError
from lib.units import BOHR, EV, HARTREE, KILOJOULE

ENERGY_UNITS = {"kcal/mol": 1.0, "eV": EV, "Hartree": HARTREE, "kJ/mol": KILOJOULE}
LENGTH_UNITS = {"angstrom": 1.0, "bohr": BOHR}
SPELLINGS = {"ang": "angstrom", "å": "angstrom", "a": "angstrom", "ha": "Hartree", "eh": "Hartree"}  # in files
FORCES = "forces"  # where forces are looked for, unless another key is named
STATES_LEVEL = ("level_of_theory", "level", "theory", "lot")  # where a frame may say its level of theory
LARGEST = 1e12  # an energy, in any unit
HEAVY = 1.5  # u: hydrogen of a larger mass is deuterium, or tritium
SAME_ATOM = 0.05  # kcal/mol: energies of a free atom that differ by less are the same


@dataclass(frozen=True)
class Reading:
    """How frames are read: the arguments of `read`."""

    energy_unit: str | None
    energy_key: str
    forces_key: str
    length_unit: str
    forces_length_unit: str | None
    labelled: bool = True
    ignore_cell: bool = False

    def energy_factor(self, atoms: Atoms, file: Path, entry: str) -> float:
        """What turns energies of a frame into kcal/mol."""
        given = self.energy_unit or _spelled(atoms.info.get("energy_unit"))
        if given is None:
            raise DataError(file, entry, "its energies have no unit", f"name it (energy_unit), {sorted(ENERGY_UNITS)}")
        return _factor(file, "energy", given, ENERGY_UNITS, atoms, entry)

    def length_factor(self, atoms: Atoms, file: Path, entry: str) -> float:
        """What turns lengths of a frame into Å."""
        return _factor(file, "length", self.length_unit, LENGTH_UNITS, atoms, entry)


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


@dataclass
class _Frames:
    """What was read: frames by molecule, the level of theory that they say, and the number of those left aside."""

    level: str | None
    by_molecule: dict[tuple, list[Frame]] = field(default_factory=dict)
    free: int = 0
    notes: dict[tuple, Counter[str]] = field(default_factory=dict)


def read(
    path: Path | str | Sequence[Path | str],
    energy_unit: str | None = None,
    energy_key: str = "energy",
    forces_key: str = FORCES,
    length_unit: str = "angstrom",
    forces_length_unit: str | None = None,
    level: str = OWN,
    labelled: bool = True,
    ignore_cell: bool = False,
) -> Iterator[Molecule]:
    """Molecules of one file or of a list of files.

    Args:
        path: file or files with an ending of `frames.FORMATS` or `layouts.ENDINGS`.
        energy_unit: one of `ENERGY_UNITS`; forces are in it per length. Needed where neither format nor file says it.
        energy_key: where a frame keeps its energy: ``atoms.info``, a database's key, or a calculator's result.
        forces_key: likewise its forces; under `FORCES` they may be missing in all frames.
        length_unit: one of `LENGTH_UNITS`.
        forces_length_unit: of the forces, where it is another one.
        level: of theory; one of `reference_energies.LEVELS` where its reference energies are to be taken off. A frame
            that says another one in its ``level`` (or another of `STATES_LEVEL`) is refused.
        labelled: whether energies and forces are read; without, all energies are 0, for pre-training.
        ignore_cell: whether periodic frames are molecules in a box, whose cell is left out.

    Raises:
        DataError: an unknown unit or ending, a missing energy, a periodic cell, charges that are none, or a broken or
            empty file.
    """
    for name, value in (("labelled", labelled), ("ignore_cell", ignore_cell)):
        if not isinstance(value, bool):
            raise DataError(str(path), "", f"{name} = {value!r}", "it is True or False, and not for data convert")
    reading = Reading(energy_unit, energy_key, forces_key, length_unit, forces_length_unit, labelled, ignore_cell)
    _check_units(path, reading)
    level = level_named(level)
    collected = _Frames(None if level == OWN else level)
    files = files_with(path, [*FORMATS, *ENDINGS])
    for file in files:
        if ending(file) in ENDINGS:
            yield from molecules(file, level, energy_unit, length_unit)
        else:
            _collect(file, reading, collected)
    if collected.free and not collected.by_molecule:
        raise DataError(files[0], "", "it holds free atoms alone", "give conformations of molecules to learn from")
    names = _names(collected.by_molecule)
    for key, of_molecule in collected.by_molecule.items():
        numbered = len(collected.by_molecule) > 1 or collected.free > 0
        yield _molecule(names[key], key, of_molecule, level, numbered, collected.notes.get(key, {}))


def _check_units(path: Path | str | Sequence[Path | str], reading: Reading) -> None:
    """Refuse unknown units, before anything is read."""
    for what, unit, known in (
        ("energy", reading.energy_unit, ENERGY_UNITS),
        ("length", reading.length_unit, LENGTH_UNITS),
        ("length", reading.forces_length_unit, LENGTH_UNITS),
    ):
        if unit is not None and unit not in known:
            raise DataError(str(path), "", f"unknown {what} unit {unit!r}", f"choose from {sorted(known)}")


def _collect(file: Path, reading: Reading, collected: _Frames) -> None:
    """Read the frames of ``file``."""
    for k, atoms in enumerate(frames(file)):
        entry = f"frame {k}"
        _refuse_no_molecule(atoms, file, entry)
        if is_free_atom(atoms, file, entry):
            collected.free += 1
            continue
        _refuse_crystal(atoms, file, entry, reading.ignore_cell)
        if reading.labelled:
            collected.level = _level(atoms, collected.level, file, entry)
        try:
            charges = formal_charges(atoms)
        except ValueError as error:
            raise DataError(file, entry, str(error), "or leave the frame out") from error
        key = (_name(atoms, file, entry), tuple(atoms.numbers.tolist()), tuple(charges.tolist()))
        collected.by_molecule.setdefault(key, []).append(_frame(atoms, reading, file, k))
        for note in _notes(atoms):
            collected.notes.setdefault(key, Counter())[note] += 1


def _frame(atoms: Atoms, reading: Reading, file: Path, number: int) -> Frame:
    """A frame in the project's units."""
    entry = f"frame {number}"
    length = reading.length_factor(atoms, file, entry)
    if not reading.labelled:
        return Frame(file, number, atoms.positions * length, 0.0, None)
    factor = reading.energy_factor(atoms, file, entry)
    energy = _energy(atoms, reading.energy_key, file, entry) * factor
    forces = _forces(atoms, reading.forces_key, file, entry)
    per_length = length if reading.forces_length_unit is None else LENGTH_UNITS[reading.forces_length_unit]
    return Frame(
        file, number, atoms.positions * length, energy, None if forces is None else forces * factor / per_length
    )


def _notes(atoms: Atoms) -> Iterator[str]:
    """What a user should know of how a frame was read."""
    if "masses" in atoms.arrays and (atoms.arrays["masses"][atoms.numbers == 1] > HEAVY).any():
        yield (
            "have deuterium, read as hydrogen, since energies and forces do not depend on masses; for dynamics give "
            "it its own, 2.014 u (atoms.set_masses)"
        )
    if atoms.pbc.any():
        yield "have a periodic cell, which is ignored: energies and forces are those of neighbouring images too"


def _names(by_molecule: Mapping[tuple, list[Frame]]) -> dict[tuple, str]:
    """Names of molecules, which do not depend on the order of the file."""
    names: dict[tuple, str] = {}
    alike: Counter[str] = Counter()
    for key in sorted(by_molecule):
        names[key] = f"{alike[key[0]]}-{key[0]}"
        alike[key[0]] += 1
    return names


def free_atoms(
    path: Path | str | Sequence[Path | str], energy_unit: str | None = None, energy_key: str = "energy"
) -> dict[str, float]:
    """Energies in kcal/mol of the free atoms in ``path``, by what `type_name` calls them; empty where it has none.

    Free atoms are frames of one atom, with or without ``config_type=isolated_atom``.

    Raises:
        DataError: as `read`, or an atom has two energies.
    """
    reading = Reading(energy_unit, energy_key, FORCES, "angstrom", None)
    _check_units(path, reading)
    energies: dict[str, float] = {}
    places: dict[str, str] = {}
    for file in files_with(path, [*FORMATS, *ENDINGS]):
        for k, atoms in free_frames(file) if ending(file) in FORMATS else ():
            entry = f"frame {k}"
            _refuse_no_molecule(atoms, file, entry)
            energy = _energy(atoms, energy_key, file, entry) * reading.energy_factor(atoms, file, entry)
            name = _atom_name(atoms, file, entry)
            if abs(energies.setdefault(name, energy) - energy) > SAME_ATOM:
                before = f"{energies[name]:.6g} in {places[name]}"
                problem = f"the free atom {name} has {energy:.6g} kcal/mol, and {before}"
                raise DataError(file, entry, problem, "leave one of them out")
            places.setdefault(name, entry)
    return energies


def _atom_name(atoms: Atoms, file: Path, entry: str) -> str:
    """What `type_name` calls a free atom."""
    try:
        (kind,) = atom_types(atoms.numbers, formal_charges(atoms)).tolist()
    except ValueError as error:
        raise DataError(file, entry, str(error), "or leave the frame out") from error
    return type_name(kind)


def arrays_like_forces(path: Path | str) -> list[str]:
    """Names of what could be forces in the first frame of ``path``: arrays (N, 3) that are not the positions."""
    file = files_with(path, [*FORMATS, *ENDINGS])[0]
    if ending(file) not in FORMATS:
        return []  # its layout says which they are
    atoms = next(atoms for atoms in frames(file) if len(atoms) > 1)
    arrays = atoms.arrays | results_of(atoms)
    return sorted(k for k, v in arrays.items() if np.shape(v) == (len(atoms), 3) and k != "positions")


def _factor(path: Path, what: str, unit: str, factors: Mapping[str, float], atoms: Atoms, entry: str) -> float:
    """What turns ``unit`` into the project's; refused where a frame says another one."""
    says = _spelled(atoms.info.get(f"{what}_unit"))
    if says in factors and says != unit:
        raise DataError(path, entry, f"its {what} unit is {says}, not {unit}", "give that one")
    return factors[unit]


def _spelled(unit: Any) -> str | None:
    """A unit that a file says, spelled as in `ENERGY_UNITS` and `LENGTH_UNITS` where it is one of them."""
    if not isinstance(unit, str) or not unit.strip():
        return None
    plain = unit.strip().lower()
    return SPELLINGS.get(plain) or next((u for u in (*ENERGY_UNITS, *LENGTH_UNITS) if u.lower() == plain), unit)


def _refuse_no_molecule(atoms: Atoms, file: Path, entry: str) -> None:
    """Refuse what has no atoms, and atoms of no element."""
    if not len(atoms):
        raise DataError(file, entry, "it has no atoms", "remove that frame")
    unknown = atoms.numbers[(atoms.numbers < 1) | (atoms.numbers >= len(chemical_symbols))]
    if len(unknown):
        raise DataError(file, entry, f"atomic number {unknown[0]} is no element", COPY_AGAIN)


def _refuse_crystal(atoms: Atoms, file: Path, entry: str, ignore_cell: bool) -> None:
    """Refuse what is periodic, unless the cell is to be ignored and does not cut the molecule."""
    if atoms.pbc.any() and not ignore_cell:
        raise DataError(
            file,
            entry,
            "the cell is periodic",
            "only molecules in vacuum are supported: if it is one in a box, ignore the cell (--ignore-cell, "
            'ignore_cell=True), or write it with pbc="F F F" (atoms.pbc = False)',
        )
    if atoms.pbc.any():
        refuse_cut_by_box(atoms, file, entry)


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
    value = value_of(atoms, key)
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        number = float(value)
        if not abs(number) < LARGEST:
            raise DataError(file, entry, f"its energy is {number:g}", "remove that frame")
        return number
    keys = sorted({*atoms.info, *results_of(atoms)})
    if value is None:
        raise DataError(file, entry, f"no energy {key!r} among {keys}", "name it with energy_key=")
    raise DataError(file, entry, f"{key!r} is no number but {value!r:.40}", f"name the energy with energy_key=: {keys}")


def _forces(atoms: Atoms, key: str, file: Path, entry: str) -> NDArray | None:
    """The forces (N, 3) of a frame, in the file's units; None where it has none and none were named."""
    forces = value_of(atoms, key)
    if forces is not None and np.shape(forces) != (len(atoms), 3):
        raise DataError(file, entry, f"{key!r} has shape {np.shape(forces)}, not ({len(atoms)}, 3)", "name the forces")
    if forces is None and key != FORCES:
        arrays = sorted({*atoms.arrays, *results_of(atoms)})
        raise DataError(file, entry, f"no forces {key!r} among {arrays}", "name them with forces_key=")
    if forces is not None and np.asarray(forces).dtype.kind not in "fiu":
        raise DataError(file, entry, f"{key!r} holds {np.asarray(forces).dtype}, no numbers", "name the forces")
    return forces


def _molecule(
    name: str, key: tuple, frames: list[Frame], level: str, numbered: bool, notes: Mapping[str, int]
) -> Molecule:
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
        notes=tuple(f"{count} of {len(frames)} frames {note}" for note, count in notes.items()),
    )
    return checked(*place, molecule)
