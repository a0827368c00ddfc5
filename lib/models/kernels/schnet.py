"""SchNet's convolution in chunks (`lib.models.schnet.messages`)."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from lib.models.activations import LN2
from lib.models.kernels.chunked import Arguments, ChunkedFunction, chunks
from lib.models.kernels.products import linear, outer


class Convolution(ChunkedFunction):
    """Saves the filters and what their last linear map takes; the radial basis and the cutoff get no gradient."""

    @staticmethod
    def supports(*arguments: Any) -> bool:
        """Where the geometry needs a gradient, there will be a second one: no gain from the first in chunks."""
        return not arguments[1].requires_grad

    @staticmethod
    def outputs(*arguments: Any) -> tuple[Tensor, Arguments]:
        """The sums (A, F); filters and hidden features (P, F) to save."""
        x, radial, cut, receiver, sender, w1, b1, w2, b2 = arguments
        out = torch.zeros_like(x)
        hidden, filters = x.new_empty(2, len(receiver), len(w1))
        for c in chunks(len(receiver), x.shape[1]):
            torch.sub(softplus(linear(radial[c], w1, b1)), LN2, out=hidden[c])
            w = torch.mul(linear(hidden[c], w2, b2), cut[c], out=filters[c])
            out.index_add_(0, receiver[c], x.index_select(0, sender[c]).mul_(w))
            out.index_add_(0, sender[c], x.index_select(0, receiver[c]).mul_(w))
        return out, (hidden, filters)

    @staticmethod
    def gradients(arguments: Arguments, saved: Arguments, of_outputs: Arguments) -> list[Tensor | None]:
        """Of x and of the weights."""
        x, radial, cut, receiver, sender, _, _, w2, _ = arguments
        (hidden, filters), (gradient,) = saved, of_outputs
        g_x, g_w1, g_b1, g_w2, g_b2 = (torch.zeros_like(a) for a in (x, *arguments[5:]))
        for c in chunks(len(receiver), x.shape[1]):
            to, of = gradient.index_select(0, receiver[c]), gradient.index_select(0, sender[c])
            of_w = to * x.index_select(0, sender[c])
            of_w.addcmul_(of, x.index_select(0, receiver[c])).mul_(cut[c])
            g_x.index_add_(0, sender[c], to.mul_(filters[c]))
            g_x.index_add_(0, receiver[c], of.mul_(filters[c]))
            g_w2 += outer(of_w, hidden[c])
            g_b2 += of_w.sum(0)
            of1 = linear(of_w, w2.t()).mul_(1 - 0.5 * torch.exp(-hidden[c]))  # ssp'(x) = 1 - exp(-ssp(x)) / 2
            g_w1 += outer(of1, radial[c])
            g_b1 += of1.sum(0)
        return [g_x, None, None, None, None, g_w1, g_b1, g_w2, g_b2]
