"""Measuring a piece of work: its time beside others', memory, operations, bytes, and what the machine could do."""

import multiprocessing
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from lib.machine import flush_denormals, one_thread
from lib.models.kernels.products import linear

Work = Callable[[], Any]
SIDE = 2048  # of the square matrices whose product is the machine's matrix rate
COPIED = 2**26  # numbers in the copy that is the machine's rate of memory: 256 MiB, beyond the caches


def timed(work: Work, device: str = "cpu") -> float:
    """Seconds of ``work``: on a CPU the processor time of the calling thread, which does all of it and which other
    processes can take no part of; on a GPU the time until it is done.
    """
    if device == "cpu":
        started = time.thread_time()
        work()
        return time.thread_time() - started
    torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    torch.cuda.synchronize()
    return time.perf_counter() - started


def take_turns(works: Sequence[Work], seconds: float, device: str = "cpu", least: int = 3) -> list[float]:
    """The fastest time of each of ``works``, which take turns, first one order and then the other.

    The fastest, because other processes, which share caches and memory, can only make a piece of work slower.

    Args:
        works: what is timed.
        seconds: how long they take turns.
        device: where they compute.
        least: how many turns each gets, whatever ``seconds`` says.
    """
    times: list[list[float]] = [[] for _ in works]
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times[0]) < least:
        forwards = list(zip(works, times, strict=True))
        for work, taken in forwards if len(times[0]) % 2 == 0 else forwards[::-1]:
            taken.append(timed(work, device))
    return [min(taken) for taken in times]


def matrix_rate(device: str = "cpu") -> float:
    """Floating-point operations per second of a float32 product of two square matrices of `SIDE`, by the faster of
    torch's own and ours.
    """
    a = torch.randn(SIDE, SIDE, device=device)
    return 2 * SIDE**3 / min(take_turns([lambda: a @ a, lambda: linear(a, a)], 0.0, device, least=5))


def copy_rate(device: str = "cpu") -> float:
    """Bytes per second that a copy in memory reads and writes."""
    source = torch.ones(COPIED, device=device)
    target = torch.empty_like(source)
    return 2 * 4 * COPIED / take_turns([lambda: target.copy_(source)], 0.0, device, least=5)[0]


def peak_memory(work: Work, device: str = "cpu") -> int:
    """Bytes allocated for tensors at once during ``work``, beyond what was there before."""
    if device != "cpu":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        work()
        return torch.cuda.max_memory_allocated() - before
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        work()
    held, peak = 0, 0
    for event in sorted(profile.profiler.kineto_results.events(), key=lambda e: e.start_ns()):
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak


class Count(TorchDispatchMode):
    """Inside, adds up what torch computes and moves, and how many denormal numbers it returns.

    Attributes:
        flops: floating-point operations of matrix products.
        moved: bytes of all tensors that go into operations and come out, views not counted: an upper bound of what
            memory moves, since a cache may hold them.
        numbers: float32 and float64 numbers that came out.
        denormal: how many of them were neither zero nor normal.
    """

    def __init__(self) -> None:
        """Begin at zero."""
        super().__init__()
        self.flops = self.moved = self.numbers = self.denormal = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Compute, and add."""
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        if func.is_view:
            return out
        products = FLOPS.get(func.overloadpacket)
        self.flops += products(*args, **kwargs, out_val=out) if products else 0
        returned = [t for t in tree_leaves(out) if isinstance(t, Tensor)]
        for t in [t for t in tree_leaves((args, kwargs)) if isinstance(t, Tensor)] + returned:
            self.moved += t.numel() * t.element_size()
        for t in returned:
            if t.dtype in (torch.float32, torch.float64):
                self.numbers += t.numel()
                self.denormal += _denormal(t)
        return out


def _product_in_place(_: Tensor, first: Tensor, second: Tensor, **__: Any) -> int:
    """Operations of ``addmm_``, which torch's own table leaves out."""
    return 2 * first.shape[0] * first.shape[1] * second.shape[1]


def _linear(first: Tensor, second: Tensor, *_: Any, **__: Any) -> int:
    """Operations of oneDNN's product of (P, K) and (N, K)."""
    return 2 * first.numel() * second.shape[0]


FLOPS = {
    **flop_registry,
    torch.ops.aten.addmm_: _product_in_place,
    torch.ops.mkldnn._linear_pointwise: _linear,
}


def _denormal(t: Tensor) -> int:
    size = t.detach().abs()
    return int(((size > 0) & (size < torch.finfo(t.dtype).tiny)).sum())


def counted(work: Work) -> Count:
    """What ``work`` takes, with denormal numbers as they are."""
    with flush_denormals(False), Count() as count:
        work()
    return count


@contextmanager
def busy_cores(processes: int) -> Iterator[None]:
    """Inside, that many other processes multiply matrices without end, a thread each."""
    others = [multiprocessing.get_context("spawn").Process(target=_multiply, daemon=True) for _ in range(processes)]
    for process in others:
        process.start()
    try:
        yield
    finally:
        for process in others:
            process.kill()
            process.join()


def _multiply() -> None:
    a = torch.randn(SIDE, SIDE)
    with one_thread():
        while True:
            torch.mm(a, a)
