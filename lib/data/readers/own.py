"""A user's own conformations, in the formats of `frames.FORMATS` and `layouts.LAYOUTS`, in units that the user names.

Frames with the same elements in the same order, the same charges and, where given, the same ``info["name"]``, are one
molecule, called by that name or its formula, with a number that tells apart those of one name: 0 where there is one.
Formal charges are those of `formal_charges`. Where there are several molecules, or free atoms among them, ``rows`` are
numbers of frames, counted through all files. Free atoms are no molecules: their energies are references (`free_atoms`).
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.data import chemical_symbols
from numpy.typing import NDArray

from lib.chemistry.atom_types import atom_types, type_name
from lib.chemistry.formal_charges import formal_charges
from lib.chemistry.reference_energies import level_named
from lib.data.readers.boxes import refuse_cut_by_box
from lib.data.readers.checks import COPY_AGAIN, checked, near_origin
from lib.data.readers.frame_values import (
    FORCES,
    LENGTH_UNITS,
    Reading,
    energy_of,
    forces_of,
    level_of,
    name_of,
    notes_of,
)
from lib.data.readers.frames import FORMATS, ending, files_with, frames, is_free_atom, results_of
from lib.data.readers.frames import free_atoms as free_frames
from lib.data.readers.layouts import ENDINGS, OWN, molecules
from lib.data.readers.molecule import Molecule
from lib.errors import DataError

SAME_ATOM = 0.05  # kcal/mol: energies of a free atom that differ by less are the same


@dataclass(frozen=True)
class Frame:
    """Its file, its numbers there and among the frames of all files, positions (N, 3) Å, energy in kcal/mol, forces
    (N, 3) in kcal/mol/Å or None.
    """

    file: Path
    number: int
    row: int
    positions: NDArray[np.float64]
    energy: float
    forces: NDArray[np.float64] | None

    @property
    def place(self) -> tuple[Path, str]:
        """For errors."""
        return self.file, f"frame {self.number}"


@dataclass
class _Frames:
    """What was read: frames by molecule, the level of theory that they say, the number of all frames, of which free
    atoms are left aside, and notes.
    """

    level: str | None
    by_molecule: dict[tuple, list[Frame]] = field(default_factory=dict)
    count: int = 0
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
    """Molecules of one file, of a list of files, or of the files of a folder.

    Args:
        path: file, files or folder; endings are those of `frames.FORMATS` and `layouts.ENDINGS`.
        energy_unit: one of `frame_values.ENERGY_UNITS`; forces are in it per length. None: as format or file say.
        energy_key: where a frame keeps its energy: ``atoms.info``, a database's key, or a calculator's result.
        forces_key: likewise its forces; under `FORCES` they may be missing in all frames.
        length_unit: one of `frame_values.LENGTH_UNITS`.
        forces_length_unit: of the forces, where it is another one.
        level: of theory; one of `reference_energies.LEVELS` where its reference energies are to be taken off. A frame
            that says another one in its ``level`` (or another of `frame_values.STATES_LEVEL`) is refused.
        labelled: whether energies and forces of frames are read; without, their energies are 0, for pre-training.
        ignore_cell: whether periodic frames are molecules in a box, whose cell is left out.

    Raises:
        DataError: an unknown unit or ending, a missing energy, a periodic cell, charges that are none, a broken or
            empty file, or keys and a unit of forces for an HDF5 file.
    """
    reading = Reading(energy_unit, energy_key, forces_key, length_unit, forces_length_unit, labelled, ignore_cell)
    reading.check(path)
    level = level_named(level)
    collected = _Frames(None if level == OWN else level)
    files = files_with(path, [*FORMATS, *ENDINGS])
    for file in files:
        if ending(file) in ENDINGS:
            reading.refuse_keys(file, "the layout of an HDF5 file")
            yield from molecules(file, level, energy_unit, length_unit)
        else:
            _collect(file, reading, collected)
    if collected.free and not collected.by_molecule:
        raise DataError(files[0], "", "it holds free atoms alone", "give conformations of molecules to learn from")
    names = _names(collected.by_molecule)
    for key, of_molecule in collected.by_molecule.items():
        numbered = len(collected.by_molecule) > 1 or collected.free > 0
        yield _molecule(names[key], key, of_molecule, level, numbered, collected.notes.get(key, {}))


def _collect(file: Path, reading: Reading, collected: _Frames) -> None:
    """Read the frames of ``file``."""
    for k, atoms in enumerate(frames(file)):
        entry, row = f"frame {k}", collected.count
        collected.count += 1
        _refuse_no_molecule(atoms, file, entry)
        if is_free_atom(atoms, file, entry):
            collected.free += 1
            continue
        _refuse_crystal(atoms, file, entry, reading.ignore_cell)
        if reading.labelled:
            collected.level = level_of(atoms, collected.level, file, entry)
        try:
            charges = formal_charges(atoms)
        except ValueError as error:
            raise DataError(file, entry, str(error), "or leave the frame out") from error
        key = (name_of(atoms, file, entry), tuple(atoms.numbers.tolist()), tuple(charges.tolist()))
        collected.by_molecule.setdefault(key, []).append(_frame(atoms, reading, file, k, row))
        for note in notes_of(atoms):
            collected.notes.setdefault(key, Counter())[note] += 1


def _frame(atoms: Atoms, reading: Reading, file: Path, number: int, row: int) -> Frame:
    """A frame in the project's units."""
    entry = f"frame {number}"
    length = reading.length_factor(atoms, file, entry)
    if not reading.labelled:
        return Frame(file, number, row, atoms.positions * length, 0.0, None)
    factor = reading.energy_factor(atoms, file, entry)
    energy = energy_of(atoms, reading.energy_key, file, entry) * factor
    forces = forces_of(atoms, reading.forces_key, file, entry)
    for what, values in (("coordinates", atoms.positions), ("forces", forces)):
        if values is not None and not np.isfinite(values).all():
            raise DataError(file, entry, f"its {what} are not finite", "remove that frame")
    per_length = length if reading.forces_length_unit is None else LENGTH_UNITS[reading.forces_length_unit]
    scaled = None if forces is None else forces * factor / per_length
    return Frame(file, number, row, atoms.positions * length, energy, scaled)


