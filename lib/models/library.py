"""What the wrapped models of other libraries share: our neighbour pairs in place of a library's search.

A library's model hands coordinates and each atom's molecule to its own neighbour search. `OurPairs` takes that search's
place, and the batch's pairs take the place of the molecule numbers, of which the library makes no other use.
"""

import torch
from torch import Tensor, nn

from lib.models.radial import NEAREST, envelope


class OurPairs(nn.Module):
    """A neighbour search that returns the pairs it is given, and each atom paired with itself."""

    def forward(self, pos: Tensor, pairs: Tensor, *_: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
        """The library's edges of coordinates ``pos`` (A, 3) Å with ``pairs`` (2, 2P).

        Returns:
            Edges (2, 2P+A), their lengths (2P+A,) Å, and the first atom minus the second (2P+A, 3) Å; zero from an
            atom to itself.
        """
        itself = torch.arange(len(pos), device=pos.device)
        delta = pos.index_select(0, pairs[0]) - pos.index_select(0, pairs[1])
        distance = (delta * delta).sum(1).clamp(min=NEAREST**2).sqrt()
        edges = torch.cat([pairs, torch.stack([itself, itself])], 1)
        return edges, torch.cat([distance, pos.new_zeros(len(pos))]), torch.cat([delta, torch.zeros_like(pos)])


class Envelope(nn.Module):
    """`radial.envelope` as a module, in place of a library's half cosine."""

    def __init__(self, cutoff: float) -> None:
        """``cutoff`` in Å."""
        super().__init__()
        self.upper = cutoff

    def forward(self, distance: Tensor) -> Tensor:
        """The envelope at ``distance`` Å, of its shape."""
        return envelope(distance, self.upper)


def adapt(net: nn.Module, cutoff: float, smooth: bool) -> nn.Module:
    """``net`` of a library on our pairs; where ``smooth``, its messages end with `radial.envelope` at ``cutoff`` Å."""
    net.distance = OurPairs()
    for module in net.modules():
        if smooth and isinstance(getattr(module, "cutoff", None), nn.Module):
            module.cutoff = Envelope(cutoff)
    return net
