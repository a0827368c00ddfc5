"""Progress of a fit: one bar in terminals and notebooks (`execution.bars_shown`), and a log to follow.

``progress.log`` in the fit's folder has a line every few seconds and one for each validation; ``tail -f`` follows it.
"""

import time
from pathlib import Path
from typing import Any, Protocol, TextIO

import lightning as L
from lightning.pytorch.callbacks import Callback
from tqdm.auto import tqdm

from lib.training.execution import LOG

EVERY = 20  # steps from one reading of the loss to the next: each reading waits for the GPU
SECONDS = 5.0  # from one line of the log to the next


class Watched(Protocol):
    """What is read of a task (`task.Task`)."""

    title: str
    monitor: str
    history: dict[str, list[float]]


class _Losses:
    """The mean loss over the steps since it was last read, of the first process's part of them."""

    def __init__(self, step: int) -> None:
        """``step`` is the number of steps that were done before."""
        self.step, self.total, self.count = step, 0.0, 0

    def add(self, loss: Any, step: int) -> bool:
        """Add the ``loss`` of a micro-batch; whether it was the last one of its ``step``, whose losses sum up to it."""
        self.total = self.total + loss
        ended = step > self.step
        self.count += ended
        self.step = step
        return ended

    def mean(self) -> float:
        """The mean, from which on counting starts again; NaN without a step."""
        mean = float(self.total) / self.count if self.count else float("nan")
        self.total, self.count = 0.0, 0
        return mean


class FitBar(Callback):
    """One bar for all optimiser steps: rate, time left, training loss, and the latest value of the task's monitor.

    The loss is the mean over the steps since it was last read, `EVERY` of them or the rest of an epoch. A resumed fit
    begins at its step.
    """

    def __init__(self) -> None:
        """The bar appears when the fit starts, on the first process."""
        self.bar: tqdm | None = None
        self.losses, self.text = _Losses(0), ""

    def on_train_start(self, trainer: L.Trainer, task: Any) -> None:
        """Show the bar, at the step where the fit begins or resumes."""
        if trainer.is_global_zero:
            total = int(trainer.estimated_stepping_batches)
            self.losses = _Losses(trainer.global_step)
            self.bar = tqdm(total=total, initial=trainer.global_step, desc=task.title, unit="step", dynamic_ncols=True)

    def on_train_batch_end(self, trainer: L.Trainer, task: Any, outputs: Any, *_: Any) -> None:
        """Count a step."""
        if self.bar is not None and self.losses.add(outputs["loss"], trainer.global_step):
            self.bar.update()
            if self.losses.count == EVERY or not self.text:
                self._look(task)

    def on_validation_end(self, trainer: L.Trainer, task: Any) -> None:
        """Show the new metric."""
        self._look(task)

    def on_train_epoch_end(self, trainer: L.Trainer, task: Any) -> None:
        """Show the loss of an epoch's last steps."""
        self._look(task)

    def on_train_end(self, trainer: L.Trainer, task: Any) -> None:
        """Close the bar."""
        self._close()

    def on_exception(self, trainer: L.Trainer, task: Any, exception: BaseException) -> None:
        """Close the bar above the error's message."""
        self._close()

    def _look(self, task: Watched) -> None:
        """Write loss and metric beside the bar; tqdm decides when to draw it again."""
        if self.bar is None:
            return
        if self.losses.count:
            self.text = f"loss {self.losses.mean():.4g}"
        values = task.history.get(task.monitor, [])
        metric = [f"{task.monitor} {values[-1]:.4g}"] if values else []
        self.bar.set_postfix_str(", ".join([self.text, *metric] if self.text else metric), refresh=False)

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.close()
            self.bar = None


class RunLog(Callback):
    """The log of a fit: step, epoch, mean training loss, learning rate and time left, and all validation metrics.

    It is written by the first process, flushed line by line, and continued by a resumed fit.
    """

    def __init__(self, folder: Path) -> None:
        """The log is `LOG` in ``folder``."""
        self.path = folder / LOG
        self.file: TextIO | None = None
        self.losses, self.first, self.rate, self.started, self.next = _Losses(0), 0, 0.0, 0.0, 0.0

    def on_train_start(self, trainer: L.Trainer, task: Any) -> None:
        """Open the log, at the step where the fit begins or resumes."""
        if not trainer.is_global_zero:
            return
        self.file = open(self.path, "a", encoding="utf-8")  # noqa: SIM115 (closed when the fit ends)
        self.first, self.started = trainer.global_step, time.monotonic()
        self.losses, self.next = _Losses(self.first), self.started
        self._write(
            f"{task.title}: {'resumes at' if self.first else 'starts at'} step {self.first} of {_steps(trainer)}"
        )

    def on_train_batch_start(self, trainer: L.Trainer, task: Any, *_: Any) -> None:
        """Note the learning rate, which is another one after the step."""
        if self.file is not None:
            self.rate = trainer.optimizers[0].param_groups[0]["lr"]

    def on_train_batch_end(self, trainer: L.Trainer, task: Any, outputs: Any, *_: Any) -> None:
        """Write a line where `SECONDS` have passed, and after the first step."""
        if self.file is None or not self.losses.add(outputs["loss"], trainer.global_step):
            return
        now = time.monotonic()
        if now >= self.next:
            self.next = now + SECONDS
            done, total = trainer.global_step, _steps(trainer)
            left = (now - self.started) / (done - self.first) * (total - done)
            self._write(
                f"step {done} of {total}, epoch {trainer.current_epoch + 1} of {trainer.max_epochs}, "
                f"loss {self.losses.mean():.4g}, learning rate {self.rate:.3g}, {_clock(left)} left"
            )

    def on_validation_end(self, trainer: L.Trainer, task: Any) -> None:
        """Write the metrics, and the lowest value so far of the one that decides."""
        latest = {name: values[-1] for name, values in task.history.items() if name != "epoch" and values}
        if self.file is not None and task.monitor in latest:
            metrics = ", ".join(f"{name} {value:.4g}" for name, value in latest.items())
            self._write(f"step {trainer.global_step}: {metrics}; lowest {min(task.history[task.monitor]):.4g}")

    def on_train_end(self, trainer: L.Trainer, task: Any) -> None:
        """Say that it ended, and where."""
        if self.file is not None:
            self._write(f"ends at step {trainer.global_step} after {_clock(time.monotonic() - self.started)}")
            self._close()

    def on_exception(self, trainer: L.Trainer, task: Any, exception: BaseException) -> None:
        """Say what stopped it."""
        if self.file is not None:
            self._write(f"stopped at step {trainer.global_step}: {exception!r:.200}")
            self._close()

    def _write(self, text: str) -> None:
        if self.file is not None:
            self.file.write(f"{time.strftime('%Y-%m-%d %H:%M:%S')} {text}\n")
            self.file.flush()

    def _close(self) -> None:
        if self.file is not None:
            self.file.close()
            self.file = None


def _steps(trainer: L.Trainer) -> int:
    """Optimiser steps of the whole fit."""
    return int(trainer.estimated_stepping_batches)


def _clock(seconds: float) -> str:
    """Hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02d}:{rest:02d}"
