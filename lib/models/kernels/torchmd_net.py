"""What TorchMD-Net's neighbours send to an atom's scalars and vectors, in chunks.

`lib.models.torchmd_net.scalar_messages` and ``vector_messages`` are the plain formulas.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from lib.models.kernels.chunked import Arguments, ChunkedFunction, chunks, zeros_for


class ScalarMessages(ChunkedFunction):
    """Saves what the attention's activation takes."""

    @staticmethod
    def outputs(*arguments: Any) -> tuple[Tensor, Arguments]:
        """The sums (A, F); arguments of the activation (2, P, heads, 1) to save."""
        q, k, s, dk, dv, cut, receiver, sender, smooth, heads, act = arguments
        out, before = torch.zeros_like(q), q.new_empty(2, len(cut), heads, 1)
        for c, into, of in _chunks(receiver, sender, q.shape[1]):
            product = _rows(q, into).mul_(_rows(k, of))
            if dk is not None:
                product *= dk[c]
            torch.sum(product.unflatten(2, (heads, -1)), 3, keepdim=True, out=before[:, c])
            message = _rows(s, of)
            if dv is not None:
                message *= dv[c]
            message.unflatten(2, (heads, -1)).mul_(act(before[:, c]) * cut[c, None, None])
            if smooth is not None:
                message *= smooth[c]
            out.index_add_(0, into, message.flatten(0, 1))
        return out, (before,)

    @staticmethod
    def gradients(arguments: Arguments, saved: Arguments, of_outputs: Arguments) -> list[Tensor | None]:
        """Of all arguments that are not indices."""
        q, k, s, dk, dv, cut, receiver, sender, smooth, heads, act = arguments
        out = zeros_for(arguments)
        g_q, g_k, g_s, g_dk, g_dv, g_cut, _, _, g_smooth, _, _ = out
        for c, into, of in _chunks(receiver, sender, q.shape[1]):
            with torch.enable_grad():
                before = saved[0][:, c].requires_grad_()
                active = act(before)
            weight = active.detach() * cut[c, None, None]
            gradient, at_sender = _rows(of_outputs[0], into), _rows(s, of)
            filtered = at_sender if dv is None else at_sender * dv[c]
            of_weight = (gradient * filtered).unflatten(2, (heads, -1)).sum(3, keepdim=True)
            if smooth is not None:
                g_smooth[c] = (of_weight * weight).sum((0, 2))
                of_weight *= smooth[c, :, None]
                gradient *= smooth[c]
            g_cut[c] = (of_weight * active.detach()).sum((0, 2, 3))
            (of_before,) = torch.autograd.grad(active, before, of_weight * cut[c, None, None])
            gradient.unflatten(2, (heads, -1)).mul_(weight)
            if dv is not None:
                torch.sum(at_sender.mul_(gradient), 0, out=g_dv[c])
                gradient *= dv[c]
            g_s.index_add_(0, of, gradient.flatten(0, 1))
            query, key = _rows(q, into), _rows(k, of)
            if dk is not None:
                g_dk[c] = _scaled(query * key, of_before).sum(0)
                of_before = _scaled(dk[c].expand_as(query), of_before)
            else:
                of_before = of_before.expand(-1, -1, -1, q.shape[1] // heads).flatten(2)
            g_q.index_add_(0, into, key.mul_(of_before).flatten(0, 1))
            g_k.index_add_(0, of, query.mul_(of_before).flatten(0, 1))
        return out


class VectorMessages(ChunkedFunction):
    """Saves nothing but its arguments."""

    @staticmethod
    def outputs(*arguments: Any) -> tuple[Tensor, Arguments]:
        """The vectors (3, A, F)."""
        carried, s2, filter1, filter2, unit, receiver, sender, smooth = arguments
        out, directions = torch.zeros_like(carried), unit.unflatten(0, (2, -1))
        for c, into, of in _chunks(receiver, sender, s2.shape[1]):
            r = directions[:, c]
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
        g_unit, directions = g_unit.unflatten(0, (2, -1)), unit.unflatten(0, (2, -1))
        for c, into, of in _chunks(receiver, sender, s2.shape[1]):
            r = directions[:, c]
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


def _rows(atoms: Tensor, index: Tensor) -> Tensor:
    """(2, n, F) of ``atoms`` (A, F) at ``index`` (2n,)."""
    return atoms.index_select(0, index).unflatten(0, (2, -1))


def _scaled(pairs: Tensor, by_head: Tensor) -> Tensor:
    """``pairs`` (2, n, F) times ``by_head`` (2, n, heads, 1)."""
    return (pairs.unflatten(2, (by_head.shape[2], -1)) * by_head).flatten(2)


def _chunks(receiver: Tensor, sender: Tensor, width: int) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Slices of half pairs, with receivers and senders (2n,) of both directions."""
    receiver, sender = (t.unflatten(0, (2, -1)) for t in (receiver, sender))
    for c in chunks(receiver.shape[1], 2 * width):
        yield c, receiver[:, c].flatten(), sender[:, c].flatten()
