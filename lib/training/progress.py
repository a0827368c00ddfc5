"""Visible progress: one bar for a whole fit, in terminals and notebooks; none in continuous integration."""

import os
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from tqdm.auto import tqdm

EVERY = 20  # steps from one reading of the loss to the next: each reading waits for the GPU


def bars_shown() -> bool:
    """Whether progress bars are shown: everywhere but where the environment variable ``CI`` is set and not empty."""
    return not os.environ.get("CI")


class FitBar(Callback):
    """One bar for all optimiser steps: rate, time left, training loss, and the latest value of the task's monitor.

    The loss is the mean over the steps since it was last read, `EVERY` of them or the rest of an epoch; where several
    processes train together, over the first one's part of them. A resumed fit begins at its step.
    """

    def __init__(self) -> None:
        """The bar appears when the fit starts, on the first process."""
        self.bar: tqdm | None = None
        self.loss, self.seen, self.text = 0.0, 0, ""

    def on_train_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Show the bar, at the step where the fit begins or resumes."""
        if trainer.is_global_zero:
            total = int(trainer.estimated_stepping_batches)
            self.bar = tqdm(total=total, initial=trainer.global_step, desc=task.title, unit="step", dynamic_ncols=True)

    def on_train_batch_end(self, trainer: L.Trainer, task: L.LightningModule, outputs: Any, *_: Any) -> None:
        """Count a step. Of a step with several micro-batches, the losses sum up to the step's."""
        if self.bar is None:
            return
        self.loss = self.loss + outputs["loss"]
        if trainer.global_step > self.bar.n:
            self.seen += 1
            self.bar.update()
            if self.seen == EVERY or not self.text:
                self._look(task)

    def on_validation_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Show the new metric."""
        self._look(task)

    def on_train_epoch_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Show the loss of an epoch's last steps."""
        self._look(task)

    def on_train_end(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Close the bar."""
        self._close()

    def on_exception(self, trainer: L.Trainer, task: L.LightningModule, exception: BaseException) -> None:
        """Close the bar above the error's message."""
        self._close()

    def _look(self, task: L.LightningModule) -> None:
        """Write loss and metric beside the bar; tqdm decides when to draw it again."""
        if self.bar is None:
            return
        if self.seen:
            self.text = f"loss {float(self.loss) / self.seen:.4g}"
            self.loss, self.seen = 0.0, 0
        values = task.history.get(task.monitor, [])
        metric = [f"{task.monitor} {values[-1]:.4g}"] if values else []
        self.bar.set_postfix_str(", ".join([self.text, *metric] if self.text else metric), refresh=False)

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None
