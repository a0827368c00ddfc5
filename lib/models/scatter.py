"""Sums over neighbours and over the atoms of a molecule."""

import torch
from torch import Tensor

from lib.batches import Batch


def scatter(source: Tensor, index: Tensor, size: int) -> Tensor:
    """Rows of ``source`` (N, …) summed by ``index`` (N,) into (size, …).

    The same as ``torch_geometric.utils.scatter(source, index, 0, size, "sum")``, whose gradient takes about twice as
    long on a CPU.
    """
    return source.new_zeros(size, *source.shape[1:]).index_add(0, index, source)


def occurrences(index: Tensor, size: int, dtype: torch.dtype) -> Tensor:
    """How often each of the numbers below ``size`` is in ``index`` (N,), as ``torch.bincount``, for whose result the
    processor would wait on a GPU.
    """
    return scatter(torch.ones(len(index), dtype=dtype, device=index.device), index, size)


def pool(h: Tensor, batch: Batch, how: str = "sum") -> Tensor:
    """Features of atoms (n_atoms, F) to those of molecules (n_molecules, F): ``sum``, ``mean`` or ``max``."""
    if how == "max":
        index = batch.molecule.unsqueeze(1).expand_as(h)
        return h.new_zeros(batch.n_molecules, h.shape[1]).scatter_reduce(0, index, h, "amax", include_self=False)
    total = scatter(h, batch.molecule, batch.n_molecules)
    if how == "sum":
        return total
    return total / occurrences(batch.molecule, batch.n_molecules, h.dtype).unsqueeze(1)
