"""A trained potential as a force of OpenMM, which brings its integrators, thermostats, barostats and reporters.

http://docs.openmm.org/latest/api-python/generated/openmm.openmm.PythonForce.html. The force asks the ASE calculator, so
that energies are the same here and there, and its limits (``warn_at``, ``stop_at``) act in both. It may act on a part
of a system only: the rest then takes what other forces say, and nothing of this one.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from ase import Atoms, units
from numpy.typing import NDArray

from lib.potentials.calculator import PotentialCalculator

if TYPE_CHECKING:
    import openmm

ANGSTROM = 0.1  # nm, OpenMM's length
REMEDY = "install the extra, python -m pip install --editable '.[openmm]'"
KILOJOULE = units.kJ / units.mol  # eV, of kJ/mol, OpenMM's energy


def openmm_force(calculator: PotentialCalculator, atoms: Atoms, particles: Sequence[int] = ()) -> "openmm.PythonForce":
    """``calculator`` as a force.

    Args:
        calculator: the potential.
        atoms: elements and formal charges of the particles that it acts on, in their order; their positions are the
            simulation's own.
        particles: which ones of the system these are; empty where they are the whole system.

    Raises:
        ImportError: OpenMM is not installed.
        ValueError: another number of particles than of atoms.
        InputError: atoms that the potential cannot take.
    """
    library = _openmm()
    if len(particles) not in (0, len(atoms)):
        raise ValueError(f"{len(particles)} particles for {len(atoms)} atoms: name one particle for each atom")
    calculator.evaluate([atoms])  # refuses what it does not know before a simulation starts
    template = atoms.copy()

    def energy_and_forces(state: Any) -> tuple[float, NDArray[np.float64]]:
        """Energy (kJ/mol) and forces (N, 3) in kJ/mol/nm at the positions of ``state``."""
        template.positions = state.getPositions(asNumpy=True).value_in_unit(library.unit.nanometer) / ANGSTROM
        (results,) = calculator.evaluate([template])
        return results["energy"] / KILOJOULE, results["forces"] / (KILOJOULE * ANGSTROM)

    return library.PythonForce(energy_and_forces, {}, list(particles))


def openmm_system(calculator: PotentialCalculator, atoms: Atoms) -> "openmm.System":
    """A system of ``atoms``, with their masses, on which ``calculator`` acts, and nothing else.

    Raises:
        ImportError: OpenMM is not installed.
        InputError: atoms that the potential cannot take.
    """
    system = _openmm().System()
    for mass in atoms.get_masses():
        system.addParticle(mass)
    system.addForce(openmm_force(calculator, atoms))
    return system


def _openmm() -> Any:
    """The library, which few need."""
    try:
        import openmm
        import openmm.unit
    except ImportError as error:
        raise ImportError(f"OpenMM is not there ({error}): {REMEDY}") from error
    if not hasattr(openmm, "PythonForce"):
        raise ImportError(f"OpenMM {openmm.version.version} has no PythonForce: {REMEDY}")
    return openmm
