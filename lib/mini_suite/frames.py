"""Frames: the labelled conformations of one molecule, as the samplers hand them to the writers."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from lib.chemistry import xtb
from lib.mini_suite.filters import plausible
from lib.units import HARTREE

SAME_ENERGY = 1e-7  # Hartree


@dataclass(frozen=True)
class Frames:
    """M labelled conformations of a molecule of N atoms.

    Attributes:
        name: SMILES.
        numbers: (N,) atomic numbers.
        positions: (M, N, 3) Å, on `xtb.POSITION_GRID` unless its writer has another grid.
        energy: (M,) Hartree.
        forces: (M, N, 3) Hartree/Å, on `xtb.FORCE_GRID`.
    """

    name: str
    numbers: NDArray[np.int64]
    positions: NDArray[np.float64]
    energy: NDArray[np.float64]
    forces: NDArray[np.float64]


def on_position_grid(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round Å to `xtb.POSITION_GRID`."""
    return xtb.on_grid(positions, xtb.POSITION_GRID)


def label_frames(
    name: str,
    numbers: NDArray[np.int64],
    drawn: Sequence[NDArray[np.float64]],
    charge: int = 0,
    rounding: Callable[[NDArray[np.float64]], NDArray[np.float64]] = on_position_grid,
    max_energy: float | None = None,
    twice: bool = False,
) -> Frames:
    """Round positions, label with GFN2-xTB, leave out what does not converge or `filters.plausible` refuses.

    Args:
        name: SMILES.
        numbers: (N,) atomic numbers.
        drawn: (N, 3) Å each.
        charge: total charge in e.
        rounding: from positions in Å to those that a reader of the file will give, which are labelled.
        max_energy: kcal/mol above the lowest frame, where `filters.plausible`'s default does not serve.
        twice: leave out what does not converge to the same energy when it is turned, too.
    """
    positions, labels = [], []
    for x in drawn:
        rounded = rounding(x - x.mean(0))
        try:
            label = xtb.single_point(numbers, rounded, charge)
            turned = xtb.single_point(numbers, rounded[:, [1, 2, 0]], charge) if twice else label
        except RuntimeError:
            continue
        if abs(turned.energy - label.energy) > SAME_ENERGY:
            continue
        labels.append(label)
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
