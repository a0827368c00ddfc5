"""fit(): one training loop for both tasks, on Lightning.

``best.ckpt`` (lowest validation metric) and ``last.ckpt`` (written after each epoch, and every few minutes within one)
are distinct files; the logs are ``metrics.csv`` and, to be followed, ``progress.log``. A fit whose folder holds a
``last.ckpt`` resumes after it, and ends with the same weights as one that was never interrupted; only the training loss
that is logged for a resumed epoch is the mean over its remaining steps. Checkpoints are written atomically.
"""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from zipfile import BadZipFile, ZipFile

import lightning as L
import torch
import torch.distributed as dist
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback, EarlyStopping, EMAWeightAveraging, ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.plugins import MixedPrecision
from lightning.pytorch.plugins.environments import LightningEnvironment, TorchElasticEnvironment
from torch.utils.data import DataLoader

from lib.files import not_written, whole_file
from lib.training.execution import LAST, MIXED, SHOWN, Execution, bars_shown
from lib.training.memory import FreedMemory
from lib.training.progress import FitBar, RunLog
from lib.training.settings import TrainingSettings
from lib.training.task import Task


def plugins(execution: Execution) -> list[Any]:
    """Lightning's plugins: atomic checkpoints, and mixed precision unless ``32-true``."""
    mixed = MIXED.get(execution.precision)
    return [AtomicCheckpoints(), *([] if mixed is None else [MixedPrecisionModel(mixed, execution.device())])]


class MixedPrecisionModel(MixedPrecision):
    """Mixed precision of the model alone: the batch is not converted, its energies stay float64."""

    def convert_input(self, data: Any) -> Any:
        """``data`` unchanged."""
        return data


class AtomicCheckpoints(TorchCheckpointIO):
    """Checkpoints that are written atomically: to a temporary file, which then takes the old one's place."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Path | str, storage_options: Any = None) -> None:
        """Write ``checkpoint`` to ``path``; a process killed at any moment leaves the old file or the new one.

        Raises:
            OSError: it cannot be written; of a full disk torch says "unexpected pos 64 vs 0", a RuntimeError.
        """
        with whole_file(path) as part, open(part, "wb") as file:
            try:
                torch.save(checkpoint, file)
            except RuntimeError as error:
                raise not_written(path, error.__context__ or error) from error
            file.flush()
            os.fsync(file.fileno())


class CheckpointWithinEpoch(ModelCheckpoint):
    """A checkpoint after a step, not between the micro-batches of one, whose gradients it would lose; nor after the
    last step of an epoch, which ends with a checkpoint of its own.
    """

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Save where the time has come."""
        whole_step = (batch_idx + 1) % trainer.accumulate_grad_batches == 0
        if whole_step and not trainer.is_last_batch:
            super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)


@dataclass(frozen=True)
class Fitted:
    """The files of a fit (best and last checkpoint, log), its lowest validation metric and its number of steps."""

    best: Path
    last: Path
    log: Path
    best_metric: float
    steps: int


def resumable(path: Path) -> bool:
    """Whether there is a checkpoint ``path`` to go on from; a damaged one is removed, with a warning."""
    try:
        if ZipFile(BytesIO(path.read_bytes())).testzip() is not None:  # a checksum, at which torch does not look
            raise BadZipFile
        torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except FileNotFoundError:
        return False
    except (BadZipFile, RuntimeError, EOFError, ValueError, ArithmeticError, UnpicklingError) as error:
        warnings.warn(f"{path} is damaged ({type(error).__name__}): this run starts anew", stacklevel=2)
        path.unlink(missing_ok=True)
        return False
    return True


