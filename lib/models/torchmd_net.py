"""TorchMD-Net: the equivariant transformer.

Thölke, De Fabritiis 2022, https://arxiv.org/abs/2202.02541, with the paper's heads (section 2.4). Each atom has scalars
x (F) and vectors v (3, F); j runs over neighbours and i itself (where d = 0 and r̂ = 0). Layer t, on layer-normed x:

    a_ij = act(Σ_head q_i ⊙ k_j ⊙ Dk(d_ij)) C(d_ij),   (s, s1, s2)_ij = V x_j ⊙ Dv(d_ij)
    y_i = Σ_j a_ij s_ij,   w_i = Σ_j s1_ij ⊙ v_j + s2_ij ⊙ r̂_ij
    x_i <- x_i + (U1 v_i · U2 v_i) ⊙ O2 y_i + O3 y_i,   v_i <- v_i + U3 v_i ⊙ O1 y_i + w_i
    energy = MLP(Σ_i LN(x_i)),   noise = two gated equivariant blocks of (LN(x), v)

Vectors start at zero. Where the network is told forces f (`Settings.told_forces`), w |f_i| is added to x_i and u f_i to
v_i at the start, as DeNS has it (https://arxiv.org/abs/2403.09549: a linear map of the force's spherical harmonics,
here of degree 0 and 1, times its length, is added to an atom's embedding).

What depends on distance alone is computed once a pair and once for all atoms with themselves, and (V x)_1 ⊙ v is formed
on atoms before it is gathered. The function is torchmd-net's ``TorchMD_ET``; parameter names are those of the released
code, whose energy MLP has SiLU whatever ``activation`` is. No neighbour is dropped, whatever their number.
"""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from lib.batches import Batch
from lib.chemistry.atom_types import ATOM_TYPES
from lib.errors import look_up
from lib.models import kernels
from lib.models.activations import ACTIVATIONS
from lib.models.base import Model, Settings
from lib.models.gated import noise_head
from lib.models.kernels.products import Linear, linear
from lib.models.kernels.torchmd_net import ScalarMessages, VectorMessages
from lib.models.prediction import Prediction
from lib.models.radial import RADIAL_BASES, cosine_cutoff, envelope, half_pairs
from lib.models.scatter import scatter

ON_KEYS, ON_VALUES = ("keys", "both"), ("values", "both")
INFLUENCES = ("keys", "values", "both", "none")


@dataclass(frozen=True)
class TorchMDNetSettings(Settings):
    """Settings of `TorchMDNet`; the defaults are the paper's."""

    hidden_channels: int = 256
    num_layers: int = 6
    num_rbf: int = 32
    rbf_type: str = "expnorm"  # or gauss
    trainable_rbf: bool = True
    activation: str = "silu"
    attn_activation: str = "silu"
    neighbor_embedding: bool = True
    num_heads: int = 8
    distance_influence: str = "both"  # keys, values, both or none
    cutoff_lower: float = 0.0  # Å

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        if self.hidden_channels % self.num_heads:
            raise ValueError(
                f"hidden_channels = {self.hidden_channels} must be a multiple of num_heads = {self.num_heads}"
            )
        if self.distance_influence not in INFLUENCES:
            raise ValueError(f"distance_influence = {self.distance_influence!r}: choose keys, values, both or none")


@dataclass(frozen=True)
class Pairs:
    """Pairs for all layers.

    ``receiver``, ``sender`` (2P,), ``unit`` (2P, 3) r̂ from the receiver to the sender, ``cut`` (P+1,) C and
    ``radial`` (P+1, R), whose last row is an atom with itself, ``smooth`` (P, 1) the envelope or None.
    """

    receiver: Tensor
    sender: Tensor
    unit: Tensor
    cut: Tensor
    radial: Tensor
    smooth: Tensor | None


