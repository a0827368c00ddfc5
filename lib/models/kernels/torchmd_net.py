"""What TorchMD-Net's neighbours send to an atom's vectors, in chunks (`lib.models.torchmd_net.vector_messages`)."""

from collections.abc import Iterator

import torch
from torch import Tensor

from lib.models.kernels.chunked import Arguments, ChunkedFunction, chunks, zeros_for


class VectorMessages(ChunkedFunction):
    """Saves nothing but its arguments."""

    @staticmethod
    def outputs(*arguments: Tensor | None) -> tuple[Tensor, Arguments]:
        """The vectors (3, A, F)."""
        carried, s2, filter1, filter2, unit, receiver, sender, smooth = arguments
        out = torch.zeros_like(carried)
        for c, into, of, r in _chunks(unit, receiver, sender, s2.shape[1]):
            along = s2.index_select(0, of).unflatten(0, (2, -1))
            if filter2 is not None:
                along *= filter2[c]
            for k in range(3):
                vector = carried[k].index_select(0, of).view_as(along)
                if filter1 is not None:
                    vector *= filter1[c]
                vector.addcmul_(along, r[..., k, None])
                if smooth is not None:
                    vector *= smooth[c]
                out[k].index_add_(0, into, vector.flatten(0, 1))
        return out, ()

    @staticmethod
    def gradients(arguments: Arguments, saved: Arguments, of_outputs: Arguments) -> list[Tensor | None]:
        """Of all arguments that are not indices."""
        carried, s2, filter1, filter2, unit, receiver, sender, smooth = arguments
        out = zeros_for(arguments)
        g_carried, g_s2, g_filter1, g_filter2, g_unit, _, _, g_smooth = out
        g_unit = g_unit.unflatten(0, (2, -1))
        for c, into, of, r in _chunks(unit, receiver, sender, s2.shape[1]):
            at_sender = s2.index_select(0, of).unflatten(0, (2, -1))
            along = at_sender if filter2 is None else at_sender * filter2[c]
            g_along = torch.zeros_like(along)
            for k in range(3):
                gradient = of_outputs[0][k].index_select(0, into).view_as(along)
                vector = carried[k].index_select(0, of).view_as(along)
                if smooth is not None:
                    filtered = vector if filter1 is None else vector * filter1[c]
                    whole = filtered + along * r[..., k, None]
                    g_smooth[c] += (gradient * whole).sum(2, keepdim=True).sum(0)
                    gradient *= smooth[c]
                g_along.addcmul_(gradient, r[..., k, None])
                g_unit[:, c, k] = (gradient * along).sum(2)
                if filter1 is not None:
                    vector *= gradient
                    g_filter1[c] += vector[0]
                    g_filter1[c] += vector[1]
                    gradient *= filter1[c]
                g_carried[k].index_add_(0, of, gradient.flatten(0, 1))
            if filter2 is not None:
                at_sender *= g_along
                torch.add(at_sender[0], at_sender[1], out=g_filter2[c])
                g_along *= filter2[c]
            g_s2.index_add_(0, of, g_along.flatten(0, 1))
        return out


def _chunks(unit: Tensor, receiver: Tensor, sender: Tensor, width: int) -> Iterator[tuple]:
    """Slices of half pairs, with receivers and senders (2n,) and r̂ (2, n, 3) of both directions."""
    receiver, sender, unit = (t.unflatten(0, (2, -1)) for t in (receiver, sender, unit))
    for c in chunks(receiver.shape[1], 2 * width):
        yield c, receiver[:, c].flatten(), sender[:, c].flatten(), unit[:, c]
