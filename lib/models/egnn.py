"""EGNN: E(n)-equivariant graph neural network with coordinate updates.

Satorras, Hoogeboom, Welling 2021, https://arxiv.org/abs/2102.09844, with the paper's read-out (sections 2.2 and 2.4).
Layer t:

    m_ij = a_ij · SiLU(W2 SiLU(W1 [h_i, h_j, |x_i - x_j|²] + b1) + b2),   a_ij = sigmoid(w_a m_ij)
    x_i <- x_i + mean_j (x_i - x_j) / (|x_i - x_j| + 1e-8) · tanh(w_x SiLU(W_x m_ij))
    h_i <- h_i + W4 SiLU(W3 [h_i, Σ_j m_ij])
    energy = MLP(Σ_i h_i),   noise = x^(T) - x^(0)

Where the network is told forces f (`Settings.told_forces`), h_i starts with w |f_i| added and x_i moves by φ_t(h_i) f_i
too, as the source has it for velocities (its equation 7); φ_t is a network of two layers.

Neighbours are those of the input coordinates in every layer. W1 is applied to atoms before the pairs are formed: the
same function as on concatenated edge inputs, for fewer operations. With ``num_rbf`` > 0 that many Gaussians of the
distance take the place of its square. Parameter names are those of the released code.
"""

from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn.functional import silu

from lib.batches import Batch
from lib.chemistry.atom_types import ATOM_TYPES
from lib.models import kernels
from lib.models.base import HEAD, Model, Settings, linear_layer
from lib.models.kernels.egnn import EdgeMessages
from lib.models.kernels.products import Linear, linear
from lib.models.prediction import Prediction
from lib.models.radial import NEAREST, GaussianBasis, envelope, half_pairs
from lib.models.scatter import occurrences, scatter


@dataclass(frozen=True)
class EGNNSettings(Settings):
    """Settings of `EGNN`; the defaults are the paper's (S3 and the released checkpoint).

    A smooth cutoff also makes the mean over neighbours one over 1 + Σ envelope. Without ``energy_tanh`` the tanh on the
    weight of coordinates is there in denoising alone: layers are pre-trained with it and give energies without it, as
    the released checkpoint and the released configuration of fine-tuning amount to.
    """

    hidden_channels: int = 256
    n_layers: int = 5
    residual: bool = True
    attention: bool = True
    normalize: bool = True
    tanh: bool = True
    energy_tanh: bool = True
    num_rbf: int = 0  # Gaussians of the distance as edge features; 0 is the paper's bare squared distance

    def __post_init__(self) -> None:
        """Refuse a single Gaussian, which has no width."""
        if self.num_rbf < 0 or self.num_rbf == 1:
            raise ValueError(f"num_rbf = {self.num_rbf}: choose 0 (the squared distance) or at least 2 Gaussians")

    def of_layers(self) -> "EGNNSettings":
        """As `Settings.of_layers`; denoising is the same whatever energies are."""
        return replace(super().of_layers(), energy_tanh=True)


@kernels.fast_form(EdgeMessages)
def messages(
    to: Tensor, of: Tensor, e: Tensor, receiver: Tensor, sender: Tensor, smooth: Tensor | None,
    W1: Tensor, W2: Tensor, b2: Tensor, w_a: Tensor | None, b_a: Tensor | None,
    W_x: Tensor | None, b_x: Tensor | None, w_x: Tensor | None,
) -> tuple[Tensor, Tensor | None]:  # fmt: skip
    """Σ_j m_ij (A, F), and w_x SiLU(W_x m_ij) (2P, 1) or None without W_x.

    Args:
        to: (A, F) the columns of W1 for h_i on all atoms, with b1.
        of: (A, F) its columns for h_j on all atoms.
        e: (2P, K) squared distances, or Gaussians of distances.
        receiver: (2P,) i of each directed pair.
        sender: (2P,) j of each directed pair.
        smooth: (2P, 1) the envelope, or None.
        W1: (F, K) its columns for e.
        W2: (F, F), with b2 (F,).
        b2: see W2.
        w_a: (1, F), with b_a (1,), or None without attention.
        b_a: see w_a.
        W_x: (F, F), with b_x (F,) and w_x (1, F), or None where no coordinate moves.
        b_x: see W_x.
        w_x: see W_x.
    """
    inner = to.index_select(0, receiver) + of.index_select(0, sender) + linear(e, W1)
    m = silu(linear(silu(inner), W2, b2))
    if w_a is not None:
        m = m * torch.sigmoid(linear(m, w_a, b_a))
    if smooth is not None:
        m = m * smooth
    weight = None if W_x is None or w_x is None else linear(silu(linear(m, W_x, b_x)), w_x)
    return scatter(m, receiver, len(to)), weight


