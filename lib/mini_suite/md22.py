"""Mini MD22: one trajectory of each of the seven systems, labelled by GFN2-xTB, as ``md22_NAME.npz``.

Dynamics at one temperature a system with a force field (MMFF94; UFF where all is sp² carbon), 50 fs between frames,
after 2 ps that are left out. Molecules start from their SMILES, complexes from `assemblies`. A trajectory is refused
where a bond breaks or a part leaves. Labels take hours on one core: they are kept block by block, and a run that was
stopped goes on. tblite's wheel carries a reference LAPACK; a fast one, preloaded, is eight times faster at 370 atoms::

    LD_PRELOAD=/usr/lib/x86_64-linux-gnu/openblas-pthread/libopenblas.so.0 python -m lib mini-suite md22
"""

import hashlib
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from tqdm import tqdm

from lib.chemistry.xtb import LEVEL, on_grid
from lib.errors import look_up
from lib.files import whole_file
from lib.mini_suite import assemblies, sampling
from lib.mini_suite.filters import GeometryFilter
from lib.mini_suite.frames import Frames, joined, label_frames
from lib.paths import CACHE
from lib.units import HARTREE

Array = NDArray[np.float64]
BLOCK = 20  # frames labelled at a time
LEFT_OUT = 40  # frames before the first one kept
FARTHEST = 4.0  # Å from a part of a complex to the nearest atom of the others
REFUSED = 0.1  # of the frames, at most: broken bonds stay broken, thermal contacts pass
FORCE_GRID = 2.0**-6  # kcal/mol/Å


@dataclass(frozen=True)
class System:
    """One of the seven: how it starts, its force field, its temperature in K and its number of frames."""

    name: str
    atoms: int
    frames: int
    temperature: float
    start: Callable[[int], Chem.Mol]
    forces: Callable[[Chem.Mol], Callable[[Array], Array]] = sampling.mmff_forces


def from_smiles(smiles: str) -> Callable[[int], Chem.Mol]:
    """A start by `sampling.embed`."""
    return lambda seed: sampling.embed(smiles, np.random.default_rng(seed))


def _stack(*pairs: str) -> Callable[[int], Chem.Mol]:
    return lambda seed: assemblies.stacked(pairs, seed)


PEPTIDE = "CC(=O)N[C@@H](C)C(=O)N[C@@H](C)C(=O)N[C@@H](C)C(=O)NC"
FATTY_ACID = "CC/C=C\\C/C=C\\C/C=C\\C/C=C\\C/C=C\\C/C=C\\CCC(=O)O"
TETRASACCHARIDE = (
    "OC[C@H]1O[C@H](OC[C@H]2O[C@H](OC[C@H]3O[C@H](O[C@]4(CO)O[C@H](CO)[C@@H](O)[C@@H]4O)[C@H](O)[C@@H](O)[C@@H]3O)"
    "[C@H](O)[C@@H](O)[C@H]2O)[C@H](O)[C@@H](O)[C@H]1O"
)
ALL = (
    System("Ac-Ala3-NHMe", 42, 2000, 500.0, from_smiles(PEPTIDE)),
    System("DHA", 56, 1500, 500.0, from_smiles(FATTY_ACID)),
    System("stachyose", 87, 1000, 500.0, from_smiles(TETRASACCHARIDE)),
    System("AT-AT", 60, 1500, 250.0, _stack("AT", "AT")),
    System("AT-AT-CG-CG", 118, 700, 250.0, _stack("AT", "AT", "CG", "CG")),
    System("buckyball-catcher", 148, 800, 300.0, assemblies.buckyball_catcher, sampling.uff_forces),
    System("double-walled_nanotube", 370, 500, 300.0, assemblies.double_walled_nanotube, sampling.uff_forces),
)
SYSTEMS = {system.name: system for system in ALL}


