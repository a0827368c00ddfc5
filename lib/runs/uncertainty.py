"""The uncertainty of a trained energy model (`models.rigidity`), from its training and validation conformations."""

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from lib.errors import required
from lib.models.rigidity import Rigidity, fit_rigidity, last_features, of_molecules
from lib.training.energy import EnergyTask


def rigidity_of(task: EnergyTask, train: DataLoader, validation: DataLoader, device: str) -> Rigidity | None:
    """That of the trained ``task``, calibrated by its errors on ``validation``."""
    task = task.to(device).eval()
    (features, *_), of_validation = (_features_and_errors(task, loader, device) for loader in (train, validation))
    return fit_rigidity(features, *of_validation)


@torch.no_grad()
def _features_and_errors(task: EnergyTask, loader: DataLoader, device: str) -> tuple[Tensor, Tensor, Tensor]:
    """Features (n, F+1), errors of the energy (n,) in kcal/mol and numbers of atoms (n,)."""
    features, errors, atoms = [], [], []
    for batch in loader:
        here = batch.to(device)
        with last_features(task.model) as seen:
            errors.append(task.predict(here) - required(here.energy, "energy"))
        features.append(of_molecules(seen[-1], here, task.model.settings.atomwise))
        atoms.append(torch.bincount(here.molecule, minlength=here.n_molecules))
    return torch.cat(features), torch.cat(errors), torch.cat(atoms)
