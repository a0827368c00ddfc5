"""Relaxed geometries, to be pre-trained on beside nonequilibrium ones, in the layout of ``ani1x-release.h5``.

Three files: ``suite.h5`` has a GFN2-xTB minimum of each molecule and dimer of mini ANI-1 and mini ANI-1x, ``more.h5``
of several times as many other molecules (`lib.mini_suite.grow`), and ``more_shaken.h5`` of each of the latter one
conformation that is not in equilibrium: displaced along its normal modes, classically and harmonically, at a
temperature drawn between `ani1.TEMPERATURES`. The modes are those of MMFF94's Hessian at the GFN2-xTB minimum, which
costs nothing; the energies are GFN2-xTB's.
"""

import zlib
from collections.abc import Sequence
from concurrent.futures import Executor
from itertools import repeat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem.rdMolDescriptors import CalcMolFormula
from tqdm import tqdm

from lib.chemistry import normal_modes, xtb
from lib.mini_suite import ani1, ani1x, sampling
from lib.mini_suite.filters import GeometryFilter
from lib.mini_suite.frames import Frames, create_file, on_position_grid, pack

MOLECULES = Path(__file__).parent / "molecules" / "more.smi"
STEP = 1e-3  # Å, of the differences that make MMFF94's Hessian
CONFORMERS = 5  # are tried, where GFN2-xTB does not keep a molecule's bonds
TRIES = 20  # displacements are drawn until one is a sane geometry
RELAXED, SHAKEN = range(2)  # the two conformations of `sample`


def suite() -> list[str]:
    """The molecules and dimers of mini ANI-1 and mini ANI-1x, each once."""
    return list(dict.fromkeys(s for path in (ani1.MOLECULES, ani1x.MOLECULES) for s in sampling.read_molecules(path)))


def sample(smiles: str, seed: int) -> Frames:
    """A GFN2-xTB minimum and one displaced conformation, atoms ordered by atomic number; of forces there are none.

    Raises:
        ValueError: GFN2-xTB does not keep the molecule's bonds on relaxation, or no displacement does.
        RuntimeError: GFN2-xTB does not converge.
    """
    rng = np.random.default_rng([seed, zlib.crc32(smiles.encode())])
    molecule, minimum = _relaxed(smiles, rng)
    numbers, accept = sampling.numbers_of(molecule), GeometryFilter(molecule)
    mass = sampling.masses(molecule)
    wavenumbers, modes = normal_modes.normal_modes(_hessian(molecule, minimum), minimum, mass)
    temperatures = np.full(TRIES, rng.uniform(*ani1.TEMPERATURES))
    drawn = sampling.sample_normal_modes(minimum, wavenumbers, modes, temperatures, rng)
    shaken = next((x for x in drawn if accept.accepts(x)), None)
    if shaken is None:
        raise ValueError(f"no displacement of {smiles!r} keeps its bonds: remove it from the list of molecules")
    order = np.argsort(numbers, kind="stable")
    positions = np.array([on_position_grid(x - x.mean(0))[order] for x in (minimum, shaken)])
    energy = np.array([xtb.single_point(numbers[order], x).energy for x in positions])
    return Frames(smiles, numbers[order], positions, energy, np.zeros((2, 0, 3)))


def _relaxed(smiles: str, rng: np.random.Generator) -> tuple[Chem.Mol, NDArray[np.float64]]:
    """The molecule and a minimum with its bonds, (N, 3) Å, from the first conformer that leads to one."""
    for _ in range(CONFORMERS):
        molecule = sampling.embed(smiles, rng)
        minimum = xtb.relax(sampling.numbers_of(molecule), sampling.get_positions(molecule))
        if GeometryFilter(molecule).accepts(minimum):
            return molecule, minimum
    raise ValueError(f"GFN2-xTB does not keep the bonds of {smiles!r}: remove it from the list of molecules")


def _hessian(molecule: Chem.Mol, positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """MMFF94's (3N, 3N) in kcal/mol/Å², central differences of its forces, symmetrised."""
    forces, rows = sampling.mmff_forces(molecule), []
    for shift in STEP * np.eye(positions.size).reshape(-1, *positions.shape):
        rows.append((forces(positions - shift) - forces(positions + shift)).ravel() / (2 * STEP))
    columns = np.array(rows)
    return (columns + columns.T) / 2


def draw(pool: Executor, seed: int) -> list[Frames]:
    """`sample` of the suite's molecules, then of those of `MOLECULES`."""
    entries = suite() + sampling.read_molecules(MOLECULES)
    return list(tqdm(pool.map(sample, entries, repeat(seed)), total=len(entries), desc="relaxed"))


def write(all_frames: Sequence[Frames], folder: Path, attributes: dict[str, str]) -> None:
    """Write the three files: a group per formula with ``atomic_numbers``, ``coordinates`` (Å) and energies."""
    known = set(suite())
    ours, more = ([f for f in all_frames if (f.name in known) == inside] for inside in (True, False))
    for name, frames, which in (("suite", ours, RELAXED), ("more", more, RELAXED), ("more_shaken", more, SHAKEN)):
        by_formula: dict[str, list[Frames]] = {}
        for each in frames:
            by_formula.setdefault(CalcMolFormula(Chem.MolFromSmiles(each.name)), []).append(each)
        with create_file(folder / f"{name}.h5", attributes) as file:
            for formula, members in sorted(by_formula.items()):
                group = file.create_group(formula)
                group.create_dataset("atomic_numbers", data=members[0].numbers.astype("u1"))
                pack(group, "coordinates", np.array([m.positions[which] for m in members]).astype("f4"))
                pack(group, f"{ani1x.KEY}.energy", np.array([m.energy[which] for m in members]))
