"""Batches of a structure that moves little from call to call, as in dynamics: Verlet's list of neighbours with a skin.

Verlet 1967, https://doi.org/10.1103/PhysRev.159.98. Pairs closer than the cutoff and a skin are searched once; until an
atom has moved by half of the skin, no other pair can have come within the cutoff.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from lib.batches import Batch, closer_pairs

SKIN = 0.5  # Å


@dataclass(frozen=True)
class Search:
    """A ``batch`` with the pairs within the cutoff and the skin, and ``candidates`` (2, P), each of them once."""

    batch: Batch
    candidates: Tensor

    def holds(self, z: Tensor, pos: Tensor, molecule: Tensor, skin: float) -> bool:
        """Whether the same atoms have moved so little that their pairs are among the candidates."""
        then = self.batch
        if then.pos.shape != pos.shape or not (torch.equal(then.z, z) and torch.equal(then.molecule, molecule)):
            return False
        farthest = (pos - then.pos).square_().sum(1).max().sqrt()
        return float(farthest) < 0.499 * skin  # not quite half: distances are rounded


class Neighbours:
    """Called as `Batch.from_arrays`, with tensors, it gives the same batch, mostly without a search."""

    def __init__(self, skin: float = SKIN) -> None:
        """``skin`` in Å; the list belongs to one structure at a time."""
        self.skin = skin
        self.searches: dict[float, Search] = {}  # by cutoff

    def __call__(self, z: Tensor, pos: Tensor, molecule: Tensor, cutoff: float) -> Batch:
        """The batch of atom types ``z`` (A,) at ``pos`` (A, 3) Å, with the pairs closer than ``cutoff`` Å.

        Raises:
            ValueError: as `Batch.from_arrays`.
        """
        last = self.searches.get(cutoff)
        if last is None or not last.holds(z, pos, molecule, self.skin):
            batch = Batch.from_arrays(z, pos, molecule, cutoff + self.skin)
            last = Search(batch, batch.pairs[:, : batch.pairs.shape[1] // 2])
            self.searches[cutoff] = last
        return replace(last.batch, pos=pos, pairs=closer_pairs(pos, last.candidates, cutoff))
