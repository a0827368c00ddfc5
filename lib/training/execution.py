"""How a fit is executed: accelerator, processes, precision, progress. Importing this imports no Lightning."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.distributed as dist

from lib.errors import look_up
from lib.machine import STATIC

LAST, LOG = "last.ckpt", "progress.log"  # in the folder of a fit: the latest checkpoint, and the log to follow
MIXED: dict[str, Literal["bf16-mixed", "16-mixed"]] = {"bf16-mixed": "bf16-mixed", "16-mixed": "16-mixed"}
PRECISIONS = ("32-true", *MIXED)
ACCELERATORS: dict[str, Callable[[], bool]] = {
    "auto": lambda: True,
    "cpu": lambda: True,
    "cuda": torch.cuda.is_available,
    "gpu": torch.cuda.is_available,
}  # by name, whether this machine has one; not Apple's MPS, which lacks the float64 that energies are summed in


@dataclass(frozen=True)
class Execution:
    """How a fit is executed. This is not part of its settings: on one CPU thread equal settings give equal bits.

    Elsewhere they give the same numbers up to rounding, whatever the number of processes and micro-batches; with less
    than ``32-true`` precision, up to that precision.

    Attributes:
        progress: whether to show a progress bar; never in continuous integration (`bars_shown`).
        tensorboard: whether to write a TensorBoard log beside the CSV log.
        accelerator: a GPU where torch sees CUDA, else the CPU (``auto``); or a name of `ACCELERATORS`.
        compiled: whether layers are compiled (`models.compile_layers`).
        graphs: whether steps are CUDA graphs on padded batches (`models.graphs`), for small batches on a GPU.
        accumulate: micro-batches in which a step's batch goes through the model.
        devices: processes on each node, started from outside (``torchrun``), each with a part of every step's batch.
        nodes: number of machines.
        precision: one of `PRECISIONS`.
        workers: processes beside each training one that prepare its batches ahead; 0 prepares each when it is due.
        checkpoint_minutes: between checkpoints within an epoch, so that what is lost with a killed process is no more.
    """

    progress: bool = True
    tensorboard: bool = False
    accelerator: str = "auto"
    compiled: bool = False
    graphs: bool = False
    accumulate: int = 1
    devices: int = 1
    nodes: int = 1
    precision: str = "32-true"
    workers: int = 0
    checkpoint_minutes: float = 5.0

    def __post_init__(self) -> None:
        """Refuse what this machine cannot do, before anything is read."""
        if self.precision not in PRECISIONS:
            raise ValueError(f"no precision {self.precision!r}: choose from {PRECISIONS}")
        if not look_up(ACCELERATORS, self.accelerator, "accelerator")():
            raise ValueError(
                f"accelerator = {self.accelerator!r}: torch finds none on this machine; choose 'auto' or 'cpu'"
            )
        for name in ("accumulate", "devices", "nodes"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} = {getattr(self, name)!r} must be a whole number from 1 on")
        if self.graphs and self.compiled:
            raise ValueError("graphs = True and compiled = True: layers that are compiled are not recorded, choose one")
        if self.workers < 0:
            raise ValueError(f"workers = {self.workers!r} must be a whole number from 0 on")
        if not self.checkpoint_minutes > 0:
            raise ValueError(f"checkpoint_minutes = {self.checkpoint_minutes!r} must be above 0")

    def resolve(self) -> str:
        """The accelerator for Lightning."""
        automatic = "cuda" if torch.cuda.is_available() else "cpu"
        return automatic if self.accelerator == "auto" else self.accelerator

    def device(self) -> str:
        """The device of tensors, by torch's name."""
        kind = self.resolve()
        return "cuda" if kind == "gpu" else kind


SHOWN, QUIET = Execution(), Execution(progress=False)


def is_first_process() -> bool:
    """Whether this process is the only one, or the first of several that train together: the one that writes."""
    return not dist.is_initialized() or dist.get_rank() == 0


def bars_shown() -> bool:
    """Whether progress bars are shown: not where the environment variable ``CI`` or `machine.STATIC` is not empty."""
    return not (os.environ.get("CI") or os.environ.get(STATIC))
