"""Frames: the labelled conformations of one molecule, as the samplers hand them to the writers."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from lib.mini_suite import xtb
from lib.mini_suite.filters import plausible
from lib.units import HARTREE


@dataclass(frozen=True)
class Frames:
    """M labelled conformations of a molecule of N atoms.

    Attributes:
        name: SMILES.
        numbers: (N,) atomic numbers.
        positions: (M, N, 3) Å, on a grid, `xtb.POSITION_GRID` unless its writer has another.
        energy: (M,) Hartree.
        forces: (M, N, 3) Hartree/Å, on `xtb.FORCE_GRID`.
    """

    name: str
    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    energy: NDArray[np.float64]
    forces: NDArray[np.float64]


def label_frames(
    name: str,
    numbers: NDArray[np.int64],
    drawn: Sequence[NDArray[np.float64]],
    charge: int = 0,
    grid: float = xtb.POSITION_GRID,
    max_energy: float | None = None,
) -> Frames:
    """Round positions, label with GFN2-xTB, leave out what does not converge or `filters.plausible` refuses.

    Args:
        name: SMILES.
        numbers: (N,) atomic numbers.
        drawn: (N, 3) Å each.
        charge: total charge in e.
        grid: Å, what positions are rounded to.
        max_energy: kcal/mol above the lowest frame, where `filters.plausible`'s default does not serve.
    """
    positions, labels = [], []
    for x in drawn:
        rounded = xtb.on_grid(x - x.mean(0), grid)
        try:
            labels.append(xtb.single_point(numbers, rounded, charge))
        except RuntimeError:
            continue
        positions.append(rounded)
    energy = np.array([label.energy for label in labels])
    forces = xtb.on_grid(np.array([label.forces for label in labels]), xtb.FORCE_GRID)
    keep = plausible(energy * HARTREE, forces * HARTREE, max_energy)
    return Frames(name, numbers, np.array(positions)[keep], energy[keep], forces[keep])


def joined(parts: Sequence[Frames]) -> Frames:
    """The frames of one molecule that were labelled in parts, one after the other."""
    arrays = (np.concatenate([getattr(p, key) for p in parts]) for key in ("positions", "energy", "forces"))
    return Frames(parts[0].name, parts[0].numbers, *arrays)


def create_file(path: Path, attributes: dict[str, str]) -> h5py.File:
    """A new HDF5 file in the compact format of HDF5 1.10, the same bytes for the same content."""
    file = h5py.File(path, "w", libver=("v110", "v110"))
    file.attrs.update(attributes)
    return file


def pack(group: h5py.Group, key: str, data: NDArray) -> None:
    """Write ``data`` as one shuffled, compressed chunk."""
    group.create_dataset(key, data=data, chunks=data.shape, compression="gzip", compression_opts=9, shuffle=True)
