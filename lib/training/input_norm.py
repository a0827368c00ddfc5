"""Input normalisation of the energy head while it trains, folded away afterwards.

The head sees sums over atoms. In one molecule's conformations these vary by a few per cent about a large constant, and
one step of the optimiser moves the constant by more than that: nothing is learnt. So in training each feature is
centred and scaled by its mean and variance over the batch (as batch normalisation does, Ioffe and Szegedy 2015,
https://arxiv.org/abs/1502.03167), and for validation and test by those over training conformations, measured with the
current weights. An affine map before a linear layer is part of that layer: `fold` puts it there, so that the
trained model is the paper's, MLP(Σ h), without any normalisation.
"""

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

SMALL = 1e-5  # of the mean variance, added to each


class InputNorm(nn.Module):
    """Normalises the input (n, width) of ``head`` until `fold`."""

    mean: Tensor
    scale: Tensor

    def __init__(self, head: nn.Module) -> None:
        """``head`` begins with a linear layer."""
        super().__init__()
        first = next(m for m in head.modules() if isinstance(m, nn.Linear))
        self.register_buffer("mean", torch.zeros(first.in_features))
        self.register_buffer("scale", torch.ones(first.in_features))
        self._layers = (first, head.register_forward_pre_hook(lambda _, given: (self(given[0]),)))  # not submodules
        self._seen: list[Tensor] | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Normalise by the batch's own statistics in training, where it has several rows; else by the measured ones."""
        if self._seen is not None:
            self._seen.append(x.detach())
        if self.training and len(x) > 1:
            mean, scale = _statistics(x)
            return (x - mean) / scale
        return (x - self.mean) / self.scale

    @torch.no_grad()
    def measure(self, model: nn.Module, loader: DataLoader) -> None:
        """Measure mean and scale over the batches of ``loader`` with the current weights of ``model``."""
        self._seen = []
        for batch in loader:
            model(batch.to(self.mean.device), noise=False)
        mean, scale = _statistics(torch.cat(self._seen).double())
        self.mean.copy_(mean)
        self.scale.copy_(scale)
        self._seen = None

    @torch.no_grad()
    def unfold(self) -> None:
        """Put the inverse of the map into the head's first layer: a head that was trained on plain inputs then gives
        the same on normalised ones.
        """
        first, _ = self._layers
        first.bias.add_(first.weight @ self.mean)
        first.weight.mul_(self.scale)

    @torch.no_grad()
    def fold(self) -> None:
        """Put the map into the head's first layer and stop normalising."""
        first, hook = self._layers
        first.weight.div_(self.scale)
        first.bias.sub_(first.weight @ self.mean)
        hook.remove()


def _statistics(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the columns of ``x``, the latter never zero."""
    variance = x.var(0, unbiased=False)
    return x.mean(0), (variance + SMALL * variance.mean() + torch.finfo(torch.float32).tiny).sqrt()
