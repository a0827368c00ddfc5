"""Functions of neighbour pairs in chunks that stay in the processor's cache, with gradients written out.

Written as a chain of tensor operations, a message function writes and reads a dozen arrays of (pairs x width) in main
memory, forward and backward. In chunks, only what the backward pass needs is written. A function gives `plain` (the
chain, on all devices, with derivatives of any order), and `forward` and `backward` in chunks; `apply_chunked` chooses.
"""

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

Arguments = Sequence[Tensor | None]
CACHE = 2**17  # numbers in one array of a chunk: 0.5 MiB of float32


def chunks(pairs: int, width: int) -> Iterator[slice]:
    """Slices of ``pairs`` rows of ``width`` numbers, `CACHE` numbers each."""
    size = max(1, CACHE // width)
    return (slice(start, start + size) for start in range(0, pairs, size))


def apply_chunked(function: type["ChunkedFunction"], *arguments: Tensor | None) -> tuple[Tensor, ...]:
    """``function`` of ``arguments``: in chunks on a CPU in full precision, else as the plain chain."""
    first = next(a for a in arguments if a is not None)
    if first.device.type != "cpu" or torch.is_autocast_enabled("cpu") or torch.compiler.is_compiling():
        return function.plain(*arguments)
    return function.apply(*arguments)


class ChunkedFunction(torch.autograd.Function):
    """An autograd function that falls back on `plain` for derivatives of derivatives."""

    @staticmethod
    @abstractmethod
    def plain(*arguments: Tensor | None) -> tuple[Tensor, ...]:
        """The chain of operations."""

    @staticmethod
    @abstractmethod
    def first_order(arguments: Arguments, kept: Arguments, gradients: Arguments) -> list[Tensor | None]:
        """Gradients of ``arguments`` in chunks, from those of the outputs and what `forward` ``kept``."""

    @classmethod
    def backward(cls, ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of all arguments."""
        arguments, kept = ctx.saved_tensors[: ctx.n_arguments], ctx.saved_tensors[ctx.n_arguments :]
        if not torch.is_grad_enabled():
            return tuple(cls.first_order(arguments, kept, gradients))
        # views: one argument may depend on another, and its gradient must not go on into that one here
        arguments = [None if a is None else a.view_as(a) for a in arguments]
        wanted = [k for k, needed in enumerate(ctx.needs_input_grad) if needed]
        found = torch.autograd.grad(
            cls.plain(*arguments), [arguments[k] for k in wanted], gradients, create_graph=True, allow_unused=True
        )
        out: list[Tensor | None] = [None] * len(arguments)
        for k, gradient in zip(wanted, found, strict=True):
            out[k] = gradient
        return tuple(out)