class EGNNLayer(nn.Module):
    """One message-passing layer; ``h`` (A, F), ``x`` (A, 3), pairs (2, 2P)."""

    def __init__(self, settings: EGNNSettings) -> None:
        """Parameters as in the released code; the coordinate weight starts small (gain 0.001)."""
        super().__init__()
        width = settings.hidden_channels
        self.settings = settings
        inputs = 2 * width + (settings.num_rbf or 1)
        self.edge_mlp = nn.Sequential(Linear(inputs, width), nn.SiLU(), Linear(width, width), nn.SiLU())
        self.node_mlp = nn.Sequential(Linear(2 * width, width), nn.SiLU(), Linear(width, width))
        last = nn.Linear(width, 1, bias=False)
        nn.init.xavier_uniform_(last.weight, gain=0.001)
        self.coord_mlp = nn.Sequential(Linear(width, width), nn.SiLU(), last)
        if settings.attention:
            self.att_mlp = nn.Sequential(nn.Linear(width, 1), nn.Sigmoid())

    def messages(
        self, h: Tensor, e: Tensor, receiver: Tensor, sender: Tensor, smooth: Tensor | None, moves: bool
    ) -> tuple[Tensor, Tensor | None]:
        """`messages` with this layer's weights; those of the coordinates where it ``moves``."""
        first, second = linear_layer(self.edge_mlp, 0), linear_layer(self.edge_mlp, 2)
        to, of, distance = first.weight.split([h.shape[1], h.shape[1], e.shape[1]], dim=1)
        gate: tuple[Tensor | None, Tensor | None] = (None, None)
        if self.settings.attention:
            attention = linear_layer(self.att_mlp, 0)
            gate = attention.weight, attention.bias
        inner, outer = linear_layer(self.coord_mlp, 0), linear_layer(self.coord_mlp, 2)
        coordinates = (inner.weight, inner.bias, outer.weight) if moves else (None, None, None)
        return messages(linear(h, to, first.bias), linear(h, of), e, receiver, sender, smooth,
                        distance, second.weight, second.bias, *gate, *coordinates)  # fmt: skip

    def move(
        self, weight: Tensor, x: Tensor, delta: Tensor, squared: Tensor, receiver: Tensor, smooth: Tensor | None,
        degree: Tensor, exact: bool, tanh: bool,
    ) -> Tensor:  # fmt: skip
        """The coordinates (A, 3) after this layer, from the ``weight`` (2P, 1) of each pair.

        Gradients leave the length of x_i - x_j out, as in the released code, unless they are to be ``exact``. ``tanh``
        says whether the weight goes through it.
        """
        if self.settings.normalize:
            length = squared.clamp(min=NEAREST**2).sqrt() if exact else squared.sqrt().detach()
            delta = delta / (length + 1e-8)
        shift = delta * (torch.tanh(weight) if tanh else weight)
        if smooth is not None:
            shift = shift * smooth
        return x + scatter(shift, receiver, len(x)) / degree

    def update(self, h: Tensor, gathered: Tensor) -> Tensor:
        """The atom features (A, F) after this layer."""
        out = self.node_mlp(torch.cat([h, gathered], dim=1))
        return h + out if self.settings.residual else out


