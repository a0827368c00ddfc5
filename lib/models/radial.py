"""Distances of neighbour pairs and functions of them: radial bases and cutoffs.

A batch holds each pair twice, turned round in its second half (`batches.Batch`); what depends on distance alone is
computed for the first half only.
"""

import math

import torch
from torch import Tensor, nn

from lib.batches import Batch

NEAREST = 1e-6  # Å; closer atoms count as that far apart, so that directions and gradients stay finite


def half_pairs(batch: Batch, pos: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Receiver (P,), sender (P,), receiver minus sender (P, 3) Å and distance (P,) Å of each pair, once."""
    receiver, sender = batch.pairs[:, : batch.pairs.shape[1] // 2]
    delta = pos.index_select(0, receiver) - pos.index_select(0, sender)
    return receiver, sender, delta, (delta * delta).sum(1).clamp(min=NEAREST**2).sqrt()


def cosine_cutoff(distance: Tensor, lower: float, upper: float) -> Tensor:
    """Half a cosine from 1 at 0 to 0 at ``upper``; with ``lower`` > 0 a bump between the two (TorchMD-Net's)."""
    if lower > 0:
        inside = (distance < upper) & (distance > lower)
        return 0.5 * (torch.cos(math.pi * (2 * (distance - lower) / (upper - lower) + 1.0)) + 1.0) * inside
    return 0.5 * (torch.cos(distance * (math.pi / upper)) + 1.0) * (distance < upper)


def envelope(distance: Tensor, cutoff: float | Tensor) -> Tensor:
    """A polynomial from 1 at 0 to 0 at ``cutoff`` (one, or one a pair), there with zero first and second derivative.

    Source: Gasteiger, Groß, Günnemann 2020, equation 8 with p = 6, https://arxiv.org/abs/2003.03123.
    """
    x = distance / cutoff
    return (1 - x**6 * (28 - 48 * x + 21 * x * x)) * (x < 1)


class GaussianBasis(nn.Module):
    """exp(c (d - o_k)²) at evenly spaced o_k; c = -1/2 over their spacing squared."""

    coeff: Tensor
    offset: Tensor

    def __init__(self, count: int, lower: float, upper: float, trainable: bool) -> None:
        """``count`` centres from ``lower`` to ``upper`` Å."""
        super().__init__()
        offset = torch.linspace(lower, upper, count)
        coeff = -0.5 / (offset[1] - offset[0]) ** 2
        for name, value in (("coeff", coeff), ("offset", offset)):
            if trainable:
                self.register_parameter(name, nn.Parameter(value))
            else:
                self.register_buffer(name, value)

    def forward(self, distance: Tensor) -> Tensor:
        """(P, count) of ``distance`` (P,) Å."""
        return torch.exp(self.coeff * (distance.unsqueeze(1) - self.offset) ** 2)


class ExpNormalBasis(nn.Module):
    """cutoff(d) exp(-β_k (exp(-α (d - lower)) - μ_k)²).

    Source: Unke, Meuwly 2019, https://doi.org/10.1021/acs.jctc.9b00181.
    """

    means: Tensor
    betas: Tensor

    def __init__(self, count: int, lower: float, upper: float, trainable: bool) -> None:
        """Centres evenly spaced in exp(-d), between the cutoffs in Å."""
        super().__init__()
        self.lower, self.upper, self.alpha = lower, upper, 5.0 / (upper - lower)
        start = math.exp(lower - upper)
        means = torch.linspace(start, 1, count)
        betas = torch.full((count,), (2 / count * (1 - start)) ** -2)
        for name, value in (("means", means), ("betas", betas)):
            if trainable:
                self.register_parameter(name, nn.Parameter(value))
            else:
                self.register_buffer(name, value)

    def forward(self, distance: Tensor) -> Tensor:
        """(P, count) of ``distance`` (P,) Å."""
        d = distance.unsqueeze(1)
        near = torch.exp(self.alpha * (self.lower - d)) - self.means
        return cosine_cutoff(d, 0.0, self.upper) * torch.exp(-self.betas * near**2)


RADIAL_BASES: dict[str, type[nn.Module]] = {"expnorm": ExpNormalBasis, "gauss": GaussianBasis}
