"""The example of a user's own molecule: methyl salicylate, which is in no data set of the suite, as extended xyz.

MMFF94 dynamics at three temperatures, in every other frame one rotatable bond at a random dihedral, labelled by
GFN2-xTB; energies in eV, forces in eV/Å, as ASE writes them.
"""

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write as write_xyz

from lib.mini_suite import sampling
from lib.mini_suite.filters import GeometryFilter
from lib.mini_suite.frames import Frames, label_frames
from lib.units import EV, HARTREE

MOLECULES = Path(__file__).parent / "molecules" / "example.smi"
FRAMES = 600  # drawn, before the filter
TEMPERATURES = (300.0, 450.0, 600.0)  # K
DIGITS = 5  # after the point, in Å, eV and eV/Å


def sample(smiles: str, seed: int) -> Frames:
    """Labelled frames, 50 fs of a trajectory from one to the next, in random order."""
    rng = np.random.default_rng(seed)
    molecule = sampling.embed(smiles, rng)
    accept = GeometryFilter(molecule)
    drawn = [x for x in _walk(molecule, rng) if accept.accepts(x)]
    order = rng.permutation(len(drawn))
    return label_frames(smiles, sampling.numbers_of(molecule), [drawn[k] for k in order], rounding=as_written)


def as_written(positions: np.ndarray) -> np.ndarray:
    """Å with `DIGITS` after the point."""
    return positions.round(DIGITS)


def _walk(molecule: sampling.Chem.Mol, rng: np.random.Generator) -> Iterator[np.ndarray]:
    start = sampling.get_positions(molecule)
    for temperature in TEMPERATURES:
        sampling.set_positions(molecule, start)
        walk = islice(sampling.dynamics(molecule, temperature, rng), 10, 10 + FRAMES // len(TEMPERATURES))
        for k, x in enumerate(walk):
            turned = None if k % 2 else sampling.turn_torsion(molecule, x, rng)
            yield x if turned is None else turned


def write(all_frames: Sequence[Frames], folder: Path, attributes: dict[str, str]) -> None:
    """Write ``methyl-salicylate.xyz``; ``attributes`` go into each frame's comment as far as they are its own."""
    images = []
    for frames in all_frames:
        for x, energy, forces in zip(frames.positions, frames.energy, frames.forces, strict=True):
            atoms = Atoms(frames.numbers, positions=x, info={"level": attributes["level_of_theory"]})
            atoms.calc = SinglePointCalculator(
                atoms, energy=round(energy * HARTREE / EV, DIGITS), forces=(forces * HARTREE / EV).round(DIGITS)
            )
            images.append(atoms)
    write_xyz(folder / "methyl-salicylate.xyz", images, format="extxyz")