def fit(task: Task, training: DataLoader, validation: DataLoader, folder: Path, execution: Execution = SHOWN) -> Fitted:
    """Train ``task`` and load its best weights into it; checkpoints and logs go to ``folder``, where a fit can resume.

    Validation sees every conformation, each ``validate_every`` epochs and after the last one.
    """
    quiet()
    best = ModelCheckpoint(dirpath=folder, filename="best", monitor=task.monitor, enable_version_counter=False)
    last = ModelCheckpoint(
        dirpath=folder, filename="last", every_n_epochs=1, save_on_train_epoch_end=True, enable_version_counter=False
    )
    within = CheckpointWithinEpoch(
        dirpath=folder,
        filename="last",
        train_time_interval=timedelta(minutes=execution.checkpoint_minutes),
        enable_version_counter=False,
    )
    callbacks = [best, last, within, RunLog(folder), FreedMemory(), *_optional_callbacks(task)]
    # Lightning's own estimate would set up the loader before the state from a checkpoint reaches it
    task.steps_per_epoch = len(training) // execution.accumulate
    trainer = _trainer(task.settings, folder, callbacks, execution)
    resumed = folder / LAST
    with interruptible():
        trainer.fit(task, training, validation, ckpt_path=resumed if resumed.exists() else None, weights_only=True)
    if not best.best_model_path or best.best_model_score is None:
        raise RuntimeError(f"{folder}: no validation ran, so there is no best checkpoint; lower validate_every")
    checkpoint = torch.load(best.best_model_path, map_location="cpu", weights_only=True)
    task.load_state_dict(checkpoint["state_dict"])
    if dist.is_initialized():
        dist.barrier()  # the first process moves the file when it is done, and may be done before the others read it
    return Fitted(
        best=Path(best.best_model_path),
        last=Path(last.best_model_path),
        log=folder / "metrics.csv",
        best_metric=float(best.best_model_score),
        steps=trainer.global_step,
    )


@contextmanager
def interruptible() -> Iterator[None]:
    """Ctrl-C stays a KeyboardInterrupt; Lightning makes a SystemExit of it."""
    try:
        yield
    except SystemExit as end:
        if isinstance(end.__context__, KeyboardInterrupt):
            raise end.__context__ from None
        raise


def _optional_callbacks(task: Task) -> list[Callback]:
    """Early stopping and the moving average of the weights, where the settings ask for them."""
    settings = task.settings
    out: list[Callback] = []
    if settings.patience:
        out.append(EarlyStopping(task.monitor, patience=settings.patience, check_on_train_epoch_end=False))
    if settings.average:
        out.append(EMAWeightAveraging(decay=settings.average))
    return out


def _trainer(settings: TrainingSettings, folder: Path, callbacks: list[Callback], execution: Execution) -> L.Trainer:
    """Lightning's trainer with the ``callbacks``, logs in ``folder``, and a progress bar where one is to be shown."""
    loggers: list[Logger] = [CSVLogger(folder, name="", version="")]
    if execution.tensorboard:
        loggers.append(TensorBoardLogger(folder, name="", version=""))
    return L.Trainer(
        max_epochs=settings.epochs,
        accelerator=execution.resolve(),
        devices=execution.devices,
        num_nodes=execution.nodes,
        # some parameters get no gradient in one of the tasks
        strategy="ddp_find_unused_parameters_true" if execution.devices * execution.nodes > 1 else "auto",
        accumulate_grad_batches=execution.accumulate,
        plugins=[*plugins(execution), process_group()],
        default_root_dir=folder,
        logger=loggers,
        callbacks=[*callbacks, *([FitBar()] if execution.progress and bars_shown() else [])],
        check_val_every_n_epoch=settings.validate_every,
        num_sanity_val_steps=0,
        gradient_clip_val=settings.clip or None,
        enable_progress_bar=False,  # Lightning's has one line per epoch
        enable_model_summary=False,
        use_distributed_sampler=False,
        inference_mode=False,  # the noise of some models is a gradient, in validation too
    )


def process_group() -> LightningEnvironment | TorchElasticEnvironment:
    """The processes that ``torchrun`` or ``run --devices`` started, or this one alone.

    Never a scheduler's: in a job of SLURM, Lightning would take the job's tasks for processes of this fit, refuse some
    numbers of them, and answer SIGUSR1 with a checkpoint that the next fit takes for its own.
    """
    return TorchElasticEnvironment() if TorchElasticEnvironment.detect() else LightningEnvironment()


def quiet() -> None:
    """Suppress Lightning's notices about hardware and workers."""
    for name in ("utilities.rank_zero", "accelerators.cuda", "trainer.connectors.signal_connector"):
        logging.getLogger(f"lightning.pytorch.{name}").setLevel(logging.WARNING)
    for message in (
        "does not have many workers",
        "directory .* exists and is not empty",
        "smaller than the logging interval",
        "LeafSpec",
        "The `srun` command is available",
        "It is recommended to use `self.log\\('validation_",
    ):
        warnings.filterwarnings("ignore", message=f".*{message}.*")