def trajectory(name: str, seed: int) -> tuple[NDArray[np.int64], Array]:
    """Atomic numbers (N,) and frames (M, N, 3) Å of one system's dynamics.

    Raises:
        ValueError: the start has another number of atoms, a bond breaks, or a part leaves.
    """
    system = look_up(SYSTEMS, name, "system of mini MD22")
    molecule = system.start(seed)
    if molecule.GetNumAtoms() != system.atoms:
        raise ValueError(f"{name} starts with {molecule.GetNumAtoms()} atoms instead of {system.atoms}")
    forces, accept = system.forces(molecule), GeometryFilter(molecule)
    walk = sampling.dynamics(molecule, system.temperature, np.random.default_rng(seed), forces=forces)
    frames: list[Array] = []
    for k, x in enumerate(islice(walk, LEFT_OUT, None)):
        if (gap := contacts(molecule, x).max(initial=0.0)) > FARTHEST:
            raise ValueError(f"{name}, frame {k} of seed {seed}: a part is {gap:.1f} Å away; take another seed")
        frames += [x] if accept.accepts(x) else []
        if k + 1 - len(frames) > REFUSED * system.frames:
            raise ValueError(f"{name}, seed {seed}: {k + 1 - len(frames)} of {k + 1} frames have broken bonds")
        if len(frames) == system.frames:
            break
    return sampling.numbers_of(molecule), np.array(frames)


def contacts(molecule: Chem.Mol, positions: Array) -> Array:
    """The distance in Å from each part of a complex to the nearest atom of the others; none for one molecule."""
    parts = [list(atoms) for atoms in Chem.GetMolFrags(molecule)]
    if len(parts) == 1:
        return np.array([])
    distance = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    return np.array([np.delete(distance[part], part, axis=1).min() for part in parts])


def draw(pool: Executor, seed: int, systems: Iterable[str] = tuple(SYSTEMS)) -> list[Frames]:
    """Labelled frames of all systems: trajectories first, then their labels block by block, the largest first."""
    names = sorted(systems, key=lambda name: -SYSTEMS[name].atoms)
    made = dict(zip(names, pool.map(trajectory, names, [seed] * len(names)), strict=True))
    blocks = [(name, z, x[k : k + BLOCK]) for name, (z, x) in made.items() for k in range(0, len(x), BLOCK)]
    labelled = list(tqdm(pool.map(label_block, *zip(*blocks, strict=True)), total=len(blocks), desc="md22"))
    return [joined([b for b in labelled if b.name == name]) for name in SYSTEMS if name in made]


def label_block(name: str, numbers: NDArray[np.int64], positions: Array) -> Frames:
    """`label_frames` of (M, N, 3) Å, kept under ``CACHE / "mini_suite"`` and read from there the next time."""
    digest = hashlib.sha256(positions.tobytes()).hexdigest()[:16]
    path = CACHE / "mini_suite" / f"{name}-{digest}.npz"
    if not path.exists():
        made = label_frames(name, numbers, list(positions))
        with whole_file(path) as part:
            np.savez(part, positions=made.positions, energy=made.energy, forces=made.forces)
    with np.load(path) as kept:
        return Frames(name, numbers, kept["positions"], kept["energy"], kept["forces"])


def write(all_frames: Iterable[Frames], folder: Path, attributes: dict[str, str]) -> None:
    """Write ``md22_NAME.npz``: R (Å) and F (kcal/mol/Å) in float32, E (kcal/mol) in float64, z, and its origin."""
    facts: dict[str, Any] = {k: np.array(value) for k, value in attributes.items() if k != "level_of_theory"}
    for frames in all_frames:
        np.savez_compressed(
            folder / f"md22_{frames.name}.npz",
            R=frames.positions.astype(np.float32),
            E=frames.energy * HARTREE,
            F=on_grid(frames.forces * HARTREE, FORCE_GRID).astype(np.float32),
            z=frames.numbers.astype(np.uint8),
            name=np.array(frames.name),
            theory=np.array(LEVEL),
            temperature=np.array(SYSTEMS[frames.name].temperature),
            **facts,
        )
