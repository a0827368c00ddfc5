"""Matrix products by oneDNN, where the library behind torch's own holds back.

torch multiplies float32 matrices with Intel's MKL, which on processors of other makers leaves the wide instructions
(AVX-512) aside: on an AMD EPYC it makes 100 GFLOP/s and oneDNN, which torch has too, 240. Results differ by rounding.
"""

from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lib.machine import has_wide_instructions_that_mkl_leaves
from lib.models import kernels

LEAST = 2**20  # multiplications from which on oneDNN is faster on such a processor: it takes 10 µs to start
NARROW = 128  # columns of a product below which memory limits both


@cache
def preferred() -> bool:
    """Whether this processor and this torch are such that oneDNN is the faster one."""
    has_it = torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")
    return has_it and torch.backends.mkl.is_available() and has_wide_instructions_that_mkl_leaves()


class OneDNNLinear(torch.autograd.Function):
    """x Wᵀ + b; its gradients are such products too, so that it has derivatives of every order."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """(P, N) of ``x`` (P, K), ``weight`` (N, K) and ``bias`` (N,) or None."""
        x, weight = _dense(x), _dense(weight)
        ctx.save_for_backward(x, weight)
        ctx.has_bias = bias is not None
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")

    @staticmethod
    def backward(ctx: Any, *of_outputs: Tensor) -> tuple[Tensor | None, ...]:
        """Gradients of the arguments that need one."""
        (x, weight), (of_out,) = ctx.saved_tensors, of_outputs
        of_x = linear(of_out, weight.t()) if ctx.needs_input_grad[0] else None
        of_weight = outer(of_out, x) if ctx.needs_input_grad[1] else None
        return of_x, of_weight, of_out.sum(0) if ctx.has_bias and ctx.needs_input_grad[2] else None


def _dense(matrix: Tensor) -> Tensor:
    """The same without gaps between its rows or its columns, across which oneDNN would be a thousand times slower."""
    return matrix if matrix.is_contiguous() or matrix.t().is_contiguous() else matrix.contiguous()


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """The product x Wᵀ + b (…, N) of ``x`` (…, K), ``weight`` (N, K) and ``bias`` (N,), as torch has it."""
    large = len(weight) >= NARROW and x.numel() * len(weight) >= LEAST
    if not (kernels.enabled(x) and large and x.dtype == torch.float32 and x.device.type == "cpu" and preferred()):
        return functional.linear(x, weight, bias)
    if x.dim() == 2:
        return OneDNNLinear.apply(x, weight, bias)
    return OneDNNLinear.apply(x.flatten(0, -2), weight, bias).unflatten(0, x.shape[:-1])


def outer(first: Tensor, second: Tensor) -> Tensor:
    """Σ_p first_p second_pᵀ (N, K) of ``first`` (P, N) and ``second`` (P, K): the gradient of a weight.

    With the second one first: of the two orders that a library has, the faster one where it is the narrower.
    """
    return linear(second.t(), first.t()).t()


class Linear(nn.Linear):
    """torch's layer, computed by `linear`."""

    def forward(self, x: Tensor) -> Tensor:
        """(…, N) of ``x`` (…, K)."""
        return linear(x, self.weight, self.bias)
