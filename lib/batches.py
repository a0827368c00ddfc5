"""Batch: molecules laid end to end with their neighbour pairs, the one graph format of all models.

Pairs are exact: every two atoms of one molecule closer than the cutoff, in both directions, with no cap on their number
(a cap makes the answer depend on the order of atoms). ``pairs[:, :P]`` holds each pair once, receiver after sender in
atom order, and ``pairs[:, P:]`` the same pairs turned round, so that what depends on distance alone is computed once.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from scipy.spatial import cKDTree
from torch import Tensor

from lib.chemistry.atom_types import ATOM_TYPES, NUMBERS, atom_types
from lib.machine import flush_denormals

if TYPE_CHECKING:
    from torch_geometric.data import Data

Array = np.ndarray | Tensor
ALL_PAIRS = 350  # atoms of a molecule up to which forming all pairs is faster than a tree of them


@dataclass(frozen=True)
class Batch:
    """B molecules, A atoms, 2P directed neighbour pairs.

    Attributes:
        z: (A,) atom types 0 … 27, int64 (`atom_types.ATOM_TYPES`, not atomic numbers).
        pos: (A, 3) Å, the coordinates that the model sees.
        molecule: (A,) molecule of each atom, 0 … B-1, ascending.
        pairs: (2, 2P) receiver and sender atom of each directed pair.
        n_molecules: B.
        energy: (B,) target, float64 kcal/mol, where there is one.
        forces: (A, 3) target, kcal/mol/Å, where there is one.
        noise: (A, 3) Å, what was added to the clean coordinates, where something was.
        told: (A, 3) forces that a network takes in beside the coordinates (`models.base.Settings.told_forces`), in
            units of the scaled target per Å; None where it is told none.
        index: (B,) conformation numbers in the data set, where known.
        loss_weight: by which the loss, a mean over the batch, is multiplied: 1 for a whole step's batch; of a step that
            is divided into n batches, n times the fraction of its conformations that are in this one.
        filled: whether the last molecule only fills the batch up (`models.graphs.padded`): it has no energy.
    """

    z: Tensor
    pos: Tensor
    molecule: Tensor
    pairs: Tensor
    n_molecules: int
    energy: Tensor | None = None
    forces: Tensor | None = None
    noise: Tensor | None = None
    index: Tensor | None = None
    loss_weight: float = 1.0
    told: Tensor | None = None
    filled: bool = False

    @staticmethod
    def from_arrays(
        z: Array, pos: Array, molecule: Array, cutoff: float = 5.0, *, energy: Array | None = None,
        forces: Array | None = None, noise: Array | None = None, index: Array | None = None,
    ) -> "Batch":  # fmt: skip
        """Build a batch, neighbour pairs included, from flat arrays.

        Args:
            z: (A,) atom types.
            pos: (A, 3) Å.
            molecule: (A,) molecule of each atom, ascending from 0.
            cutoff: Å; atoms closer than this are neighbours.
            energy: (B,) as in `Batch`, like the three that follow.
            forces: (A, 3).
            noise: (A, 3).
            index: (B,).

        Raises:
            ValueError: a type outside the vocabulary, coordinates that are not finite, shapes that differ, or
                atoms of a molecule that are not together.
        """
        z, pos, molecule = (torch.as_tensor(a) for a in (z, pos, molecule))
        z, molecule = z.long(), molecule.long()
        if not len(z) or pos.shape != (len(z), 3) or molecule.shape != z.shape:
            raise ValueError(
                f"z, pos, molecule have shapes {[tuple(a.shape) for a in (z, pos, molecule)]}: "
                "give (A,), (A, 3), (A,) with at least one atom"
            )
        if int(z.min()) < 0 or int(z.max()) >= len(ATOM_TYPES):
            raise ValueError(
                f"atom types run from {int(z.min())} to {int(z.max())}, not within 0 … "
                f"{len(ATOM_TYPES) - 1}: convert with lib.chemistry.atom_types.atom_types"
            )
        if not torch.isfinite(pos).all():
            atom = int(torch.nonzero(~torch.isfinite(pos))[0, 0])
            raise ValueError(f"coordinates of atom {atom} are {pos[atom].tolist()}: remove that conformation")
        step = molecule.diff()
        if int(molecule[0]) != 0 or bool(((step < 0) | (step > 1)).any()):
            raise ValueError(f"molecule numbers {molecule.tolist()[:12]} … must ascend from 0 without gaps")
        n_molecules = int(molecule[-1]) + 1
        pairs = neighbour_pairs(pos, molecule, n_molecules, cutoff)
        return Batch(
            z, pos, molecule, pairs, n_molecules,
            energy=_fitting("energy", energy, (n_molecules,)), forces=_fitting("forces", forces, pos.shape),
            noise=_fitting("noise", noise, pos.shape), index=_fitting("index", index, (n_molecules,)),
        )  # fmt: skip

    @staticmethod
    def from_pyg(graphs: "Sequence[Data]", cutoff: float = 5.0) -> "Batch":
        """Build a batch from torch_geometric graphs, a molecule each.

        Args:
            graphs: each with ``z`` (N,) atomic numbers and ``pos`` (N, 3) Å, and where they have them ``charges`` (N,)
                formal charges (else 0), ``y`` the energy, a number of any shape, and ``force`` (N, 3), in kcal/mol and
                kcal/mol/Å.
            cutoff: Å; atoms closer than this are neighbours. Edges that the graphs bring are left aside.

        Raises:
            ValueError: no graphs, energies or forces of some of them only, or a pair of element and charge that is
                none of the 28 atom types.
        """
        if not graphs:
            raise ValueError("graphs = []: give at least one torch_geometric Data")
        z = torch.cat([graph.z for graph in graphs])
        charges = torch.cat([graph.charges if "charges" in graph else torch.zeros_like(graph.z) for graph in graphs])
        targets = {}
        for name, theirs in (("energy", "y"), ("forces", "force")):
            values = [value for graph in graphs if (value := getattr(graph, theirs, None)) is not None]
            if values and len(values) < len(graphs):
                raise ValueError(f"{len(values)} of {len(graphs)} graphs have {theirs}: give it to all or to none")
            if values:
                if theirs == "y":
                    values = [torch.as_tensor(value, dtype=torch.float64).reshape(-1) for value in values]
                targets[name] = torch.cat(values)
        sizes = torch.tensor([len(graph.z) for graph in graphs])
        molecule = torch.repeat_interleave(torch.arange(len(graphs)), sizes)
        types = atom_types(z.numpy(), charges.numpy())
        return Batch.from_arrays(types, torch.cat([g.pos for g in graphs]), molecule, cutoff, **targets)

    def to_pyg(self) -> "list[Data]":
        """The molecules as torch_geometric graphs with the fields of `from_pyg`, and the neighbour pairs as
        ``edge_index`` (2, E) of sender and receiver, each pair in both directions.
        """
        from torch_geometric.data import Data

        pairs_of = torch.tensor([NUMBERS.tolist(), [charge for _, charge in ATOM_TYPES]]).T
        ends = torch.bincount(self.molecule.cpu(), minlength=self.n_molecules).cumsum(0).tolist()
        owner, graphs = self.molecule[self.pairs[0]], []
        for k, (start, end) in enumerate(zip([0, *ends], ends, strict=False)):
            z, charges = pairs_of[self.z[start:end].cpu()].unbind(1)
            own = {} if self.energy is None else {"y": self.energy[k : k + 1]}
            own |= {} if self.forces is None else {"force": self.forces[start:end]}
            edges = self.pairs[:, owner == k].flip(0) - start
            graphs.append(Data(z=z, pos=self.pos[start:end], charges=charges, edge_index=edges, **own))
        return graphs

    def pin_memory(self) -> "Batch":
        """The batch in page-locked memory, for torch's data loader."""
        values: dict[str, Any] = {f.name: getattr(self, f.name) for f in fields(self)}
        pinned: dict[str, Any] = {name: t.pin_memory() for name, t in values.items() if isinstance(t, Tensor)}
        return replace(self, **pinned)

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> "Batch":
        """The batch on ``device``, its coordinates, forces and noise as ``dtype`` where one is given."""
        moved = {
            f.name: getattr(self, f.name).to(device) for f in fields(self) if isinstance(getattr(self, f.name), Tensor)
        }
        if dtype is not None:
            moved |= {key: moved[key].to(dtype) for key in ("pos", "forces", "noise", "told") if key in moved}
        return replace(self, **moved)