class NeighbourEmbedding(nn.Module):
    """Atom types of the neighbours, weighted by distance, joined with the atom's own (the source's equation 3)."""

    def __init__(self, width: int, num_rbf: int) -> None:
        """Weights by Glorot's uniform rule, biases zero."""
        super().__init__()
        self.embedding = nn.Embedding(len(ATOM_TYPES), width)
        self.distance_proj = Linear(num_rbf, width)
        self.combine = Linear(2 * width, width)
        for layer in (self.distance_proj, self.combine):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, z: Tensor, x: Tensor, pairs: Pairs) -> Tensor:
        """The new scalars (A, F)."""
        weight = self.distance_proj(pairs.radial[:-1]) * pairs.cut[:-1].unsqueeze(1)
        half = len(weight)
        receiver, sender = pairs.receiver[:half], pairs.sender[:half]
        e = self.embedding(z)
        near = scatter(weight * e.index_select(0, sender), receiver, len(x))
        near = near.index_add(0, sender, weight * e.index_select(0, receiver))
        return self.combine(torch.cat([x, near], dim=1))


def attended(
    product: Tensor, s: Tensor, Dk: Tensor | None, Dv: Tensor | None, C: Tensor, heads: int, act: nn.Module
) -> Tensor:
    """a_ij s_ij (…, F) from q ⊙ k (…, F), V x (…, F), the filters and C (…)."""
    product, s = product if Dk is None else product * Dk, s if Dv is None else s * Dv
    product, s = (t.unflatten(-1, (heads, -1)) for t in (product, s))
    return (s * (act(product.sum(-1, keepdim=True)) * C[..., None, None])).flatten(-2)


@kernels.fast_form(ScalarMessages)
def scalar_messages(
    q: Tensor, k: Tensor, s: Tensor, Dk: Tensor | None, Dv: Tensor | None, C: Tensor, receiver: Tensor, sender: Tensor,
    smooth: Tensor | None, heads: int, act: nn.Module,
) -> Tensor:  # fmt: skip
    """Σ_j a_ij s_ij over neighbours, (A, F).

    Args:
        q: (A, F) queries.
        k: (A, F) keys.
        s: (A, F) (V x)_0.
        Dk: (P, F) the filter of keys, or None where distance has no influence on them.
        Dv: (P, F) the filter of s, or None.
        C: (P,) the cutoff.
        receiver: (2P,) i of each directed pair.
        sender: (2P,) j of each directed pair.
        smooth: (P, 1) the envelope, or None.
        heads: into which F is divided.
        act: of the attention.
    """
    at_i, at_j, s_j = (
        t.index_select(0, index).unflatten(0, (2, -1))  # both directions of a pair share its filters
        for t, index in ((q, receiver), (k, sender), (s, sender))
    )
    near = attended(at_i * at_j, s_j, Dk, Dv, C, heads, act)
    if smooth is not None:
        near = near * smooth
    return scatter(near.flatten(0, 1), receiver, len(q))


@kernels.fast_form(VectorMessages)
def vector_messages(
    sv: Tensor,
    s2: Tensor,
    D1: Tensor | None,
    D2: Tensor | None,
    unit: Tensor,
    receiver: Tensor,
    sender: Tensor,
    smooth: Tensor | None,
) -> Tensor:
    """Σ_j s1_ij ⊙ v_j + s2_ij ⊙ r̂_ij over neighbours, (3, A, F).

    Args:
        sv: (3, A, F) (V x)_1 ⊙ v on atoms.
        s2: (A, F) (V x)_2 on atoms.
        D1: (P, F) Dv of s1, or None where distance has no influence on values.
        D2: (P, F) Dv of s2, or None.
        unit: (2P, 3) r̂.
        receiver: (2P,) i of each directed pair.
        sender: (2P,) j of each directed pair.
        smooth: (P, 1) the envelope, or None.
    """
    half = len(receiver) // 2
    along = s2.index_select(0, sender).unflatten(0, (2, half))  # both directions of a pair share its filters
    vector = sv.index_select(1, sender).unflatten(1, (2, half))
    if D1 is not None:
        along, vector = along * D2, vector * D1
    vector = vector + along * unit.t().unflatten(1, (2, half)).unsqueeze(3)
    if smooth is not None:
        vector = vector * smooth
    return vector.new_zeros(sv.shape).index_add(1, receiver, vector.flatten(1, 2))


