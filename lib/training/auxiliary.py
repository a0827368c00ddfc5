"""Denoising as a second term of an energy's loss, beside `tasks.EnergyTask`.

Noisy Nodes (Godwin et al. 2021, https://arxiv.org/abs/2106.07971): every training conformation is noised, X̂ = X + ε,
its label stays that of X, and the network predicts the noise as well. With s the scaling's standard deviation, N the
number of atoms and λ the settings' ``noise_weight``:

    loss = mean over conformations of (E(X̂) - E)² / s² + λ |ε̂(X̂) - ε|² / 3Nσ²

Validation and test are on conformations as they are.
"""

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from lib.batches import Batch
from lib.errors import required
from lib.models.base import Model
from lib.training.scaling import Scaling
from lib.training.settings import TrainingSettings
from lib.training.tasks import EnergyTask


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
        """As `EnergyTask`; ``sigma`` (Å) is the standard deviation of the noise in the training batches.

        Raises:
            ValueError: the settings ask for forces, of which a noised conformation has no labels.
        """
        if settings.learns_forces:
            raise ValueError(
                f"noise_weight = {settings.noise_weight!r} with force_weight = {settings.force_weight!r}: a noised "
                "conformation has no labels of its forces, set one of the two to 0"
            )
        super().__init__(model, settings, scaling, measured, reach)
        self.sigma = required(sigma, "sigma")

    def loss(self, batch: Batch) -> Tensor:
        """In units of the scaled target's variance, the noise's error in σ²."""
        prediction = self.model(batch)
        of_energy = self._losses(batch, required(prediction.energy, "energy"), None)
        return (of_energy + self.settings.noise_weight * self._noise_errors(batch, prediction.noise)).mean()

    def _noise_errors(self, batch: Batch, predicted: Tensor | None) -> Tensor:
        """The mean squared error of each conformation's noise (n_molecules,) in σ²."""
        difference = required(predicted, "predicted noise") - required(batch.noise, "noise")
        by_atom = difference.float().square().mean(1) / self.sigma**2
        atoms = torch.bincount(batch.molecule, minlength=batch.n_molecules)
        return by_atom.new_zeros(batch.n_molecules).index_add(0, batch.molecule, by_atom) / atoms
