"""How a process computes while it trains: one thread, and denormal floats taken as zero."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def one_thread() -> Iterator[None]:
    """One thread inside: a run gives the same bits whatever the number of cores, and as many runs share the cores.

    Several threads do not pay for small systems: they wait for one another more than they work.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def flush_denormals() -> Iterator[None]:
    """Inside, the processor takes denormal floats (below about 1e-38 in float32) as zero, where it can.

    The second moments of Adam and the tails of Gaussians reach them, and some processors take many times as long for
    each. The setting belongs to the calling thread; outside it is as it was before.
    """
    before = denormals_flushed()
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(before)


def denormals_flushed() -> bool:
    """Whether the calling thread takes denormal floats as zero."""
    smallest_normal = sys.float_info.min
    return smallest_normal / 2 == 0
