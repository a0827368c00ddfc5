"""Dynamics, torsions, minima and vibrations through ASE, held against calculators whose answers are known."""

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.emt import EMT

from lib.data.datasets import find, open_store
from lib.potentials import dynamics
from lib.potentials.calibration import binned, calibrated_share, evaluate_on, rescaled, spread_factors, summary
from lib.potentials.ensemble import Evaluation
from lib.report.figures.potentials import calibration
from lib.units import EV


class Spring(Calculator):
    """Two atoms: k/2 (d - 1)², k in eV/Å²."""

    implemented_properties = ("energy", "forces")
    k = 30.0

    def calculate(self, atoms=None, properties=("energy",), system_changes=all_changes):
        super().calculate(atoms, properties, system_changes)
        delta = self.atoms.positions[1] - self.atoms.positions[0]
        length = np.linalg.norm(delta)
        force = self.k * (length - 1) * delta / length
        self.results = {"energy": 0.5 * self.k * (length - 1) ** 2, "forces": np.array([force, -force])}


def test_energy_is_kept_and_half_the_step_quarters_the_fluctuation():
    atoms = Atoms("O2", [[0, 0, 0], [0, 0, 1.02]])
    runs = [dynamics.nve(atoms, Spring(), 0.4, np.random.default_rng(1), 300.0, step) for step in (1.0, 0.5)]
    kept = [dynamics.drift(rows, 2) for rows in runs]
    assert runs[0]["time"].iloc[-1] == pytest.approx(0.4)
    assert runs[0]["time"].iloc[0] == 0
    assert kept[0]["fluctuation"] / kept[1]["fluctuation"] == pytest.approx(4.0, rel=0.1)
    assert abs(kept[1]["drift"]) < 0.05  # meV/atom/ps
    np.testing.assert_allclose(runs[0]["total"], runs[0]["potential"] + runs[0]["kinetic"])
    assert runs[0]["kinetic"].max() > 0.1  # kcal/mol
    assert (atoms.positions == [[0, 0, 0], [0, 0, 1.02]]).all()


def test_drift_is_the_slope_in_mev_per_atom():
    rows = dynamics.pd.DataFrame({"time": [0.0, 1.0, 2.0, 3.0], "total": np.array([0.0, 1.0, 2.0, 3.0]) * EV})
    found = dynamics.drift(rows, 5)
    assert found["drift"] == pytest.approx(200.0)
    assert found["fluctuation"] == pytest.approx(0.0, abs=1e-9)


def test_a_spring_has_its_wavenumber():
    atoms = dynamics.relax(Atoms("O2", [[0, 0, 0], [0.4, 0, 1.1]]), Spring())
    assert atoms.get_distance(0, 1) == pytest.approx(1.0, abs=1e-3)
    (found,) = dynamics.wavenumbers(atoms, Spring())
    mass = 15.999 / 2
    omega = np.sqrt(Spring.k * 1.602176634e-19 * 1e20 / (mass * 1.66053906660e-27))
    assert found == pytest.approx(omega / (2 * np.pi * 2.99792458e10), rel=1e-3)


def test_no_minimum_in_time():
    with pytest.raises(RuntimeError, match="no minimum after 1 steps"):
        dynamics.relax(Atoms("O2", [[0, 0, 0], [0, 0, 1.5]]), Spring(), steps=1)


def test_torsion_scan_turns_one_side_only():
    ethane = molecule("C2H6")
    moved = dynamics.beyond(ethane, 0, 1)
    assert 0 not in moved
    assert 1 in moved
    assert len(moved) == 4
    hydrogens = [k for k in range(2, 8) if k not in moved], [k for k in moved if k != 1]
    dihedral = (hydrogens[0][0], 0, 1, hydrogens[1][0])
    scan = dynamics.torsion_scan(ethane, {"emt": EMT()}, dihedral, moved, range(0, 360, 30))
    assert scan["emt"].min() == 0
    np.testing.assert_allclose(scan["emt"][:4], scan["emt"][4:8], atol=1e-3)  # three-fold
    assert scan["emt"].max() > 0.01


def test_bonds_that_nothing_turns_about():
    with pytest.raises(ValueError, match="in a ring"):
        dynamics.beyond(molecule("C6H6"), 0, 1)
    with pytest.raises(ValueError, match="not bonded"):
        dynamics.beyond(molecule("C6H6"), 0, 3)


def test_frame_has_the_store_s_atoms_and_charges():
    store = open_store(find("mini/spice"))
    charged = int(np.flatnonzero(np.add.reduceat(np.abs(store.arrays["charges"]).astype(int), store.first_atom))[3])
    index = int(store.first_conformation[charged]) + 2
    atoms = dynamics.frame(store, index)
    np.testing.assert_array_equal(atoms.positions, store.gather(np.array([index])).positions)
    assert np.abs(atoms.arrays["formal_charges"]).sum() > 0
    assert len(atoms) == store.n_atoms[charged]


