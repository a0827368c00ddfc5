"""TensorNet, as torchmd-net has it: messages between Cartesian tensors of rank two.

Simeon, De Fabritiis 2023, https://arxiv.org/abs/2306.06482. Each atom has a tensor X (3, 3, F), the sum of a multiple
of the identity, an antisymmetric and a traceless symmetric part, I + A + S. Layer t, on X / (|X|² + 1) with a linear
map of each part:

    M_i = Σ_j f_I(d_ij) I_j + f_A(d_ij) A_j + f_S(d_ij) S_j,   Y_i = I_i + A_i + S_i
    X_i <- X_i + ΔX_i + ΔX_i²,   ΔX_i = parts of (Y_i M_i + M_i Y_i) / (|·|² + 1) through linear maps
    x_i = SiLU(L LN(|I_i|², |A_i|², |S_i|²)),   energy = MLP(Σ_i x_i),   noise = -∇ energy

The network is torchmd-net's own, on our pairs. It is imported when the first one is built.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from lib.batches import Batch
from lib.chemistry.atom_types import ATOM_TYPES
from lib.models.base import Settings
from lib.models.gradient import GradientModel
from lib.models.library import adapt


@dataclass(frozen=True)
class TensorNetSettings(Settings):
    """Settings of `TensorNet`; the defaults are torchmd-net's, with the cutoff of this project's models."""

    hidden_channels: int = 128
    num_layers: int = 2
    num_rbf: int = 32
    trainable_rbf: bool = False


class TensorNet(GradientModel):
    """The model of the module's docstring: invariant energy, noise equivariant under E(3), continuous at the cutoff."""

    def __init__(self, settings: TensorNetSettings) -> None:
        """Draw initial weights from torch's global generator: seed it first."""
        super().__init__()
        import warp  # whose kernels torchmd-net's layers are made of, on a CPU too

        warp.config.log_level = warp.LOG_WARNING  # it would print a line for each kernel
        from torchmdnet.models.tensornet import TensorNet as Network

        self.settings: TensorNetSettings = settings
        s = settings
        width = s.hidden_channels
        network = Network(width, s.num_layers, s.num_rbf, trainable_rbf=s.trainable_rbf, cutoff_upper=s.cutoff,
                          max_z=len(ATOM_TYPES), static_shapes=False)  # fmt: skip
        self.network = adapt(network, s.cutoff, s.smooth_cutoff)
        self.energy_head = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 1))

    def scalar(self, batch: Batch, pos: Tensor) -> Tensor:
        """Energy (n_molecules,) at ``pos`` (n_atoms, 3) Å."""
        with torch.autocast(pos.device.type, enabled=False):  # the library's kernels know full precision alone
            x, *_ = self.network(batch.z, pos, batch.pairs)
        return self.read_out(x, batch)
