"""What denoising and energy share as Lightning modules: optimiser, schedule, metrics over an epoch."""

from typing import Any

import lightning as L
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor

from lib.batches import Batch
from lib.models.base import Model
from lib.training.settings import TrainingSettings


class Task(L.LightningModule):
    """What both tasks share: AdamW, the schedule, and metrics summed over every conformation of an epoch.

    A task gives its ``title``, ``monitor`` (`tasks.TaskEntry.monitor`), `loss`, `errors` and ``summed``, the names of
    what `errors` counts. ``history`` has the validation metrics by epoch, counted from 1; checkpoints keep it.
    """

    title: str
    monitor: str
    summed: tuple[str, ...]
    steps_per_epoch = 1  # of the optimiser, on which the schedule depends; `fit` says how many they are

    def __init_subclass__(cls, **options: Any) -> None:
        """Refuse a half-written task.

        Raises:
            TypeError: it lacks a title, a monitor or ``summed``.
        """
        super().__init_subclass__(**options)
        if lacks := [f"a {name}" for name in ("title", "monitor", "summed") if not hasattr(cls, name)]:
            raise TypeError(f"task {cls.__name__} is half written: give it {', '.join(lacks)}")

    def __init__(self, model: Model, settings: TrainingSettings) -> None:
        """``model`` is an entry of `lib.models.MODELS`."""
        super().__init__()
        self.model, self.settings = model, settings
        self.sums: dict[str, float] = {}
        self.history: dict[str, list[float]] = {}

    def loss(self, batch: Batch) -> Tensor:
        """The scalar to minimise, a mean over the batch's conformations."""
        raise NotImplementedError

    def errors(self, batch: Batch) -> dict[str, float]:
        """Sums over the batch's conformations that `metrics` turns into metrics."""
        raise NotImplementedError

    def metrics(self, sums: dict[str, float]) -> dict[str, float]:
        """Metrics from the sums of `errors` over an epoch."""
        raise NotImplementedError

    def training_step(self, batch: Batch) -> Tensor:
        """One step of Lightning's loop."""
        loss = self.loss(batch) * batch.loss_weight
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=batch.n_molecules, sync_dist=True)
        return loss

    def on_validation_epoch_start(self) -> None:
        """Set the sums to zero."""
        self.sums = dict.fromkeys(self.summed, 0.0)

    def validation_step(self, batch: Batch) -> None:
        """Add one batch to the sums, in full precision; padding batches are skipped."""
        if batch.loss_weight == 0:
            return
        with torch.autocast(self.device.type, enabled=False):
            errors = self.errors(batch)
        for key, value in errors.items():
            self.sums[key] += value

    def on_validation_epoch_end(self) -> None:
        """Log the metrics over all validation conformations."""
        sums = torch.tensor([self.sums[key] for key in self.summed], dtype=torch.float64, device=self.device)
        totals = self.trainer.strategy.reduce(sums, reduce_op="sum").tolist()
        metrics = self.metrics(dict(zip(self.summed, totals, strict=True)))
        validation = {f"validation_{key}": value for key, value in metrics.items()}
        self.log_dict(validation)  # the same in all processes
        for key, value in {"epoch": self.current_epoch + 1, **validation}.items():
            self.history.setdefault(key, []).append(value)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Keep the history."""
        checkpoint["history"] = self.history

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore the history."""
        self.history = checkpoint["history"]

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """AdamW without weight decay, its learning rate set before every step by `TrainingSettings.rate`."""
        s = self.settings
        optimizer = torch.optim.AdamW(self.parameters(), lr=s.learning_rate, weight_decay=0.0)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: s.rate((step + 1) / self.steps_per_epoch))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}
