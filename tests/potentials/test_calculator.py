"""Potentials and the ASE calculator: units, batches, ensembles, what ASE does with them, and input it cannot take."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import molecule
from ase.calculators.calculator import InputError
from ase.calculators.fd import calculate_numerical_forces
from ase.io import read, write
from ase.md.velocitydistribution import Stationary, thermalize_momenta
from ase.md.verlet import VelocityVerlet
from ase.optimize import BFGS
from ase.vibrations import Vibrations

from lib import models
from lib.chemistry.atom_types import atom_types
from lib.chemistry.reference_energies import reference_energies
from lib.data.datasets import DataSet, open_store
from lib.errors import DataError
from lib.models import make_settings
from lib.models.weights import save_weights
from lib.paths import DATA
from lib.potentials.calculator import PotentialCalculator
from lib.potentials.ensemble import Potential
from lib.runs.config import Limits, RunConfig
from lib.runs.runner import run
from lib.training.execution import QUIET
from lib.training.settings import TrainingSettings
from lib.units import EV

FILE = DATA / "mini" / "example" / "methyl-salicylate.xyz"
EXAMPLE = DataSet("own/example", "own", str(FILE), "GFN2-xTB", (("energy_unit", "eV"),))
SCHNET = {"hidden_channels": 32, "num_filters": 32, "num_interactions": 2, "smooth_cutoff": True}
TRAINING = TrainingSettings(epochs=20, batch_size=8, learning_rate=5e-3, force_weight=10.0, validate_every=5)


@pytest.fixture(scope="module")
def results():
    """The same potential with two seeds."""
    config = RunConfig("energy", (EXAMPLE,), "schnet", make_settings("schnet", SCHNET), TRAINING, 0, baseline="mean",
                       limits=Limits(100, 50, 50))  # fmt: skip
    return [run(replace(config, seed=seed), QUIET) for seed in (0, 1)]


@pytest.fixture
def paths(results):
    return [result.path / "weights.safetensors" for result in results]


@pytest.fixture(scope="module")
def frames():
    return read(FILE, ":6")


def test_energies_and_forces_are_those_of_the_run(results, paths):
    store, rows = open_store(EXAMPLE), results[0].predictions()
    where = rows["index"][:5]
    images = [Atoms(store.arrays["z"], positions=store.gather(np.array([k])).positions) for k in where]
    found = PotentialCalculator.from_weights(paths[0]).evaluate(images)
    free = reference_energies("GFN2-xTB", store.types).sum()
    energies = np.array([each["energy"] for each in found])
    np.testing.assert_allclose(energies * EV, rows["prediction"][:5] + free, atol=1e-2)
    off = np.concatenate([each["forces"] for each in found]) * EV - store.gather_forces(where)
    assert (off**2).sum() == pytest.approx(rows["force_squared"][:5].sum(), rel=1e-3)
    labels = [atoms.get_potential_energy() for atoms in read(FILE, ":")]  # eV, of the file
    assert np.abs(energies - np.array(labels)[where]).mean() < 0.3


def test_forces_are_minus_the_numerical_gradient(paths, frames):
    atoms = frames[0].copy()
    atoms.calc = PotentialCalculator.from_weights(paths, dtype=torch.float64)
    np.testing.assert_allclose(atoms.get_forces(), calculate_numerical_forces(atoms, eps=1e-4), atol=1e-5)


def test_far_from_the_origin_it_is_the_same_molecule(paths, frames):
    """Float32 resolves 8 mÅ at 1e5 Å; centred in float64 first, nothing is lost."""
    calculator, moved = PotentialCalculator.from_weights(paths), frames[0].copy()
    moved.translate([1e5, -3e4, 7.0])
    together, alone = calculator.evaluate([frames[1], moved])[1], calculator.evaluate([frames[0]])[0]
    assert together["energy"] == pytest.approx(alone["energy"], abs=1e-4)
    np.testing.assert_allclose(together["forces"], alone["forces"], atol=1e-3)


@pytest.mark.parametrize("which", ["one composition", "several"])
def test_batches_give_what_single_calls_give(which, paths, everything, frames, monkeypatch):
    several = which == "several"
    images = [*frames, *([Atoms("CO", [[0, 0, 0], [0, 0, 1.2]]), frames[0][:7]] if several else [])]
    calculator = PotentialCalculator.from_weights(everything if several else paths)
    alone = [calculator.evaluate([atoms])[0] for atoms in images]
    for at_once in (40, 4096):
        monkeypatch.setattr("lib.potentials.ensemble.ATOMS_AT_ONCE", at_once)
        for one, other in zip(calculator.evaluate(images), alone, strict=True):
            for key, value in other.items():
                np.testing.assert_allclose(one[key], value, rtol=1e-4, atol=1e-4)


def test_another_composition_than_the_only_one_in_training_is_refused(paths, frames):
    """One formula determines no energy of each element: a free H would come out anywhere."""
    calculator = PotentialCalculator.from_weights(paths)
    with pytest.raises(InputError, match=r"molecule H1 is not C8 H8 O3, the only composition in training"):
        calculator.evaluate([Atoms("H")])
    with pytest.raises(InputError, match=r"molecule C8 H7 O3 is not C8 H8 O3"):
        calculator.evaluate([frames[0], frames[0][:-1]])


def test_each_members_answers_come_on_request(paths, frames):
    potential = Potential.load(paths)
    results = PotentialCalculator(potential, members=True).evaluate(frames[:3])[1]
    for k, path in enumerate(paths):
        alone = PotentialCalculator.from_weights(path).evaluate(frames[:3])[1]
        assert results["energy_members"][k] == pytest.approx(alone["energy"], abs=1e-5)
        np.testing.assert_allclose(results["forces_members"][k], alone["forces"], atol=1e-5)
    assert "forces_members" not in PotentialCalculator(potential).evaluate(frames[:1])[0]


def test_an_ensemble_is_the_mean_of_its_members_with_their_spread(paths, frames):
    members = [PotentialCalculator.from_weights(path).evaluate(frames)[2] for path in paths]
    both = PotentialCalculator.from_weights(paths).evaluate(frames)[2]
    for key in ("energy", "forces"):
        values = np.array([member[key] for member in members])
        np.testing.assert_allclose(both[key], values.mean(0), atol=1e-5)
        np.testing.assert_allclose(both[f"{key}_std"], np.abs(values[0] - values[1]) / np.sqrt(2), atol=1e-5)
    assert both["energy_std"] > 0
    assert "energy_std" not in members[0]


def test_ase_keeps_and_forgets_results_as_it_should(paths, frames, tmp_path):
    """What ASE's own suite asks of a calculator (ase/test/calculator/test_traj.py), in vacuum."""
    atoms = frames[0].copy()
    atoms.calc = PotentialCalculator.from_weights(paths)
    energy, forces = atoms.get_potential_energy(), atoms.get_forces()
    assert not atoms.calc.calculation_required(atoms, ["energy", "forces", "energy_std"])
    assert atoms.calc.get_property("energy_std", atoms) > 0
    write(tmp_path / "m.traj", atoms)
    again = read(tmp_path / "m.traj")
    assert again.get_potential_energy() == pytest.approx(energy, abs=1e-12)
    np.testing.assert_allclose(again.get_forces(), forces, atol=1e-12)
    atoms.rattle(0.01)
    assert atoms.calc.calculation_required(atoms, ["energy"])
    assert atoms.get_potential_energy() != energy
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()