def _names(by_molecule: Mapping[tuple, list[Frame]]) -> dict[tuple, str]:
    """Names of molecules, which do not depend on the order of the file."""
    names: dict[tuple, str] = {}
    alike: Counter[str] = Counter()
    for key in sorted(by_molecule):
        names[key] = f"{alike[key[0]]}-{key[0]}"
        alike[key[0]] += 1
    return names


def free_atoms(
    path: Path | str | Sequence[Path | str],
    energy_unit: str | None = None,
    energy_key: str = "energy",
    alone: bool = False,
) -> dict[str, float]:
    """Energies in kcal/mol of the free atoms in ``path``, by what `type_name` calls them; empty where it has none.

    Args:
        path: as for `read`, whose free atoms are frames of one atom, with or without ``config_type=isolated_atom``.
        energy_unit: as for `read`.
        energy_key: as for `read`.
        alone: whether there are to be free atoms and nothing else.

    Raises:
        DataError: as `read`, an atom has two energies, or a frame is a molecule where free atoms are to be alone.
    """
    reading = Reading(energy_unit, energy_key, FORCES, "angstrom", None)
    reading.check(path)
    energies: dict[str, float] = {}
    places: dict[str, str] = {}
    for file in files_with(path, [*FORMATS, *ENDINGS]):
        for k, atoms in _single_atoms(file, alone):
            entry = f"frame {k}"
            _refuse_no_molecule(atoms, file, entry)
            energy = energy_of(atoms, energy_key, file, entry) * reading.energy_factor(atoms, file, entry)
            name = _atom_name(atoms, file, entry)
            if abs(energies.setdefault(name, energy) - energy) > SAME_ATOM:
                before = f"{energies[name]:.6g} in {places[name]}"
                problem = f"the free atom {name} has {energy:.6g} kcal/mol, and {before}"
                raise DataError(file, entry, problem, "leave one of them out")
            places.setdefault(name, f"{entry} of {file.name}")
    return energies


def _single_atoms(file: Path, alone: bool) -> Iterator[tuple[int, Atoms]]:
    """The free atoms of ``file`` with their frames' numbers; where they are to be ``alone``, others are refused."""
    if not alone:
        yield from free_frames(file) if ending(file) in FORMATS else ()
        return
    for k, atoms in enumerate(frames(file)):
        if not is_free_atom(atoms, file, f"frame {k}"):
            remedy = "give free atoms alone, a frame each with an energy, or energies by hand (--e0)"
            raise DataError(file, f"frame {k}", f"it has {len(atoms)} atoms, and is no free one", remedy)
        yield k, atoms


def _atom_name(atoms: Atoms, file: Path, entry: str) -> str:
    """What `type_name` calls a free atom."""
    try:
        (kind,) = atom_types(atoms.numbers, formal_charges(atoms)).tolist()
    except ValueError as error:
        raise DataError(file, entry, str(error), "or leave the frame out") from error
    return type_name(kind)


def arrays_like_forces(path: Path | str) -> list[str]:
    """Names of what could be forces in the first molecule of ``path``: arrays (N, 3) that are not the positions; none
    in HDF5 files, whose layouts say which they are.
    """
    files = [file for file in files_with(path, [*FORMATS, *ENDINGS]) if ending(file) in FORMATS]
    atoms = next((atoms for file in files for atoms in frames(file) if len(atoms) > 1), Atoms())
    arrays = atoms.arrays | results_of(atoms)
    return sorted(k for k, v in arrays.items() if np.shape(v) == (len(atoms), 3) and k != "positions")


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


def _molecule(
    name: str, key: tuple, frames: list[Frame], level: str, numbered: bool, notes: Mapping[str, int]
) -> Molecule:
    """One molecule from its frames, with their numbers among those of all files where it is ``numbered``."""
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
        rows=np.array([frame.row for frame in frames], dtype=np.int64) if numbered else None,
        notes=tuple(f"{count} of {len(frames)} frames {note}" for note, count in notes.items()),
    )
    return checked(*place, molecule)
