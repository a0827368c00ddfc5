"""Products by oneDNN are those of torch, with their derivatives, and are taken only where they pay."""

from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional

from lib import machine
from lib.models import kernels
from lib.models.kernels import products
from lib.models.kernels.products import Linear, OneDNNLinear, linear, outer

available = pytest.mark.skipif(
    not (torch.backends.mkldnn.is_available() and hasattr(torch.ops.mkldnn, "_linear_pointwise")),
    reason="this torch has no oneDNN",
)


@pytest.fixture
def ran(monkeypatch):
    """The shapes of the products that oneDNN computed, which is preferred as on a processor that MKL holds back."""
    shapes, forward = [], OneDNNLinear.forward
    monkeypatch.setattr(products, "preferred", lambda: True)
    monkeypatch.setattr(
        OneDNNLinear, "forward", staticmethod(lambda ctx, *a: shapes.append(tuple(a[0].shape)) or forward(ctx, *a))
    )
    return shapes


def arguments(rows=300, inputs=96, outputs=160):
    """Of a product large enough for oneDNN."""
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(*shape, generator=generator).requires_grad_()
            for shape in ((rows, inputs), (outputs, inputs), (outputs,))]  # fmt: skip


def derivatives(function):
    """The value, its gradients, and those of a scalar of the gradients, as denoising with a gradient model takes."""
    given = arguments()
    value = function(*given)
    gradients = torch.autograd.grad(value.sin().sum(), given, create_graph=True)
    second = torch.autograd.grad(sum(g.cos().sum() for g in gradients), given)
    return [value, *gradients, *second]


@available
def test_values_and_gradients_of_both_orders_are_those_of_torch(ran):
    for ours, theirs in zip(derivatives(linear), derivatives(functional.linear), strict=True):
        torch.testing.assert_close(ours / theirs.abs().max(), theirs / theirs.abs().max(), rtol=0, atol=2e-5)
    assert len(ran) > 3


@available
def test_matrices_with_gaps_and_more_dimensions(ran):
    x, weight, bias = (t.detach() for t in arguments())
    wide = torch.cat([weight, weight], 1)
    torch.testing.assert_close(linear(x, wide[:, 96:], bias), functional.linear(x, weight, bias), rtol=1e-4, atol=1e-4)
    cube = x.unflatten(0, (100, 3))
    torch.testing.assert_close(linear(cube, weight), functional.linear(cube, weight), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(outer(x, x), x.t() @ x, rtol=1e-4, atol=1e-3)
    assert ran == [(300, 96), (300, 96)]  # the last is too narrow


@available
def test_it_is_left_to_torch_where_it_does_not_pay(ran):
    x, weight, bias = (t.detach() for t in arguments())
    linear(x[:10], weight)  # small
    linear(x, weight[:100])  # narrow
    linear(x.double(), weight.double())
    with kernels.use("plain"):
        linear(x, weight)
    with torch.autocast("cpu", torch.bfloat16):
        linear(x, weight)
    assert not ran
    linear(x, weight, bias)
    assert ran


@available
def test_the_layer_is_torchs(ran):
    torch.manual_seed(0)
    layer = Linear(96, 160)
    torch.manual_seed(0)
    theirs = torch.nn.Linear(96, 160)
    assert isinstance(layer, torch.nn.Linear)
    for name, value in theirs.state_dict().items():
        assert torch.equal(layer.state_dict()[name], value)
    x = torch.randn(300, 96)
    torch.testing.assert_close(layer(x), theirs(x), rtol=1e-4, atol=1e-4)
    assert ran


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vendor_id\t: AuthenticAMD\nflags\t\t: fpu avx2 avx512f avx512dq\n", True),
        ("vendor_id\t: GenuineIntel\nflags\t\t: fpu avx2 avx512f\n", False),
        ("vendor_id\t: AuthenticAMD\nflags\t\t: fpu avx2\n", False),
        ("", False),
    ],
)
def test_processors_that_mkl_holds_back(monkeypatch, text, expected):
    file = SimpleNamespace(exists=lambda: bool(text), read_text=lambda: text)
    monkeypatch.setattr(machine, "Path", lambda _: file)
    assert machine.has_wide_instructions_that_mkl_leaves() == expected
