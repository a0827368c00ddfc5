"""HDF5 files of a user in the layouts of the published data sets, read by their readers.

Units are those of the layout. A file that states its level of theory is taken at its word; one that states none is of
the user's own level, whatever the published files of its layout have.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import h5py

from lib.data.readers import ani1, ani1x, spice
from lib.data.readers.checks import ANOTHER_LAYOUT
from lib.data.readers.hdf5 import Entry, groups, open_hdf5, stated
from lib.data.readers.molecule import Molecule
from lib.errors import DataError

ENDINGS = (".h5", ".hdf5")
OWN = "own"  # a level of which nothing is known


@dataclass(frozen=True)
class Layout:
    """One way in which HDF5 files hold molecules.

    Attributes:
        marks: data sets of a molecule's group, by which the layout is told.
        depth: of the molecules' groups in the file; 1 is right below its root.
        read: its reader.
        length_unit: of the positions; energies of all layouts are in Hartree.
        states_level: whether the names of its data sets say the level of theory.
    """

    marks: tuple[str, ...]
    depth: int
    read: Callable[..., Iterator[Molecule]]
    length_unit: str = "angstrom"
    states_level: bool = False


LAYOUTS = {
    "ANI-1": Layout(("coordinates", "energies", "species"), 2, ani1.read),
    "ANI-1x": Layout(("atomic_numbers", "coordinates"), 1, ani1x.read, states_level=True),
    "SPICE": Layout(("atomic_numbers", "conformations", "formation_energy", "smiles"), 1, spice.read, "bohr"),
}
ENERGY_UNIT = "Hartree"


def molecules(file: Path, level: str, energy_unit: str | None, length_unit: str) -> Iterator[Molecule]:
    """The molecules of ``file``, at ``level`` (`OWN`: whichever it is, which the molecules then do not say).

    Raises:
        DataError: the layout is none of `LAYOUTS`, other units are given than the layout has, or as its reader says.
    """
    layout, states_level = _layout(file)
    if energy_unit not in (None, ENERGY_UNIT):
        problem = f"energies of this layout are in {ENERGY_UNIT}, not {energy_unit}"
        raise DataError(file, "", problem, "leave the energy unit out")
    if length_unit not in ("angstrom", layout.length_unit):
        problem = f"lengths of this layout are in {layout.length_unit}, not {length_unit}"
        raise DataError(file, "", problem, "leave the length unit out")
    expected = None if level == OWN and states_level else level
    for molecule in layout.read(file, level=expected):
        yield replace(molecule, level=level) if level == OWN else molecule


def _layout(path: Path) -> tuple[Layout, bool]:
    """The layout of ``path``, told by its first molecule, and whether that or the file states a level of theory."""
    with open_hdf5(path) as file:
        group = groups(path, file, "group of a molecule")[0]
        depth = 1
        if not any(isinstance(member, h5py.Dataset) for member in group.values()):
            group, depth = groups(path, group, "group of a molecule")[0], 2
        entry = Entry.of(path, group)
        for layout in LAYOUTS.values():
            if depth == layout.depth and set(layout.marks) <= set(entry.members):
                says = stated(path, file, ani1.STATES_LEVEL) or entry.stated(ani1.STATES_LEVEL)
                return layout, says is not None or layout.states_level
        marks = "; ".join(f"{name}: {', '.join(layout.marks)}" for name, layout in LAYOUTS.items())
        raise DataError(path, entry.name, f"{sorted(entry.members)[:20]} are of no layout ({marks})", ANOTHER_LAYOUT)