def _fitting(name: str, value: Array | None, shape: tuple[int, ...]) -> Tensor | None:
    """``value`` as a tensor, where there is one, of this ``shape``; another one would be broadcast without a word.

    Raises:
        ValueError: it has another.
    """
    if value is None:
        return None
    tensor = torch.as_tensor(value)
    if tensor.shape != shape:
        numbers = "one number a molecule" if len(shape) == 1 else "three numbers an atom"
        raise ValueError(f"{name} has shape {tuple(tensor.shape)}, not {tuple(shape)}: give {numbers}")
    return tensor


def capped(batch: Batch, most: int) -> Batch:
    """``batch`` without the pairs in which one atom is not among the other's first ``most`` neighbours, in atom order.

    Which those are depends on the order of atoms, so that energies do too: it is here to measure what a cap does.
    """
    receiver, sender = batch.pairs
    order = torch.argsort(receiver * len(batch.z) + sender)
    by_receiver = receiver[order]
    place = torch.empty_like(order)
    place[order] = torch.arange(len(order), device=order.device) - torch.searchsorted(by_receiver, by_receiver)
    near = (place < most).unflatten(0, (2, -1)).all(0).nonzero().squeeze(1)
    half = batch.pairs[:, : len(receiver) // 2].index_select(1, near)
    return replace(batch, pairs=torch.cat([half, half.flip(0)], dim=1))


def neighbour_pairs(pos: Tensor, molecule: Tensor, n_molecules: int, cutoff: float) -> Tensor:
    """Directed pairs (2, 2P) of atoms of one molecule closer than ``cutoff`` Å, ordered as in the module's docstring.

    Of small molecules all pairs are formed and cut by distance; a batch with a molecule of more than `ALL_PAIRS` atoms
    on the CPU is searched with a tree, whose time grows with the number of atoms and not with its square.
    """
    counts = torch.bincount(molecule, minlength=n_molecules)
    if pos.device.type == "cpu" and int(counts.max()) > ALL_PAIRS:
        receiver, sender = _candidates_by_tree(pos, molecule, cutoff)
    else:
        receiver, sender = _all_candidates(counts, molecule)
    return closer_pairs(pos, torch.stack([receiver, sender]), cutoff)


def closer_pairs(pos: Tensor, candidates: Tensor, cutoff: float) -> Tensor:
    """Of ``candidates`` (2, P), each once, those closer than ``cutoff`` Å: in their order, then turned round."""
    with torch.no_grad():
        delta = pos.index_select(0, candidates[0]) - pos.index_select(0, candidates[1])
        near = ((delta * delta).sum(1) < cutoff * cutoff).nonzero().squeeze(1)
    half = candidates.index_select(1, near)
    return torch.cat([half, half.flip(0)], dim=1)


def _all_candidates(counts: Tensor, molecule: Tensor) -> tuple[Tensor, Tensor]:
    """Receivers and senders of all pairs within molecules, by index arithmetic: each atom with those before it."""
    atom = torch.arange(len(molecule), device=molecule.device)
    before = atom - (counts.cumsum(0) - counts)[molecule]  # atoms of the same molecule with a smaller number
    receiver = torch.repeat_interleave(atom, before)
    shift = torch.repeat_interleave(before.cumsum(0) - atom, before)
    return receiver, torch.arange(len(receiver), device=molecule.device) - shift


def _candidates_by_tree(pos: Tensor, molecule: Tensor, cutoff: float) -> tuple[Tensor, Tensor]:
    """Receivers and senders of the pairs within molecules that are closer than ``cutoff`` or hardly farther.

    The tree has four dimensions: molecules lie apart in the fourth. It works in float64 and a little beyond the cutoff,
    so that `neighbour_pairs` decides on the edge. Where denormals are flushed, SciPy's tree divides points at zero
    without end, until the process dies.
    """
    points = torch.cat([pos.detach().double(), molecule.unsqueeze(1) * (4.0 * cutoff)], dim=1)
    with flush_denormals(False):
        pairs = cKDTree(points.numpy()).query_pairs(cutoff * (1 + 1e-5), output_type="ndarray")
    sender, receiver = torch.from_numpy(pairs[np.lexsort(pairs.T)]).unbind(1)
    return receiver, sender
