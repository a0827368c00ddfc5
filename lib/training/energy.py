"""Fine-tuning: energies, scaled as the training conformations have them, and forces where a weight is set."""

import torch
from torch import Tensor
from torch.utils.data import DataLoader

from lib.batches import Batch
from lib.errors import required
from lib.models.base import Model
from lib.models.baseline import energy_baseline
from lib.models.forces import energy_and_forces
from lib.models.repulsion import repulsion
from lib.training.input_norm import InputNorm
from lib.training.scaling import Scaling
from lib.training.settings import TrainingSettings
from lib.training.task import Task
from lib.training.tasks import TASKS


class EnergyTask(Task):
    """Mean squared error of the scaled energy (`scaling.Scaling`), whose numbers are saved with the model.

    With forces (w the settings' ``force_weight``, ε the error of the energy, f the error of a force component, N the
    number of atoms, s the scaling's standard deviation):

        loss = mean over conformations of (ε² + w Σ f² / 3N) / s²        (f in kcal/mol/Å, s in kcal/mol)
    """

    title = "energy"
    monitor = TASKS["energy"].monitor
    summed: tuple[str, ...] = ("squared", "absolute", "n")
    summed_of_forces = ("force_squared", "force_absolute", "components")
    mean: Tensor
    std: Tensor
    per_type: Tensor

    def __init__(
        self,
        model: Model,
        settings: TrainingSettings,
        scaling: Scaling,
        measured: DataLoader | None = None,
        reach: Tensor | None = None,
    ) -> None:
        """``scaling`` was fitted to the training conformations; ``measured`` loads some of them, for `InputNorm`;
        ``reach`` (28, 28) Å is how near their atoms come (`repulsion.closest`), where nearer ones are to repel.

        Raises:
            ValueError: the settings ask for normalisation and ``measured`` is missing.
        """
        super().__init__(model, settings)
        if settings.normalise and measured is None:
            raise ValueError("normalise = True needs training conformations to measure on: give measured")
        for name in ("mean", "std", "per_type"):
            self.register_buffer(name, torch.tensor(getattr(scaling, name), dtype=torch.float64))
        self.input_norm = InputNorm(model.energy_head) if settings.normalise else None
        self._measured, self._reach = measured, reach
        if settings.force_weight is not None:
            self.summed += self.summed_of_forces
        if settings.learns_forces:
            self.monitor = "validation_loss"
            self.summed += ("loss",)

    def on_fit_start(self) -> None:
        """Measure the input of the head, by which a batch of one is normalised, unless the run is resumed."""
        if self.trainer.ckpt_path is None:
            self._measure_input()

    def on_validation_epoch_start(self) -> None:
        """Set the sums to zero, and measure the input of the head."""
        super().on_validation_epoch_start()
        self._measure_input()

    def on_validation_epoch_end(self) -> None:
        """Log the metrics; where averaged weights were validated, measure again with those that train, back by now."""
        super().on_validation_epoch_end()
        if self.settings.average:
            self._measure_input()

    def _measure_input(self) -> None:
        """Measure mean and scale of the head's input, where it is normalised."""
        if self.input_norm is not None and self._measured is not None:
            self.input_norm.measure(self.model, self._measured)

    def keep_head(self) -> None:
        """Before training, let a head that knows its input as it is give the same on normalised input."""
        if self.input_norm is not None:
            self._measure_input()
            self.input_norm.unfold()

    def finish(self) -> None:
        """After training, fold the normalisation into the model."""
        if self.input_norm is not None:
            self.input_norm.fold()
            self.input_norm = None

    def baseline(self, batch: Batch) -> Tensor:
        """The baseline that the scaling takes off, (n_molecules,) kcal/mol."""
        return energy_baseline(self.mean, self.per_type, batch.z, batch.molecule, batch.n_molecules)

    def loss(self, batch: Batch) -> Tensor:
        """In units of the scaled target's variance; in float32 at least, whatever the model's precision."""
        if self.settings.learns_forces:
            energy, forces = energy_and_forces(self.model, batch, create_graph=True)
        else:
            energy, forces = self.model(batch, noise=False).energy, None
        return self._losses(batch, energy, forces).mean()

    def _losses(self, batch: Batch, energy: Tensor, forces: Tensor | None) -> Tensor:
        """The loss of each conformation (n_molecules,) from scaled energies and forces, the latter where learnt."""
        energy = energy.to(torch.promote_types(energy.dtype, torch.float32))
        target = (required(batch.energy, "energy") - self.baseline(batch)) / self.std
        of_energy = (energy - target.to(energy.dtype)).square()
        weight = self.settings.force_weight
        if forces is None or weight is None:
            return of_energy
        by_atom = (
            (forces.to(energy.dtype) - (required(batch.forces, "forces") / self.std).to(energy.dtype)).square().mean(1)
        )
        atoms = torch.bincount(batch.molecule, minlength=batch.n_molecules).to(by_atom.dtype)
        of_forces = by_atom.new_zeros(batch.n_molecules).index_add(0, batch.molecule, by_atom) / atoms
        return of_energy + weight * of_forces

    def predict(self, batch: Batch) -> Tensor:
        """Relative energies (n_molecules,) in kcal/mol, float64."""
        energy = self.model(batch, noise=False).energy.double() * self.std + self.baseline(batch)
        return energy if self._reach is None else energy + repulsion(batch, self._reach)[0]

    def predict_with_forces(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Relative energies (n_molecules,) in kcal/mol and forces (n_atoms, 3) in kcal/mol/Å, float64."""
        energy, forces = energy_and_forces(self.model, batch)
        energy, forces = energy.double() * self.std + self.baseline(batch), forces.double() * self.std
        if self._reach is None:
            return energy, forces
        of_nuclei, push = repulsion(batch, self._reach)
        return energy + of_nuclei, forces + push

    def errors(self, batch: Batch) -> dict[str, float]:
        """Squared and absolute errors and their number, of energies and, where measured, of force components."""
        of_forces = {}
        if self.settings.force_weight is None:
            energy = self.predict(batch)
        else:
            energy, forces = self.predict_with_forces(batch)
            error = forces - required(batch.forces, "forces")
            of_forces = {
                "force_squared": float(error.square().sum()),
                "force_absolute": float(error.abs().sum()),
                "components": float(error.numel()),
            }
            if self.settings.learns_forces:
                scaled = (energy - self.baseline(batch)) / self.std
                of_forces["loss"] = float(self._losses(batch, scaled, forces / self.std).sum())
        error = energy - required(batch.energy, "energy")
        return of_forces | {
            "squared": float(error.square().sum()),
            "absolute": float(error.abs().sum()),
            "n": float(batch.n_molecules),
        }

    def metrics(self, sums: dict[str, float]) -> dict[str, float]:
        """``rmse`` and ``mae`` in kcal/mol; of forces in kcal/mol/Å, where measured; ``loss`` where they are learnt."""
        metrics = {"rmse": (sums["squared"] / sums["n"]) ** 0.5, "mae": sums["absolute"] / sums["n"]}
        if self.settings.force_weight is not None:
            metrics |= {
                "force_rmse": (sums["force_squared"] / sums["components"]) ** 0.5,
                "force_mae": sums["force_absolute"] / sums["components"],
            }
        if self.settings.learns_forces:
            metrics["loss"] = sums["loss"] / sums["n"]
        return metrics
