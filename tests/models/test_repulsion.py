"""The repulsion of nuclei: its formula, its forces, its reach, and that training and use agree on who adds it."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from ase.data import atomic_numbers
from small_models import build, molecules

from lib.batches import Batch
from lib.chemistry.atom_types import ATOM_TYPES
from lib.models.base import Settings
from lib.models.repulsion import RADII, pair_repulsion, repulsion
from lib.training.scaling import Scaling
from lib.training.settings import TrainingSettings
from lib.training.tasks import EnergyTask

SETTINGS = Settings(repulsion=1.5)
C, H = ATOM_TYPES.index(("C", 0)), ATOM_TYPES.index(("H", 0))


def curve(first: int, second: int, distance: torch.Tensor, settings: Settings = SETTINGS) -> torch.Tensor:
    """Energies (kcal/mol) of one pair of types at each distance (Å)."""
    types = (torch.full((len(distance),), t) for t in (first, second))
    return pair_repulsion(*types, distance, settings)


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
    unscreened = curve(C, H, torch.tensor([distance], dtype=torch.float64), Settings(cutoff=1e6, repulsion=1e6))
    assert float(unscreened) == pytest.approx(332.0637 * 6 / distance * screened, rel=1e-6)
    assert atomic_numbers["C"] == 6


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_pair_of_types_repels_up_to_its_reach_and_no_farther(dtype):
    distance = torch.linspace(0.3, 5.0, 471, dtype=dtype)
    for first in range(len(ATOM_TYPES)):
        for second in range(first, len(ATOM_TYPES)):
            energy = curve(first, second, distance)
            reach = min(SETTINGS.repulsion * (RADII[first] + RADII[second]), SETTINGS.cutoff)
            inside = distance < 0.97 * reach
            assert (energy[inside].diff() < 0).all()
            assert not energy[distance > reach].any()
            torch.testing.assert_close(energy, curve(second, first, distance))


def test_forces_are_minus_the_gradient_and_molecules_add_up():
    z, pos, molecule = molecules()
    batch = Batch.from_arrays(z, torch.tensor(pos), molecule)
    energy, forces = repulsion(batch, SETTINGS)
    step = 1e-6
    for atom, axis in ((0, 0), (8, 2), (15, 1)):
        moved = []
        for sign in (1, -1):
            shifted = pos.copy()
            shifted[atom, axis] += sign * step
            moved.append(float(repulsion(Batch.from_arrays(z, shifted, molecule), SETTINGS)[0].sum()))
        assert float(forces[atom, axis]) == pytest.approx(-(moved[0] - moved[1]) / (2 * step), rel=1e-5, abs=1e-4)
    one = molecule == 2
    alone, _ = repulsion(Batch.from_arrays(z[one], pos[one], np.zeros(one.sum(), int)), SETTINGS)
    torch.testing.assert_close(alone[0], energy[2])
    assert float(energy[1]) == 0.0  # one atom
    assert not batch.pos.requires_grad


def test_coincident_atoms_have_finite_forces():
    batch = Batch.from_arrays(np.array([C, H]), np.zeros((2, 3)), np.zeros(2, int))
    energy, forces = repulsion(batch, SETTINGS)
    assert torch.isfinite(energy).all()
    assert torch.isfinite(forces).all()


@pytest.mark.parametrize("weight", [None, 10.0])
def test_a_task_learns_what_the_repulsion_leaves(weight):
    """Labels that are what it predicts leave no loss and no error; without the repulsion they would."""
    task_settings = TrainingSettings(epochs=1, force_weight=weight)
    model = build("schnet", torch.float64, smooth_cutoff=True, atomwise=True, repulsion=1.5)
    task = EnergyTask(model, task_settings, Scaling(1.0, 3.0, np.arange(28.0)))
    z, pos, molecule = molecules()
    batch = Batch.from_arrays(z, torch.tensor(pos), molecule)
    energy, forces = task.predict_with_forces(batch)
    labelled = replace(batch, energy=energy.detach(), forces=forces)
    assert task.loss(labelled).item() == pytest.approx(0.0, abs=1e-12)
    assert all(value < 1e-9 for key, value in task.errors(labelled).items() if key not in ("n", "components"))
    without = EnergyTask(build("schnet", torch.float64, smooth_cutoff=True, atomwise=True), task_settings,
                         Scaling(1.0, 3.0, np.arange(28.0)))  # fmt: skip
    torch.testing.assert_close(energy - without.predict(batch), repulsion(batch, SETTINGS)[0])
    assert without.loss(labelled).item() > 1.0


@pytest.mark.parametrize("reach", [-1.0, float("nan"), float("inf")])
def test_a_reach_that_is_none_is_refused(reach):
    with pytest.raises(ValueError, match="how many times the covalent radii it reaches"):
        Settings(repulsion=reach)
