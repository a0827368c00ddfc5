"""ViSNet, as torch_geometric has it: scalars and vectors of atoms and scalars of pairs that inform one another.

Wang et al. 2024, https://doi.org/10.1038/s41467-023-43720-2 (https://arxiv.org/abs/2210.16518). Each atom has scalars x
(F) and vectors v (3, F, with ``lmax`` 2 also 5 components of degree 2), each pair features f (F). Layer t, on
layer-normed x, with w⊥ what is left of a vector w when its part along r̂_ij is taken off:

    m_ij = a_ij V x_j ⊙ Dv f_ij,   a_ij = SiLU(Σ_head q_i ⊙ k_j ⊙ Dk f_ij) C(d_ij),   (s1, s2)_ij = S m_ij
    x_i <- x_i + (U1 v_i · U2 v_i) ⊙ O2 y_i + O3 y_i,   y_i = Σ_j m_ij
    v_i <- v_i + U3 v_i ⊙ O1 y_i + Σ_j s1_ij ⊙ v_j + s2_ij ⊙ r̂_ij
    f_ij <- f_ij + ((W1 v_i)⊥ · (W2 v_j)⊥) ⊙ SiLU(W3 f_ij)
    energy = MLP(Σ_i LN(x_i)),   noise = two gated equivariant blocks of (LN(x), v)

The network is torch_geometric's own, on our pairs; the heads are TorchMD-Net's. It is imported when the first one is
built.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from torch import Tensor, nn

from lib.batches import Batch
from lib.chemistry.atom_types import ATOM_TYPES
from lib.models.base import Model, Settings
from lib.models.gated import noise_head
from lib.models.library import adapt
from lib.models.prediction import Prediction

if TYPE_CHECKING:
    from torch_geometric.nn.models.visnet import ViS_MP


@dataclass(frozen=True)
class ViSNetSettings(Settings):
    """Settings of `ViSNet`; the defaults are torch_geometric's."""

    hidden_channels: int = 128
    num_layers: int = 6
    num_heads: int = 8
    num_rbf: int = 32
    trainable_rbf: bool = False
    lmax: int = 1  # or 2

    def __post_init__(self) -> None:
        """Refuse what cannot be built."""
        if self.hidden_channels % self.num_heads:
            raise ValueError(
                f"hidden_channels = {self.hidden_channels} must be a multiple of num_heads = {self.num_heads}"
            )
        if self.lmax not in (1, 2):
            raise ValueError(f"lmax = {self.lmax}: choose 1 or 2")


class ViSNet(Model):
    """The model of the module's docstring: invariant energy, noise equivariant under E(3)."""

    def __init__(self, settings: ViSNetSettings) -> None:
        """Draw initial weights from torch's global generator: seed it first."""
        super().__init__()
        from torch_geometric.nn.models.visnet import ViSNetBlock

        self.settings: ViSNetSettings = settings
        s = settings
        width = s.hidden_channels
        network = ViSNetBlock(lmax=s.lmax, num_heads=s.num_heads, num_layers=s.num_layers, hidden_channels=width,
                              num_rbf=s.num_rbf, trainable_rbf=s.trainable_rbf, max_z=len(ATOM_TYPES),
                              cutoff=s.cutoff)  # fmt: skip
        self.network = adapt(network, s.cutoff, s.smooth_cutoff)
        for layer in network.vis_mp_layers if s.smooth_cutoff else ():
            layer.register_message_forward_hook(_fade_vectors)
        self.energy_head = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1))
        self.force_head = noise_head(width, "silu")

    def forward(self, batch: Batch, energy: bool = True, noise: bool = True) -> Prediction:
        """Energy (n_molecules,) and noise (n_atoms, 3), each only where asked for."""
        x, v = self.network(batch.z, batch.pos, batch.pairs)
        scalar = self.read_out(x, batch) if energy else None
        if not noise:
            return Prediction(energy=scalar, noise=None)
        v = v[:, :3]  # x, y, z; degree 2 follows
        for block in self.force_head:
            x, v = block(x, v)
        return Prediction(energy=scalar, noise=v.squeeze(2))


def _fade_vectors(layer: "ViS_MP", inputs: tuple[dict], messages: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
    """The library's messages to scalars (E, F) and vectors (E, 3, F), the latter times the layer's cutoff function.

    The bias of S would let them jump where a neighbour comes within the cutoff.
    """
    to_scalars, to_vectors = messages
    return to_scalars, to_vectors * layer.cutoff(inputs[0]["r_ij"])[:, None, None]
