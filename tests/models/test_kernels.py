"""Hand-written forms of messages equal the plain formulas: values, and gradients of first and second order."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from small_models import build, molecules

from lib.batches import Batch
from lib.models import egnn, kernels, schnet, torchmd_net
from lib.models.kernels import chunked
from lib.models.kernels.egnn import EdgeMessages
from lib.models.kernels.schnet import Convolution
from lib.models.kernels.torchmd_net import ScalarMessages, VectorMessages

KERNELS = (EdgeMessages, Convolution, ScalarMessages, VectorMessages)
CASES = [
    ("egnn", {}),
    ("egnn", {"attention": False, "normalize": False, "tanh": False, "residual": False}),
    ("egnn", {"smooth_cutoff": True}),
    ("egnn", {"num_rbf": 6}),
    ("egnn", {"num_rbf": 6, "smooth_cutoff": True, "attention": False}),
    ("schnet", {}),
    ("schnet", {"atomwise": True, "pooling": "mean"}),
    ("schnet", {"smooth_cutoff": True}),
    *(("torchmd_net", {"distance_influence": influence}) for influence in torchmd_net.INFLUENCES),
    ("torchmd_net", {"smooth_cutoff": True}),
    ("torchmd_net", {"smooth_cutoff": True, "distance_influence": "none", "neighbor_embedding": False}),
    ("torchmd_net", {"rbf_type": "gauss", "cutoff_lower": 1.0, "attn_activation": "tanh"}),
]
TOLERANCE = {torch.float64: {"atol": 1e-10, "rtol": 1e-9}, torch.float32: {"atol": 1e-3, "rtol": 1e-3}}


def losses(model, batch):
    """A denoising loss, an energy loss, and a loss of energies and forces."""
    yield model(batch, energy=False).noise.sin().sum()
    yield model(batch, noise=False).energy.sin().sum()
    moved = replace(batch, pos=batch.pos.clone().requires_grad_())
    energy = model(moved, noise=False).energy
    (gradient,) = torch.autograd.grad(energy.sum(), moved.pos, create_graph=True)
    yield energy.square().sum() + gradient.sin().sum()


def answers(model, batch, choice):
    """Losses and their gradients by all parameters, computed as ``choice`` says."""
    with kernels.use(choice):
        values = list(losses(model, batch))
        return values, [torch.autograd.grad(loss, model.parameters(), materialize_grads=True) for loss in values]


@pytest.fixture
def calls(monkeypatch):
    """The kernels that ran, in chunks of five pairs of width 12 and a rest."""
    monkeypatch.setattr(chunked, "CACHE", 12 * 5)
    ran = []
    for kernel in KERNELS:
        outputs = kernel.outputs
        monkeypatch.setattr(kernel, "outputs", staticmethod(lambda *a, k=kernel, f=outputs: ran.append(k) or f(*a)))
    return ran


def tame(name, dtype, **settings):
    """The contract's model with weights whose energies are not 1e6, which magnifies rounding."""
    model = build(name, dtype, **settings)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(0.5)
    return model


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize(("name", "settings"), CASES)
def test_the_fast_form_is_the_plain_formula(name, settings, dtype, calls):
    model = tame(name, dtype, **settings)
    batch = Batch.from_arrays(*molecules((9, 1, 7, 12))).to("cpu", dtype)
    values, gradients = answers(model, batch, "fast")
    assert calls
    calls.clear()
    plain_values, plain_gradients = answers(model, batch, "plain")
    assert not calls
    torch.testing.assert_close(values, plain_values, **TOLERANCE[dtype])
    names = [key for key, _ in model.named_parameters()]
    for fast, plain in zip(gradients, plain_gradients, strict=True):
        size = max(float(g.abs().max()) for g in plain)
        for key, a, b in zip(names, fast, plain, strict=True):
            message = lambda text, key=key: f"{key}: {text}"  # noqa: E731
            torch.testing.assert_close(a / size, b / size, **TOLERANCE[dtype], msg=message)


