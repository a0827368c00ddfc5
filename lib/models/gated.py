"""The gated equivariant block, which reads vectors out of scalars and vectors.

Schütt, Unke, Gastegger 2021, https://arxiv.org/abs/2102.03150, figure 3:

    (s, g) = W2 act(W1 [x, |V1 v|]),   x <- s,   v <- g ⊙ V2 v
"""

import torch
from torch import Tensor, nn

from lib.errors import look_up
from lib.models.activations import ACTIVATIONS


class GatedBlock(nn.Module):
    """The block of the module's docstring, with an activation on the new scalars unless it is the ``last``."""

    def __init__(self, width: int, out: int, activation: str, last: bool) -> None:
        """From ``width`` to ``out`` channels; weights by Glorot's uniform rule, biases zero."""
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


def noise_head(width: int, activation: str) -> nn.ModuleList:
    """Two blocks, ``width`` to ``width`` / 2 to 1 channel, whose one vector an atom is the noise (section 2.4)."""
    first = GatedBlock(width, width // 2, activation, last=False)
    return nn.ModuleList([first, GatedBlock(width // 2, 1, activation, last=True)])
