"""What frames of a user's file say: units, energies, forces, names and levels of theory."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms
from numpy.typing import NDArray

from lib.chemistry.reference_energies import level_named
from lib.data.readers.frames import results_of, value_of
from lib.errors import DataError
from lib.units import BOHR, EV, HARTREE, KILOJOULE

ENERGY_UNITS = {"kcal/mol": 1.0, "eV": EV, "Hartree": HARTREE, "kJ/mol": KILOJOULE}
LENGTH_UNITS = {"angstrom": 1.0, "bohr": BOHR}
SPELLINGS = {
    **dict.fromkeys(("ang", "å", "a", "angstroms", "ångström", "ångstrom"), "angstrom"),
    **dict.fromkeys(("bohrs", "a0"), "bohr"),
    **dict.fromkeys(("ha", "eh", "hartrees"), "Hartree"),
    **dict.fromkeys(("electronvolt", "electronvolts", "electron volt"), "eV"),
    **dict.fromkeys(("kcal/mole", "kcal mol-1", "kcal mol^-1", "kcal_per_mol"), "kcal/mol"),
    **dict.fromkeys(("kj/mole", "kj mol-1", "kj mol^-1", "kj_per_mol"), "kJ/mol"),
}  # in files, in small letters
ENERGY, FORCES = "energy", "forces"  # where they are looked for, unless another key is named
STATES_LEVEL = ("level_of_theory", "level", "theory", "lot")  # where a frame may say its level of theory
LARGEST = 1e12  # an energy, in any unit
HEAVY = 1.5  # u: hydrogen of a larger mass is deuterium, or tritium


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
            remedy = f"name it with energy_unit (--energy-unit), one of {sorted(ENERGY_UNITS)}"
            raise DataError(file, entry, "its energies have no unit", remedy)
        return _factor(file, "energy", given, ENERGY_UNITS, atoms, entry)

    def length_factor(self, atoms: Atoms, file: Path, entry: str) -> float:
        """What turns lengths of a frame into Å."""
        return _factor(file, "length", self.length_unit, LENGTH_UNITS, atoms, entry)

    def refuse_keys(self, path: Path, what: str) -> None:
        """Refuse what only frames need to be told, for the file or store ``path``: ``what`` has its own."""
        for name, given, usual in (
            ("energy_key", self.energy_key, ENERGY),
            ("forces_key", self.forces_key, FORCES),
            ("forces_length_unit", self.forces_length_unit, self.length_unit),
        ):
            if given not in (None, usual):
                option = f"{name} (--{name.replace('_', '-')})"
                remedy = f"leave {option} out; if other files need it, convert those first (data convert own)"
                raise DataError(path, "", f"{option} is {given!r:.40}, but {what} has its own", remedy)

    def check(self, path: Path | str | Sequence[Path | str]) -> None:
        """Refuse unknown units, before anything of ``path`` is read."""
        for what, unit, known in (
            ("energy", self.energy_unit, ENERGY_UNITS),
            ("length", self.length_unit, LENGTH_UNITS),
            ("length", self.forces_length_unit, LENGTH_UNITS),
        ):
            if unit is not None and unit not in known:
                raise DataError(str(path), "", f"unknown {what} unit {unit!r}", f"choose from {sorted(known)}")


def _factor(path: Path, what: str, unit: str, factors: Mapping[str, float], atoms: Atoms, entry: str) -> float:
    """What turns ``unit`` into the project's; refused where a frame says another one, or one that is not known."""
    says = _spelled(atoms.info.get(f"{what}_unit"))
    if says is not None and says not in factors:
        remedy = f"if it is another spelling of one of {sorted(factors)}, write that; else convert the values to one"
        raise DataError(path, entry, f"it says {what}_unit={says!r:.40}, which is not known", remedy)
    if says not in (None, unit):
        remedy = f"give that one with {what}_unit (--{what}-unit)"
        raise DataError(path, entry, f"its {what} unit is {says}, not {unit}", remedy)
    return factors[unit]


def _spelled(unit: Any) -> str | None:
    """A unit that a file says, spelled as in `ENERGY_UNITS` and `LENGTH_UNITS` where it is one of them."""
    if not isinstance(unit, str) or not unit.strip():
        return None
    plain = unit.strip().lower()
    return SPELLINGS.get(plain) or next((u for u in (*ENERGY_UNITS, *LENGTH_UNITS) if u.lower() == plain), unit)


def level_of(atoms: Atoms, said: str | None, file: Path, entry: str) -> str | None:
    """The level of theory that a frame says, or else what was ``said`` before; refused where the two differ."""
    stated = next((atoms.info[key] for key in STATES_LEVEL if isinstance(atoms.info.get(key), str)), None)
    if stated is None:
        return said
    if said is not None and level_named(stated) != said:
        raise DataError(file, entry, f"its level of theory is {stated!r}, not {said!r}", "do not mix levels")
    return level_named(stated)


def name_of(atoms: Atoms, file: Path, entry: str) -> str:
    """The name of a frame's molecule, or its formula."""
    name = atoms.info.get("name", atoms.get_chemical_formula())
    if not isinstance(name, (str, int, float, np.number)):
        raise DataError(file, entry, f"its name is {name!r:.40}, no text", "give one word, or a quoted text")
    return " ".join(str(name).split())


def energy_of(atoms: Atoms, key: str, file: Path, entry: str) -> float:
    """The energy of a frame, in the file's unit."""
    value = value_of(atoms, key)
    if isinstance(value, (int, float, np.integer, np.floating)) and not isinstance(value, bool):
        number = float(value)
        if not abs(number) < LARGEST:
            raise DataError(file, entry, f"its energy is {number:g}", "remove that frame")
        return number
    keys = sorted({*atoms.info, *results_of(atoms)})
    if value is None:
        raise DataError(file, entry, f"no energy {key!r} among {keys}", "name it with energy_key (--energy-key)")
    remedy = f"name the energy with energy_key (--energy-key): {keys}"
    raise DataError(file, entry, f"{key!r} is no number but {value!r:.40}", remedy)


def forces_of(atoms: Atoms, key: str, file: Path, entry: str) -> NDArray | None:
    """The forces (N, 3) of a frame, in the file's units; None where it has none and none were named."""
    forces, remedy = value_of(atoms, key), "name the forces with forces_key (--forces-key)"
    if forces is not None and np.shape(forces) != (len(atoms), 3):
        raise DataError(file, entry, f"{key!r} has shape {np.shape(forces)}, not ({len(atoms)}, 3)", remedy)
    if forces is None and key != FORCES:
        arrays = sorted({*atoms.arrays, *results_of(atoms)})
        raise DataError(file, entry, f"no forces {key!r} among {arrays}", remedy)
    if forces is not None and np.asarray(forces).dtype.kind not in "fiu":
        raise DataError(file, entry, f"{key!r} holds {np.asarray(forces).dtype}, no numbers", remedy)
    return forces


def notes_of(atoms: Atoms) -> Iterator[str]:
    """What a user should know of how a frame was read."""
    if "masses" in atoms.arrays and (atoms.arrays["masses"][atoms.numbers == 1] > HEAVY).any():
        yield (
            "have deuterium, read as hydrogen, since energies and forces do not depend on masses; for dynamics give "
            "it its own, 2.014 u (atoms.set_masses)"
        )
    if atoms.pbc.any():
        yield "have a periodic cell, which is ignored: energies and forces are those of neighbouring images too"
