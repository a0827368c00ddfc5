"""Functions of the direction of neighbour pairs: the bases of kernels that turn degree d into degree k.

    B^{kd}_J(r̂) = Σ_m Q^{kd}_{Jm} Y_{Jm}(r̂),   J = |k-d| … k+d

with Q the Wigner 3j symbols of e3nn and Y its real spherical harmonics (Fuchs, Worrall, Fischer, Welling 2020,
https://arxiv.org/abs/2006.10503). When a pair is turned round, B^{kd}_J changes its sign if J is odd.
"""

from functools import cache

import torch
from torch import Tensor


def count(k: int, d: int) -> int:
    """Number of bases between degrees ``k`` and ``d``."""
    return 2 * min(k, d) + 1


@cache
def bases(k: int, d: int, degrees: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Q^{kd} and its sign when a pair is turned round.

    Returns:
        (2, degrees², (2k+1) (2d+1) count): spherical harmonics up to degree 2 (``degrees`` - 1) in rows, columns by
        component of k, component of d, and J; then the same times (-1)^J.
    """
    from e3nn.o3 import wigner_3j

    q = torch.zeros((2 * degrees - 1) ** 2, 2 * k + 1, 2 * d + 1, count(k, d), dtype=torch.float64)
    orders = range(abs(k - d), k + d + 1)
    for f, j in enumerate(orders):
        q[j * j : (j + 1) ** 2, :, :, f] = wigner_3j(k, d, j, dtype=torch.float64).permute(2, 0, 1)
    turned = q * torch.tensor([(-1.0) ** j for j in orders], dtype=torch.float64)
    return torch.stack([q, turned]).flatten(2).to(device=device, dtype=dtype)


@cache
def bases_from_all(k: int, degrees: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """`bases` from every degree d to ``k``, side by side: (degrees², 2 (2k+1) Σ_d (2d+1) count)."""
    by_degree = [bases(k, d, degrees, dtype, device).unflatten(2, (2 * k + 1, -1)) for d in range(degrees)]
    return torch.cat(by_degree, 3).transpose(0, 1).flatten(1).contiguous()


def angular_bases(unit: Tensor, degrees: int) -> dict[int, Tensor]:
    """The bases of half pairs at directions ``unit`` (P, 3) and of the pairs turned round, for all layers.

    Returns:
        By degree k: (2P, 2k+1, Σ_d (2d+1) count), each pair followed by the same pair turned round.
    """
    from e3nn.o3 import spherical_harmonics

    y = spherical_harmonics(list(range(2 * degrees - 1)), unit, normalize=False, normalization="integral")
    return {
        k: (y @ bases_from_all(k, degrees, y.dtype, y.device)).view(
            2 * len(unit), 2 * k + 1, sum((2 * d + 1) * count(k, d) for d in range(degrees))
        )
        for k in range(degrees)
    }
