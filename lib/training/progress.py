"""Visible progress: one bar for a whole fit, in terminals and notebooks; none in continuous integration."""

import os
from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback
from tqdm.auto import tqdm

EVERY = 20  # steps from one look at the loss to the next: each look waits for the GPU


def bars_shown() -> bool:
    """Whether progress bars are shown: not where the environment variable ``CI`` is set and not empty."""
    return not os.environ.get("CI")


class FitBar(Callback):
    """One bar for all optimiser steps: rate, time left, training loss, and the latest of the metric that decides.

    The loss is the mean over the steps since the last look, `EVERY` of them or what is left of an epoch; where several
    processes train together, over the first one's share. A fit that goes on begins at its step.
    """

    def __init__(self) -> None:
        """The bar appears when the fit starts, on the first process."""
        self.bar: tqdm | None = None
        self.loss, self.seen, self.text = 0.0, 0, ""

    def on_train_start(self, trainer: L.Trainer, task: L.LightningModule) -> None:
        """Show the bar, at the step where the fit goes on."""
        if trainer.is_global_zero:
            total = int(trainer.estimated_stepping_batches)
            self.bar = tqdm(total=total, initial=trainer.global_step, desc=task.title, unit="step", dynamic_ncols=True)

    def on_train_batch_end(self, trainer: L.Trainer, task: L.LightningModule, outputs: Any, *_: Any) -> None:
        """Count a step, which may have had several batches, whose losses then sum up to the step's."""
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
        """Leave the bar as it is."""
        self._close()

    def on_exception(self, trainer: L.Trainer, task: L.LightningModule, exception: BaseException) -> None:
        """Leave the bar as it is, above the error's message."""
        self._close()

    def _look(self, task: L.LightningModule) -> None:
        """Write loss and metric beside the bar, which tqdm draws again when it is time."""
        if self.bar is None:
            return
        if self.seen:
            self.text = f"loss {float(self.loss) / self.seen:.4g}"
            self.loss, self.seen = 0.0, 0
        found = task.history.get(task.monitor, [])
        metric = [f"{task.monitor} {found[-1]:.4g}"] if found else []
        self.bar.set_postfix_str(", ".join([self.text, *metric] if self.text else metric), refresh=False)

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None
