"""EGNN: E(n)-equivariant graph neural network with coordinate updates.

Satorras, Hoogeboom, Welling 2021, https://arxiv.org/abs/2102.09844, with the paper's read-out (sections 2.2 and 2.4).
Layer t:

    m_ij = a_ij · SiLU(W2 SiLU(W1 [h_i, h_j, |x_i - x_j|²] + b1) + b2),   a_ij = sigmoid(w_a m_ij)
    x_i <- x_i + mean_j (x_i - x_j) / (|x_i - x_j| + 1e-8) · tanh(w_x SiLU(W_x m_ij))
    h_i <- h_i + W4 SiLU(W3 [h_i, Σ_j m_ij])
    energy = MLP(Σ_i h_i),   noise = x^(T) - x^(0)

Neighbours are those of the input coordinates in every layer. W1 is applied to atoms before the pairs are formed: the
same function as on concatenated edge inputs, for fewer operations. With ``num_rbf`` > 0 that many Gaussians of the
distance take the place of its square. Parameter names are those of the released code.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, silu

from lib.batches import Batch
from lib.chemistry.atom_types import ATOM_TYPES
from lib.models.chunked import Arguments, ChunkedFunction, apply_chunked, chunks
from lib.models.prediction import Prediction
from lib.models.radial import NEAREST, GaussianSmearing, envelope, half_pairs

silu_backward = torch.ops.aten.silu_backward


@dataclass(frozen=True)
class EGNNSettings:
    """Settings of `EGNN`; the defaults are the paper's (S3 and the released checkpoint)."""

    hidden_channels: int = 256
    n_layers: int = 5
    residual: bool = True
    attention: bool = True
    normalize: bool = True
    tanh: bool = True
    num_rbf: int = 0  # Gaussians of the distance as edge features; 0 is the paper's bare squared distance
    cutoff: float = 5.0  # Å
    smooth_cutoff: bool = False  # messages times `radial.envelope`, and a mean over 1 + Σ envelope

    def __post_init__(self) -> None:
        """Refuse a single Gaussian, which has no width."""
        if self.num_rbf < 0 or self.num_rbf == 1:
            raise ValueError(f"num_rbf = {self.num_rbf}: choose 0 (the squared distance) or at least 2 Gaussians")


