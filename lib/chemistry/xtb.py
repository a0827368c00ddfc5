"""GFN2-xTB energies, forces, relaxed geometries and Hessians, through tblite.

tblite works in Hartree and bohr; all lengths here are Å. Every call starts from scratch (no restart from an earlier
density), so a label depends on nothing but its geometry. Every call works on one thread: with more, a molecule takes
hundreds of times as long wherever another process keeps the cores busy, because the threads wait for one another.
"""

from dataclasses import dataclass

import numpy as np
from ase.calculators.calculator import Calculator
from numpy.typing import NDArray

from lib.chemistry.reference_energies import GFN2_XTB
from lib.machine import one_thread
from lib.units import BOHR, BOLTZMANN, HARTREE

POSITION_GRID = 2.0**-13  # Å, applied before labelling
FORCE_GRID = 2.0**-15  # Hartree/Å (0.019 kcal/mol/Å), applied after labelling
LEVEL = GFN2_XTB
KELVIN = BOLTZMANN / HARTREE  # Hartree


@dataclass(frozen=True)
class Label:
    """One single point: ``energy`` in Hartree, ``forces`` (N, 3) in Hartree/Å."""

    energy: float
    forces: NDArray[np.float64]


def on_grid(values: NDArray[np.float64], grid: float) -> NDArray[np.float64]:
    """Round ``values`` to multiples of ``grid``: exact in float32 here, and compressible."""
    return np.round(values / grid) * grid


@one_thread()
def single_point(
    numbers: NDArray[np.int64],
    positions: NDArray[np.float64],
    charge: int = 0,
    unpaired: int = 0,
    electronic_temperature: float = 300.0,
) -> Label:
    """GFN2-xTB at one geometry.

    Args:
        numbers: (N,) atomic numbers.
        positions: (N, 3) Å.
        charge: total charge in e.
        unpaired: number of unpaired electrons.
        electronic_temperature: K, of the Fermi smearing of the occupations.

    Raises:
        RuntimeError: the self-consistent field does not converge (from tblite).
    """
    from tblite import interface

    calculator = interface.Calculator(LEVEL, np.asarray(numbers), np.asarray(positions) / BOHR, float(charge), unpaired)
    calculator.set("verbosity", 0)
    calculator.set("temperature", electronic_temperature * KELVIN)
    result = calculator.singlepoint()
    return Label(float(result.get("energy")), -np.asarray(result.get("gradient")) / BOHR)


def ase_calculator() -> Calculator:
    """GFN2-xTB as a calculator of ASE: eV and eV/Å."""
    from tblite.ase import TBLite

    class OnOneThread(TBLite):
        """tblite's own, each call on one thread."""

        calculate = one_thread()(TBLite.calculate)

    return OnOneThread(method=LEVEL, verbosity=0)


@one_thread()
def dipole(numbers: NDArray[np.int64], positions: NDArray[np.float64]) -> NDArray[np.float64]:
    """The dipole moment (3,) of a neutral molecule in e times bohr.

    Args:
        numbers: (N,) atomic numbers.
        positions: (N, 3) Å.

    Raises:
        RuntimeError: the self-consistent field does not converge (from tblite).
    """
    from tblite import interface

    calculator = interface.Calculator(LEVEL, np.asarray(numbers), np.asarray(positions) / BOHR)
    calculator.set("verbosity", 0)
    return np.asarray(calculator.singlepoint().get("dipole"))


def relax(numbers: NDArray[np.int64], positions: NDArray[np.float64], max_force: float = 2e-3) -> NDArray[np.float64]:
    """The nearest GFN2-xTB minimum, (N, 3) Å, by L-BFGS until no force component exceeds ``max_force`` Hartree/Å.

    Raises:
        RuntimeError: that is not reached in 500 iterations.
    """
    from scipy.optimize import minimize

    def target(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        """Energy (Hartree) and gradient (Hartree/Å) at the flat coordinates ``x``."""
        label = single_point(numbers, x.reshape(-1, 3))
        return label.energy, -label.forces.ravel()

    minimum = minimize(
        target,
        positions.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"gtol": max_force, "ftol": 0.0, "maxiter": 500},
    )
    if not minimum.success:
        raise RuntimeError(f"GFN2-xTB relaxation of {len(numbers)} atoms stopped: {minimum.message}")
    return minimum.x.reshape(-1, 3)


def hessian(numbers: NDArray[np.int64], positions: NDArray[np.float64], step: float = 5e-3) -> NDArray[np.float64]:
    """Second derivatives (3N, 3N) in Hartree/Å², central differences of the forces with ``step`` Å, symmetrised."""
    size = positions.size
    columns = np.empty((size, size))
    for k in range(size):
        shift = np.zeros((size // 3, 3))
        shift.flat[k] = step
        ahead, behind = single_point(numbers, positions + shift), single_point(numbers, positions - shift)
        columns[k] = (behind.forces - ahead.forces).ravel() / (2 * step)
    return (columns + columns.T) / 2
