"""Training steps as CUDA graphs, for small batches, in which a GPU waits for the processor to launch one kernel after
another: a graph is recorded once and launched whole (https://docs.pytorch.org/docs/stable/notes/cuda.html#cuda-graphs).

A graph needs the same shapes at each replay, so batches are padded to a few sizes, and an answer that nothing on the
GPU has to wait for: models therefore ask for no number of a tensor on their way. On a CPU the batches are padded alike
and computed as ever. Evaluation, forces and networks that are told forces stay without graphs.
"""

import math
from typing import Any

import torch
from torch import Tensor, nn

from lib.batches import Batch
from lib.models.base import Model
from lib.models.prediction import Prediction

MOST = 24  # graphs of a model; batches of further sizes are computed without
MOST_NEIGHBOURS = 32  # pairs that a padding atom has at most, on average
RADIUS = 2.0  # Å, of the circle on which padding atoms lie


def size_class(count: int) -> int:
    """The smallest number from ``count`` on of the form m 2^e with m = 4 … 7: at most a quarter larger."""
    power = max(0, (count - 1).bit_length() - 3)
    return -(-count // 2**power) * 2**power


def padded(batch: Batch) -> Batch:
    """``batch`` with one more molecule, whose atoms and pairs fill it up to numbers of `size_class`; no targets."""
    half, atoms = batch.pairs.shape[1] // 2, len(batch.z)
    more_pairs = size_class(half + 1) - half
    more_atoms = size_class(atoms + max(3, math.ceil(more_pairs / MOST_NEIGHBOURS))) - atoms
    device, number = batch.pos.device, torch.arange(more_atoms, device=batch.pos.device)
    angle = (2 * math.pi / more_atoms) * number
    circle = RADIUS * torch.stack([angle.cos(), angle.sin(), torch.zeros_like(angle)], 1).to(batch.pos.dtype)
    pair = torch.arange(more_pairs, device=device)
    first = pair % more_atoms
    second = (first + 1 + pair // more_atoms % (more_atoms - 1)) % more_atoms
    pairs = torch.cat([batch.pairs[:, :half], atoms + torch.stack([first, second])], 1)
    return Batch(
        z=torch.cat([batch.z, torch.zeros_like(number)]),
        pos=torch.cat([batch.pos, circle]),
        molecule=torch.cat([batch.molecule, torch.full_like(number, batch.n_molecules)]),
        pairs=torch.cat([pairs, pairs.flip(0)], 1),
        n_molecules=batch.n_molecules + 1,
        filled=True,
    )


class OfTensors(nn.Module):
    """A model as a function of tensors, which is what can be recorded."""

    def __init__(self, model: Model, batch: Batch, energy: bool, noise: bool) -> None:
        """For batches of the sizes of ``batch``."""
        super().__init__()
        self.model, self.asked, self.n_molecules = model, (energy, noise), batch.n_molecules

    def forward(self, z: Tensor, pos: Tensor, molecule: Tensor, pairs: Tensor) -> tuple[Tensor, ...]:
        """Energy and noise, those that are asked for."""
        batch = Batch(z, pos, molecule, pairs, self.n_molecules, filled=True)
        answer = type(self.model).forward(self.model, batch, *self.asked)
        return tuple(value for value in (answer.energy, answer.noise) if value is not None)


class GraphedForward:
    """The ``forward`` of a model in training: pad, replay the graph of that size, take the padding off."""

    def __init__(self, model: Model) -> None:
        """Graphs of ``model`` are recorded when a size is first met."""
        self.model = model
        self.graphs: dict[tuple[int, ...], Any] = {}

    def __deepcopy__(self, memo: dict[int, Any]) -> "GraphedForward":
        """For the copy of the model, which records its own graphs."""
        return GraphedForward(memo.get(id(self.model), self.model))

    def __call__(self, batch: Batch, energy: bool = True, noise: bool = True) -> Prediction:
        """As `Model.forward`."""
        if not torch.is_grad_enabled() or batch.pos.requires_grad or batch.told is not None:
            return type(self.model).forward(self.model, batch, energy, noise)
        filled = padded(batch)
        answers = list(self._function(filled, energy, noise)(filled.z, filled.pos, filled.molecule, filled.pairs))
        return Prediction(
            energy=answers.pop(0) if energy else None,
            noise=answers.pop(0)[: len(batch.z)] if noise else None,
        )

    def _function(self, batch: Batch, energy: bool, noise: bool) -> Any:
        """What computes batches of that size: a graph on a GPU, unless there are `MOST` of them."""
        function = OfTensors(self.model, batch, energy, noise)
        if batch.pos.device.type != "cuda":
            return function
        key = (len(batch.z), batch.pairs.shape[1], batch.n_molecules, energy, noise)
        if key not in self.graphs and len(self.graphs) < MOST:
            sample = tuple(t.clone() for t in (batch.z, batch.pos, batch.molecule, batch.pairs))
            self.graphs[key] = torch.cuda.make_graphed_callables(function, sample, allow_unused_input=True)
        return self.graphs.get(key, function)


def use_graphs(model: Model) -> None:
    """From now on ``model`` trains by graphs, in place; its parameters and their names stay as they are."""
    model.forward = GraphedForward(model)  # type: ignore[method-assign]
