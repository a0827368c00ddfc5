"""Geometries: embedding, normal modes (GFN2-xTB's Hessian), dynamics, torsions and dimers (MMFF94 forces).

Lengths in Å, energies in kcal/mol, masses in g/mol, times in fs. Every function takes the random generator it draws
from. RDKit's ``CalcGrad(x)`` is right only after ``CalcEnergy(x)`` was called with the same x.
"""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rdkit import Chem
from rdkit.Chem import rdDistGeom, rdForceFieldHelpers, rdMolTransforms
from rdkit.ForceField.rdForceField import ForceField
from rdkit.Geometry import Point3D

from lib.chemistry.normal_modes import WAVENUMBER
from lib.units import ACCELERATION, BOLTZMANN

Array = NDArray[np.float64]
SOFTEST = 100.0  # cm⁻¹: softer modes are sampled as if they had this wavenumber
ROTATABLE = Chem.MolFromSmarts("[!$(*#*)&!D1]-&!@[!$(*#*)&!D1]")


def read_lines(path: Path) -> list[str]:
    """The lines of a ``.smi`` file that are no comments."""
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def read_molecules(path: Path) -> list[str]:
    """The SMILES of a ``.smi`` file: the first word of each of its `read_lines`."""
    return [line.split()[0] for line in read_lines(path)]


def embed(smiles: str, rng: np.random.Generator) -> Chem.Mol:
    """One MMFF94-relaxed conformer of ``smiles`` with hydrogens; the parts of ``A.B`` are placed by `place_parts`.

    Raises:
        ValueError: RDKit cannot embed it, or MMFF94 has no parameters for it.
    """
    molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
    if rdDistGeom.EmbedMolecule(molecule, randomSeed=int(rng.integers(2**31))) != 0:
        raise ValueError(f"no conformer of {smiles!r} could be embedded: remove it from the list of molecules")
    if not rdForceFieldHelpers.MMFFHasAllMoleculeParams(molecule):
        raise ValueError(f"MMFF94 has no parameters for {smiles!r}: remove it from the list of molecules")
    if "." in smiles:
        place_parts(molecule, rng)
    rdForceFieldHelpers.MMFFOptimizeMolecule(molecule, maxIters=2000, ignoreInterfragInteractions=False)
    return molecule


def place_parts(molecule: Chem.Mol, rng: np.random.Generator) -> None:
    """Put each further fragment, turned at random, beside those already placed, closest atoms 2.5 Å apart."""
    first, *others = (list(atoms) for atoms in Chem.GetMolFrags(molecule))
    x = get_positions(molecule)
    x[first] -= x[first].mean(0)
    placed = list(first)
    for part in others:
        x[part] = (x[part] - x[part].mean(0)) @ random_rotation(rng).T
        direction = rng.normal(size=3)
        direction /= np.linalg.norm(direction)
        gaps = np.linspace(0.0, 20.0, 401)
        closest = [np.linalg.norm(x[placed][:, None] - (x[part] + g * direction)[None], axis=-1).min() for g in gaps]
        x[part] += gaps[np.flatnonzero(np.array(closest) < 2.5).max(initial=-1) + 1] * direction
        placed += part
    set_positions(molecule, x)


def random_rotation(rng: np.random.Generator) -> Array:
    """A rotation matrix (3, 3), uniform over rotations."""
    q, r = np.linalg.qr(rng.normal(size=(3, 3)))
    q = q * np.sign(np.diag(r))
    return q * np.sign(np.linalg.det(q))


def get_positions(molecule: Chem.Mol) -> Array:
    """(N, 3) Å of the only conformer."""
    return np.array(molecule.GetConformer().GetPositions())


def set_positions(molecule: Chem.Mol, positions: Array) -> None:
    """Replace the conformer's coordinates, (N, 3) Å."""
    conformer = molecule.GetConformer()
    for k, xyz in enumerate(positions.tolist()):
        conformer.SetAtomPosition(k, Point3D(*xyz))


def numbers_of(molecule: Chem.Mol) -> NDArray[np.int64]:
    """(N,) atomic numbers."""
    return np.array([a.GetAtomicNum() for a in molecule.GetAtoms()])


def masses(molecule: Chem.Mol) -> Array:
    """(N,) atomic masses in g/mol."""
    return np.array([a.GetMass() for a in molecule.GetAtoms()])


