"""Molecules in a periodic box: whether it cuts them."""

from pathlib import Path

from ase import Atoms
from ase.geometry import get_distances
from scipy.sparse.csgraph import connected_components

from lib.chemistry.bonds import BONDED, bond_lengths
from lib.errors import DataError


def refuse_cut_by_box(atoms: Atoms, file: Path, entry: str) -> None:
    """Refuse a frame whose bonds go through the sides of its box, so that the positions alone have them broken.

    Raises:
        DataError: it has more pieces without its cell than with it.
    """
    reach = BONDED * bond_lengths(atoms.numbers)
    _, apart = get_distances(atoms.positions)
    _, nearest = get_distances(atoms.positions, cell=atoms.cell, pbc=atoms.pbc)
    pieces, whole = (connected_components(distance < reach, directed=False)[0] for distance in (apart, nearest))
    if pieces > whole:
        raise DataError(
            file,
            entry,
            f"its box cuts it: {pieces} pieces, {whole} across the sides of the box",
            "put the pieces together, so that bonds do not go through the box",
        )
