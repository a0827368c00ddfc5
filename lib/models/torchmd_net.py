"""TorchMD-Net: the equivariant transformer.

Thölke, De Fabritiis 2022, https://arxiv.org/abs/2202.02541, with the paper's heads (section 2.4). Each atom has scalars
x (F) and vectors v (3, F); j runs over neighbours and i itself (where d = 0 and r̂ = 0). Layer t, on layer-normed x:

    a_ij = act(Σ_head q_i ⊙ k_j ⊙ Dk(d_ij)) C(d_ij),   (s, s1, s2)_ij = V x_j ⊙ Dv(d_ij)
    y_i = Σ_j a_ij s_ij,   w_i = Σ_j s1_ij ⊙ v_j + s2_ij ⊙ r̂_ij
    x_i <- x_i + (U1 v_i · U2 v_i) ⊙ O2 y_i + O3 y_i,   v_i <- v_i + U3 v_i ⊙ O1 y_i + w_i
    energy = MLP(Σ_i LN(x_i)),   noise = two gated equivariant blocks of (LN(x), v)

Written for speed: what depends on distance alone is computed once a pair and once for all atoms with themselves, and
(V x)_1 ⊙ v is formed on atoms before it is gathered. The function is torchmd-net's ``TorchMD_ET``; parameter names are
those of the released code. No neighbour is dropped, whatever their number.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lib.batches import Batch
from lib.chemistry.atom_types import ATOM_TYPES
from lib.errors import look_up
from lib.models.chunked import apply_chunked
from lib.models.prediction import Prediction
from lib.models.radial import SMEARINGS, cosine_cutoff, envelope, half_pairs
from lib.models.schnet import ShiftedSoftplus
from lib.models.vector_messages import VectorMessages

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "silu": nn.SiLU, "swish": nn.SiLU, "ssp": ShiftedSoftplus, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid, "mish": nn.Mish,
}  # fmt: skip
ON_KEYS, ON_VALUES = ("keys", "both"), ("values", "both")


@dataclass(frozen=True)
class TorchMDNetSettings:
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
    cutoff: float = 5.0  # Å
    smooth_cutoff: bool = False  # every message times `radial.envelope`

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        if self.hidden_channels % self.num_heads:
            raise ValueError(f"hidden_channels = {self.hidden_channels} must be a multiple of num_heads = "
                             f"{self.num_heads}")  # fmt: skip
        if self.distance_influence not in ("keys", "values", "both", "none"):
            raise ValueError(f"distance_influence = {self.distance_influence!r}: choose keys, values, both or none")


@dataclass(frozen=True)
class Pairs:
    """Pairs for all layers.

    ``receiver``, ``sender`` (2P,), ``unit`` (2P, 3) r̂ from the receiver to the sender, ``cut`` (P+1,) C and
    ``smeared`` (P+1, R), whose last row is an atom with itself, ``smooth`` (P+1,) the envelope or None.
    """

    receiver: Tensor
    sender: Tensor
    unit: Tensor
    cut: Tensor
    smeared: Tensor
    smooth: Tensor | None


class NeighbourEmbedding(nn.Module):
    """Atom types of the neighbours, weighted by distance, joined with the atom's own (the source's equation 3)."""

    def __init__(self, width: int, smearing: int) -> None:
        """Weights by Glorot's uniform rule, biases zero."""
        super().__init__()
        self.embedding = nn.Embedding(len(ATOM_TYPES), width)
        self.distance_proj = nn.Linear(smearing, width)
        self.combine = nn.Linear(2 * width, width)
        for layer in (self.distance_proj, self.combine):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, z: Tensor, x: Tensor, pairs: Pairs) -> Tensor:
        """The new scalars (A, F)."""
        weight = self.distance_proj(pairs.smeared[:-1]) * pairs.cut[:-1].unsqueeze(1)
        half = len(weight)
        receiver, sender = pairs.receiver[:half], pairs.sender[:half]
        e = self.embedding(z)
        near = torch.zeros_like(x).index_add(0, receiver, weight * e.index_select(0, sender))
        near = near.index_add(0, sender, weight * e.index_select(0, receiver))
        return self.combine(torch.cat([x, near], dim=1))


