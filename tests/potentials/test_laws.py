"""Laws that a potential for dynamics keeps, for every model with those settings, in both precisions.

Weights are random, so that nothing holds because it was learnt.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from small_models import build

from lib import models
from lib.chemistry.atom_types import ATOM_TYPES
from lib.models.weights import save_weights
from lib.potentials.ensemble import Potential
from lib.runs.jobs import _target
from lib.training.scaling import Scaling

FIT = {"smooth_cutoff": True, "atomwise": True, "repulsion": True}  # for dynamics (`Scale.for_dynamics`)
TYPES = [ATOM_TYPES.index((symbol, 0)) for symbol in ("C", "H", "O")]
TARGET = {"mean": 0.0, "std": 5.0, "per_type": [float(k) for k in range(28)], "level": "GFN2-xTB", "types": TYPES,
          "reach": (np.full((3, 3), 1.2) + 0.1 * np.eye(3)).tolist()}  # fmt: skip  # Å
TOLERANCE = {torch.float32: 2e-3, torch.float64: 1e-8}  # kcal/mol (and per Å), beside as much of the size
CASES = [(name, dtype) for name in models.MODELS for dtype in TOLERANCE]
MORE = {"egnn": {"num_rbf": 6}}


def potential(name, dtype, folder, **settings):
    """A potential of random weights."""
    model = build(name, torch.float32, **(FIT | MORE.get(name, {}) | settings))
    save_weights(folder / "w.safetensors", name, model, task="energy", target=TARGET)
    return Potential.load(folder / "w.safetensors", "cpu", dtype=dtype)


def molecule(seed=0, atoms=7):
    """Types (N,) and positions (N, 3) Å of a random molecule whose atoms are no closer than about 1 Å."""
    rng = np.random.default_rng(seed)
    cells = np.argwhere(np.ones((3, 3, 3)))[rng.permutation(27)[:atoms]]
    return rng.choice(TYPES, atoms), 1.3 * cells + rng.uniform(-0.15, 0.15, (atoms, 3))


def answer(potential, types, positions):
    """Energy and forces (N, 3)."""
    evaluation = potential.evaluate([types], [positions])
    return evaluation.energies[0, 0], evaluation.forces[0]


def close(values, expected, dtype):
    size = np.abs(expected).max()
    np.testing.assert_allclose(values, expected, rtol=0, atol=TOLERANCE[dtype] * max(1.0, size))


@pytest.mark.parametrize(("name", "dtype"), CASES)
class TestLaws:
    def test_copies_far_apart_have_as_many_times_the_energy_and_the_same_forces(self, name, dtype, tmp_path):
        types, positions = molecule()
        trained = potential(name, dtype, tmp_path)
        energy, forces = answer(trained, types, positions)
        assert np.abs(forces).max() > 0.1
        for copies in (2, 4):
            shifts = np.repeat(100.0 * np.arange(copies), len(types))[:, None] * [1, 0, 0]
            together = answer(trained, np.tile(types, copies), np.tile(positions, (copies, 1)) + shifts)
            close(together[0], copies * energy, dtype)
            close(together[1], np.tile(forces, (copies, 1)), dtype)

    def test_an_atom_far_away_changes_nothing(self, name, dtype, tmp_path):
        types, positions = molecule()
        trained = potential(name, dtype, tmp_path)
        energy, forces = answer(trained, types, positions)
        own, _ = answer(trained, np.array(TYPES[:1]), np.zeros((1, 3)))
        far = answer(trained, np.append(types, TYPES[0]), np.vstack([positions, [50.0, 0.0, 0.0]]))
        close(far[0], energy + own, dtype)
        close(far[1], np.vstack([forces, np.zeros(3)]), dtype)

    def test_a_molecule_turned_and_moved_by_a_hundred_thousand_angstrom(self, name, dtype, tmp_path):
        types, positions = molecule()
        trained = potential(name, dtype, tmp_path)
        turn = Rotation.random(random_state=2).as_matrix()
        energy, forces = answer(trained, types, positions)
        for matrix, shift in ((np.eye(3), [1e5, -1e5, 1e5]), (turn, np.zeros(3))):
            moved = answer(trained, types, positions @ matrix.T + shift)
            close(moved[0], energy, dtype)
            close(moved[1], forces @ matrix.T, dtype)

    def test_a_bond_that_is_stretched_has_a_smooth_energy(self, name, dtype, tmp_path):
        """From 0.8 Å until it has left the cutoff: forces are the slope of the energy, which then is flat."""
        trained, steps = potential(name, dtype, tmp_path), np.linspace(0.8, 6.0, 417)
        scan = [np.array([[0, 0, 0], [0, 0, d]]) for d in steps]
        evaluation = trained.evaluate([np.array(TYPES[:2])] * len(scan), scan)
        energy, force = evaluation.energies[0], evaluation.forces[0].reshape(-1, 2, 3)[:, 1, 2]
        work = -np.concatenate([[0], np.cumsum((force[1:] + force[:-1]) / 2 * np.diff(steps))])
        np.testing.assert_allclose(energy - energy[0], work, atol=0.02 * np.ptp(energy))
        close(force[steps > 5.0], 0.0, dtype)


@pytest.mark.parametrize("name", models.MODELS)
def test_the_papers_read_out_is_not_extensive(name, tmp_path):
    """The reason for the other one, and the proof that the laws above can be broken."""
    types, positions = molecule()
    trained = potential(name, torch.float64, tmp_path, atomwise=False)
    energy, _ = answer(trained, types, positions)
    together, _ = answer(trained, np.tile(types, 2), np.vstack([positions, positions + np.array([100.0, 0, 0])]))
    assert abs(together - 2 * energy) > 1e-3


@pytest.mark.parametrize(
    ("compositions", "named"),
    [
        ([[1, 4, 0]], [[1, 4, 0]]),
        ([[1, 4, 0], [2, 6, 0]], None),  # what each of two elements has follows
        ([[1, 4, 0], [2, 6, 0], [3, 8, 1]], None),
        ([[1, 4, 0], [2, 6, 1]], [[1, 4, 0], [2, 6, 1]]),
        ([[2, 4, 0], [3, 6, 0], [4, 8, 0]], [[2, 4, 0], [3, 6, 0]]),  # one alone would be the only one in training
        ([[60, 0, 0], [70, 0, 0]], None),
        ([[60, 0, 0]], [[60, 0, 0]]),
    ],
)
def test_training_names_its_compositions_where_they_leave_the_energy_of_an_element_open(compositions, named):
    counts = np.zeros((len(compositions), len(ATOM_TYPES)), dtype=int)
    counts[:, TYPES] = compositions
    scaling = Scaling(0.0, 1.0, np.zeros(len(ATOM_TYPES)))
    target = _target(SimpleNamespace(isolated_atoms=()), scaling, "own", counts, None)
    out = target.get("compositions")
    assert (out if out is None else np.array(out)[:, TYPES].tolist()) == named


@pytest.mark.parametrize("atomwise", [True, False])
def test_of_one_composition_in_training_only_multiples_are_answered_and_only_where_energies_add_up(atomwise, tmp_path):
    types, positions = np.array(TYPES[:2]), np.array([[0.0, 0.0, 0.0], [0.0, 0.0, 1.1]])
    model = build("schnet", torch.float32, **(FIT | {"atomwise": atomwise}))
    only = {"compositions": [np.bincount(types, minlength=28).tolist()]}
    save_weights(tmp_path / "w.safetensors", "schnet", model, task="energy", target=TARGET | only)
    trained = Potential.load(tmp_path / "w.safetensors", "cpu")
    twice = np.tile(types, 2), np.vstack([positions, positions + np.array([9.0, 0, 0])])
    if atomwise:
        assert answer(trained, *twice)[0] == pytest.approx(2 * answer(trained, types, positions)[0], rel=1e-5)
    for odd in (types[:1], np.append(types, types[0]), *([] if atomwise else [twice[0]])):
        with pytest.raises(ValueError, match="is not C1 H1, the only composition in training"):
            trained.evaluate([odd], [1.5 * np.arange(3.0 * len(odd)).reshape(-1, 3)])


def test_of_several_compositions_only_their_combinations_are_answered(tmp_path):
    """From C2H6O and C2H6 follow C4H12O and the oxygen atom, which is their difference, and nothing of CH4O."""

    def atoms(carbon, hydrogen, oxygen):
        return np.repeat(TYPES, [carbon, hydrogen, oxygen])

    def evaluate(types):
        return trained.evaluate([types], [1.5 * np.arange(3.0 * len(types)).reshape(-1, 3)]).energies

    taught = [np.bincount(types, minlength=28).tolist() for types in (atoms(2, 6, 1), atoms(2, 6, 0))]
    model = build("schnet", torch.float32, **FIT)
    target = TARGET | {"compositions": taught}
    save_weights(tmp_path / "w.safetensors", "schnet", model, task="energy", target=target)
    trained = Potential.load(tmp_path / "w.safetensors", "cpu")
    assert np.isfinite(evaluate(atoms(4, 12, 1))).all() and np.isfinite(evaluate(atoms(0, 0, 1))).all()
    with pytest.raises(ValueError, match="C1 H4 O1 has a composition that no combination of those in training gives"):
        evaluate(atoms(1, 4, 1))
