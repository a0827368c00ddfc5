"""Verlet's list with a skin: the same batches as a search, which is made only when an atom has moved far enough."""

import numpy as np
import pytest
import torch
from ase import Atoms

from lib.batches import Batch
from lib.models import build
from lib.models.weights import save_weights
from lib.potentials import ensemble, neighbours
from lib.potentials.calculator import PotentialCalculator
from lib.potentials.neighbours import Neighbours


def walk(atoms, steps, size, seed=0):
    """Types, positions and molecules of two molecules, whose atoms make random steps up to ``size`` Å."""
    rng = np.random.default_rng(seed)
    pos = 3.0 * rng.normal(size=(atoms, 3))
    z, molecule = torch.as_tensor(rng.integers(28, size=atoms)), torch.arange(atoms) // (atoms // 2 + 1)
    for _ in range(steps):
        pos = pos + rng.uniform(-size, size, pos.shape)
        yield z, torch.tensor(pos, dtype=torch.float32), molecule


def same(batch, other):
    assert batch.n_molecules == other.n_molecules
    for name in ("z", "pos", "molecule", "pairs"):
        assert torch.equal(getattr(batch, name), getattr(other, name)), name


@pytest.fixture
def searches(monkeypatch):
    """The cutoffs of the searches that were made."""
    made, search = [], Batch.from_arrays
    monkeypatch.setattr(neighbours.Batch, "from_arrays", staticmethod(lambda *a: made.append(a[3]) or search(*a)))
    yield made
    monkeypatch.undo()


@pytest.mark.parametrize("size", [0.01, 0.1, 1.0])
def test_the_batch_is_that_of_a_search(size):
    """However far the atoms move: within the skin, beyond it at times, or with every step."""
    made = Neighbours()
    for z, pos, molecule in walk(40, 60, size):
        for cutoff in (5.0, 3.0):
            same(made(z, pos, molecule, cutoff), Batch.from_arrays(z, pos, molecule, cutoff))


def test_it_searches_again_only_when_an_atom_has_moved_by_half_of_the_skin(searches):
    made, (z, pos, molecule) = Neighbours(skin=0.5), next(walk(30, 1, 0.0))
    for shift, expected in ((0.0, 1), (0.24, 1), (0.26, 2), (0.4, 2), (0.52, 3)):
        moved = pos.clone()
        moved[7, 1] += shift
        made(z, moved, molecule, 5.0)
        assert searches == [5.5] * expected


def test_other_atoms_are_searched_anew(searches):
    made, (z, pos, molecule) = Neighbours(), next(walk(30, 1, 0.0))
    made(z, pos, molecule, 5.0)
    for other in ((z.flip(0), pos, molecule), (z[:20], pos[:20], molecule[:20]), (z, pos, torch.zeros_like(z))):
        batch = made(*other, 5.0)
        assert torch.equal(batch.z, other[0])
        assert torch.equal(batch.molecule, other[2])
    assert len(searches) == 4


def test_coordinates_that_are_not_finite_are_refused_after_a_search_too():
    made, (z, pos, molecule) = Neighbours(), next(walk(30, 1, 0.0))
    made(z, pos, molecule, 5.0)
    pos[3, 0] = torch.nan
    with pytest.raises(ValueError, match="coordinates of atom 3"):
        made(z, pos, molecule, 5.0)


@pytest.fixture
def calculator(tmp_path):
    """One of random weights that knows all atom types."""
    torch.manual_seed(0)
    model = build("schnet", {"hidden_channels": 8, "num_filters": 8, "num_interactions": 2})
    target = {"mean": 0.0, "std": 1.0, "per_type": [0.0] * 28, "level": "GFN2-xTB", "types": list(range(28))}
    save_weights(tmp_path / "w.safetensors", "schnet", model, task="energy", target=target)
    return PotentialCalculator.from_weights(tmp_path / "w.safetensors", "cpu")


def test_the_calculator_gives_the_same_with_and_without_a_search(calculator):
    rng = np.random.default_rng(0)
    atoms = Atoms("C4OH8", 3.0 * np.argwhere(np.ones((3, 3, 3)))[rng.permutation(27)[:13]] * 0.6)
    atoms.calc = calculator
    for _ in range(30):
        atoms.positions += rng.uniform(-0.05, 0.05, atoms.positions.shape)
        expected = calculator.evaluate([atoms.copy()])[0]
        assert atoms.get_potential_energy() == expected["energy"]
        np.testing.assert_array_equal(atoms.get_forces(), expected["forces"])


def test_memory_is_kept_for_large_structures_only(calculator, monkeypatch):
    kept = []
    monkeypatch.setattr(ensemble, "keep_freed_memory", lambda: kept.append(True))
    monkeypatch.setattr(ensemble, "FEW_ATOMS", 3)
    for count in (3, 4):
        calculator.evaluate([Atoms(f"H{count}", 1.5 * np.eye(count, 3) + np.arange(count)[:, None])])
        assert len(kept) == count - 3
