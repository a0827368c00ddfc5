"""Freed memory goes back to the system before what a fit keeps (`keep_freed_memory`) is much more than it needs."""

from typing import Any

import lightning as L
from lightning.pytorch.callbacks import Callback

from lib.machine import available_memory, give_back_freed_memory, own_memory

GROWTH = 2.0  # times what a step needs
SHARE = 0.5  # of what the machine has left


class FreedMemory(Callback):
    """Gives freed memory back after a step where the process has grown to `GROWTH` times what one step needs.

    A process that keeps what it frees spares the system many pages in each step. But batches differ in size, so that
    the arrays of one seldom fit into the gaps that those of the last one left, and the gaps add up. Where the machine
    is short of memory, growth may take no more than a `SHARE` of the rest.
    """

    def __init__(self) -> None:
        """Nothing is known of the steps yet."""
        self.needed, self.limit = 0.0, 0.0

    def on_train_batch_end(self, trainer: L.Trainer, task: Any, *_: Any) -> None:
        """Measure what the first step needs, and the one after memory was given back; later on compare."""
        own = own_memory()
        if not self.limit:
            self.needed = max(own, self.needed)
            self.limit = min(GROWTH * self.needed, self.needed + SHARE * available_memory())
        elif own > self.limit:
            give_back_freed_memory()
            self.limit = 0.0
