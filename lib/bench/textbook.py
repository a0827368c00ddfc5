"""What the models are measured against: the same functions and weights, as they are usually written, and libraries.

Each takes one of our models and answers as it does, on our neighbour pairs, as the released code of the paper computes
it. EGNN: edge inputs concatenated for every directed pair. SE(3)-Transformer: the full kernel matrix formed on every
directed pair. SchNet: torch_geometric's. TorchMD-Net: torchmd-net's.
"""

import torch
from e3nn.o3 import spherical_harmonics
from torch import Tensor, nn
from torch.nn.functional import layer_norm

from lib.batches import Batch
from lib.chemistry.atom_types import ATOM_TYPES
from lib.models.angular import bases, count
from lib.models.egnn import EGNN
from lib.models.gradient import GradientModel
from lib.models.prediction import Prediction
from lib.models.schnet import SchNet
from lib.models.se3_transformer import Features, Kernels, RadialNetworks, SE3Transformer, softmax
from lib.models.torchmd_net import TorchMDNet


class TextbookEGNN(nn.Module):
    """Satorras' formula with [h_i, h_j, d²] for every directed pair."""

    def __init__(self, ours: EGNN) -> None:
        """Share the weights of ``ours``."""
        super().__init__()
        self.ours = ours

    def forward(self, batch: Batch, energy: bool = True, noise: bool = True) -> Prediction:
        """As `EGNN`."""
        s, (receiver, sender) = self.ours.settings, batch.pairs
        h, x = self.ours.type_embedding(batch.z), batch.pos
        for layer in self.ours.message_layers():
            delta = x.index_select(0, receiver) - x.index_select(0, sender)
            squared = (delta**2).sum(1, keepdim=True)
            m = layer.edge_mlp(torch.cat([h.index_select(0, receiver), h.index_select(0, sender), squared], dim=1))
            m = m * layer.att_mlp(m) if s.attention else m
            if s.normalize:
                delta = delta / (squared.sqrt().detach() + 1e-8)
            weight = layer.coord_mlp(m)
            shift = delta * (torch.tanh(weight) if s.tanh else weight)
            degree = torch.bincount(receiver, minlength=len(h)).clamp(min=1).unsqueeze(1)
            x = x + torch.zeros_like(x).index_add(0, receiver, shift) / degree
            out = layer.node_mlp(torch.cat([h, torch.zeros_like(h).index_add(0, receiver, m)], dim=1))
            h = h + out if s.residual else out
        pooled = h.new_zeros(batch.n_molecules, h.shape[1]).index_add(0, batch.molecule, h)
        output = self.ours.energy_head(pooled).squeeze(1) if energy else None
        return Prediction(output, x - batch.pos if noise else None)


class LibrarySchNet(GradientModel):
    """torch_geometric's SchNet on our pairs; ``ours`` must read out atom by atom."""

    def __init__(self, ours: SchNet) -> None:
        """Copy the weights of ``ours``."""
        super().__init__()
        from torch_geometric.nn.models import SchNet as PyGSchNet

        s = ours.settings
        self.pairs = torch.empty(2, 0)
        self.net = PyGSchNet(
            s.hidden_channels,
            s.num_filters,
            s.num_interactions,
            s.num_gaussians,
            s.cutoff,
            interaction_graph=self._graph,
        )
        own = ours.state_dict()
        more = self.net.embedding.weight[len(ATOM_TYPES) :].detach()
        state = {"embedding.weight": torch.cat([own["embedding.weight"], more])}
        for name in self.net.state_dict():
            mapped = name.replace(".mlp.", ".filter.").replace(".conv.nn.", ".filter.").replace(".conv.", ".")
            mapped = {"lin1": "energy_head.0", "lin2": "energy_head.2"}.get(name.split(".")[0]) or mapped
            mapped = f"{mapped}.{name.split('.')[1]}" if name.startswith("lin") else mapped
            state.setdefault(name, own[mapped])
        self.net.load_state_dict(state)

    def _graph(self, pos: Tensor, _: Tensor) -> tuple[Tensor, Tensor]:
        return self.pairs, (pos[self.pairs[0]] - pos[self.pairs[1]]).norm(dim=1)

    def scalar(self, batch: Batch, pos: Tensor) -> Tensor:
        """As `SchNet`."""
        self.pairs = batch.pairs
        return self.net(batch.z, pos, batch.molecule).squeeze(1)


