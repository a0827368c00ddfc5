"""What a potential is for: dynamics at constant energy, torsion scans, minima and their vibrations, through ASE.

Energies are given in kcal/mol, times in ps, wavenumbers in cm⁻¹; any ASE calculator serves, so that a trained potential
and the reference that it learnt from go the same way.
"""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from ase import Atoms, units
from ase.calculators.calculator import Calculator
from ase.md.velocitydistribution import Stationary, ZeroRotation, thermalize_momenta
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS
from ase.vibrations import Vibrations
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.spatial.distance import pdist, squareform

from lib.chemistry.bonds import BONDED, bond_lengths
from lib.chemistry.formal_charges import KEY as FORMAL_CHARGES
from lib.chemistry.normal_modes import normal_modes
from lib.chemistry.xtb import LEVEL, ase_calculator
from lib.data.store import ConformationStore
from lib.units import EV


def reference_calculators(level: str) -> dict[str, Calculator]:
    """The reference that labels of ``level`` come from, by its name, where this project has it; else nothing."""
    return {LEVEL: ase_calculator()} if level.startswith(LEVEL) else {}


def frame(store: ConformationStore, index: int) -> Atoms:
    """The conformation ``index`` of ``store`` with its formal charges, as initial charges too."""
    molecule = int(store.molecule_of(np.array([index]))[0])
    atoms = store.atoms_of(molecule)
    out = Atoms(store.arrays["z"][atoms], positions=store.gather(np.array([index])).positions)
    charges = np.asarray(store.arrays["charges"][atoms], dtype=np.int64)
    out.set_array(FORMAL_CHARGES, charges)
    out.set_initial_charges(charges)  # their sum is the charge that a reference computes
    return out


def report(atoms: Atoms) -> dict[str, float]:
    """Energy (eV) and largest force component (eV/Å) of ``atoms`` and, from an ensemble, their spreads."""
    facts = {
        "energy (eV)": atoms.get_potential_energy(),
        "largest force (eV/Å)": float(np.abs(atoms.get_forces()).max()),
    }
    if "energy_std" in atoms.calc.results:
        spread = atoms.calc.results["forces_std"]
        facts |= {
            "spread of the energy (eV)": atoms.calc.results["energy_std"],
            "spread of a force, largest (eV/Å)": float(spread.max()),
        }
    return facts


