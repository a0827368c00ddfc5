"""GradientModel: a model whose noise is minus the gradient of its scalar (section 2.4, for invariant networks).

The noise X̂ - X is matched to -∇E, so the scalar of a pre-trained model has its *maximum* at the clean geometry: it is
minus an energy. Where message-passing layers alone are transferred, as in the paper, the sign does no harm; where the
scalar's head goes with them (`transfer.TRANSFERS`), it can be turned.
"""

from abc import abstractmethod
from typing import ClassVar

import torch
from torch import Tensor

from lib.batches import Batch
from lib.models.base import Model
from lib.models.prediction import Prediction


class GradientModel(Model):
    """A module with a `scalar`; the whole gradient is taken, angular part included."""

    denoises_with_head: ClassVar[bool] = True

    @abstractmethod
    def scalar(self, batch: Batch, pos: Tensor) -> Tensor:
        """The scalar (n_molecules,) of each molecule at ``pos`` (n_atoms, 3) Å."""

    def forward(self, batch: Batch, energy: bool = True, noise: bool = True) -> Prediction:
        """Energy (n_molecules,) and noise (n_atoms, 3), each only where asked for; noise also under no_grad."""
        if not noise:
            return Prediction(energy=self.scalar(batch, batch.pos), noise=None)
        training = torch.is_grad_enabled()
        with torch.enable_grad():
            pos = batch.pos if batch.pos.requires_grad else batch.pos.detach().requires_grad_()
            scalar = self.scalar(batch, pos)
            (gradient,) = torch.autograd.grad(scalar.sum(), pos, create_graph=training, materialize_grads=True)
        if not training:
            scalar, gradient = scalar.detach(), gradient.detach()
        return Prediction(energy=scalar if energy else None, noise=-gradient)
