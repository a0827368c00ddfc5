"""What one EGNN layer computes on pairs, in chunks (`lib.models.egnn.messages`)."""

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import silu

from lib.models.kernels.chunked import Arguments, ChunkedFunction, chunks, zeros_for
from lib.models.kernels.products import linear, outer

silu_backward = torch.ops.aten.silu_backward


class EdgeMessages(ChunkedFunction):
    """Saves what comes before each SiLU."""

    @staticmethod
    def outputs(*arguments: Any) -> tuple[tuple[Tensor, Tensor | None], Arguments]:
        """The sums (A, F) and the weights (2P, 1) of the coordinates; arguments of SiLU (2P, F) to save."""
        at_receiver, at_sender, distance, receiver, sender, smooth, w_d, w2, b2, w_a, b_a, w_x, b_x, out_x = arguments
        pairs, width = len(receiver), at_receiver.shape[1]
        before1, before2 = at_receiver.new_empty(2, pairs, width)
        before3 = at_receiver.new_empty(pairs if w_x is not None else 0, width)
        weight = None if w_x is None else at_receiver.new_empty(pairs, 1)
        gathered = torch.zeros_like(at_receiver)
        for c in chunks(pairs, width):
            torch.index_select(at_receiver, 0, receiver[c], out=before1[c])
            before1[c].add_(at_sender.index_select(0, sender[c])).addmm_(distance[c], w_d.t())
            before2[c] = linear(silu(before1[c]), w2, b2)
            m = silu(before2[c])
            if w_a is not None:
                m *= torch.sigmoid(linear(m, w_a, b_a))
            if smooth is not None:
                m *= smooth[c]
            gathered.index_add_(0, receiver[c], m)
            if weight is not None:
                before3[c] = linear(m, w_x, b_x)
                torch.mm(silu(before3[c]), out_x.t(), out=weight[c])
        return (gathered, weight), (before1, before2, before3)

    @staticmethod
    def gradients(arguments: Arguments, saved: Arguments, of_outputs: Arguments) -> list[Tensor | None]:
        """Of all arguments that are not indices."""
        at_receiver, _, distance, receiver, sender, smooth, w_d, w2, _, w_a, b_a, w_x, _, out_x = arguments
        (before1, before2, before3), (of_gathered, of_weight) = saved, of_outputs
        out = zeros_for(arguments)
        g_receiver, g_sender, g_distance, _, _, g_smooth, g_wd, g_w2, g_b2, g_wa, g_ba, g_wx, g_bx, g_out = out
        for c in chunks(len(receiver), at_receiver.shape[1]):
            silu1, silu2 = silu(before1[c]), silu(before2[c])
            gate = None if w_a is None else torch.sigmoid(linear(silu2, w_a, b_a))
            gated = silu2 if gate is None else silu2 * gate
            of_m = of_gathered.index_select(0, receiver[c])
            if w_x is not None:
                g_out.addmm_(of_weight[c].t(), silu(before3[c]))
                of3 = silu_backward(of_weight[c] * out_x, before3[c])
                g_wx += outer(of3, gated if smooth is None else gated * smooth[c])
                g_bx += of3.sum(0)
                of_m += linear(of3, w_x.t())
            if smooth is not None:
                g_smooth[c] = (of_m * gated).sum(1, keepdim=True)
                of_m *= smooth[c]
            if gate is not None:
                of_gate = (of_m * silu2).sum(1, keepdim=True) * gate * (1 - gate)
                g_wa.addmm_(of_gate.t(), silu2)
                g_ba += of_gate.sum(0)
                of_m = (of_m * gate).addmm_(of_gate, w_a)
            of2 = silu_backward(of_m, before2[c])
            g_w2 += outer(of2, silu1)
            g_b2 += of2.sum(0)
            of1 = silu_backward(linear(of2, w2.t()), before1[c])
            g_receiver.index_add_(0, receiver[c], of1)
            g_sender.index_add_(0, sender[c], of1)
            torch.mm(of1, w_d, out=g_distance[c])
            g_wd.addmm_(of1.t(), distance[c])
        return out
