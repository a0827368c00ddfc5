"""The registry: names and settings, compiled layers, and that a new model leaves the paper's matrix alone."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from paper_matrix import paper_matrix
from small_models import answer, build, molecules

from lib import models
from lib.batches import Batch
from lib.chemistry.atom_types import ATOM_TYPES


def printed(*command: str) -> str:
    """What Python prints when it runs ``command``."""
    return subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True).stdout


def test_a_new_model_leaves_the_papers_matrix_its_runs_and_its_claims_alone():
    plain = paper_matrix()
    assert json.loads(printed(str(Path(__file__).with_name("paper_matrix.py")), "dummy")) == plain
    paper = list(models.PAPER_MODELS)
    assert all(own == paper and set(controls) <= set(paper) for own, controls in plain["models"].values())
    assert sum(len(runs) for runs in plain["keys"]["laptop"].values()) > 100
    labels = {models.MODELS[name].label for name in paper}
    assert {model for _, (_, _, model, *_) in plain["claims"]} == labels


def test_importing_the_models_imports_no_library_that_is_wrapped():
    names = "torchmdnet", "torch_geometric", "warp", "e3nn"
    code = f"import sys, lib.models; print([name for name in {names} if name in sys.modules])"
    assert printed("-c", code).strip() == "[]"


def test_paper_settings_are_the_defaults():
    egnn, schnet, et = (models.build(name, {}).settings for name in ("egnn", "schnet", "torchmd_net"))
    assert (egnn.hidden_channels, egnn.n_layers, egnn.cutoff) == (256, 5, 5.0)
    sizes = schnet.hidden_channels, schnet.num_filters, schnet.num_interactions, schnet.num_gaussians
    assert sizes == (256, 256, 5, 32)
    assert (et.hidden_channels, et.num_layers, et.num_rbf, et.num_heads, et.rbf_type) == (256, 6, 32, 8, "expnorm")
    assert models.build("egnn", {}).type_embedding.num_embeddings == len(ATOM_TYPES) == 28


def test_se3_transformer_has_the_released_number_of_parameters():
    """239,057, less 9,344 that four edge features feed which are always zero."""
    assert sum(p.numel() for p in models.build("se3_transformer", {}).parameters()) == 239_057 - 9_344


@pytest.mark.parametrize(
    ("name", "settings", "word"),
    [
        ("egn", {}, "choose from"),
        ("egnn", {"hidden": 3}, "hidden_channels"),
        ("egnn", 3, "EGNNSettings"),
        ("egnn", {"num_rbf": 1}, "num_rbf = 1"),
        ("se3_transformer", {"div": 3}, "channels / div = 8 / 3"),
        ("torchmd_net", {"num_heads": 7}, "hidden_channels = 256 must be a multiple of num_heads = 7"),
        ("torchmd_net", {"distance_influence": "all"}, "distance_influence = 'all': choose keys"),
        ("torchmd_net", {"activation": "relu"}, "relu"),
        ("visnet", {"num_heads": 3}, "hidden_channels = 128 must be a multiple of num_heads = 3"),
        ("visnet", {"lmax": 3}, "lmax = 3: choose 1 or 2"),
    ],
)
def test_unknown_model_or_setting(name, settings, word):
    with pytest.raises(ValueError, match=word):
        models.build(name, settings)


@pytest.mark.parametrize(
    ("name", "small"), [("se3_transformer", {"n_layers": 1, "degrees": 1}), ("torchmd_net", {"num_layers": 1})]
)
def test_compiled_layers_give_the_same_energies(name, small):
    """torch.compile needs a C++ compiler: left out where there is none."""
    if shutil.which("g++") is None and shutil.which("clang++") is None:
        pytest.skip("no C++ compiler")
    model = build(name, torch.float32, **small)
    z, pos, molecule = molecules()
    before = answer(model, torch.float32, z, pos, molecule)
    models.compile_layers(name, model, noise=False)
    batch = Batch.from_arrays(z, pos, molecule).to("cpu", torch.float32)
    torch.testing.assert_close(model(batch, noise=False).energy, before.energy, rtol=1e-4, atol=1e-4)
    torch._dynamo.reset()


def test_nothing_is_compiled_where_the_noise_is_a_gradient():
    model = build("schnet", torch.float32)
    models.compile_layers("schnet", model, noise=True)
    assert all(layer._compiled_call_impl is None for layer in model.interactions)