class EdgeMessages(ChunkedFunction):
    """What one layer computes on pairs: the messages, summed over neighbours, and what moves the coordinates.

    Arguments: W1 on atoms as receivers and as senders (A, F), features of distances (2P, K), receiver and sender (2P,),
    the envelope (2P, 1) or None, the columns of W1 for those features (F, K), W2 and b2, w_a and its bias or None, W_x
    with its bias and w_x or None. Returns Σ_j m_ij (A, F) and w_x SiLU(W_x m_ij) (2P, 1), empty without W_x.
    """

    @staticmethod
    def plain(*arguments: Tensor | None) -> tuple[Tensor, ...]:
        """The chain of operations."""
        at_receiver, at_sender, radial, receiver, sender, smooth, w_d, w2, b2, w_a, b_a, w_x, b_x, out_x = arguments
        inner = at_receiver.index_select(0, receiver) + at_sender.index_select(0, sender) + linear(radial, w_d)
        m = silu(linear(silu(inner), w2, b2))
        if w_a is not None:
            m = m * torch.sigmoid(linear(m, w_a, b_a))
        if smooth is not None:
            m = m * smooth
        gathered = m.new_zeros(at_receiver.shape).index_add(0, receiver, m)
        return gathered, m[:0, :1] if w_x is None else linear(silu(linear(m, w_x, b_x)), out_x)

    @staticmethod
    def forward(ctx: Any, *arguments: Tensor | None) -> tuple[Tensor, ...]:
        """`plain` in chunks; keeps what comes before each SiLU."""
        at_receiver, at_sender, radial, receiver, sender, smooth, w_d, w2, b2, w_a, b_a, w_x, b_x, out_x = arguments
        pairs, width = len(receiver), at_receiver.shape[1]
        before1, before2 = at_receiver.new_empty(2, pairs, width)
        before3 = at_receiver.new_empty(pairs if w_x is not None else 0, width)
        weight = at_receiver.new_empty(len(before3), 1)
        gathered = torch.zeros_like(at_receiver)
        for c in chunks(pairs, width):
            torch.index_select(at_receiver, 0, receiver[c], out=before1[c])
            before1[c].add_(at_sender.index_select(0, sender[c])).addmm_(radial[c], w_d.t())
            torch.addmm(b2, silu(before1[c]), w2.t(), out=before2[c])
            m = silu(before2[c])
            if w_a is not None:
                m *= torch.sigmoid(linear(m, w_a, b_a))
            if smooth is not None:
                m *= smooth[c]
            gathered.index_add_(0, receiver[c], m)
            if w_x is not None:
                torch.addmm(b_x, m, w_x.t(), out=before3[c])
                torch.mm(silu(before3[c]), out_x.t(), out=weight[c])
        ctx.n_arguments = len(arguments)
        ctx.save_for_backward(*arguments, before1, before2, before3)
        return gathered, weight

    @staticmethod
    def first_order(arguments: Arguments, kept: Arguments, gradients: Arguments) -> list[Tensor | None]:
        """Gradients of the tensor arguments, in chunks."""
        at_receiver, _, radial, receiver, sender, smooth, w_d, w2, _, w_a, b_a, w_x, _, out_x = arguments
        (before1, before2, before3), (of_gathered, of_weight) = kept, gradients
        out = [None if a is None or not a.is_floating_point() else torch.zeros_like(a) for a in arguments]
        g_receiver, g_sender, g_radial, _, _, g_smooth, g_wd, g_w2, g_b2, g_wa, g_ba, g_wx, g_bx, g_out = out
        for c in chunks(len(receiver), at_receiver.shape[1]):
            silu1, silu2 = silu(before1[c]), silu(before2[c])
            gate = None if w_a is None else torch.sigmoid(linear(silu2, w_a, b_a))
            gated = silu2 if gate is None else silu2 * gate
            of_m = of_gathered.index_select(0, receiver[c])
            if w_x is not None:
                g_out.addmm_(of_weight[c].t(), silu(before3[c]))
                of3 = silu_backward(of_weight[c] * out_x, before3[c])
                g_wx.addmm_(of3.t(), gated if smooth is None else gated * smooth[c])
                g_bx += of3.sum(0)
                of_m.addmm_(of3, w_x)
            if smooth is not None:
                g_smooth[c] = (of_m * gated).sum(1, keepdim=True)
                of_m *= smooth[c]
            if gate is not None:
                of_gate = (of_m * silu2).sum(1, keepdim=True) * gate * (1 - gate)
                g_wa.addmm_(of_gate.t(), silu2)
                g_ba += of_gate.sum(0)
                of_m = (of_m * gate).addmm_(of_gate, w_a)
            of2 = silu_backward(of_m, before2[c])
            g_w2.addmm_(of2.t(), silu1)
            g_b2 += of2.sum(0)
            of1 = silu_backward(of2 @ w2, before1[c])
            g_receiver.index_add_(0, receiver[c], of1)
            g_sender.index_add_(0, sender[c], of1)
            torch.mm(of1, w_d, out=g_radial[c])
            g_wd.addmm_(of1.t(), radial[c])
        return out


