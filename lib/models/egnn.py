"""EGNN: E(n)-equivariant graph neural network with coordinate updates.

Satorras, Hoogeboom, Welling 2021, https://arxiv.org/abs/2102.09844, with the paper's read-out (sections 2.2 and 2.4).
Layer t:

    m_ij = a_ij · SiLU(W2 SiLU(W1 [h_i, h_j, |x_i - x_j|²] + b1) + b2),   a_ij = sigmoid(w_a m_ij)
    x_i <- x_i + mean_j (x_i - x_j) / (|x_i - x_j| + 1e-8) · tanh(w_x SiLU(W_x m_ij))
    h_i <- h_i + W4 SiLU(W3 [h_i, Σ_j m_ij])
    energy = MLP(Σ_i h_i),   noise = x^(T) - x^(0)

Neighbours are those of the input coordinates in every layer. W1 is applied to atoms before the pairs are formed: the
same function as on concatenated edge inputs, for fewer operations. Parameter names are those of the released code.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from lib.batches import Batch
from lib.elements import ATOM_TYPES
from lib.models.prediction import Prediction
from lib.models.radial import envelope, half_pairs


@dataclass(frozen=True)
class EGNNSettings:
    """Settings of `EGNN`; the defaults are the paper's (S3 and the released checkpoint)."""

    hidden_channels: int = 256
    n_layers: int = 5
    residual: bool = True
    attention: bool = True
    normalize: bool = True
    tanh: bool = True
    cutoff: float = 5.0  # Å
    smooth_cutoff: bool = False  # messages times `radial.envelope`, and a mean over 1 + Σ envelope


class EGNNLayer(nn.Module):
    """One message-passing layer; ``h`` (A, F), ``x`` (A, 3), pairs (2, 2P)."""

    def __init__(self, settings: EGNNSettings) -> None:
        """Parameters as in the released code; the coordinate weight starts small (gain 0.001)."""
        super().__init__()
        width = settings.hidden_channels
        self.settings = settings
        self.edge_mlp = nn.Sequential(nn.Linear(2 * width + 1, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.node_mlp = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, width))
        last = nn.Linear(width, 1, bias=False)
        nn.init.xavier_uniform_(last.weight, gain=0.001)
        self.coord_mlp = nn.Sequential(nn.Linear(width, width), nn.SiLU(), last)
        if settings.attention:
            self.att_mlp = nn.Sequential(nn.Linear(width, 1), nn.Sigmoid())

    def messages(self, h: Tensor, squared: Tensor, receiver: Tensor, sender: Tensor) -> Tensor:
        """m_ij (2P, F) from ``h`` (A, F) and ``squared`` distances (2P, 1)."""
        first, second = self.edge_mlp[0], self.edge_mlp[2]
        width = h.shape[1]
        at_receiver = linear(h, first.weight[:, :width], first.bias)
        at_sender = linear(h, first.weight[:, width : 2 * width])
        inner = at_receiver.index_select(0, receiver)
        inner += at_sender.index_select(0, sender)  # in place: large new arrays cost as much as the sums
        inner = inner.addcmul_(squared, first.weight[:, 2 * width])
        m = nn.functional.silu(second(nn.functional.silu(inner)))
        return m * self.att_mlp(m) if self.settings.attention else m

    def move(
        self, m: Tensor, x: Tensor, delta: Tensor, squared: Tensor, receiver: Tensor, smooth: Tensor | None,
        degree: Tensor,
    ) -> Tensor:  # fmt: skip
        """The coordinates (A, 3) after this layer."""
        if self.settings.normalize:
            delta = delta / (squared.sqrt().detach() + 1e-8)
        weight = self.coord_mlp(m)
        shift = delta * (torch.tanh(weight) if self.settings.tanh else weight)
        if smooth is not None:
            shift = shift * smooth
        return x + torch.zeros_like(x).index_add(0, receiver, shift) / degree

    def update(self, h: Tensor, m: Tensor, receiver: Tensor) -> Tensor:
        """The atom features (A, F) after this layer."""
        gathered = torch.zeros_like(h).index_add(0, receiver, m)
        out = self.node_mlp(torch.cat([h, gathered], dim=1))
        return h + out if self.settings.residual else out


class EGNN(nn.Module):
    """The model of the module's docstring: invariant energy, noise equivariant under E(3)."""

    def __init__(self, settings: EGNNSettings) -> None:
        """Draw initial weights from torch's global generator: seed it first."""
        super().__init__()
        self.settings = settings
        width = settings.hidden_channels
        self.type_embedding = nn.Embedding(len(ATOM_TYPES), width)
        for t in range(settings.n_layers):
            self.add_module(f"gcl_{t}", EGNNLayer(settings))
        self.energy_head = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1))

    @property
    def not_pretrained(self) -> tuple[str, ...]:
        """Prefixes of the parameters that denoising never trains: the energy head and the last node update."""
        return "energy_head.", f"gcl_{self.settings.n_layers - 1}.node_mlp."

    def forward(self, batch: Batch, energy: bool = True, noise: bool = True) -> Prediction:
        """Energy (n_molecules,) and noise (n_atoms, 3), each only where asked for."""
        receiver, sender = batch.pairs
        smooth, degree = self._weights(batch)
        h, x = self.type_embedding(batch.z), batch.pos
        last = self.settings.n_layers - 1
        for t in range(self.settings.n_layers):
            layer = self.get_submodule(f"gcl_{t}")
            delta = x.index_select(0, receiver) - x.index_select(0, sender)
            squared = (delta * delta).sum(1, keepdim=True)
            m = layer.messages(h, squared, receiver, sender)
            if smooth is not None:
                m = m * smooth
            if noise or t < last:
                x = layer.move(m, x, delta, squared, receiver, smooth, degree)
            if energy or t < last:
                h = layer.update(h, m, receiver)
        return Prediction(energy=self._read_out(h, batch) if energy else None, noise=x - batch.pos if noise else None)

    def _weights(self, batch: Batch) -> tuple[Tensor | None, Tensor]:
        """What messages (2P, 1) are multiplied by, if anything, and what sums over neighbours (A, 1) are divided by."""
        receiver = batch.pairs[0]
        if not self.settings.smooth_cutoff:
            degree = torch.bincount(receiver, minlength=len(batch.z)).clamp(min=1).to(batch.pos.dtype)
            return None, degree.unsqueeze(1)
        _, _, _, distance = half_pairs(batch, batch.pos)
        half = envelope(distance, self.settings.cutoff).unsqueeze(1)
        smooth = torch.cat([half, half])
        return smooth, 1 + smooth.new_zeros(len(batch.z), 1).index_add(0, receiver, smooth)

    def _read_out(self, h: Tensor, batch: Batch) -> Tensor:
        pooled = h.new_zeros(batch.n_molecules, h.shape[1]).index_add(0, batch.molecule, h)
        return self.energy_head(pooled).squeeze(1)
