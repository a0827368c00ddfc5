"""Functions of neighbour pairs in chunks that stay in the processor's cache, with gradients written out.

Written as a chain of tensor operations, a message function writes and reads a dozen arrays of (pairs x width) in main
memory, forward and backward. In chunks, only what the backward pass needs is written.
"""

from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

# Tensors, or None where a formula goes without one: its signature says which can be missing, and autograd hands them
# over by position alone, so that their types end here.
Arguments = Sequence[Any]
CACHE = 2**17  # numbers in one array of a chunk: 0.5 MiB of float32


def chunks(pairs: int, width: int) -> Iterator[slice]:
    """Slices of ``pairs`` rows of ``width`` numbers, `CACHE` numbers each."""
    size = max(1, CACHE // width)
    return (slice(start, start + size) for start in range(0, pairs, size))


def zeros_for(arguments: Arguments) -> list[Any]:
    """Zeros to add gradients to, one for each argument that can have one."""
    return [torch.zeros_like(a) if isinstance(a, Tensor) and a.is_floating_point() else None for a in arguments]


class ChunkedFunction(torch.autograd.Function):
    """A plain formula and its gradient in chunks; derivatives of derivatives are those of the plain formula."""

    @staticmethod
    @abstractmethod
    def outputs(*arguments: Any) -> tuple[Any, Arguments]:
        """What the plain formula returns, and what `gradients` needs beside the arguments."""

    @staticmethod
    @abstractmethod
    def gradients(arguments: Arguments, saved: Arguments, of_outputs: Arguments) -> list[Tensor | None]:
        """Gradients of ``arguments``, from those ``of_outputs`` and what `outputs` ``saved``."""

    @staticmethod
    def supports(*arguments: Any) -> bool:
        """Whether the chunks pay, and give every gradient that these arguments need."""
        return True

    @classmethod
    def forward(cls, ctx: Any, plain: Callable, *arguments: Any) -> Any:
        """`outputs` of ``arguments``, which are those of ``plain``: tensors, None, and settings of the formula."""
        outputs, saved = cls.outputs(*arguments)
        tensors = [a if isinstance(a, Tensor) else None for a in arguments]
        ctx.plain, ctx.n_arguments = plain, len(arguments)
        ctx.settings = [None if isinstance(a, Tensor) else a for a in arguments]
        ctx.save_for_backward(*tensors, *saved)
        return outputs

    @classmethod
    def backward(cls, ctx: Any, *of_outputs: Tensor | None) -> tuple[Tensor | None, ...]:
        """Gradients of all arguments, none of the formula."""
        tensors, saved = ctx.saved_tensors[: ctx.n_arguments], ctx.saved_tensors[ctx.n_arguments :]
        arguments = [s if t is None else t for t, s in zip(tensors, ctx.settings, strict=True)]
        if not torch.is_grad_enabled():
            return (None, *cls.gradients(arguments, saved, of_outputs))
        # views: one argument may depend on another, and its gradient must not go on into that one here
        arguments = [a.view_as(a) if isinstance(a, Tensor) else a for a in arguments]
        needed = [a for a, need in zip(arguments, ctx.needs_input_grad[1:], strict=True) if need]
        outputs = ctx.plain(*arguments)
        outputs = [outputs] if isinstance(outputs, Tensor) else [o for o in outputs if o is not None]
        given = [gradient for gradient in of_outputs if gradient is not None]
        gradients = iter(torch.autograd.grad(outputs, needed, given, create_graph=True, allow_unused=True))
        return (None, *(next(gradients) if need else None for need in ctx.needs_input_grad[1:]))