def nve(
    atoms: Atoms,
    calculator: Calculator,
    picoseconds: float,
    rng: np.random.Generator,
    temperature: float = 300.0,
    step: float = 0.5,
    rows: int = 500,
) -> pd.DataFrame:
    """Newton's equations by velocity Verlet, from velocities drawn at ``temperature``; no thermostat.

    Args:
        atoms: where it starts; they stay as they are.
        calculator: gives the forces.
        picoseconds: how long.
        rng: draws the velocities; whole translations and rotations are taken out.
        temperature: K.
        step: fs.
        rows: how many are kept, beside the first; fewer where there are fewer steps.

    Returns:
        Columns ``time`` (ps), ``total``, ``potential``, ``kinetic`` (kcal/mol), the first row at time 0.
    """
    atoms = atoms.copy()
    atoms.calc = calculator
    thermalize_momenta(atoms, temperature_K=temperature, rng=rng)
    Stationary(atoms)
    ZeroRotation(atoms)
    steps, kept = round(1000 * picoseconds / step), []

    def note() -> None:
        """Keep a row of the present energies."""
        potential, kinetic = atoms.get_potential_energy() * EV, atoms.get_kinetic_energy() * EV
        kept.append((integrator.get_time() / units.fs / 1000, potential + kinetic, potential, kinetic))

    integrator = VelocityVerlet(atoms, step * units.fs)
    integrator.attach(note, interval=max(1, steps // rows))
    integrator.run(steps)
    return pd.DataFrame(kept, columns=["time", "total", "potential", "kinetic"])


def drift(trajectory: pd.DataFrame, atoms: int) -> dict[str, float]:
    """How well the total energy of `nve` is kept, in meV per atom.

    Returns:
        ``drift``, the slope of a straight line (meV/atom/ps), and ``fluctuation``, the standard deviation about it
        (meV/atom).
    """
    energy = 1000 * trajectory["total"].to_numpy() / EV / atoms
    line = np.polyfit(trajectory["time"], energy, 1)
    return {"drift": float(line[0]), "fluctuation": float((energy - np.polyval(line, trajectory["time"])).std())}


def ends(values: NDArray[np.float64], count: int = 3) -> NDArray[np.float64]:
    """The first and the last ``count`` of ``values`` (n,), each once: all of them where there are few."""
    return values if len(values) <= 2 * count else np.concatenate([values[:count], values[-count:]])


def relax(atoms: Atoms, calculator: Calculator, largest: float = 0.001, steps: int = 2000) -> Atoms:
    """The nearest minimum: no force component above ``largest`` eV/Å.

    Raises:
        RuntimeError: it is not reached in ``steps`` steps.
    """
    atoms = atoms.copy()
    atoms.calc = calculator
    optimiser = BFGS(atoms, logfile=None)
    if not optimiser.run(fmax=largest, steps=steps):
        force = np.abs(atoms.get_forces()).max()
        raise RuntimeError(f"no minimum after {steps} steps, the largest force is {force:.3g} eV/Å: start elsewhere")
    return atoms


def wavenumbers(minimum: Atoms, calculator: Calculator) -> NDArray[np.float64]:
    """Harmonic wavenumbers (3N - 6,), or (3N - 5,) of a linear molecule, in cm⁻¹, ascending, imaginary ones negative;
    rigid motion is projected out.
    """
    atoms = minimum.copy()
    atoms.calc = calculator
    with tempfile.TemporaryDirectory() as folder:
        vibrations = Vibrations(atoms, name=str(Path(folder) / "vib"))
        vibrations.run()
        hessian = vibrations.get_vibrations().get_hessian_2d() * EV
    return np.sort(normal_modes(hessian, atoms.positions, atoms.get_masses())[0])


def beyond(atoms: Atoms, b: int, c: int) -> list[int]:
    """The atoms on c's side of the bond b-c.

    Raises:
        ValueError: the bond is in a ring, or none.
    """
    near = squareform(pdist(atoms.positions)) < BONDED * bond_lengths(atoms.numbers)
    bonded = near & ~np.eye(len(atoms), dtype=bool)
    if not bonded[b, c]:
        raise ValueError(f"atoms {b} and {c} are {atoms.get_distance(b, c):.2f} Å apart, not bonded: choose a bond")
    bonded[b, c] = bonded[c, b] = False
    side = connected_components(bonded, directed=False)[1]
    if side[b] == side[c]:
        raise ValueError(f"the bond of atoms {b} and {c} is in a ring: nothing can turn about it")
    return np.flatnonzero(side == side[c]).tolist()


def torsion_scan(
    atoms: Atoms,
    calculators: dict[str, Calculator],
    dihedral: Sequence[int],
    moved: Sequence[int],
    angles: Sequence[float],
) -> pd.DataFrame:
    """Energies along a rigid turn about the middle bond of ``dihedral``, kcal/mol above the lowest of each calculator.

    Args:
        atoms: where it starts.
        calculators: by name.
        dihedral: four atoms a-b-c-d.
        moved: the atoms that turn, those `beyond` the bond b-c.
        angles: of the dihedral, degrees.

    Returns:
        A column ``angle``, and one a calculator.
    """
    images = [(angle, atoms.copy()) for angle in angles]
    for angle, turned in images:
        turned.set_dihedral(*dihedral, angle, indices=moved)
    return energies_along("angle", images, calculators, EV)


def energies_along(
    coordinate: str, images: Sequence[tuple[float, Atoms]], calculators: Mapping[str, Calculator], unit: float = 1.0
) -> pd.DataFrame:
    """Energies of ``images`` along a ``coordinate``, above the lowest of each calculator.

    Args:
        coordinate: what it is called.
        images: its values, each with a structure.
        calculators: by name.
        unit: how many of the units that energies are given in are 1 eV: 1 for eV, `units.EV` for kcal/mol.

    Returns:
        A column for the coordinate, and one a calculator.
    """
    rows = []
    for value, image in images:
        row = {coordinate: value}
        for name, calculator in calculators.items():
            image.calc = calculator
            row[name] = image.get_potential_energy() * unit
        rows.append(row)
    table = pd.DataFrame(rows)
    names = list(calculators)
    table[names] -= table[names].min()
    return table
