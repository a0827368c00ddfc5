"""VectorMessages: what TorchMD-Net's neighbours send to an atom's vectors, in chunks."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from lib.models.chunked import Arguments, ChunkedFunction, chunks


class VectorMessages(ChunkedFunction):
    """w_i = Σ_j s1_ij ⊙ v_j + s2_ij ⊙ r̂_ij over neighbours.

    Arguments: (V x)_1 ⊙ v (3, A, F) and (V x)_2 (A, F) on atoms, their filters (P, F) or None, r̂ (2P, 3), receiver and
    sender (2P,), the envelope (P, 1) or None. Returns (3, A, F).
    """

    @staticmethod
    def plain(*arguments: Tensor | None) -> tuple[Tensor, ...]:
        """The chain of operations."""
        carried, s2, filter1, filter2, unit, receiver, sender, smooth = arguments
        half = len(receiver) // 2
        along = s2.index_select(0, sender).unflatten(0, (2, half))
        vector = carried.index_select(1, sender).unflatten(1, (2, half))
        if filter1 is not None:
            along, vector = along * filter2, vector * filter1
        vector = vector + along * unit.t().unflatten(1, (2, half)).unsqueeze(3)
        if smooth is not None:
            vector = vector * smooth
        return (vector.new_zeros(carried.shape).index_add(1, receiver, vector.flatten(1, 2)),)

    @staticmethod
    def forward(ctx: Any, *arguments: Tensor | None) -> tuple[Tensor, ...]:
        """`plain` in chunks; keeps nothing but its arguments."""
        carried, s2, filter1, filter2, unit, receiver, sender, smooth = arguments
        out = torch.zeros_like(carried)
        for c, into, of, r in VectorMessages._chunks(unit, receiver, sender, s2.shape[1]):
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
        ctx.n_arguments = len(arguments)
        ctx.save_for_backward(*arguments)
        return (out,)

    @staticmethod
    def first_order(arguments: Arguments, kept: Arguments, gradients: Arguments) -> list[Tensor | None]:
        """Gradients of the tensor arguments, in chunks."""
        carried, s2, filter1, filter2, unit, receiver, sender, smooth = arguments
        found = [None if a is None or not a.is_floating_point() else torch.zeros_like(a) for a in arguments]
        g_carried, g_s2, g_filter1, g_filter2, g_unit, _, _, g_smooth = found
        g_unit = g_unit.unflatten(0, (2, -1))
        for c, into, of, r in VectorMessages._chunks(unit, receiver, sender, s2.shape[1]):
            at_sender = s2.index_select(0, of).unflatten(0, (2, -1))
            along = at_sender if filter2 is None else at_sender * filter2[c]
            g_along = torch.zeros_like(along)
            for k in range(3):
                gradient = gradients[0][k].index_select(0, into).view_as(along)
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
        return found

    @staticmethod
    def _chunks(unit: Tensor, receiver: Tensor, sender: Tensor, width: int) -> Iterator[tuple]:
        """Slices of half pairs, with receivers and senders (2n,) and r̂ (2, n, 3) of both directions."""
        receiver, sender, unit = (t.unflatten(0, (2, -1)) for t in (receiver, sender, unit))
        for c in chunks(receiver.shape[1], 2 * width):
            yield c, receiver[:, c].flatten(), sender[:, c].flatten(), unit[:, c]
