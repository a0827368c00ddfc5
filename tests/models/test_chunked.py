"""Functions in chunks equal the plain chains of operations, with gradients of first and second order."""

from dataclasses import replace

import pytest
import torch
from test_models import build, molecules

from lib.batches import Batch
from lib.models import chunked
from lib.models.egnn import EdgeMessages
from lib.models.schnet import Convolution
from lib.models.vector_messages import VectorMessages

FUNCTIONS = (EdgeMessages, Convolution, VectorMessages)
CASES = [
    ("egnn", {}),
    ("egnn", {"attention": False, "normalize": False, "tanh": False, "residual": False}),
    ("egnn", {"smooth_cutoff": True}),
    ("egnn", {"num_rbf": 6}),
    ("schnet", {}),
    ("schnet", {"smooth_cutoff": True}),
    ("torchmd_net", {}),
    ("torchmd_net", {"distance_influence": "none"}),
    ("torchmd_net", {"smooth_cutoff": True}),
]


def losses(model, batch):
    """A denoising loss, an energy loss, and a loss of energies and forces."""
    found = model(batch, energy=False)
    yield found.noise.sin().sum()
    yield model(batch, noise=False).energy.sin().sum()
    moved = replace(batch, pos=batch.pos.clone().requires_grad_())
    energy = model(moved, noise=False).energy
    (gradient,) = torch.autograd.grad(energy.sum(), moved.pos, create_graph=True)
    yield energy.square().sum() + gradient.sin().sum()


def gradients(model, batch):
    return [torch.autograd.grad(loss, model.parameters(), materialize_grads=True) for loss in losses(model, batch)]


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_chunks_change_nothing(name, settings, monkeypatch):
    model = build(name, torch.float64, **settings)
    with torch.no_grad():  # tamer than the contract's weights, whose energies of 1e6 magnify rounding
        for parameter in model.parameters():
            parameter.mul_(0.5)
    batch = Batch.from_arrays(*molecules((9, 1, 7, 12))).to("cpu", torch.float64)
    monkeypatch.setattr(chunked, "CACHE", 12 * 5)  # five pairs of width 12, and a rest
    calls = []
    for function in FUNCTIONS:
        forward = function.forward
        monkeypatch.setattr(function, "forward", staticmethod(lambda *a, f=forward: calls.append(1) or f(*a)))
    in_chunks = gradients(model, batch)
    assert calls
    for function in FUNCTIONS:
        monkeypatch.setattr(function, "apply", function.plain)
    for found, expected in zip(in_chunks, gradients(model, batch), strict=True):
        for (parameter, _), a, b in zip(model.named_parameters(), found, expected, strict=True):
            torch.testing.assert_close(a, b, atol=1e-10, rtol=1e-9, msg=lambda m, p=parameter: f"{p}: {m}")


def test_batches_without_pairs():
    """Lone atoms: no chunk at all."""
    z, pos, molecule = molecules((1, 1))
    for name, _ in CASES:
        found = build(name, torch.float64)(Batch.from_arrays(z, pos, molecule).to("cpu", torch.float64))
        assert torch.isfinite(found.energy).all()


def test_the_slices_are_all_rows_once():
    rows = [k for c in chunked.chunks(1000, 2**12) for k in range(1000)[c]]
    assert rows == list(range(1000))