class Attention(nn.Module):
    """One layer of the module's docstring."""

    def __init__(self, settings: TorchMDNetSettings) -> None:
        """Weights by Glorot's uniform rule, biases zero."""
        super().__init__()
        width = settings.hidden_channels
        self.heads = settings.num_heads
        self.layernorm = nn.LayerNorm(width)
        self.q_proj, self.k_proj = Linear(width, width), Linear(width, width)
        self.v_proj, self.o_proj = Linear(width, 3 * width), Linear(width, 3 * width)
        self.vec_proj = Linear(width, 3 * width, bias=False)
        self.dk_proj = Linear(settings.num_rbf, width) if settings.distance_influence in ON_KEYS else None
        self.dv_proj = Linear(settings.num_rbf, 3 * width) if settings.distance_influence in ON_VALUES else None
        self.act = look_up(ACTIVATIONS, settings.activation, "activation")()
        self.attn_act = look_up(ACTIVATIONS, settings.attn_activation, "attention activation")()
        for name, parameter in self.named_parameters():
            if "proj" in name:
                (nn.init.xavier_uniform_ if parameter.dim() == 2 else nn.init.zeros_)(parameter)

    def forward(self, x: Tensor, v: Tensor, pairs: Pairs, vectors: bool = True) -> tuple[Tensor, Tensor | None]:
        """What is added to ``x`` (A, F) and, where ``vectors`` are asked for, to ``v`` (A, 3, F)."""
        x = self.layernorm(x)
        q, k, (s, s1, s2) = self.q_proj(x), self.k_proj(x), self._parts(self.v_proj, x)
        sv = s1 * v.transpose(0, 1).contiguous()
        dk = None if self.dk_proj is None else self.act(self.dk_proj(pairs.radial))
        dv, d1, d2 = (None,) * 3 if self.dv_proj is None else map(self.act, self._parts(self.dv_proj, pairs.radial))
        y = self._scalars(q, k, s, dk, dv, pairs)
        u1, u2, u3 = self.vec_proj(v).chunk(3, dim=-1)
        o1, o2, o3 = self.o_proj(y).chunk(3, dim=1)
        dx = (u1 * u2).sum(1) * o2 + o3
        return dx, u3 * o1.unsqueeze(1) + self._vectors(sv, s2, d1, d2, pairs) if vectors else None

    def _parts(self, layer: nn.Linear, x: Tensor) -> list[Tensor]:
        """``layer`` of ``x`` (N, …) as three of (N, F), whose rows lie side by side within each head of the weights."""
        weights, biases = (t.unflatten(0, (self.heads, 3, -1)).unbind(1) for t in (layer.weight, layer.bias))
        return [linear(x, w.flatten(0, 1), b.flatten()) for w, b in zip(weights, biases, strict=True)]

    def _scalars(self, q: Tensor, k: Tensor, s: Tensor, dk: Tensor | None, dv: Tensor | None, pairs: Pairs) -> Tensor:
        """The scalars y (A, F): the terms j = i, which have one filter for all atoms, then those of neighbours."""
        own_dk, own_dv = (None if d is None else d[-1] for d in (dk, dv))
        dk, dv = (None if d is None else d[:-1] for d in (dk, dv))
        y = attended(q * k, s, own_dk, own_dv, pairs.cut[-1:], self.heads, self.attn_act)
        return y + scalar_messages(q, k, s, dk, dv, pairs.cut[:-1], pairs.receiver, pairs.sender, pairs.smooth,
                                   self.heads, self.attn_act)  # fmt: skip

    @staticmethod
    def _vectors(sv: Tensor, s2: Tensor, d1: Tensor | None, d2: Tensor | None, pairs: Pairs) -> Tensor:
        """The vectors w (A, 3, F); the terms j = i have no direction."""
        own = sv if d1 is None else sv * d1[-1]
        d1, d2 = (None if d is None else d[:-1] for d in (d1, d2))
        near = vector_messages(sv, s2, d1, d2, pairs.unit, pairs.receiver, pairs.sender, pairs.smooth)
        return (own + near).transpose(0, 1)


