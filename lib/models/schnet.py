"""SchNet: continuous-filter convolutions on distances.

Schütt et al. 2018, https://doi.org/10.1063/1.5019779, with the paper's read-out (sections 2.2 and 2.4). Layer t:

    W_ij = C(d_ij) · (A2 ssp(A1 e(d_ij) + a1) + a2),   e Gaussians, C half a cosine, ssp(x) = ln(1 + exp x) - ln 2
    h_i <- h_i + L ssp(L2 Σ_j W_ij ⊙ (L1 h_j))
    energy = MLP(Σ_i h_i),   noise = -∇ energy

A filter depends on distance alone, so it is computed once for i→j and j→i. With ``atomwise`` the MLP comes before the
sum, as in the released code. The function is torch_geometric's ``SchNet``; parameter names are those of its layers.
"""

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear, softplus

from lib.batches import Batch
from lib.chemistry.atom_types import ATOM_TYPES
from lib.models.chunked import Arguments, ChunkedFunction, apply_chunked, chunks
from lib.models.gradient import GradientModel, pool
from lib.models.radial import GaussianSmearing, cosine_cutoff, envelope, half_pairs

LN2 = math.log(2.0)


@dataclass(frozen=True)
class SchNetSettings:
    """Settings of `SchNet`; the defaults are the paper's."""

    hidden_channels: int = 256
    num_filters: int = 256
    num_interactions: int = 5
    num_gaussians: int = 32
    cutoff: float = 5.0  # Å
    pooling: str = "sum"  # or mean, max
    atomwise: bool = False  # the MLP on atoms, before pooling
    smooth_cutoff: bool = False  # `radial.envelope` instead of half a cosine


def shifted_softplus(x: Tensor) -> Tensor:
    """ln(1 + exp x) - ln 2."""
    return softplus(x) - LN2


class ShiftedSoftplus(nn.Module):
    """ln(1 + exp x) - ln 2."""

    def forward(self, x: Tensor) -> Tensor:
        """Elementwise."""
        return shifted_softplus(x)


class Convolution(ChunkedFunction):
    """Σ_j W_ij ⊙ x_j.

    Arguments: x (A, F), smeared distances (P, G) and C (P, 1), which get no gradient, receiver and sender (P,), A1 and
    a1, A2 and a2. Returns (A, F).
    """

    @staticmethod
    def plain(*arguments: Tensor | None) -> tuple[Tensor, ...]:
        """The chain of operations, with gradients for all."""
        x, smeared, cut, receiver, sender, w1, b1, w2, b2 = arguments
        w = linear(shifted_softplus(linear(smeared, w1, b1)), w2, b2) * cut
        to, of = w * x.index_select(0, sender), w * x.index_select(0, receiver)
        return (to.new_zeros(x.shape).index_add(0, receiver, to).index_add(0, sender, of),)

    @staticmethod
    def forward(ctx: Any, *arguments: Tensor | None) -> tuple[Tensor, ...]:
        """`plain` in chunks; keeps the filters and what their last linear map takes."""
        x, smeared, cut, receiver, sender, w1, b1, w2, b2 = arguments
        out = torch.zeros_like(x)
        hidden, filters = x.new_empty(2, len(receiver), len(w1))
        for c in chunks(len(receiver), x.shape[1]):
            torch.sub(softplus(linear(smeared[c], w1, b1)), LN2, out=hidden[c])
            w = torch.mm(hidden[c], w2.t(), out=filters[c]).add_(b2).mul_(cut[c])
            out.index_add_(0, receiver[c], x.index_select(0, sender[c]).mul_(w))
            out.index_add_(0, sender[c], x.index_select(0, receiver[c]).mul_(w))
        ctx.n_arguments = len(arguments)
        ctx.save_for_backward(*arguments, hidden, filters)
        return (out,)

    @staticmethod
    def first_order(arguments: Arguments, kept: Arguments, gradients: Arguments) -> list[Tensor | None]:
        """Gradients of x and of the weights, in chunks."""
        x, smeared, cut, receiver, sender, _, _, w2, _ = arguments
        (hidden, filters), (gradient,) = kept, gradients
        g_x, g_w1, g_b1, g_w2, g_b2 = (torch.zeros_like(a) for a in (x, *arguments[5:]))
        for c in chunks(len(receiver), x.shape[1]):
            to, of = gradient.index_select(0, receiver[c]), gradient.index_select(0, sender[c])
            of_w = to * x.index_select(0, sender[c])
            of_w.addcmul_(of, x.index_select(0, receiver[c])).mul_(cut[c])
            g_x.index_add_(0, sender[c], to.mul_(filters[c]))
            g_x.index_add_(0, receiver[c], of.mul_(filters[c]))
            g_w2.addmm_(of_w.t(), hidden[c])
            g_b2 += of_w.sum(0)
            of1 = (of_w @ w2).mul_(1 - 0.5 * torch.exp(-hidden[c]))  # ssp'(x) = 1 - exp(-ssp(x)) / 2
            g_w1.addmm_(of1.t(), smeared[c])
            g_b1 += of1.sum(0)
        return [g_x, None, None, None, None, g_w1, g_b1, g_w2, g_b2]


