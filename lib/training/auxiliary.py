"""Denoising as a second term of an energy's loss, beside `energy.EnergyTask`.

Noisy Nodes (Godwin et al. 2021, https://arxiv.org/abs/2106.07971): every training conformation is noised, X̂ = X + ε,
its label stays that of X, and the network predicts the noise as well. With s the scaling's standard deviation, N the
number of atoms and λ the settings' ``noise_weight``:

    ℓ(X̂) = (E(X̂) - E)² / s² + λ |ε̂(X̂) - ε|² / 3Nσ²,   loss = mean of ℓ over conformations

DeNS (Liao et al. 2024, https://arxiv.org/abs/2403.09549): where X is far from equilibrium, X̂ alone does not say which X
it came from. So the network is told the forces F of X, in units of s, and learns the energies and forces of X as well:

    loss = loss of `energy.EnergyTask` at X + mean of ℓ(X̂; F / s)

The source draws one of the two terms by lot for each conformation; here every step has both. Validation and test are on
conformations as they are, and nothing is told there.
"""

from dataclasses import replace

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from lib.batches import Batch, neighbour_pairs
from lib.errors import required
from lib.models.base import Model
from lib.training.energy import EnergyTask
from lib.training.scaling import Scaling
from lib.training.settings import TrainingSettings


class NoisyNodesTask(EnergyTask):
    """The first loss of the module's docstring."""

    def __init__(
        self,
        model: Model,
        settings: TrainingSettings,
        scaling: Scaling,
        measured: DataLoader | None = None,
        reach: Tensor | None = None,
        sigma: float | None = None,
    ) -> None:
        """As `EnergyTask`; ``sigma`` (Å) is the standard deviation of the noise in the training batches."""
        super().__init__(model, settings, scaling, measured, reach)
        self.sigma = required(sigma, "sigma")

    def loss(self, batch: Batch) -> Tensor:
        """In units of the scaled target's variance, the noise's error in σ²."""
        return self._with_noise(batch).mean()

    def _with_noise(self, batch: Batch) -> Tensor:
        """ℓ of each conformation (n_molecules,)."""
        prediction = self.model(batch)
        of_energy = self._losses(batch, required(prediction.energy, "energy"), None)
        difference = required(prediction.noise, "predicted noise") - required(batch.noise, "noise")
        by_atom = difference.to(of_energy.dtype).square().mean(1) / self.sigma**2
        atoms = torch.bincount(batch.molecule, minlength=batch.n_molecules)
        of_noise = by_atom.new_zeros(batch.n_molecules).index_add(0, batch.molecule, by_atom) / atoms
        return of_energy + self.settings.noise_weight * of_noise


class DeNSTask(NoisyNodesTask):
    """The second loss of the module's docstring."""

    def loss(self, batch: Batch) -> Tensor:
        """As `EnergyTask` where nothing is noised, and ℓ where the forces are told."""
        told = (required(batch.forces, "forces") / self.std).to(batch.pos.dtype)
        return EnergyTask.loss(self, self._clean(batch)) + self._with_noise(replace(batch, told=told)).mean()

    def _clean(self, batch: Batch) -> Batch:
        """The batch before the noise."""
        pos = batch.pos - required(batch.noise, "noise")
        pairs = neighbour_pairs(pos, batch.molecule, batch.n_molecules, self.model.settings.cutoff)
        return replace(batch, pos=pos, pairs=pairs, noise=None)
