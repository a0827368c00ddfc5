"""Replicas side by side: velocity Verlet without a bath, the bath's temperature with one, and bonds that break."""

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import molecule
from ase.calculators.morse import MorsePotential
from ase.md.velocitydistribution import Stationary, ZeroRotation, thermalize_momenta
from ase.md.verlet import VelocityVerlet
from test_laws import potential

from lib.potentials.calculator import PotentialCalculator
from lib.potentials.replicas import BROKEN, COLUMNS, Replica, forces_of, run_side_by_side
from lib.units import BOLTZMANN, EV


def harmonic(stiffness):
    """Each coordinate in a well about where it starts: energies and forces."""

    def of(x, _, start=[]):  # noqa: B006 (remembers the first positions)
        if not start:
            start.append(x[0].copy())
        off = x - start[0]
        return 0.5 * stiffness * (off**2).sum((1, 2)), -stiffness * off

    return of


def test_without_a_bath_it_is_ases_velocity_verlet():
    ring, calculator = Atoms("C3", [[0, 0, 0], [1.2, 0, 0], [0.6, 1.04, 0]]), MorsePotential(r0=1.2, rcut1=50, rcut2=60)
    replica = Replica("alone", 300.0, picoseconds=0.05)
    rows = run_side_by_side(ring, forces_of([calculator], ring), [replica], 0.5, np.random.default_rng(1), rows=10)
    other = ring.copy()
    other.calc = calculator
    thermalize_momenta(other, temperature_K=300.0, rng=np.random.default_rng(1))
    Stationary(other)
    ZeroRotation(other)
    VelocityVerlet(other, 0.5 * units.fs).run(100)
    last = rows.iloc[-1]
    assert list(rows.columns) == list(COLUMNS)
    assert len(rows) == 11
    assert last["time"] == pytest.approx(0.05)
    assert last["potential"] == pytest.approx(other.get_potential_energy() * EV, abs=1e-5)
    assert last["kinetic"] == pytest.approx(other.get_kinetic_energy() * EV, abs=1e-5)


def test_forces_of_a_trained_potential_are_those_of_its_calculator(tmp_path):
    calculator, water = PotentialCalculator(potential("schnet", torch.float64, tmp_path)), molecule("H2O")
    x = water.positions + 0.1 * np.random.default_rng(0).normal(size=(3, 3, 3))
    energies, forces = forces_of([calculator], water)(x, np.arange(3))
    for k, positions in enumerate(x):
        water.positions, water.calc = positions, calculator
        assert energies[k] == pytest.approx(water.get_potential_energy() * EV)
        np.testing.assert_allclose(forces[k], water.get_forces() * EV, atol=1e-8)


def test_replicas_do_not_feel_each_other_and_the_bath_has_its_temperature():
    """Of independent oscillators: mean kinetic and potential energy are half of kT each."""
    atoms = Atoms("C60", 100 * np.random.default_rng(0).normal(size=(60, 3)))
    replicas = [Replica("cold", 150.0, 0.02, 2.0), Replica("hot", 600.0, 0.02, 4.0)]
    rows = run_side_by_side(atoms, harmonic(300.0), replicas, 2.0, np.random.default_rng(2), rows=1000)
    for replica in replicas:
        own = rows[(rows["replica"] == replica.name) & (rows["time"] > 0.5)]
        assert own["time"].iloc[-1] == pytest.approx(replica.picoseconds)
        half = 0.5 * BOLTZMANN * replica.temperature * 3 * len(atoms)
        assert own["kinetic"].mean() == pytest.approx(half, rel=0.05)
        assert own["potential"].mean() == pytest.approx(half, rel=0.05)
        assert own["kelvin"].mean() == pytest.approx(replica.temperature, rel=0.05)


def test_one_whose_bond_breaks_ends_and_the_others_go_on():
    pair = Atoms("CO", [[0, 0, 0], [0, 0, 1.2]])
    calculators = [MorsePotential(epsilon=e, r0=1.2, rcut1=50, rcut2=60) for e in (0.01, 10.0)]
    replicas = [Replica("weak", 3000.0, 0.01, 2.0), Replica("strong", 300.0, 0.01, 0.2)]
    rows = run_side_by_side(pair, forces_of(calculators, pair), replicas, 1.0, np.random.default_rng(0), rows=20)
    weak, strong = (rows[rows["replica"] == replica.name] for replica in replicas)
    assert weak["longest"].iloc[-1] >= BROKEN
    assert (weak["longest"].iloc[:-1] < BROKEN).all()
    assert weak["time"].iloc[-1] < 2.0
    assert strong["time"].iloc[-1] == pytest.approx(0.2)
    assert (strong["longest"] < 1.5).all()


def test_lost_coordinates_are_broken_bonds_and_no_energy():
    def wild(x, _):
        return np.zeros(len(x)), np.full(x.shape, np.inf)

    pair = Atoms("CO", [[0, 0, 0], [0, 0, 1.2]])
    rows = run_side_by_side(pair, wild, [Replica("wild", 300.0)], 1.0, np.random.default_rng(0))
    assert len(rows) == 2
    assert rows["longest"].iloc[-1] == np.inf
    assert np.isnan(rows["potential"].iloc[-1])


def test_heat_keeps_or_breaks_a_bond():
    pair = Atoms("CO", [[0, 0, 0], [0, 0, 1.2]])
    strong, weak = (MorsePotential(epsilon=e, r0=1.2, rcut1=50, rcut2=60) for e in (10.0, 0.01))

    def heated(calculator, picoseconds, kelvin):
        replica, rng = Replica("heated", kelvin, 0.01, picoseconds), np.random.default_rng(0)
        return run_side_by_side(pair, forces_of([calculator], pair), [replica], 0.5, rng)

    whole = heated(strong, 0.05, 300.0)
    assert len(whole) > 90
    assert whole["longest"].max() < 1.5
    broken = heated(weak, 2.0, 3000.0)
    assert broken["longest"].iloc[-1] >= BROKEN
    assert broken["time"].iloc[-1] < 2.0


@pytest.mark.parametrize("transfers", [False, True])
@pytest.mark.parametrize("leaves", [False, True])
def test_a_proton_that_changes_its_partner_breaks_a_bond_only_where_it_may_not(transfers, leaves):
    """A force takes it from one oxygen atom to another, or away from both."""
    shared = Atoms("OHO", [[0, 0, 0], [0, 0, 1.0], [0, 0, 2.6]])
    way = np.array([1.0, 0, 0]) if leaves else np.array([0, 0, 1.0])

    def push(x, _):
        force = np.zeros_like(x)
        force[:, 1] = 30.0 * way - (0 if leaves else 60.0 * np.maximum(0, x[:, 1] - [0, 0, 1.6]))
        return np.zeros(len(x)), force

    rows = run_side_by_side(
        shared, push, [Replica("shared", 1.0, 0.0, 0.05)], 0.5, np.random.default_rng(0), 10, transfers
    )
    broken = rows["longest"].iloc[-1] >= BROKEN
    assert broken == (leaves or not transfers)