class TorchMDNet(Model):
    """The model of the module's docstring: invariant energy, noise equivariant under E(3)."""

    takes_forces: ClassVar[bool] = True

    def __init__(self, settings: TorchMDNetSettings) -> None:
        """Draw initial weights from torch's global generator: seed it first."""
        super().__init__()
        self.settings: TorchMDNetSettings = settings
        s = settings
        width = s.hidden_channels
        self.type_embedding = nn.Embedding(len(ATOM_TYPES), width)
        basis = look_up(RADIAL_BASES, s.rbf_type, "rbf_type")
        self.distance_expansion = basis(s.num_rbf, s.cutoff_lower, s.cutoff, s.trainable_rbf)
        self.neighbor_embedding = NeighbourEmbedding(width, s.num_rbf) if s.neighbor_embedding else None
        self.attention_layers = nn.ModuleList(Attention(s) for _ in range(s.num_layers))
        self.out_norm = nn.LayerNorm(width)
        self.energy_head = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1))
        self.force_head = noise_head(width, s.activation)
        self.told = nn.ModuleList(nn.Linear(1, width, bias=False) for _ in range(2)) if s.told_forces else None

    def _pairs(self, batch: Batch, pos: Tensor) -> Pairs:
        s = self.settings
        receiver, sender, delta, distance = half_pairs(batch, pos)
        if s.cutoff_lower > 0:
            far = (distance >= s.cutoff_lower).nonzero().squeeze(1)
            receiver, sender, delta, distance = (t.index_select(0, far) for t in (receiver, sender, delta, distance))
        unit = -delta / distance.unsqueeze(1)
        and_itself = torch.cat([distance, distance.new_zeros(1)])
        return Pairs(
            receiver=torch.cat([receiver, sender]),
            sender=torch.cat([sender, receiver]),
            unit=torch.cat([unit, -unit]),
            cut=cosine_cutoff(and_itself, s.cutoff_lower, s.cutoff),
            radial=self.distance_expansion(and_itself),
            smooth=envelope(and_itself, s.cutoff)[:-1].unsqueeze(1) if s.smooth_cutoff else None,
        )

    def forward(self, batch: Batch, energy: bool = True, noise: bool = True) -> Prediction:
        """Energy (n_molecules,) and noise (n_atoms, 3), each only where asked for."""
        pairs = self._pairs(batch, batch.pos)
        x = self.type_embedding(batch.z)
        if self.neighbor_embedding is not None:
            x = self.neighbor_embedding(batch.z, x, pairs)
        v = x.new_zeros(len(x), 3, x.shape[1])
        if self.told is not None and batch.told is not None:
            of_length, of_vector = self.told
            x = x + of_length(batch.told.norm(dim=1, keepdim=True))
            v = v + of_vector(batch.told.unsqueeze(2))
        last = self.attention_layers[-1]
        for layer in self.attention_layers:
            dx, dv = layer(x, v, pairs, vectors=noise or layer is not last)
            x, v = x + dx, v if dv is None else v + dv
        x = self.out_norm(x)
        scalar = self.read_out(x, batch) if energy else None
        if not noise:
            return Prediction(energy=scalar, noise=None)
        for block in self.force_head:
            x, v = block(x, v)
        return Prediction(energy=scalar, noise=v.squeeze(2))