class EGNNLayer(nn.Module):
    """One message-passing layer; ``h`` (A, F), ``x`` (A, 3), pairs (2, 2P)."""

    def __init__(self, settings: EGNNSettings) -> None:
        """Parameters as in the released code; the coordinate weight starts small (gain 0.001)."""
        super().__init__()
        width = settings.hidden_channels
        self.settings = settings
        inputs = 2 * width + (settings.num_rbf or 1)
        self.edge_mlp = nn.Sequential(nn.Linear(inputs, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU())
        self.node_mlp = nn.Sequential(nn.Linear(2 * width, width), nn.SiLU(), nn.Linear(width, width))
        last = nn.Linear(width, 1, bias=False)
        nn.init.xavier_uniform_(last.weight, gain=0.001)
        self.coord_mlp = nn.Sequential(nn.Linear(width, width), nn.SiLU(), last)
        if settings.attention:
            self.att_mlp = nn.Sequential(nn.Linear(width, 1), nn.Sigmoid())

    def messages(
        self, h: Tensor, radial: Tensor, receiver: Tensor, sender: Tensor, smooth: Tensor | None, moves: bool
    ) -> tuple[Tensor, Tensor]:
        """Σ_j m_ij (A, F) from ``h`` (A, F) and features of distances (2P, K), and where it ``moves`` w_x SiLU(…)."""
        first, second, width = self.edge_mlp[0], self.edge_mlp[2], h.shape[1]
        gate = self.att_mlp[0] if self.settings.attention else None
        inner, outer = (self.coord_mlp[0], self.coord_mlp[2]) if moves else (None, None)
        return apply_chunked(
            EdgeMessages,
            linear(h, first.weight[:, :width], first.bias), linear(h, first.weight[:, width : 2 * width]),
            radial, receiver, sender, smooth, first.weight[:, 2 * width :], second.weight, second.bias,
            *((None, None) if gate is None else (gate.weight, gate.bias)),
            *((None, None, None) if inner is None else (inner.weight, inner.bias, outer.weight)),
        )  # fmt: skip

    def move(
        self, weight: Tensor, x: Tensor, delta: Tensor, squared: Tensor, receiver: Tensor, smooth: Tensor | None,
        degree: Tensor, exact: bool,
    ) -> Tensor:  # fmt: skip
        """The coordinates (A, 3) after this layer, from the ``weight`` (2P, 1) of each pair.

        Gradients leave the length of x_i - x_j out, as in the released code, unless they are to be ``exact``.
        """
        if self.settings.normalize:
            length = squared.clamp(min=NEAREST**2).sqrt() if exact else squared.sqrt().detach()
            delta = delta / (length + 1e-8)
        shift = delta * (torch.tanh(weight) if self.settings.tanh else weight)
        if smooth is not None:
            shift = shift * smooth
        return x + torch.zeros_like(x).index_add(0, receiver, shift) / degree

    def update(self, h: Tensor, gathered: Tensor) -> Tensor:
        """The atom features (A, F) after this layer."""
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
        self.smearing = GaussianSmearing(settings.num_rbf, 0.0, settings.cutoff, False) if settings.num_rbf else None

    @property
    def not_pretrained(self) -> tuple[str, ...]:
        """Prefixes of the parameters that denoising never trains: the energy head and the last node update."""
        return "energy_head.", f"gcl_{self.settings.n_layers - 1}.node_mlp."

    def forward(self, batch: Batch, energy: bool = True, noise: bool = True) -> Prediction:
        """Energy (n_molecules,) and noise (n_atoms, 3), each only where asked for.

        Gradients are exact where the coordinates take one (forces), else those of the released code (`EGNNLayer.move`).
        """
        receiver, sender = batch.pairs
        smooth, degree = self._weights(batch)
        h, x = self.type_embedding(batch.z), batch.pos
        last = self.settings.n_layers - 1
        for t in range(self.settings.n_layers):
            layer = self.get_submodule(f"gcl_{t}")
            delta = x.index_select(0, receiver) - x.index_select(0, sender)
            squared = (delta * delta).sum(1, keepdim=True)
            radial = squared if self.smearing is None else self._smeared(squared)
            gathered, weight = layer.messages(h, radial, receiver, sender, smooth, moves=noise or t < last)
            if noise or t < last:
                x = layer.move(weight, x, delta, squared, receiver, smooth, degree, batch.pos.requires_grad)
            if energy or t < last:
                h = layer.update(h, gathered)
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

    def _smeared(self, squared: Tensor) -> Tensor:
        """Gaussians of distances (2P, K), the same for both directions of a pair."""
        half = self.smearing(squared[: len(squared) // 2, 0].clamp(min=NEAREST**2).sqrt())
        return torch.cat([half, half])

    def _read_out(self, h: Tensor, batch: Batch) -> Tensor:
        pooled = h.new_zeros(batch.n_molecules, h.shape[1]).index_add(0, batch.molecule, h)
        return self.energy_head(pooled).squeeze(1)