def sample_normal_modes(
    positions: Array, wavenumbers: Array, modes: Array, temperature: Array, rng: np.random.Generator
) -> Array:
    """Classical harmonic displacements: each mode Gaussian with variance k_B T / ω², softer ones as `SOFTEST`.

    Args:
        positions: (N, 3) Å, the minimum.
        wavenumbers: (K,) cm⁻¹.
        modes: (K, N, 3), from `normal_modes`.
        temperature: (M,) K, one a conformation.

    Returns:
        (M, N, 3) Å.
    """
    omega = np.maximum(np.abs(wavenumbers), SOFTEST) / WAVENUMBER  # sqrt(kcal/mol/Å²/(g/mol))
    width = np.sqrt(BOLTZMANN * temperature)[:, None] / omega[None, :]
    amplitude = width * rng.normal(size=width.shape)
    return positions + np.einsum("mk,kni->mni", amplitude, modes)


def mmff_forces(molecule: Chem.Mol) -> Callable[[Array], Array]:
    """MMFF94 forces (N, 3) in kcal/mol/Å, also between the parts of a dimer, as a function of positions (N, 3) Å."""
    properties = rdForceFieldHelpers.MMFFGetMoleculeProperties(molecule)
    return _forces_of(
        rdForceFieldHelpers.MMFFGetMoleculeForceField(molecule, properties, ignoreInterfragInteractions=False)
    )


def uff_forces(molecule: Chem.Mol) -> Callable[[Array], Array]:
    """The same with UFF, for what MMFF94 has no parameters for."""
    return _forces_of(rdForceFieldHelpers.UFFGetMoleculeForceField(molecule, ignoreInterfragInteractions=False))


def _forces_of(field: ForceField) -> Callable[[Array], Array]:
    def forces(x: Array) -> Array:
        """Minus the gradient (N, 3) at ``x`` (N, 3) Å, kcal/mol/Å."""
        flat = x.ravel().tolist()
        field.CalcEnergy(flat)
        return -np.array(field.CalcGrad(flat)).reshape(-1, 3)

    return forces


def dynamics(
    molecule: Chem.Mol,
    temperature: float,
    rng: np.random.Generator,
    apart: float = 50.0,
    step: float = 1.0,
    forces: Callable[[Array], Array] | None = None,
) -> Iterator[Array]:
    """Langevin dynamics (BAOAB, friction 0.02/fs): frames (N, 3) Å, ``apart`` fs from one to the next.

    Forces, (N, 3) kcal/mol/Å of positions (N, 3) Å, are MMFF94's unless others are given.

    Source of the integrator: Leimkuhler, Matthews 2013, https://doi.org/10.1093/amrx/abs010.
    """
    forces, mass = forces or mmff_forces(molecule), masses(molecule)[:, None]
    x = get_positions(molecule)
    thermal = np.sqrt(BOLTZMANN * temperature * ACCELERATION / mass)
    v = thermal * rng.normal(size=x.shape)
    keep = np.exp(-0.02 * step)
    f = forces(x)
    while True:
        for _ in range(round(apart / step)):
            v += 0.5 * step * ACCELERATION * f / mass
            x = x + 0.5 * step * v
            v = keep * v + np.sqrt(1 - keep**2) * thermal * rng.normal(size=x.shape)
            x = x + 0.5 * step * v
            f = forces(x)
            v += 0.5 * step * ACCELERATION * f / mass
        yield x.copy()


def turn_torsion(molecule: Chem.Mol, positions: Array, rng: np.random.Generator) -> Array | None:
    """``positions`` (N, 3) Å with one rotatable bond set to a random dihedral; None where no bond can turn."""
    bonds = molecule.GetSubstructMatches(ROTATABLE)
    if not bonds:
        return None
    b, c = bonds[int(rng.integers(len(bonds)))]
    a = next(n.GetIdx() for n in molecule.GetAtomWithIdx(b).GetNeighbors() if n.GetIdx() != c)
    d = next(n.GetIdx() for n in molecule.GetAtomWithIdx(c).GetNeighbors() if n.GetIdx() != b)
    set_positions(molecule, positions)
    rdMolTransforms.SetDihedralDeg(molecule.GetConformer(), a, b, c, d, float(rng.uniform(-180, 180)))
    return get_positions(molecule)


def pull_dimer(molecule: Chem.Mol, positions: Array, rng: np.random.Generator) -> Array:
    """``positions`` (N, 3) Å with the second fragment moved by -0.4 to 2 Å along the line between the centres."""
    first, second = (list(atoms) for atoms in Chem.GetMolFrags(molecule))
    axis = positions[second].mean(0) - positions[first].mean(0)
    moved = positions.copy()
    moved[second] += rng.uniform(-0.4, 2.0) * axis / np.linalg.norm(axis)
    return moved
