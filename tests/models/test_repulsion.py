"""The repulsion of nuclei: its formula, its forces, its reach, which training decides, and who adds it."""

import numpy as np
import pytest
import torch
from small_models import build, molecules

from lib.batches import Batch
from lib.chemistry.atom_types import ATOM_TYPES
from lib.models.repulsion import RADII, UNMET, closest, pair_repulsion, reach_of, repulsion
from lib.training.energy import EnergyTask
from lib.training.scaling import Scaling
from lib.training.settings import TrainingSettings

C, H = ATOM_TYPES.index(("C", 0)), ATOM_TYPES.index(("H", 0))
REACH = UNMET * (RADII.unsqueeze(1) + RADII)


def curve(first: int, second: int, distance: torch.Tensor, reach: torch.Tensor = REACH) -> torch.Tensor:
    """Energies (kcal/mol) of one pair of types at each distance (Å)."""
    types = (torch.full((len(distance),), t) for t in (first, second))
    return pair_repulsion(*types, distance, reach)


def test_two_atoms_as_the_formula_says():
    """Carbon and hydrogen at 0.4 Å, with the envelope left out by a reach that is far away: computed by hand."""
    distance = 0.4
    length = 0.8854 * 0.529177 / (6**0.23 + 1)
    x = distance / length
    screened = (
        0.18175 * np.exp(-3.1998 * x)
        + 0.50986 * np.exp(-0.94229 * x)
        + 0.28022 * np.exp(-0.4029 * x)
        + 0.02817 * np.exp(-0.20162 * x)
    )
    unscreened = curve(C, H, torch.tensor([distance], dtype=torch.float64), 1e6 * REACH)
    assert float(unscreened) == pytest.approx(332.0637 * 6 / distance * screened, rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_pair_of_types_repels_up_to_its_reach_and_no_farther(dtype):
    distance = torch.linspace(0.3, 5.0, 471, dtype=dtype)
    for first in range(len(ATOM_TYPES)):
        for second in range(first, len(ATOM_TYPES)):
            energy, reach = curve(first, second, distance), REACH[first, second]
            assert (energy[distance < 0.97 * reach].diff() < 0).all()
            assert not energy[distance > reach].any()
            torch.testing.assert_close(energy, curve(second, first, distance))


def test_forces_are_minus_the_gradient_and_molecules_add_up():
    z, pos, molecule = molecules()
    batch = Batch.from_arrays(z, torch.tensor(pos), molecule)
    energy, forces = repulsion(batch, REACH)
    step = 1e-6
    for atom, axis in ((0, 0), (8, 2), (15, 1)):
        moved = []
        for sign in (1, -1):
            shifted = pos.copy()
            shifted[atom, axis] += sign * step
            moved.append(float(repulsion(Batch.from_arrays(z, shifted, molecule), REACH)[0].sum()))
        assert float(forces[atom, axis]) == pytest.approx(-(moved[0] - moved[1]) / (2 * step), rel=1e-5, abs=1e-4)
    one = molecule == 2
    alone, _ = repulsion(Batch.from_arrays(z[one], pos[one], np.zeros(one.sum(), int)), REACH)
    torch.testing.assert_close(alone[0], energy[2])
    assert float(energy[1]) == 0.0  # one atom
    assert not batch.pos.requires_grad


def test_coincident_atoms_have_finite_forces():
    batch = Batch.from_arrays(np.array([C, H]), np.zeros((2, 3)), np.zeros(2, int))
    energy, forces = repulsion(batch, REACH)
    assert torch.isfinite(energy).all()
    assert torch.isfinite(forces).all()


def test_its_reach_is_the_smallest_distance_in_training_so_that_nothing_is_added_there():
    batches = [Batch.from_arrays(*molecules(seed=seed)) for seed in (0, 1)]
    reach = closest(batches)
    assert not any(part.any() for batch in batches for part in repulsion(batch, reach))
    torch.testing.assert_close(reach, reach.T)
    pairs = {}
    for batch in batches:
        for i, j in batch.pairs.T.tolist():
            types, distance = (int(batch.z[i]), int(batch.z[j])), float((batch.pos[i] - batch.pos[j]).norm())
            pairs[types] = min(distance, pairs.get(types, np.inf))
    assert len(pairs) > 30
    expected = REACH.clone()
    for types, distance in pairs.items():
        expected[types] = distance
    torch.testing.assert_close(reach, expected)
    types = [C, H]
    stated = reach_of({"types": types, "reach": reach[types][:, types].tolist()})
    assert stated is not None
    torch.testing.assert_close(stated[types][:, types], reach[types][:, types])
    assert reach_of({"types": types}) is None


@pytest.mark.parametrize("weight", [None, 10.0])
def test_a_task_predicts_with_it_and_learns_labels_as_they_are(weight):
    z, pos, molecule = molecules()
    batch = Batch.from_arrays(z, torch.tensor(pos), molecule, energy=np.arange(4.0), forces=pos)
    model, scaling = build("schnet", torch.float64, atomwise=True), Scaling(1.0, 3.0, np.arange(28.0))
    plain, repelled = (
        EnergyTask(model, TrainingSettings(epochs=1, force_weight=weight), scaling, reach=reach)
        for reach in (None, REACH)
    )
    energy, forces = repulsion(batch, REACH)
    assert (energy > 1.0).any()
    torch.testing.assert_close(repelled.predict(batch) - plain.predict(batch), energy)
    for one, other, more in zip(
        repelled.predict_with_forces(batch), plain.predict_with_forces(batch), (energy, forces), strict=True
    ):
        torch.testing.assert_close(one - other, more)
    assert repelled.loss(batch).item() == plain.loss(batch).item()
    with torch.no_grad():
        assert repelled.errors(batch)["squared"] != plain.errors(batch)["squared"]