class OurPairs(nn.Module):
    """In place of torchmd-net's neighbour search: the ``pairs`` of a batch, and each atom with itself."""

    pairs: Tensor

    def forward(self, pos: Tensor, *_: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Pairs (2, 2P + A), their distances and vectors."""
        (receiver, sender), atom = self.pairs, torch.arange(len(pos), device=pos.device)
        vector = pos.index_select(0, sender) - pos.index_select(0, receiver)
        pairs = torch.cat([torch.stack([sender, receiver]), atom.expand(2, -1)], dim=1)
        itself = pos.new_zeros(len(pos), 3)
        return pairs, torch.cat([vector.norm(dim=1), itself[:, 0]]), torch.cat([vector, itself])


class LibraryTorchMDNet(nn.Module):
    """torchmd-net's equivariant transformer on our pairs, our heads on top."""

    def __init__(self, ours: TorchMDNet) -> None:
        """Copy the weights of ``ours``."""
        super().__init__()
        from torchmdnet.models.torchmd_et import TorchMD_ET

        s = ours.settings
        self.ours = ours
        self.net = TorchMD_ET(
            s.hidden_channels, s.num_layers, s.num_rbf, s.rbf_type, s.trainable_rbf, s.activation, s.attn_activation,
            s.neighbor_embedding, s.num_heads, s.distance_influence, s.cutoff_lower, s.cutoff, max_z=len(ATOM_TYPES),
        )  # fmt: skip
        self.search = self.net.distance = OurPairs()
        own = ours.state_dict()
        names = {k: "type_embedding.weight" if k == "embedding.weight" else k for k in self.net.state_dict()}
        self.net.load_state_dict({k: own[v] for k, v in names.items() if v in own}, strict=False)

    def forward(self, batch: Batch, energy: bool = True, noise: bool = True) -> Prediction:
        """As `TorchMDNet`."""
        self.search.pairs = batch.pairs
        x, v, *_ = self.net(batch.z, batch.pos, batch.molecule)
        pooled = x.new_zeros(batch.n_molecules, x.shape[1]).index_add(0, batch.molecule, x)
        output = self.ours.energy_head(pooled).squeeze(1) if energy else None
        if not noise:
            return Prediction(output, None)
        for block in self.ours.force_head:
            x, v = block(x, v)
        return Prediction(output, v.squeeze(2))


class TextbookSE3Transformer(GradientModel):
    """For each two degrees, on each directed pair: a radial network, then the full kernel matrix, then a product."""

    def __init__(self, ours: SE3Transformer) -> None:
        """Share the weights of ``ours``."""
        super().__init__()
        self.ours = ours

    @staticmethod
    def _radial(networks: RadialNetworks, path: int, distance: Tensor) -> Tensor:
        hidden = distance.unsqueeze(1)
        n = networks
        for weight, bias, norm, shift in (
            (n.weight1, n.bias1, n.norm1, n.shift1),
            (n.weight2, n.bias2, n.norm2, n.shift2),
        ):
            hidden = hidden @ weight[path] + bias[path]
            hidden = torch.relu(layer_norm(hidden, hidden.shape[-1:], norm[path, 0], shift[path, 0]))
        return networks.last[path](hidden)

    def _send(
        self,
        kernels: Kernels,
        features: Features,
        basis: dict[tuple[int, int], Tensor],
        distance: Tensor,
        sender: Tensor,
    ) -> list:
        out: list[Features] = [{} for _ in kernels.receivers]
        for path, (r, k, d) in enumerate(kernels.paths):
            few, many = kernels.receivers[r][k], features[d].shape[2]
            radial = self._radial(kernels.radial, path, distance).view(-1, 1, 1, many, count(k, d), few)
            full = (radial * basis[k, d].unsqueeze(3).unsqueeze(5)).sum(4)  # pair, m, n, in, out
            full = full.permute(0, 1, 4, 2, 3).reshape(len(distance), (2 * k + 1) * few, (2 * d + 1) * many)
            message = (full @ features[d][sender].reshape(len(sender), -1, 1)).view(-1, 2 * k + 1, few)
            out[r][k] = message + out[r][k] if k in out[r] else message
        return out

    def scalar(self, batch: Batch, pos: Tensor) -> Tensor:
        """As `SE3Transformer`."""
        ours, s, (receiver, sender) = self.ours, self.ours.settings, batch.pairs
        delta = pos[receiver] - pos[sender]
        distance = delta.norm(dim=1)
        y = spherical_harmonics(list(range(2 * s.degrees - 1)), delta / distance.unsqueeze(1), False, "integral")
        basis = {
            (k, d): (y @ bases(k, d, s.degrees, y.dtype, y.device)[0]).view(-1, 2 * k + 1, 2 * d + 1, count(k, d))
            for k in range(s.degrees)
            for d in range(s.degrees)
        }
        features = {0: nn.functional.one_hot(batch.z, len(ATOM_TYPES)).to(pos.dtype).unsqueeze(1)}
        for attention, norm in ours.layers():
            values, keys = self._send(attention.kernels, features, basis, distance, sender)
            queries = attention.query(features)
            heads = {d: (s.n_heads, value.shape[2] // s.n_heads) for d, value in values.items()}
            product = sum((keys[d] * queries[d][receiver]).unflatten(2, heads[d]).sum((1, 3)) for d in keys)
            weight = softmax(product * attention.scale, receiver, len(pos), None)
            joined = {}
            for d, value in values.items():
                weighted = (value.unflatten(2, heads[d]) * weight[:, None, :, None]).flatten(2)
                gathered = value.new_zeros(len(pos), *value.shape[1:]).index_add(0, receiver, weighted)
                joined[d] = torch.cat([gathered, features[d]], 2) if d in features else gathered
            features = norm(attention.project(joined))
        message = self._send(ours.convolution, features, basis, distance, sender)[0][0].squeeze(1)
        degree = torch.bincount(receiver, minlength=len(pos)).clamp(min=1).unsqueeze(1)
        gathered = message.new_zeros(len(pos), message.shape[1]).index_add(0, receiver, message) / degree
        h = gathered + ours.itself(features)[0].squeeze(1)
        pooled = h.new_zeros(batch.n_molecules, h.shape[1]).index_add(0, batch.molecule, h)
        return ours.energy_head(pooled).squeeze(1)


TEXTBOOK: dict[str, tuple[str, type[nn.Module]]] = {
    "schnet": ("torch_geometric's SchNet", LibrarySchNet),
    "se3_transformer": ("full kernel on each pair", TextbookSE3Transformer),
    "egnn": ("concatenated edge inputs", TextbookEGNN),
    "torchmd_net": ("torchmd-net's ET", LibraryTorchMDNet),
}
AS_LIBRARY: dict[str, dict[str, bool]] = {"schnet": {"atomwise": True}}  # settings under which both are one function
