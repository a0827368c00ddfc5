"""A fit that keeps freed memory (`keep_freed_memory`) gives large arrays back before the machine runs out of memory."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from lib.machine import available_memory, give_back_large_arrays, own_memory

SHARE = 0.5  # of what the machine has left after the first step


class FreedMemory(Callback):
    """Gives large arrays back once the process has grown by a `SHARE` of the memory that the machine had left.

    A process that keeps what it frees spares the system many pages in each step. But batches differ in size, so that
    the arrays of one seldom fit into the gaps that those of the last one left. With small networks the gaps are small;
    with the paper's and batches of 256 they add up to gigabytes within some hundred steps.
    """

    def __init__(self) -> None:
        """Nothing is known of the steps yet."""
        self.limit = 0.0

    def on_train_batch_end(self, trainer: L.Trainer, task: Any, *_: Any) -> None:
        """Set the limit after the first step; compare after later ones."""
        if not self.limit:
            self.limit = own_memory() + SHARE * available_memory()
        else:
            self._keep_to_limit()

    def on_validation_batch_end(self, trainer: L.Trainer, task: Any, *_: Any) -> None:
        """Validation needs memory too, once there is a limit."""
        if self.limit:
            self._keep_to_limit()

    def _keep_to_limit(self) -> None:
        if own_memory() > self.limit:
            give_back_large_arrays()
