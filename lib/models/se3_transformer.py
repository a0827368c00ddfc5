"""SE(3)-Transformer: attention over features of several degrees.

Fuchs, Worrall, Fischer, Welling 2020, https://arxiv.org/abs/2006.10503, with the paper's read-out (2.4). An atom
has C channels of each degree d = 0 … 3, (2d+1) components each. From a neighbour's degree d to degree k goes the kernel

    W^{kd}(r) = Σ_J R^{kd}_J(|r|) B^{kd}_J(r̂),   B^{kd}_J(r̂) = Σ_m Q^{kd}_{Jm} Y_{Jm}(r̂),   J = |k-d| … k+d

with R a small network of the distance. A layer: keys and values by kernels, queries by linear maps, softmax of their
products over neighbours, the weighted values joined with the atom's own features by a linear map, then a nonlinearity
on the norms. A last convolution (mean over neighbours, and the atom itself) gives 32 scalars:

    energy = MLP(Σ_i h_i),   noise = -∇ energy, through angles and distances

The bases Q are e3nn's Wigner 3j symbols, whose signs are fixed, so weights are portable (the released ones come from a
numerical null space). Radial networks and spherical harmonics are computed once a pair; neighbour features meet the
radial weights first and the bases, which all layers share, after: the kernel of a pair is never formed.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from lib.batches import Batch
from lib.chemistry.atom_types import ATOM_TYPES
from lib.models.angular import angular_bases, count
from lib.models.base import Settings
from lib.models.gradient import GradientModel
from lib.models.radial import envelope, half_pairs
from lib.models.scatter import occurrences, scatter

Features = dict[int, Tensor]  # by degree d: (A, 2d+1, channels)
Channels = dict[int, int]  # by degree
TINY = 1e-8  # added to squared norms


@dataclass(frozen=True)
class SE3TransformerSettings(Settings):
    """Settings of `SE3Transformer`; the defaults are the released ones, with the paper's sum over atoms."""

    n_layers: int = 3
    channels: int = 8
    degrees: int = 4
    n_heads: int = 2
    div: int = 4  # keys and values have channels / div channels
    radial_channels: int = 32
    out_channels: int = 32
    pooling: str = "sum"  # or mean, max

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        if self.channels % self.div or (self.channels // self.div) % self.n_heads:
            raise ValueError(
                f"channels / div = {self.channels} / {self.div} must be a multiple of n_heads = {self.n_heads}"
            )


class RadialNetworks(nn.Module):
    """Many small networks of the distance side by side: Linear, LayerNorm, ReLU, twice, then Linear."""

    def __init__(self, outputs: list[int], width: int) -> None:
        """One network for each of ``outputs``, its number of outputs."""
        super().__init__()
        n, bound = len(outputs), width**-0.5
        self.weight1 = nn.Parameter(torch.empty(n, 1, width).uniform_(-1, 1))
        self.bias1 = nn.Parameter(torch.empty(n, 1, width).uniform_(-1, 1))
        self.weight2 = nn.Parameter(torch.empty(n, width, width).uniform_(-bound, bound))
        self.bias2 = nn.Parameter(torch.empty(n, 1, width).uniform_(-bound, bound))
        self.norm1, self.norm2 = nn.Parameter(torch.ones(n, 1, width)), nn.Parameter(torch.ones(n, 1, width))
        self.shift1, self.shift2 = nn.Parameter(torch.zeros(n, 1, width)), nn.Parameter(torch.zeros(n, 1, width))
        last = [nn.Linear(width, m) for m in outputs]
        for layer in last:
            nn.init.kaiming_uniform_(layer.weight, nonlinearity="relu")
        self.last = nn.ModuleList(last)

    def forward(self, distance: Tensor) -> list[Tensor]:
        """(P, outputs) of each network at ``distance`` (P,) Å."""
        hidden = distance.view(1, -1, 1) * self.weight1 + self.bias1
        hidden = self._normed(hidden, self.norm1, self.shift1)
        hidden = self._normed(torch.baddbmm(self.bias2, hidden, self.weight2), self.norm2, self.shift2)
        return [layer(h) for layer, h in zip(self.last, hidden.unbind(0), strict=True)]

    @staticmethod
    def _normed(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        return torch.relu(torch.addcmul(bias, layer_norm(x, x.shape[-1:]), weight))


class Kernels(nn.Module):
    """Σ_d W^{kd}(r) f_d: what neighbours send, for several receivers of the same features (keys and values)."""

    def __init__(self, channels: Channels, receivers: tuple[Channels, ...], width: int) -> None:
        """Channels by degree of the features that come in, and of each output."""
        super().__init__()
        self.channels, self.receivers = channels, receivers
        self.paths = [(r, k, d) for r, into in enumerate(receivers) for k in into for d in channels]
        self.radial = RadialNetworks([receivers[r][k] * channels[d] * count(k, d) for r, k, d in self.paths], width)

    def forward(self, features: Features, pairs: "Pairs") -> list[Features]:
        """For each receiver what is sent along each pair, (2P, 2k+1, channels) by degree k."""
        weights: dict[tuple[int, int], list[Tensor]] = {}
        for (r, k, d), weight in zip(self.paths, self.radial(pairs.distance), strict=True):
            c = self.channels[d]
            weights.setdefault((k, d), []).append(weight.view(len(weight), c, count(k, d), self.receivers[r][k]))
        half = len(pairs.distance)
        sent = {d: f.index_select(0, pairs.sender).view(half, 2 * (2 * d + 1), f.shape[2]) for d, f in features.items()}
        mixed: dict[int, list[Tensor]] = {}
        for (k, d), parts in weights.items():
            product = torch.bmm(sent[d], torch.cat(parts, 3).flatten(2))  # (P, 2 (2d+1), count x outputs)
            outputs = sum(part.shape[3] for part in parts)
            mixed.setdefault(k, []).append(product.view(2 * half, (2 * d + 1) * count(k, d), outputs))
        total: Features = {}
        for k, by_degree in mixed.items():  # d = 0, 1, …, as the bases lie
            joined = torch.cat(by_degree, 1)
            total[k] = torch.bmm(pairs.angular[k][:, :, : joined.shape[1]], joined)
        out: list[Features] = [{} for _ in self.receivers]
        for k, message in total.items():
            takers = [r for r, into in enumerate(self.receivers) if k in into]
            for r, part in zip(takers, message.split([self.receivers[r][k] for r in takers], 2), strict=True):
                out[r][k] = part
        return out


class Mix(nn.Module):
    """A linear map of the channels of each degree, without bias."""

    def __init__(self, channels: Channels, into: Channels) -> None:
        """Channels by degree before and after."""
        super().__init__()
        self.weights = nn.ParameterDict(
            {str(d): torch.randn(channels[d], n) * channels[d] ** -0.5 for d, n in into.items()}
        )

    def forward(self, features: Features) -> Features:
        """(A, 2d+1, channels) by degree."""
        return {int(d): features[int(d)] @ weight for d, weight in self.weights.items()}


@dataclass(frozen=True)
class Pairs:
    """Directed pairs for all layers, each followed by the same turned round.

    ``receiver``, ``sender`` (2P,), ``distance`` (P,) Å, ``angular`` (`angular_bases`), ``smooth`` (2P,) or None.
    """

    receiver: Tensor
    sender: Tensor
    distance: Tensor
    angular: dict[int, Tensor]
    smooth: Tensor | None


class Attention(nn.Module):
    """Attention to neighbours, joined with the atom's own features."""

    def __init__(self, channels: Channels, settings: SE3TransformerSettings) -> None:
        """Channels by degree of the features that come in."""
        super().__init__()
        self.heads, few = settings.n_heads, settings.channels // settings.div
        value = dict.fromkeys(range(settings.degrees), few)
        key = dict.fromkeys(channels, few)
        self.scale = sum(n * (2 * d + 1) for d, n in key.items()) ** -0.5
        self.kernels = Kernels(channels, (value, key), settings.radial_channels)
        self.query = Mix(channels, key)
        joined = {d: n + channels.get(d, 0) for d, n in value.items()}
        self.project = Mix(joined, dict.fromkeys(value, settings.channels))

    def forward(self, features: Features, pairs: Pairs) -> Features:
        """The new features (A, 2d+1, channels) by degree."""
        receiver = pairs.receiver
        values, keys = self.kernels(features, pairs)
        queries = self.query(features)
        product = sum(self._by_head(keys[d] * queries[d].index_select(0, receiver)).sum((1, 3)) for d in keys)
        attention = softmax(product * self.scale, receiver, len(features[0]), pairs.smooth)
        joined = {}
        for d, value in values.items():
            weighted = (self._by_head(value) * attention[:, None, :, None]).flatten(2)
            gathered = scatter(weighted, receiver, len(features[0]))
            joined[d] = torch.cat([gathered, features[d]], 2) if d in features else gathered
        return self.project(joined)

    def _by_head(self, edges: Tensor) -> Tensor:
        """(2P, 2d+1, channels) to (2P, 2d+1, heads, channels / heads)."""
        return edges.unflatten(2, (self.heads, edges.shape[2] // self.heads))


def softmax(logits: Tensor, receiver: Tensor, atoms: int, smooth: Tensor | None) -> Tensor:
    """Weights (2P, heads) that add up to 1 over each atom's neighbours; with ``smooth`` (2P,) times it, twice.

    Once within the sum, once outside it: so a neighbour comes and goes continuously, an only one too.
    """
    index = receiver.unsqueeze(1).expand_as(logits)
    largest = logits.new_zeros(atoms, logits.shape[1]).scatter_reduce(
        0, index, logits.detach(), "amax", include_self=False
    )
    weight = torch.exp(logits - largest.index_select(0, receiver))
    if smooth is not None:
        weight = weight * smooth.unsqueeze(1)
    total = scatter(weight, receiver, atoms) + TINY**2
    weight = weight / total.index_select(0, receiver)
    return weight if smooth is None else weight * smooth.unsqueeze(1)


class NormNonlinearity(nn.Module):
    """Each feature's norm through LayerNorm (over channels) and ReLU, its direction kept."""

    def __init__(self, degrees: int, channels: int) -> None:
        """The same number of channels in each degree."""
        super().__init__()
        self.norms = nn.ModuleList(nn.LayerNorm(channels) for _ in range(degrees))

    def forward(self, features: Features) -> Features:
        """(A, 2d+1, channels) by degree."""
        out = {}
        for d, f in features.items():
            norm = ((f * f).sum(1) + TINY).sqrt()
            out[d] = f * (torch.relu(self.norms[d](norm)) / norm).unsqueeze(1)
        return out


class SE3Transformer(GradientModel):
    """The model of the module's docstring: invariant energy and equivariant noise under SE(3)."""

    def __init__(self, settings: SE3TransformerSettings) -> None:
        """Draw initial weights from torch's global generator: seed it first."""
        super().__init__()
        self.settings: SE3TransformerSettings = settings
        s = settings
        self.attention, self.norm = nn.ModuleList(), nn.ModuleList()
        channels: Channels = {0: len(ATOM_TYPES)}
        for _ in range(s.n_layers):
            self.attention.append(Attention(channels, s))
            self.norm.append(NormNonlinearity(s.degrees, s.channels))
            channels = dict.fromkeys(range(s.degrees), s.channels)
        self.convolution = Kernels(channels, ({0: s.out_channels},), s.radial_channels)
        self.itself = Mix(channels, {0: s.out_channels})
        width = s.out_channels
        self.energy_head = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, 1))

    def scalar(self, batch: Batch, pos: Tensor) -> Tensor:
        """Energy (n_molecules,) at ``pos`` (n_atoms, 3) Å."""
        s = self.settings
        receiver, sender, delta, distance = half_pairs(batch, pos)
        pairs = Pairs(
            receiver=torch.stack([receiver, sender], 1).flatten(),
            sender=torch.stack([sender, receiver], 1).flatten(),
            distance=distance,
            angular=angular_bases(delta / distance.unsqueeze(1), s.degrees),
            smooth=envelope(distance, s.cutoff).repeat_interleave(2) if s.smooth_cutoff else None,
        )
        features: Features = {
            0: torch.eye(len(ATOM_TYPES), dtype=pos.dtype, device=pos.device).index_select(0, batch.z).unsqueeze(1)
        }
        for attention, norm in self.layers():
            features = norm(attention(features, pairs))
        return self.read_out(self._scalars(features, pairs), batch, s.pooling)

    def layers(self) -> list[tuple[Attention, nn.Module]]:
        """Attention and norm of each layer."""
        attention = [module for module in self.attention if isinstance(module, Attention)]
        return list(zip(attention, self.norm, strict=True))

    def _scalars(self, features: Features, pairs: Pairs) -> Tensor:
        """The last convolution (A, out_channels): the neighbours' mean, and the atom itself."""
        receiver, atoms = pairs.receiver, len(features[0])
        message = self.convolution(features, pairs)[0][0].squeeze(1)
        if pairs.smooth is None:
            neighbours = occurrences(receiver, atoms, message.dtype).clamp(min=1)
        else:
            message = message * pairs.smooth.unsqueeze(1)
            neighbours = 1 + scatter(pairs.smooth, receiver, atoms)
        return scatter(message, receiver, atoms) / neighbours.unsqueeze(1) + self.itself(features)[0].squeeze(1)