def test_optimisation_vibrations_and_dynamics(paths, frames, tmp_path):
    atoms = frames[0].copy()
    atoms.calc = PotentialCalculator.from_weights(paths[0], dtype=torch.float64)
    start = atoms.get_potential_energy()
    assert BFGS(atoms, logfile=None).run(fmax=0.02, steps=400)
    assert atoms.get_potential_energy() < start - 0.3
    vibrations = Vibrations(atoms, name=str(tmp_path / "vib"))
    vibrations.run()
    wavenumbers = vibrations.get_frequencies()
    assert (np.abs(wavenumbers[:6]) < 50).all()  # a minimum, rigid motion first
    assert (wavenumbers[6:].real > 0).all()
    assert 2500 < wavenumbers[-1].real < 4500  # cm⁻¹: OH, CH
    rng = np.random.default_rng(0)
    thermalize_momenta(atoms, temperature_K=300, rng=rng)
    Stationary(atoms)
    dynamics = VelocityVerlet(atoms, 0.5 * units.fs)
    totals = []
    dynamics.attach(lambda: totals.append(atoms.get_total_energy()), interval=10)
    dynamics.run(1000)  # 0.5 ps
    assert np.ptp(totals) < 1e-3 * len(atoms)  # eV
    assert np.std(totals[len(totals) // 2 :]) < 0.2 * atoms.get_kinetic_energy()


def ammonium(charges=None, key="formal_charges"):
    corners = 0.6 * np.array([[0, 0, 0], [1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1]])
    atoms = Atoms("NH4", corners)
    if charges is not None and key == "formal_charges":
        atoms.set_array(key, np.array(charges))
    elif charges is not None:
        atoms.set_initial_charges(charges)
    return atoms


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    """A potential that knows all atom types, with random weights."""
    path = tmp_path_factory.mktemp("w") / "all.safetensors"
    torch.manual_seed(0)
    model = models.build("schnet", {"hidden_channels": 8, "num_filters": 8, "num_interactions": 1})
    target = {"mean": 0.0, "std": 1.0, "per_type": [0.0] * 28, "level": "GFN2-xTB", "types": list(range(28))}
    save_weights(path, "schnet", model, task="energy", target=target)
    return path


@pytest.mark.parametrize("key", ["formal_charges", "initial_charges"])
def test_formal_charges_choose_the_atom_type(everything, key):
    calculator = PotentialCalculator.from_weights(everything)
    neutral = calculator.evaluate([ammonium()])[0]["energy"]
    assert calculator.evaluate([ammonium([0] * 5, key)])[0]["energy"] == neutral
    charged = ammonium([1, 0, 0, 0, 0], key)
    types = atom_types(charged.numbers, np.array([1, 0, 0, 0, 0]))
    expected = Potential.load(everything).evaluate([types], [charged.positions]).energies[0, 0] / EV
    assert calculator.evaluate([charged])[0]["energy"] == pytest.approx(expected)
    assert abs(expected - neutral) > 1.0


def test_changed_formal_charges_are_noticed(everything):
    atoms = ammonium([0] * 5)
    atoms.calc = PotentialCalculator.from_weights(everything)
    before = atoms.get_potential_energy()
    atoms.arrays["formal_charges"][0] = 1
    assert atoms.get_potential_energy() != before


def bad(**changes):
    atoms = molecule("H2O")
    for name, value in changes.items():
        setattr(atoms, name, value)
    return atoms


def charged_water():
    atoms = molecule("H2O")
    atoms.set_initial_charges([-0.8, 0.4, 0.4])
    return atoms


BAD = [
    (bad(pbc=[True, False, False]), "periodic cells are not supported"),
    (bad(positions=np.zeros((3, 3))), "atoms 0 and 1 are 0.000 Å apart"),
    (bad(positions=np.full((3, 3), np.nan)), "atom 0 are not finite"),
    (bad(numbers=[14, 1, 1]), "atomic number 14 (Si)"),
    (charged_water(), "charge 0.4 is not a formal charge"),
    (Atoms(), "no atoms"),
    (Atoms("OH2", [[0, 0, 0], [0, 0, 0.97], [0, 0.94, -0.24]], info={"multiplicity": 3}), "its multiplicity is 3"),
]


@pytest.mark.parametrize(("atoms", "word"), BAD, ids=[word for _, word in BAD])
def test_atoms_that_it_cannot_take(everything, atoms, word):
    atoms.calc = PotentialCalculator.from_weights(everything)
    with pytest.raises(InputError) as caught:
        atoms.get_potential_energy()
    assert word in str(caught.value)


def test_an_atom_type_that_was_not_in_training(paths):
    with pytest.raises(InputError, match=r"atom types N were not in training.*this potential knows C, H"):
        PotentialCalculator.from_weights(paths).evaluate([molecule("NH3")])


def test_weights_that_are_no_potential(tmp_path, paths):
    path = tmp_path / "noise.safetensors"
    save_weights(path, "schnet", models.build("schnet", {"hidden_channels": 8}), task="denoising", sigma=0.2)
    with pytest.raises(DataError, match=r"which give no energy.*fine-tune"):
        Potential.load(path)
    other = tmp_path / "other.safetensors"
    target = {"mean": 0.0, "std": 1.0, "per_type": [0.0] * 28, "level": "own"}
    save_weights(other, "schnet", models.build("schnet", {"hidden_channels": 8}), task="energy", target=target)
    with pytest.raises(DataError, match="an ensemble has one level of theory"):
        Potential.load([paths[0], other])
    with pytest.raises(ValueError, match="an ensemble of no weights"):
        Potential.load([])


def test_an_atom_alone_has_no_forces(everything):
    found = PotentialCalculator.from_weights(everything).evaluate([Atoms("O")])[0]
    np.testing.assert_array_equal(found["forces"], np.zeros((1, 3)))
