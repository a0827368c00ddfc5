"""Forces: minus the gradient of the energy with respect to the coordinates, by automatic differentiation.

    F = -∂E/∂x

One way for every model, so that energies and forces of a potential belong together, whatever it was trained on.
"""

from dataclasses import replace

import torch
from torch import Tensor

from lib.batches import Batch
from lib.models.base import Model


def energy_and_forces(model: Model, batch: Batch, create_graph: bool = False) -> tuple[Tensor, Tensor]:
    """Energies (n_molecules,) in units of the scaled target and forces (n_atoms, 3) in that unit per Å.

    Args:
        model: an entry of `models.MODELS`; no molecule's energy may depend on another one.
        batch: the molecules; works under ``no_grad`` too.
        create_graph: for training on forces, which takes a second derivative.
    """
    with torch.enable_grad():
        pos = batch.pos.detach().requires_grad_()
        energy = model(replace(batch, pos=pos), noise=False).energy
        (gradient,) = torch.autograd.grad(energy.sum(), pos, create_graph=create_graph, materialize_grads=True)
    return energy if create_graph else energy.detach(), -gradient
