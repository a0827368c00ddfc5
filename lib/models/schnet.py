"""SchNet: continuous-filter convolutions on distances.

Schütt et al. 2018, https://doi.org/10.1063/1.5019779, with the paper's read-out (sections 2.2 and 2.4). Layer t:

    W_ij = C(d_ij) · (A2 ssp(A1 e(d_ij) + a1) + a2),   e Gaussians, C half a cosine, ssp(x) = ln(1 + exp x) - ln 2
    h_i <- h_i + L ssp(L2 Σ_j W_ij ⊙ (L1 h_j))
    energy = MLP(Σ_i h_i),   noise = -∇ energy

A filter depends on distance alone, so it is computed once for i→j and j→i. With ``atomwise`` the MLP comes before the
sum (`base`), as in the released code. The function is torch_geometric's ``SchNet``; parameter names are those of its
layers.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from lib.batches import Batch
from lib.chemistry.atom_types import ATOM_TYPES
from lib.models import kernels
from lib.models.activations import ShiftedSoftplus, shifted_softplus
from lib.models.base import Settings, linear_layer
from lib.models.gradient import GradientModel
from lib.models.kernels.products import Linear, linear
from lib.models.kernels.schnet import Convolution
from lib.models.radial import GaussianBasis, cosine_cutoff, envelope, half_pairs
from lib.models.scatter import scatter


@dataclass(frozen=True)
class SchNetSettings(Settings):
    """Settings of `SchNet`; the defaults are the paper's."""

    hidden_channels: int = 256
    num_filters: int = 256
    num_interactions: int = 5
    num_gaussians: int = 32
    pooling: str = "sum"  # or mean, max


@kernels.fast_form(Convolution)
def messages(
    x: Tensor, e: Tensor, cut: Tensor, receiver: Tensor, sender: Tensor,
    A1: Tensor, a1: Tensor, A2: Tensor, a2: Tensor,
) -> Tensor:  # fmt: skip
    """Σ_j W_ij ⊙ x_j (A, F).

    Args:
        x: (A, F) L1 h.
        e: (P, G) Gaussians of the distance of each pair.
        cut: (P, 1) its C.
        receiver: (P,) one atom of each pair.
        sender: (P,) the other atom, which receives in turn.
        A1: (F, G) first linear map of the filter, with a1 (F,).
        a1: see A1.
        A2: (F, F) second linear map of the filter, with a2 (F,).
        a2: see A2.
    """
    w = linear(shifted_softplus(linear(e, A1, a1)), A2, a2) * cut
    to, of = w * x.index_select(0, sender), w * x.index_select(0, receiver)
    return scatter(to, receiver, len(x)).index_add(0, sender, of)


class Interaction(nn.Module):
    """One layer; ``h`` (A, F), radial basis (P, G), ``cut`` (P, 1)."""

    def __init__(self, settings: SchNetSettings) -> None:
        """Weights by Glorot's uniform rule, biases zero, as in torch_geometric."""
        super().__init__()
        width, filters = settings.hidden_channels, settings.num_filters
        self.filter = nn.Sequential(
            Linear(settings.num_gaussians, filters), ShiftedSoftplus(), Linear(filters, filters)
        )
        self.lin1 = Linear(width, filters, bias=False)
        self.lin2 = Linear(filters, width)
        self.lin = Linear(width, width)
        for layer in (*self._filter_layers(), self.lin1, self.lin2, self.lin):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
        self.act = ShiftedSoftplus()

    def forward(self, h: Tensor, e: Tensor, cut: Tensor, receiver: Tensor, sender: Tensor) -> Tensor:
        """What is added to ``h``."""
        first, second = self._filter_layers()
        weights = first.weight, first.bias, second.weight, second.bias
        return self.lin(self.act(self.lin2(messages(self.lin1(h), e, cut, receiver, sender, *weights))))

    def _filter_layers(self) -> tuple[nn.Linear, nn.Linear]:
        """A1 and A2 of the module's docstring."""
        return linear_layer(self.filter, 0), linear_layer(self.filter, 2)


class SchNet(GradientModel):
    """The model of the module's docstring: invariant energy, noise equivariant under E(3), continuous at the cutoff."""

    def __init__(self, settings: SchNetSettings) -> None:
        """Draw initial weights from torch's global generator: seed it first."""
        super().__init__()
        self.settings: SchNetSettings = settings
        width = settings.hidden_channels
        self.embedding = nn.Embedding(len(ATOM_TYPES), width)
        self.distance_expansion = GaussianBasis(settings.num_gaussians, 0.0, settings.cutoff, trainable=False)
        self.interactions = nn.ModuleList(Interaction(settings) for _ in range(settings.num_interactions))
        self.energy_head = nn.Sequential(nn.Linear(width, width // 2), ShiftedSoftplus(), nn.Linear(width // 2, 1))

    def scalar(self, batch: Batch, pos: Tensor) -> Tensor:
        """Energy (n_molecules,) at ``pos`` (n_atoms, 3) Å."""
        receiver, sender, _, distance = half_pairs(batch, pos)
        s = self.settings
        e = self.distance_expansion(distance)
        cut = envelope(distance, s.cutoff) if s.smooth_cutoff else cosine_cutoff(distance, 0.0, s.cutoff)
        h = self.embedding(batch.z)
        for layer in self.interactions:
            h = h + layer(h, e, cut.unsqueeze(1), receiver, sender)
        return self.read_out(h, batch, s.pooling)