class ToldForces(nn.Module):
    """What takes in forces that the network is told: w, and φ_t of each layer, which starts small."""

    def __init__(self, width: int, n_layers: int) -> None:
        """For features of ``width``."""
        super().__init__()
        self.of_length = nn.Linear(1, width, bias=False)
        self.steps = nn.ModuleList()
        for _ in range(n_layers):
            last = nn.Linear(width, 1, bias=False)
            nn.init.xavier_uniform_(last.weight, gain=0.001)
            self.steps.append(nn.Sequential(nn.Linear(width, width), nn.SiLU(), last))


class EGNN(Model):
    """The model of the module's docstring: invariant energy, noise equivariant under E(3)."""

    takes_forces: ClassVar[bool] = True

    def __init__(self, settings: EGNNSettings) -> None:
        """Draw initial weights from torch's global generator: seed it first."""
        super().__init__()
        self.settings: EGNNSettings = settings
        width = settings.hidden_channels
        self.type_embedding = nn.Embedding(len(ATOM_TYPES), width)
        for t in range(settings.n_layers):
            self.add_module(f"gcl_{t}", EGNNLayer(settings))
        self.energy_head = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1))
        # the radial basis; weights files know it by this name
        self.smearing = GaussianBasis(settings.num_rbf, 0.0, settings.cutoff, False) if settings.num_rbf else None
        self.told = ToldForces(width, settings.n_layers) if settings.told_forces else None

    @property
    def not_pretrained(self) -> tuple[str, ...]:
        """Prefixes of the parameters that denoising never trains: the energy head and the last node update."""
        return HEAD, f"gcl_{self.settings.n_layers - 1}.node_mlp."

    def forward(self, batch: Batch, energy: bool = True, noise: bool = True) -> Prediction:
        """Energy (n_molecules,) and noise (n_atoms, 3), each only where asked for.

        Gradients are exact where the coordinates take one (forces), else those of the released code (`EGNNLayer.move`).
        """
        receiver, sender = batch.pairs
        smooth, degree = self._weights(batch)
        h, x = self.type_embedding(batch.z), batch.pos
        takes, told = self.told, batch.told
        if takes is not None and told is not None:
            h = h + takes.of_length(told.norm(dim=1, keepdim=True))
        last, tanh = self.settings.n_layers - 1, self.settings.tanh and (noise or self.settings.energy_tanh)
        for t, layer in enumerate(self.message_layers()):
            delta = x.index_select(0, receiver) - x.index_select(0, sender)
            squared = (delta * delta).sum(1, keepdim=True)
            e = self._edge_features(squared)
            gathered, weight = layer.messages(h, e, receiver, sender, smooth, moves=noise or t < last)
            if weight is not None:
                x = layer.move(weight, x, delta, squared, receiver, smooth, degree, batch.pos.requires_grad, tanh)
                x = x if takes is None or told is None else x + takes.steps[t](h) * told
            if energy or t < last:
                h = layer.update(h, gathered)
        scalar = self.read_out(h, batch) if energy else None
        return Prediction(energy=scalar, noise=x - batch.pos if noise else None)

    def message_layers(self) -> list[EGNNLayer]:
        """The layers, from first to last."""
        return [layer for layer in self.children() if isinstance(layer, EGNNLayer)]

    def _weights(self, batch: Batch) -> tuple[Tensor | None, Tensor]:
        """What messages (2P, 1) are multiplied by, if anything, and what sums over neighbours (A, 1) are divided by."""
        receiver = batch.pairs[0]
        if not self.settings.smooth_cutoff:
            return None, occurrences(receiver, len(batch.z), batch.pos.dtype).clamp(min=1).unsqueeze(1)
        _, _, _, distance = half_pairs(batch, batch.pos)
        half = envelope(distance, self.settings.cutoff).unsqueeze(1)
        smooth = torch.cat([half, half])
        return smooth, 1 + scatter(smooth, receiver, len(batch.z))

    def _edge_features(self, squared: Tensor) -> Tensor:
        """Squared distances (2P, 1), or Gaussians of distances (2P, K), the same for both directions of a pair."""
        if self.smearing is None:
            return squared
        half = self.smearing(squared[: len(squared) // 2, 0].clamp(min=NEAREST**2).sqrt())
        return torch.cat([half, half])