class Attention(nn.Module):
    """One layer of the module's docstring."""

    def __init__(self, settings: TorchMDNetSettings) -> None:
        """Weights by Glorot's uniform rule, biases zero."""
        super().__init__()
        width = settings.hidden_channels
        self.heads = settings.num_heads
        self.layernorm = nn.LayerNorm(width)
        self.q_proj, self.k_proj = nn.Linear(width, width), nn.Linear(width, width)
        self.v_proj, self.o_proj = nn.Linear(width, 3 * width), nn.Linear(width, 3 * width)
        self.vec_proj = nn.Linear(width, 3 * width, bias=False)
        self.dk_proj = nn.Linear(settings.num_rbf, width) if settings.distance_influence in ON_KEYS else None
        self.dv_proj = nn.Linear(settings.num_rbf, 3 * width) if settings.distance_influence in ON_VALUES else None
        self.act = look_up(ACTIVATIONS, settings.activation, "activation")()
        self.attn_act = look_up(ACTIVATIONS, settings.attn_activation, "attention activation")()
        for name, parameter in self.named_parameters():
            if "proj" in name:
                (nn.init.xavier_uniform_ if parameter.dim() == 2 else nn.init.zeros_)(parameter)

    def forward(self, x: Tensor, v: Tensor, pairs: Pairs, vectors: bool = True) -> tuple[Tensor, Tensor | None]:
        """What is added to ``x`` (A, F) and, where ``vectors`` are wanted, to ``v`` (A, 3, F)."""
        atoms, width = x.shape
        head = width // self.heads
        x = self.layernorm(x)
        q, k = self.q_proj(x), self.k_proj(x)
        # within each head the value's three parts lie side by side: (heads, 3, head)
        s, s1, s2 = (p.reshape(atoms, width) for p in self.v_proj(x).view(atoms, self.heads, 3, head).unbind(2))
        carried = s1 * v.transpose(0, 1).contiguous()
        dk = None if self.dk_proj is None else self.act(self.dk_proj(pairs.smeared))
        dv = (None, None, None)
        if self.dv_proj is not None:
            filters = self.act(self.dv_proj(pairs.smeared))
            dv = tuple(p.reshape(-1, width) for p in filters.view(-1, self.heads, 3, head).unbind(2))
        y = self._scalars(q, k, s, dk, dv[0], pairs)
        u1, u2, u3 = self.vec_proj(v).split(width, dim=-1)
        o1, o2, o3 = self.o_proj(y).split(width, dim=1)
        dx = (u1 * u2).sum(1) * o2 + o3
        return dx, u3 * o1.unsqueeze(1) + self._vectors(carried, s2, dv[1], dv[2], pairs) if vectors else None

    def _attention(self, product: Tensor, cut: Tensor) -> Tensor:
        """Attention (…, heads, 1) from the product (…, F) of query, key and filter, and C (…)."""
        per_head = product.unflatten(-1, (self.heads, product.shape[-1] // self.heads)).sum(-1, keepdim=True)
        return self.attn_act(per_head) * cut[..., None, None]

    def _weighted(self, attention: Tensor, values: Tensor) -> Tensor:
        """Values (…, F) times the attention of their head."""
        return (values.unflatten(-1, (self.heads, values.shape[-1] // self.heads)) * attention).flatten(-2)

    def _scalars(
        self, q: Tensor, k: Tensor, s: Tensor, dk: Tensor | None, dv: Tensor | None, pairs: Pairs
    ) -> Tensor:  # fmt: skip
        """The scalars y (A, F): the terms j = i, which have one filter for all atoms, then those of neighbours."""
        product, own = q * k, s
        if dk is not None:
            product = product * dk[-1]
        if dv is not None:
            own = own * dv[-1]
        y = self._weighted(self._attention(product, pairs.cut[-1:]), own)

        def gathered(atoms: Tensor, index: Tensor) -> Tensor:
            return atoms.index_select(0, index).unflatten(0, (2, len(index) // 2))  # (2, P, F)

        product, others = gathered(q, pairs.receiver) * gathered(k, pairs.sender), gathered(s, pairs.sender)
        if dk is not None:
            product = product * dk[:-1]
        if dv is not None:
            others = others * dv[:-1]
        others = self._weighted(self._attention(product, pairs.cut[:-1]), others)
        if pairs.smooth is not None:
            others = others * pairs.smooth[:-1].unsqueeze(1)
        return y.index_add(0, pairs.receiver, others.flatten(0, 1))

    @staticmethod
    def _vectors(
        carried: Tensor, s2: Tensor, filter1: Tensor | None, filter2: Tensor | None, pairs: Pairs
    ) -> Tensor:  # fmt: skip
        """The vectors w (A, 3, F); the terms j = i have no direction."""
        own = carried if filter1 is None else carried * filter1[-1]
        filters = (None, None) if filter1 is None else (filter1[:-1], filter2[:-1])
        smooth = None if pairs.smooth is None else pairs.smooth[:-1].unsqueeze(1)
        (others,) = apply_chunked(
            VectorMessages, carried, s2, *filters, pairs.unit, pairs.receiver, pairs.sender, smooth
        )  # fmt: skip
        return (own + others).transpose(0, 1)


class GatedBlock(nn.Module):
    """Gated equivariant block: Schütt, Unke, Gastegger 2021, https://arxiv.org/abs/2102.03150, figure 3."""

    def __init__(self, width: int, out: int, activation: str, last: bool) -> None:
        """``last``: no activation on the scalars."""
        super().__init__()
        act = look_up(ACTIVATIONS, activation, "activation")
        self.out, self.act = out, None if last else act()
        self.vec1_proj = nn.Linear(width, width, bias=False)
        self.vec2_proj = nn.Linear(width, out, bias=False)
        self.update_net = nn.Sequential(nn.Linear(2 * width, width), act(), nn.Linear(width, 2 * out))
        for parameter in self.parameters():
            (nn.init.xavier_uniform_ if parameter.dim() == 2 else nn.init.zeros_)(parameter)

    def forward(self, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Scalars (A, out) and vectors (A, 3, out); a vector of length zero has no gradient through its length."""
        squared = (self.vec1_proj(v) ** 2).sum(1)
        length = torch.where(squared > 0, torch.where(squared > 0, squared, 1.0).sqrt(), 0.0)
        x, gate = self.update_net(torch.cat([x, length], dim=1)).split(self.out, dim=1)
        return x if self.act is None else self.act(x), gate.unsqueeze(1) * self.vec2_proj(v)


class TorchMDNet(nn.Module):
    """The model of the module's docstring: invariant energy, noise equivariant under E(3)."""

    not_pretrained = ("energy_head.",)

    def __init__(self, settings: TorchMDNetSettings) -> None:
        """Draw initial weights from torch's global generator: seed it first."""
        super().__init__()
        self.settings = s = settings
        width = s.hidden_channels
        self.type_embedding = nn.Embedding(len(ATOM_TYPES), width)
        smearing = look_up(SMEARINGS, s.rbf_type, "rbf_type")
        self.distance_expansion = smearing(s.num_rbf, s.cutoff_lower, s.cutoff, s.trainable_rbf)
        self.neighbor_embedding = NeighbourEmbedding(width, s.num_rbf) if s.neighbor_embedding else None
        self.attention_layers = nn.ModuleList(Attention(s) for _ in range(s.num_layers))
        self.out_norm = nn.LayerNorm(width)
        act = look_up(ACTIVATIONS, s.activation, "activation")
        self.energy_head = nn.Sequential(nn.Linear(width, width), act(), nn.Linear(width, 1))
        self.force_head = nn.ModuleList(
            [
                GatedBlock(width, width // 2, s.activation, last=False),
                GatedBlock(width // 2, 1, s.activation, last=True),
            ]
        )

    def _pairs(self, batch: Batch, pos: Tensor) -> Pairs:
        s = self.settings
        receiver, sender, delta, distance = half_pairs(batch, pos)
        if s.cutoff_lower > 0:
            kept = (distance >= s.cutoff_lower).nonzero().squeeze(1)
            receiver, sender, delta, distance = (t.index_select(0, kept) for t in (receiver, sender, delta, distance))
        unit = -delta / distance.unsqueeze(1)
        distance = torch.cat([distance, distance.new_zeros(1)])
        return Pairs(
            receiver=torch.cat([receiver, sender]),
            sender=torch.cat([sender, receiver]),
            unit=torch.cat([unit, -unit]),
            cut=cosine_cutoff(distance, s.cutoff_lower, s.cutoff),
            smeared=self.distance_expansion(distance),
            smooth=envelope(distance, s.cutoff) if s.smooth_cutoff else None,
        )

    def forward(self, batch: Batch, energy: bool = True, noise: bool = True) -> Prediction:
        """Energy (n_molecules,) and noise (n_atoms, 3), each only where asked for."""
        pairs = self._pairs(batch, batch.pos)
        x = self.type_embedding(batch.z)
        if self.neighbor_embedding is not None:
            x = self.neighbor_embedding(batch.z, x, pairs)
        v = x.new_zeros(len(x), 3, x.shape[1])
        last = self.attention_layers[-1]
        for layer in self.attention_layers:
            dx, dv = layer(x, v, pairs, vectors=noise or layer is not last)
            x, v = x + dx, v if dv is None else v + dv
        x = self.out_norm(x)
        found = self._energy(x, batch) if energy else None
        if not noise:
            return Prediction(energy=found, noise=None)
        for block in self.force_head:
            x, v = block(x, v)
        return Prediction(energy=found, noise=v.squeeze(2))

    def _energy(self, x: Tensor, batch: Batch) -> Tensor:
        pooled = x.new_zeros(batch.n_molecules, x.shape[1]).index_add(0, batch.molecule, x)
        return self.energy_head(pooled).squeeze(1)
