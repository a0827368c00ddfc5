"""Activation functions by the names that settings give them."""

import math

from torch import Tensor, nn
from torch.nn.functional import softplus

LN2 = math.log(2.0)


def shifted_softplus(x: Tensor) -> Tensor:
    """ln(1 + exp x) - ln 2, elementwise."""
    return softplus(x) - LN2


class ShiftedSoftplus(nn.Module):
    """`shifted_softplus` as a module."""

    def forward(self, x: Tensor) -> Tensor:
        """Elementwise."""
        return shifted_softplus(x)


ACTIVATIONS: dict[str, type[nn.Module]] = {
    "silu": nn.SiLU,
    "swish": nn.SiLU,
    "ssp": ShiftedSoftplus,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "mish": nn.Mish,
}
