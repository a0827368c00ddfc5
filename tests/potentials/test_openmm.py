"""A potential in OpenMM does what it does in ASE: energies, forces, a picosecond at constant energy."""

import builtins
import re
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import molecule
from ase.calculators.calculator import InputError
from ase.io import read, write
from ase.md.velocitydistribution import Stationary, thermalize_momenta
from ase.md.verlet import VelocityVerlet
from test_laws import potential
from test_uncertainty import FILE, trained

from lib.paths import ROOT
from lib.potentials.calculator import PotentialCalculator
from lib.potentials.ensemble import Potential
from lib.potentials.openmm_force import KILOJOULE, openmm_force, openmm_system

openmm = pytest.importorskip("openmm", reason="the extra openmm is not installed")
from openmm import unit  # noqa: E402

STEP = 1.0  # fs


@pytest.fixture
def calculator(tmp_path):
    return PotentialCalculator(potential("schnet", torch.float64, tmp_path))


@pytest.fixture
def water():
    return molecule("H2O")


def velocity_verlet(step: float):
    """As ASE has it; OpenMM's own Verlet integrator has velocities half a step behind."""
    integrator = openmm.CustomIntegrator(step * unit.femtosecond)
    for name, what in (("v", "v + 0.5*dt*f/m"), ("x", "x + dt*v"), ("v", "v + 0.5*dt*f/m")):
        integrator.addComputePerDof(name, what)
    return integrator


def context_of(system, atoms, integrator=None):
    integrator = integrator or velocity_verlet(STEP)
    context = openmm.Context(system, integrator, openmm.Platform.getPlatformByName("Reference"))
    context.setPositions(atoms.positions * unit.angstrom)
    return context


def state_of(context):
    """Energy (eV), forces (eV/Å), positions (Å)."""
    state = context.getState(energy=True, forces=True, positions=True)
    kilojoule = unit.kilojoule_per_mole
    return (
        state.getPotentialEnergy().value_in_unit(kilojoule) * KILOJOULE,
        state.getForces(asNumpy=True).value_in_unit(kilojoule / unit.angstrom) * KILOJOULE,
        state.getPositions(asNumpy=True).value_in_unit(unit.angstrom),
    )


def test_energies_and_forces_are_those_of_the_ase_calculator(calculator, water):
    context = context_of(openmm_system(calculator, water), water)
    for seed in range(3):
        water.rattle(0.05, seed=seed)
        context.setPositions(water.positions * unit.angstrom)
        energy, forces, _ = state_of(context)
        water.calc = calculator
        assert np.abs(water.get_forces()).max() > 0.01
        assert energy == pytest.approx(water.get_potential_energy(), abs=1e-9)
        np.testing.assert_allclose(forces, water.get_forces(), atol=1e-8)


def test_a_picosecond_at_constant_energy():
    """Of a trained potential, whose molecule stays together: the same path until chaos parts them, the same energy."""
    calculator = PotentialCalculator(Potential([trained().weights()], "cpu", torch.float64))
    atoms = read(FILE, 0)
    thermalize_momenta(atoms, temperature_K=300, rng=np.random.default_rng(0))
    Stationary(atoms)
    system = openmm_system(calculator, atoms)
    context = context_of(system, atoms)
    context.setVelocities(atoms.get_velocities() * units.fs * 1000 * unit.angstrom / unit.picosecond)
    start, atoms.calc = atoms.positions.copy(), calculator
    total, path = atoms.get_total_energy(), VelocityVerlet(atoms, STEP * units.fs)
    path.run(100)
    context.getIntegrator().step(100)
    energy, _, positions = state_of(context)
    np.testing.assert_allclose(positions, atoms.positions, atol=1e-6)
    assert np.abs(positions - start).max() > 0.1
    assert energy == pytest.approx(atoms.get_potential_energy(), abs=1e-6)
    for run in (path.run, context.getIntegrator().step):
        run(900)
    energy, _, positions = state_of(context)
    kinetic = context.getState(energy=True).getKineticEnergy().value_in_unit(unit.kilojoule_per_mole) * KILOJOULE
    assert context.getTime().value_in_unit(unit.picosecond) == pytest.approx(1.0)
    for kept in (energy + kinetic, atoms.get_total_energy()):
        assert kept == pytest.approx(total, abs=0.05)  # of 1 eV of kinetic energy
    assert np.linalg.norm(positions - positions.mean(0), axis=1).max() < 10.0
    assert system.getParticleMass(0).value_in_unit(unit.dalton) == pytest.approx(atoms.get_masses()[0])


def test_it_may_act_on_some_particles_only(calculator, water):
    """Beside two atoms of a system that is none of its business; theirs are other forces."""
    system = openmm.System()
    for _ in range(5):
        system.addParticle(12.0)
    particles = [3, 1, 4]
    system.addForce(openmm_force(calculator, water, particles))
    positions = np.zeros((5, 3))
    positions[particles], positions[[0, 2]] = water.positions, [[9, 9, 9], [0.1, 0.1, 0.1]]
    _, forces, _ = state_of(context_of(system, Atoms("C5", positions)))
    water.calc = calculator
    np.testing.assert_allclose(forces[particles], water.get_forces(), atol=1e-8)
    np.testing.assert_array_equal(forces[[0, 2]], 0)
    with pytest.raises(ValueError, match="2 particles for 3 atoms"):
        openmm_force(calculator, water, [0, 1])


def test_what_the_potential_does_not_know_is_refused_before_and_in_a_simulation(calculator, water):
    with pytest.raises(InputError, match="atom types N were not in training"):
        openmm_system(calculator, molecule("NH3"))
    context = context_of(openmm_system(calculator, water), water)
    context.setPositions(np.zeros((3, 3)))
    with pytest.raises(openmm.OpenMMException, match=r"0.000 Å apart"):
        state_of(context)


def test_the_example_of_the_documentation_runs(calculator, water, monkeypatch, tmp_path):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "own_molecules.md").read_text(encoding="utf-8"), re.S)
    (code,) = [block for block in blocks if "openmm_system" in block]
    assert "step(2000)" in code
    write(tmp_path / "test.xyz", water)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("lib.own.pretrained.load_pretrained", lambda _: SimpleNamespace(calculator=lambda: calculator))
    names = {}
    exec(code.replace("step(2000)", "step(5)"), names)
    moved = np.abs(names["positions"] - water.positions).max()
    assert 1e-4 < moved < 0.5


def test_without_the_library_the_message_names_the_extra(calculator, water, monkeypatch):
    given = builtins.__import__

    def none(name, *args, **rest):
        if name.startswith("openmm"):
            raise ImportError("No module named 'openmm'")
        return given(name, *args, **rest)

    monkeypatch.setattr(builtins, "__import__", none)
    with pytest.raises(ImportError, match=r"install the extra, python -m pip install .*\[openmm\]"):
        openmm_system(calculator, water)