def random_arguments(name, dtype):
    """Arguments of ``name``'s plain formula, each of which can have a gradient."""
    generator = torch.Generator().manual_seed(0)
    receiver, sender = torch.tensor([0, 1, 2, 0, 3, 2, 1, 2]), torch.tensor([1, 2, 0, 3, 0, 1, 3, 3])

    def draw(*shape):
        return torch.randn(*shape, dtype=dtype, generator=generator).requires_grad_()

    return {
        "egnn": (egnn.messages, [
            draw(4, 6), draw(4, 6), draw(8, 3), receiver, sender, draw(8, 1), draw(6, 3), draw(6, 6), draw(6),
            draw(1, 6), draw(1), draw(6, 6), draw(6), draw(1, 6)]),
        "schnet": (schnet.messages, [
            draw(4, 6), draw(8, 5).detach(), draw(8, 1).detach(), receiver, sender, draw(6, 5), draw(6), draw(6, 6),
            draw(6)]),
        "torchmd_net scalars": (torchmd_net.scalar_messages, [
            draw(4, 6), draw(4, 6), draw(4, 6), draw(4, 6), draw(4, 6), draw(4), receiver, sender, draw(4, 1), 2,
            torch.nn.SiLU()]),
        "torchmd_net vectors": (torchmd_net.vector_messages, [
            draw(3, 4, 6), draw(4, 6), draw(4, 6), draw(4, 6), draw(8, 3), receiver, sender, draw(4, 1)]),
    }[name]  # fmt: skip


@pytest.mark.parametrize("name", ["egnn", "schnet", "torchmd_net scalars", "torchmd_net vectors"])
def test_gradients_are_finite_differences(name, calls):
    """Of the fast form itself, by every argument, first and second order."""
    formula, arguments = random_arguments(name, torch.float64)
    with kernels.use("fast"):
        assert torch.autograd.gradcheck(formula, arguments)
        assert torch.autograd.gradgradcheck(formula, arguments)
    assert calls


def test_the_switch(calls):
    """Fast on a CPU and plain on a GPU unless another choice is made; plain in mixed precision whatever the choice."""
    model = build("egnn", torch.float32)
    batch = Batch.from_arrays(*molecules()).to("cpu", torch.float32)
    on_gpu = SimpleNamespace(device=torch.device("cuda"))
    expected = {"auto": True, "fast": True, "plain": False}
    for choice, fast in expected.items():
        calls.clear()
        with kernels.use(choice):
            model(batch)
            assert kernels.enabled(batch.pos) == fast
            assert kernels.enabled(on_gpu) == (choice == "fast")
        assert bool(calls) == fast
    with torch.autocast("cpu", torch.bfloat16), kernels.use("fast"):
        assert not kernels.enabled(batch.pos)
    with pytest.raises(ValueError, match="no choice of kernels 'quick': choose from"), kernels.use("quick"):
        pass


def test_schnet_is_plain_where_the_geometry_needs_a_gradient(calls):
    """Its kernel has none for the geometry."""
    batch = Batch.from_arrays(*molecules()).to("cpu", torch.float32)
    model = build("schnet", torch.float32)
    model(batch)
    assert not calls
    model(batch, noise=False)
    assert calls == [Convolution] * 2


@pytest.mark.parametrize(("name", "settings"), CASES)
def test_batches_without_pairs(name, settings):
    """Lone atoms: no chunk at all."""
    z, pos, molecule = molecules((1, 1))
    batch = Batch.from_arrays(z, pos, molecule).to("cpu", torch.float64)
    values, gradients = answers(tame(name, torch.float64, **settings), batch, "fast")
    assert all(torch.isfinite(v) for v in values)
    assert all(torch.isfinite(g).all() for parts in gradients for g in parts)


def test_the_slices_are_all_rows_once():
    rows = [k for c in chunked.chunks(1000, 2**12) for k in range(1000)[c]]
    assert rows == list(range(1000))