class Interaction(nn.Module):
    """One layer; ``h`` (A, F), smeared distances (P, G), ``cut`` (P, 1)."""

    def __init__(self, settings: SchNetSettings) -> None:
        """Weights by Glorot's uniform rule, biases zero, as in torch_geometric."""
        super().__init__()
        width, filters = settings.hidden_channels, settings.num_filters
        self.filter = nn.Sequential(
            nn.Linear(settings.num_gaussians, filters), ShiftedSoftplus(), nn.Linear(filters, filters)
        )
        self.lin1 = nn.Linear(width, filters, bias=False)
        self.lin2 = nn.Linear(filters, width)
        self.lin = nn.Linear(width, width)
        for layer in (self.filter[0], self.filter[2], self.lin1, self.lin2, self.lin):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        self.act = ShiftedSoftplus()

    def forward(self, h: Tensor, smeared: Tensor, cut: Tensor, receiver: Tensor, sender: Tensor) -> Tensor:
        """What is added to ``h``."""
        first, second = self.filter[0], self.filter[2]
        arguments = self.lin1(h), smeared, cut, receiver, sender, first.weight, first.bias, second.weight, second.bias
        # where the geometry needs a gradient, there will be a second one: no gain from the first in chunks
        plain = smeared.requires_grad
        (gathered,) = Convolution.plain(*arguments) if plain else apply_chunked(Convolution, *arguments)
        return self.lin(self.act(self.lin2(gathered)))


class SchNet(GradientModel):
    """The model of the module's docstring: invariant energy, noise equivariant under E(3), continuous at the cutoff."""

    def __init__(self, settings: SchNetSettings) -> None:
        """Draw initial weights from torch's global generator: seed it first."""
        super().__init__()
        self.settings = settings
        width = settings.hidden_channels
        self.embedding = nn.Embedding(len(ATOM_TYPES), width)
        self.distance_expansion = GaussianSmearing(settings.num_gaussians, 0.0, settings.cutoff, trainable=False)
        self.interactions = nn.ModuleList(Interaction(settings) for _ in range(settings.num_interactions))
        self.energy_head = nn.Sequential(nn.Linear(width, width // 2), ShiftedSoftplus(), nn.Linear(width // 2, 1))

    def scalar(self, batch: Batch, pos: Tensor) -> Tensor:
        """Energy (n_molecules,) at ``pos`` (n_atoms, 3) Å."""
        receiver, sender, _, distance = half_pairs(batch, pos)
        s = self.settings
        smeared = self.distance_expansion(distance)
        cut = envelope(distance, s.cutoff) if s.smooth_cutoff else cosine_cutoff(distance, 0.0, s.cutoff)
        h = self.embedding(batch.z)
        for layer in self.interactions:
            h = h + layer(h, smeared, cut.unsqueeze(1), receiver, sender)
        if s.atomwise:
            return pool(self.energy_head(h), batch, s.pooling).squeeze(1)
        return self.energy_head(pool(h, batch, s.pooling)).squeeze(1)
