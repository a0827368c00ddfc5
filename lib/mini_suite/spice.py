"""Mini SPICE: drug-like molecules, dimers, dipeptides, amino acids in water and ion pairs, as ``mini-spice.hdf5``.

MMFF94 dynamics (dimers also pulled apart, pairs of monatomic ions placed at random distances), labelled by GFN2-xTB at
the species' total charge. As in the published file there is a group per species, positions in bohr, energies in Hartree
and a mapped SMILES, whose atoms stand in another order than the arrays.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem

from lib.chemistry.atom_types import atom_types
from lib.chemistry.reference_energies import reference_energies
from lib.chemistry.xtb import LEVEL, on_grid
from lib.mini_suite import sampling
from lib.mini_suite.filters import MAX_ENERGY, GeometryFilter
from lib.mini_suite.frames import Frames, create_file, label_frames, pack
from lib.units import BOHR, HARTREE

MOLECULES = Path(__file__).parent / "molecules" / "spice.smi"
POSITION_GRID = 2.0**-12  # bohr
GRADIENT_GRID = 2.0**-16  # Hartree/bohr (0.018 kcal/mol/Å)
SEPARATION = 150.0  # kcal/mol above the lowest that a frame may have at least: what parting two ions costs
ION_DISTANCES = (0.85, 7.0)  # times the sum of the ions' radii, and Å


@dataclass(frozen=True)
class Kind:
    """A class of species: its subset's name, the frames drawn of each, the temperatures in K."""

    subset: str
    frames: int
    temperatures: tuple[float, ...]


KINDS = {
    "pubchem": Kind("mini SPICE PubChem", 68, (300.0, 600.0)),
    "dimer": Kind("mini SPICE DES370K", 80, (150.0, 300.0)),
    "dipeptide": Kind("mini SPICE Dipeptides", 64, (300.0, 600.0)),
    "solvated": Kind("mini SPICE Solvated Amino Acids", 60, (300.0,)),
    "ion_pair": Kind("mini SPICE Ion Pairs", 70, ()),
}


def sample(line: str, seed: int) -> Frames:
    """Labelled conformations of one line of the list, ``SMILES kind``; the name is the line."""
    smiles, kind = line.split()
    rng = np.random.default_rng(seed)
    molecule = prepared(smiles)
    charge, numbers = Chem.GetFormalCharge(molecule), sampling.numbers_of(molecule)
    if molecule.GetNumBonds():
        molecule = sampling.embed(smiles, rng)
        accept = GeometryFilter(molecule)
        drawn = [x for x in islice(_walks(molecule, KINDS[kind], rng), KINDS[kind].frames) if accept.accepts(x)]
    else:
        drawn = list(islice(_distances(molecule, rng), KINDS[kind].frames))
    highest = max(MAX_ENERGY * len(numbers), SEPARATION)
    return label_frames(line, numbers, drawn, charge, as_read, highest, twice=True)


def prepared(smiles: str) -> Chem.Mol:
    """The molecule of ``smiles`` with hydrogens, in the order of the arrays."""
    return Chem.AddHs(Chem.MolFromSmiles(smiles))


def _walks(molecule: Chem.Mol, kind: Kind, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Frames of a trajectory at each temperature; of a dimer every second one with its parts moved."""
    start, two = sampling.get_positions(molecule), len(Chem.GetMolFrags(molecule)) == 2
    for temperature in kind.temperatures:
        sampling.set_positions(molecule, start)
        walk = islice(sampling.dynamics(molecule, temperature, rng), 5, None)
        for k, x in enumerate(islice(walk, kind.frames // len(kind.temperatures))):
            yield sampling.pull_dimer(molecule, x, rng) if two and k % 2 else x


def _distances(pair: Chem.Mol, rng: np.random.Generator) -> Iterator[np.ndarray]:
    """Two atoms at a distance from near contact to 7 Å, in a random direction."""
    table = Chem.GetPeriodicTable()
    near = ION_DISTANCES[0] * sum(table.GetRcovalent(a.GetAtomicNum()) for a in pair.GetAtoms())
    while True:
        direction = rng.normal(size=3)
        x = np.zeros((2, 3))
        x[1] = direction / np.linalg.norm(direction) * rng.uniform(near, ION_DISTANCES[1])
        yield x


def mapped_smiles(molecule: Chem.Mol) -> str:
    """A SMILES with every hydrogen, whose map numbers 1 … N are the order of the arrays."""
    mapped = Chem.Mol(molecule)
    for atom in mapped.GetAtoms():
        atom.SetAtomMapNum(atom.GetIdx() + 1)
    return Chem.MolToSmiles(mapped)


def stored(positions: NDArray[np.float64]) -> NDArray[np.float32]:
    """From Å to bohr on `POSITION_GRID`, as the file has it."""
    return on_grid(positions / BOHR, POSITION_GRID).astype(np.float32)


def as_read(positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """From Å to the Å that `readers.spice` gives; where ions are far apart, convergence hangs on the last digit."""
    return (stored(positions) * BOHR).astype(np.float32).astype(np.float64)


def write(all_frames: Iterable[Frames], folder: Path, attributes: dict[str, str]) -> None:
    """Write ``mini-spice.hdf5``."""
    with create_file(folder / "mini-spice.hdf5", attributes) as file:
        for frames in all_frames:
            smiles, kind = frames.name.split()
            molecule = prepared(smiles)
            charges = np.array([atom.GetFormalCharge() for atom in molecule.GetAtoms()])
            free = reference_energies(LEVEL, atom_types(frames.numbers, charges)).sum() / HARTREE
            group = file.create_group(Chem.MolToSmiles(Chem.MolFromSmiles(smiles), isomericSmiles=False))
            group["atomic_numbers"] = frames.numbers.astype("i2")
            group["smiles"] = [mapped_smiles(molecule)]
            group["subset"] = [KINDS[kind].subset]
            pack(group, "conformations", stored(frames.positions))
            pack(group, "dft_total_energy", frames.energy)
            pack(group, "formation_energy", frames.energy - free)
            pack(group, "dft_total_gradient", on_grid(-frames.forces * BOHR, GRADIENT_GRID).astype("f4"))
