"""Padding changes no answer and no gradient, sizes are few, and nothing on the way of a model waits for a number."""

import copy
from types import SimpleNamespace

import pytest
import torch
from small_models import build, molecules
from torch.utils._python_dispatch import TorchDispatchMode

from lib.batches import Batch
from lib.models import PAPER_MODELS, graphs
from lib.models.forces import energy_and_forces
from lib.models.graphs import GraphedForward, padded, size_class, use_graphs
from lib.training.input_norm import InputNorm

TASKS = {"denoising": (False, True), "energy": (True, False), "both": (True, True)}


def some_batch(sizes=(9, 1, 7, 12)):
    return Batch.from_arrays(*molecules(sizes)).to("cpu", torch.float64)


def test_sizes_are_few_and_at_most_a_quarter_larger():
    classes = [size_class(n) for n in range(1, 5000)]
    assert all(n <= size <= max(n, 1.25 * n + 1) for n, size in enumerate(classes, 1))
    assert classes == sorted(classes)
    assert len(set(classes)) < 50


@pytest.mark.parametrize("sizes", [(9, 1, 7, 12), (1,), (40,), (16,) * 20])
def test_a_padded_batch_is_the_batch_and_one_molecule_more(sizes):
    batch = some_batch(sizes)
    filled, atoms, half = padded(batch), len(batch.z), batch.pairs.shape[1] // 2
    assert filled.n_molecules == batch.n_molecules + 1
    for name in ("z", "pos", "molecule"):
        assert torch.equal(getattr(filled, name)[:atoms], getattr(batch, name)), name
    assert len(filled.z) == size_class(len(filled.z))
    assert filled.pairs.shape[1] // 2 == size_class(filled.pairs.shape[1] // 2)
    one_way, back = filled.pairs.unflatten(1, (2, -1)).unbind(1)
    assert torch.equal(one_way[:, :half], batch.pairs[:, :half])
    assert torch.equal(back, one_way.flip(0))
    added = one_way[:, half:]
    assert (added >= atoms).all() and (added[0] != added[1]).all()
    distance = (filled.pos[added[0]] - filled.pos[added[1]]).norm(dim=1)
    assert distance.min() > 0.01 and distance.max() < 5.0
    assert torch.bincount(added.flatten()).max() <= 4 * graphs.MOST_NEIGHBOURS


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", PAPER_MODELS)
def test_padding_changes_no_answer_and_no_gradient(name, task):
    model, batch = build(name, torch.float64), some_batch()
    energy, noise = TASKS[task]

    def answers():
        answer = model(batch, energy, noise)
        loss = sum(value.sin().sum() for value in (answer.energy, answer.noise) if value is not None)
        return answer, torch.autograd.grad(loss, model.parameters(), materialize_grads=True)

    plain, plain_gradients = answers()
    use_graphs(model)
    assert isinstance(model.forward, GraphedForward)
    graphed, gradients = answers()
    for key in ("energy", "noise"):
        torch.testing.assert_close(getattr(graphed, key), getattr(plain, key), rtol=1e-9, atol=1e-9)
    largest = max(float(g.abs().max()) for g in plain_gradients)
    for one, other in zip(gradients, plain_gradients, strict=True):
        torch.testing.assert_close(one / largest, other / largest, rtol=0, atol=1e-9)


@pytest.mark.parametrize("name", PAPER_MODELS)
def test_what_fills_a_batch_is_not_normalised_with_it(name):
    """The head is normalised by the mean and variance of the batch's molecules, none of which padding may change."""
    model, batch = build(name, torch.float64), some_batch()
    InputNorm(model.energy_head).double()
    plain = model(batch, noise=False).energy
    use_graphs(model)
    torch.testing.assert_close(model(batch, noise=False).energy, plain, rtol=1e-9, atol=1e-9)


def test_evaluation_and_forces_are_not_padded(monkeypatch):
    model, batch = build("schnet", torch.float64), some_batch()
    with torch.no_grad():
        expected = model(batch).energy
    forces = energy_and_forces(model, batch)[1]
    use_graphs(model)
    monkeypatch.setattr(graphs, "padded", lambda _: pytest.fail("a batch was padded"))
    with torch.no_grad():
        assert torch.equal(model(batch).energy, expected)
    assert torch.equal(energy_and_forces(model, batch)[1], forces)


def test_parameters_and_copies_are_those_of_the_model():
    model = build("egnn", torch.float64)
    names = list(model.state_dict())
    use_graphs(model)
    assert list(model.state_dict()) == names
    other = copy.deepcopy(model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert float(other(some_batch()).energy.abs().sum()) == 0.0
    assert float(model(some_batch()).energy.abs().sum()) > 0.0


class NoWaiting(TorchDispatchMode):
    """Refuses operations whose shape or result the processor must know: a graph cannot have them."""

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        forbidden = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape} & set(func.tags)
        assert not forbidden, f"{func} cannot be recorded"
        return func(*args, **(kwargs or {}))


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("name", PAPER_MODELS)
def test_nothing_waits_for_a_number(name, task):
    """Forward and backward; with the plain formulas, as on a GPU."""
    model, batch = build(name, torch.float64), padded(some_batch())
    function = graphs.OfTensors(model, batch, *TASKS[task])
    function(batch.z, batch.pos, batch.molecule, batch.pairs)  # bases are made once
    with graphs_as_on_a_gpu(), NoWaiting():
        outputs = function(batch.z, batch.pos, batch.molecule, batch.pairs)
        torch.autograd.grad(sum(o.sum() for o in outputs), model.parameters(), allow_unused=True)
    with pytest.raises(AssertionError, match="cannot be recorded"), NoWaiting():
        batch.pos[0, 0].item()


def graphs_as_on_a_gpu():
    from lib.models import kernels

    return kernels.use("plain")


def test_a_graph_is_recorded_once_for_each_size_and_only_so_many(monkeypatch):
    """With a recorder that stands in for CUDA's."""
    recorded = []
    monkeypatch.setattr(graphs.torch.cuda, "make_graphed_callables", lambda f, *_, **__: recorded.append(f) or f)
    monkeypatch.setattr(graphs, "MOST", 2)
    model = build("egnn", torch.float64)
    forward = GraphedForward(model)
    on_gpu = SimpleNamespace(device=torch.device("cuda"), clone=lambda: None)
    for atoms, expected in ((10, 1), (10, 1), (20, 2), (30, 2)):
        batch = SimpleNamespace(z=torch.zeros(atoms), pos=on_gpu, molecule=torch.zeros(1), pairs=torch.zeros(2, 4),
                                n_molecules=3)  # fmt: skip
        forward._function(batch, True, False)
        assert len(recorded) == expected