@pytest.mark.parametrize(("data", "name"), [("mini/iso17", None), ("mini/spice", "CC(=O)[O-].O")])
def test_reference_calculator_gives_the_labels(data, name):
    """Differences of energies, for SPICE's are relative to free atoms; of an ion at its charge."""
    store = open_store(find(data))
    first = int(store.first_conformation[store.names.index(name)]) if name else 0
    (calculator,) = dynamics.reference_calculators(store.level).values()
    found = []
    for k in (first, first + 1):
        atoms = dynamics.frame(store, k)
        atoms.calc = calculator
        found.append(atoms.get_potential_energy() * EV)
    labels = store.energy(np.array([first, first + 1]))
    assert found[1] - found[0] == pytest.approx(float(labels[1] - labels[0]), abs=1e-2)
    assert dynamics.reference_calculators("own") == {}


class Known:
    """An ensemble of two whose answers are given: a store's labels off by +a and -b."""

    members = (None, None)

    def __init__(self, store, index, rng):
        self.store, self.index, self.rng = store, index, rng

    def evaluate(self, types, positions):
        energy, forces = self.store.energy(self.index), self.store.gather_forces(self.index).astype(float)
        scale = self.rng.uniform(0.5, 5.0, size=forces.shape)
        offsets = [scale * self.rng.normal(size=forces.shape) for _ in range(2)]

        return Evaluation(np.array([energy + 3.0, energy - 1.0]), np.array([forces + o for o in offsets]))


def test_spread_and_error_are_told_apart():
    store = open_store(find("mini/iso17"))
    index = np.arange(0, 400, 10)
    errors = evaluate_on(Known(store, index, np.random.default_rng(0)), store, index)
    energy = errors[errors["kind"] == "energy"]
    np.testing.assert_allclose(energy["error"], 1.0)
    np.testing.assert_allclose(energy["spread"], np.sqrt(8.0))
    force = errors[errors["kind"] == "force"]
    assert len(force) == 3 * store.n_atoms[store.molecule_of(index)].sum()
    told = summary(errors, 2).set_index("kind")
    assert told.loc["energy", "within 1 spread"] == told.loc["energy", "within 2 spreads"] == 1.0
    assert told.loc["force", "rank correlation"] > 0.05  # both grow with the scale that was drawn
    bins = binned(errors, bins=5)
    rows = bins[bins["kind"] == "force"]
    assert rows["number"].sum() == len(force)
    assert (np.diff(rows["spread"]) > 0).all()
    assert rows["rmse"].iloc[-1] > rows["rmse"].iloc[0]


@pytest.mark.parametrize("members", [2, 3, 5])
def test_the_share_of_a_calibrated_ensemble(members):
    """Members and label drawn from one distribution, of another width in each case."""
    rng = np.random.default_rng(0)
    drawn = rng.uniform(0.1, 10.0, size=200_000) * rng.normal(size=(members + 1, 200_000))
    error, spread = drawn[:-1].mean(0) - drawn[-1], drawn[:-1].std(0, ddof=1)
    told = summary(pd.DataFrame({"kind": "energy", "error": error, "spread": spread}), members).loc[0]
    assert told["within 1 spread"] == pytest.approx(told["calibrated: 1"], abs=0.005)
    assert told["within 2 spreads"] == pytest.approx(told["calibrated: 2"], abs=0.005)
    assert calibrated_share(10_000) == pytest.approx(0.6827, abs=1e-3)


def test_one_member_has_no_spread():
    class One(Known):
        members = (None,)

        def evaluate(self, types, positions):
            both = super().evaluate(types, positions)
            return Evaluation(both.energies[:1], both.forces[:1])

    store, index = open_store(find("mini/iso17")), np.arange(3)
    errors = evaluate_on(One(store, index, np.random.default_rng(0)), store, index)
    assert errors["spread"].isna().all() and errors["error"].notna().all()
    assert summary(errors, 1)[["within 1 spread", "calibrated: 1"]].isna().all(axis=None)
    assert binned(errors).empty
    assert calibration(binned(errors), "a potential").axes


@pytest.mark.parametrize(("count", "expected"), [(1, [0]), (3, [0, 1, 2]), (9, [0, 1, 2, 6, 7, 8])])
def test_ends_are_shown_once(count, expected):
    assert dynamics.ends(np.arange(float(count))).tolist() == expected


@pytest.mark.parametrize("members", [2, 3, 8])
def test_the_factor_mends_an_overconfident_ensemble(members):
    """Members and label are draws of one distribution, and the reported spread is a third of the true one."""
    rng = np.random.default_rng(members)
    draws = rng.normal(size=(members + 1, 20000))
    spread = draws[:-1].std(0, ddof=1) / 3
    errors = pd.DataFrame({"kind": "energy", "error": draws[:-1].mean(0) - draws[-1], "spread": spread})
    fitted, held_out = errors[:10000], errors[10000:]
    factors = spread_factors(fitted, members)
    assert factors["energy"] == pytest.approx(3.0, rel=0.05)
    row = summary(rescaled(held_out, factors), members).iloc[0]
    assert row["within 1 spread"] == pytest.approx(row["calibrated: 1"], abs=0.02)
    assert summary(held_out, members).iloc[0]["within 1 spread"] < row["calibrated: 1"] - 0.1
    assert rescaled(held_out, {"force": 2.0})["spread"].equals(held_out["spread"])
    with pytest.raises(ValueError, match="1 members, 10000 errors"):
        spread_factors(fitted, 1)
