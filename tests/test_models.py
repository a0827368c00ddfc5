"""One contract for every model: symmetries, batch independence, odd geometries, both precisions; released weights."""

import json

import numpy as np
import pytest
import torch
from conftest import VECTORS
from scipy.spatial.transform import Rotation

from lib import models
from lib.batches import Batch
from lib.elements import ATOM_TYPES
from lib.models.egnn import EGNNSettings

SMALL = {"egnn": {"hidden_channels": 12, "n_layers": 3}}
TOLERANCE = {torch.float32: {"atol": 2e-4, "rtol": 2e-4}, torch.float64: {"atol": 1e-9, "rtol": 1e-9}}
CASES = [(name, dtype) for name in models.MODELS for dtype in TOLERANCE]


def molecules(sizes=(6, 1, 9, 2), seed=0):
    rng = np.random.default_rng(seed)
    molecule = np.repeat(np.arange(len(sizes)), sizes)
    return rng.integers(0, 28, len(molecule)), 1.8 * rng.normal(size=(len(molecule), 3)), molecule


def build(name, dtype, seed=0, **settings):
    torch.manual_seed(seed)
    model = models.build(name, SMALL[name] | settings).to(dtype)
    with torch.no_grad():  # weights that are not small, so that every part of the model answers
        for parameter in model.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return model


def answer(model, dtype, z, pos, molecule):
    return model(Batch.from_arrays(z, pos, molecule, model.settings.cutoff).to("cpu", dtype))


@pytest.mark.parametrize(("name", "dtype"), CASES)
class TestContract:
    def test_rotation_reflection_and_translation(self, name, dtype):
        model, (z, pos, molecule) = build(name, dtype), molecules()
        turn = Rotation.random(random_state=1).as_matrix()
        for matrix in (turn, -turn):
            moved = answer(model, dtype, z, pos @ matrix.T + [3.0, -2.0, 7.0], molecule)
            still = answer(model, dtype, z, pos, molecule)
            torch.testing.assert_close(moved.energy, still.energy, **TOLERANCE[dtype])
            expected = still.noise @ torch.tensor(matrix.T, dtype=dtype)
            torch.testing.assert_close(moved.noise, expected, **TOLERANCE[dtype])
            assert still.noise.abs().max() > 1e-3

    def test_permutation_of_atoms(self, name, dtype):
        model, (z, pos, molecule) = build(name, dtype), molecules()
        order = np.lexsort((np.random.default_rng(2).random(len(z)), molecule))
        still, moved = (answer(model, dtype, z[o], pos[o], molecule) for o in (np.arange(len(z)), order))
        torch.testing.assert_close(moved.energy, still.energy, **TOLERANCE[dtype])
        torch.testing.assert_close(moved.noise, still.noise[order], **TOLERANCE[dtype])

    def test_a_molecule_does_not_see_its_batch(self, name, dtype):
        model, (z, pos, molecule) = build(name, dtype), molecules()
        together = answer(model, dtype, z, pos, molecule)
        for k in range(4):
            here = molecule == k
            alone = answer(model, dtype, z[here], pos[here], np.zeros(here.sum(), int))
            torch.testing.assert_close(alone.energy[0], together.energy[k], **TOLERANCE[dtype])
            torch.testing.assert_close(alone.noise, together.noise[here], **TOLERANCE[dtype])

    @pytest.mark.parametrize(
        "pos",
        [
            [[0, 0, 0]],
            [[0, 0, 0], [0.9, 0, 0]],
            [[0, 0, 0], [1, 0, 0], [2, 0, 0], [3.5, 0, 0]],
            [[0, 0, 0], [1e-3, 0, 0], [1, 1, 0]],
            [[0, 0, 0], [30.0, 0, 0]],
        ],
        ids=["one atom", "two atoms", "collinear", "nearly coincident", "no neighbours"],
    )
    def test_odd_geometries_are_finite(self, name, dtype, pos):
        model = build(name, dtype)
        batch = Batch.from_arrays(np.full(len(pos), 3), np.array(pos, float), np.zeros(len(pos), int)).to("cpu", dtype)
        found = model(batch)
        (found.energy.sum() + found.noise.square().sum()).backward()
        assert torch.isfinite(found.energy).all()
        assert torch.isfinite(found.noise).all()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)

    def test_parts_asked_for_one_at_a_time_are_the_same(self, name, dtype):
        model, (z, pos, molecule) = build(name, dtype), molecules()
        batch = Batch.from_arrays(z, pos, molecule).to("cpu", dtype)
        both, energy, noise = model(batch), model(batch, noise=False), model(batch, energy=False)
        assert energy.noise is None
        assert noise.energy is None
        torch.testing.assert_close(energy.energy, both.energy)
        torch.testing.assert_close(noise.noise, both.noise)

    def test_not_pretrained_is_what_denoising_leaves_without_gradient(self, name, dtype):
        model, (z, pos, molecule) = build(name, dtype), molecules()
        model(Batch.from_arrays(z, pos, molecule).to("cpu", dtype), energy=False).noise.square().sum().backward()
        idle = {key for key, p in model.named_parameters() if p.grad is None or not p.grad.any()}
        assert idle == {key for key, _ in model.named_parameters() if key.startswith(model.not_pretrained)}


def test_egnn_energy_reads_the_sum_of_atoms():
    """Two copies of a molecule far apart, as one molecule: twice the pooled features, through the same head."""
    model = build("egnn", torch.float64)
    z, pos, molecule = molecules((5,))
    seen = []
    model.energy_head.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    answer(model, torch.float64, z, pos, molecule)
    answer(model, torch.float64, np.tile(z, 2), np.concatenate([pos, pos + 100.0]), np.zeros(10, int))
    torch.testing.assert_close(seen[1], 2 * seen[0])


@pytest.mark.parametrize("name", ["egnn", "egnn_no_tanh", "egnn_plain"])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-6), (torch.float32, 1e-4)])
def test_egnn_equals_the_released_one(name, dtype, bound):
    path = VECTORS / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"the reference vectors {path.name} are not beside this checkout")
    saved = np.load(path)
    config = json.loads(str(saved["config"]))
    known = {key: config[key] for key in EGNNSettings.__dataclass_fields__ if key in config}
    model = models.build("egnn", known).to(dtype)
    state = {
        k.removeprefix("state/"): torch.tensor(saved[k], dtype=dtype) for k in saved.files if k.startswith("state/")
    }
    model.load_state_dict(state)
    found = answer(model, dtype, saved["z"], saved["pos"], saved["batch"])
    for ours, theirs in ((found.energy, saved["energy"].ravel()), (found.noise, saved["noise"])):
        assert np.abs(ours.detach().numpy() - theirs).max() <= bound * np.abs(theirs).max()


def test_paper_settings_are_the_defaults():
    model = models.build("egnn", {})
    assert (model.settings.hidden_channels, model.settings.n_layers, model.settings.cutoff) == (256, 5, 5.0)
    assert model.type_embedding.num_embeddings == len(ATOM_TYPES) == 28


@pytest.mark.parametrize(
    ("name", "settings", "word"),
    [("egn", {}, "choose from"), ("egnn", {"hidden": 3}, "hidden_channels"), ("egnn", 3, "EGNNSettings")],
)
def test_unknown_model_or_setting(name, settings, word):
    with pytest.raises(ValueError, match=word):
        models.build(name, settings)
