"""One contract for every model: symmetries, batch independence, odd geometries, both precisions."""

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation
from small_models import answer, build, molecules

from lib import models
from lib.batches import Batch
from lib.models.gradient import GradientModel

TOLERANCE = {torch.float32: {"atol": 1e-3, "rtol": 1e-3}, torch.float64: {"atol": 1e-9, "rtol": 1e-9}}
VECTORS_OF_FIRST = ("vec_proj.weight", "w_trg_proj.weight", "w_src_proj.weight", "f_proj.weight", "f_proj.bias")
# layers without a gradient: the first have no vectors yet, in either task; energies do not need the last ones' vectors
NEVER = {"attention_layers.0.vec_proj.weight", *(f"network.vis_mp_layers.0.{key}" for key in VECTORS_OF_FIRST)}
NOISE_ALONE = ("force_head.", "gcl_2.coord_mlp.", "network.vis_mp_layers.1.s_proj.")
CASES = [(name, dtype) for name in models.MODELS for dtype in TOLERANCE]


@pytest.mark.parametrize(("name", "dtype"), CASES)
class TestContract:
    def test_rotation_translation_and_reflection(self, name, dtype):
        model, (z, pos, molecule) = build(name, dtype), molecules()
        turn = Rotation.random(random_state=1).as_matrix()
        symmetries = (turn, -turn) if models.MODELS[name].symmetry == "E(3)" else (turn,)
        for matrix in symmetries:
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
        answered = model(batch)
        (answered.energy.sum() + answered.noise.square().sum()).backward()
        assert torch.isfinite(answered.energy).all()
        assert torch.isfinite(answered.noise).all()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)

    def test_parts_asked_for_one_at_a_time_are_the_same(self, name, dtype):
        model, (z, pos, molecule) = build(name, dtype), molecules()
        batch = Batch.from_arrays(z, pos, molecule).to("cpu", dtype)
        both, energy, noise = model(batch), model(batch, noise=False), model(batch, energy=False)
        assert energy.noise is None
        assert noise.energy is None
        torch.testing.assert_close(energy.energy, both.energy)
        torch.testing.assert_close(noise.noise, both.noise)

    def test_denoising_trains_all_but_not_pretrained(self, name, dtype):
        model, (z, pos, molecule) = build(name, dtype), molecules()
        model(Batch.from_arrays(z, pos, molecule).to("cpu", dtype), energy=False).noise.square().sum().backward()
        idle = {key for key, p in model.named_parameters() if p.grad is None or not p.grad.any()}
        assert idle - NEVER <= {key for key, _ in model.named_parameters() if key.startswith(model.not_pretrained)}

    def test_denoising_trains_the_head_of_those_models_that_say_so(self, name, dtype):
        model, (z, pos, molecule) = build(name, dtype), molecules()
        model(Batch.from_arrays(z, pos, molecule).to("cpu", dtype), energy=False).noise.square().sum().backward()
        trained = [p.grad is not None and bool(p.grad.any()) for p in model.energy_head.parameters()]
        assert any(trained) == model.denoises_with_head

    def test_energy_trains_all_message_passing(self, name, dtype):
        model, (z, pos, molecule) = build(name, dtype), molecules()
        model(Batch.from_arrays(z, pos, molecule).to("cpu", dtype), noise=False).energy.square().sum().backward()
        idle = {key for key, p in model.named_parameters() if p.grad is None or not p.grad.any()}
        assert all(key.startswith(NOISE_ALONE) for key in idle - NEVER), idle

    def test_noise_without_gradients_is_the_same(self, name, dtype):
        model, (z, pos, molecule) = build(name, dtype), molecules()
        with torch.no_grad():
            frozen = answer(model, dtype, z, pos, molecule)
        assert not frozen.noise.requires_grad
        torch.testing.assert_close(frozen.noise, answer(model, dtype, z, pos, molecule).noise.detach())

    def test_a_large_molecule(self, name, dtype):
        model, (z, pos, molecule) = build(name, dtype), molecules((370,))
        answered = answer(model, dtype, z, 3 * pos, molecule)
        assert torch.isfinite(answered.energy).all()
        assert torch.isfinite(answered.noise).all()

    def test_smooth_cutoff_takes_old_weights(self, name, dtype):
        plain, smooth = build(name, dtype), build(name, dtype, smooth_cutoff=True)
        smooth.load_state_dict(plain.state_dict())
        z, pos, molecule = molecules()
        first, second = (answer(m, dtype, z, pos, molecule) for m in (plain, smooth))
        assert (first.energy - second.energy).abs().max() > 1e-6


@pytest.mark.parametrize("name", [n for n, e in models.MODELS.items() if issubclass(e.module, GradientModel)])
def test_noise_of_gradient_models_is_minus_the_finite_difference(name):
    """Through angles and distances, on every coordinate."""
    model, (z, pos, molecule) = build(name, torch.float64), molecules((5, 4))
    noise = answer(model, torch.float64, z, pos, molecule).noise.detach().numpy()
    step = 1e-5
    for atom, axis in np.ndindex(pos.shape):
        shifted = [pos.copy(), pos.copy()]
        shifted[0][atom, axis] += step
        shifted[1][atom, axis] -= step
        ahead, behind = (answer(model, torch.float64, z, x, molecule).energy.sum().item() for x in shifted)
        assert noise[atom, axis] == pytest.approx(-(ahead - behind) / (2 * step), abs=1e-6, rel=1e-5)


def jump(model) -> float:
    """How much the energy changes, over its change by a bond of 0.1 Å, as the last atom leaves all others' cutoff."""
    z = np.array([3, 21, 10, 17])
    pos = np.array([[0, 0, 0], [1.2, 0.1, 0], [0.3, 1.1, 0.2], [0, 0, 0]], float)
    moved = pos.copy()
    moved[1, 0] += 0.1
    direction = np.array([0, 0.6, 0.8])
    far = [np.sqrt(max(0.0, model.settings.cutoff**2 - x @ x + (x @ direction) ** 2)) + x @ direction for x in pos[:3]]
    largest = 0.0
    for where in far:
        energies = []
        for shift in (-1e-7, 1e-7):
            placed = pos.copy()
            placed[3] = (where + shift) * direction
            energies.append(answer(model, torch.float64, z, placed, np.zeros(4, int)).energy.item())
        largest = max(largest, abs(energies[0] - energies[1]))
    still, bent = (answer(model, torch.float64, z[:3], x[:3], np.zeros(3, int)).energy.item() for x in (pos, moved))
    return largest / abs(still - bent)


@pytest.mark.parametrize("name", list(models.MODELS))
def test_energy_at_the_cutoff(name):
    """Continuous with ``smooth_cutoff``; without it, as `Entry.continuous` says."""
    assert jump(build(name, torch.float64, smooth_cutoff=True)) < 1e-5
    assert (jump(build(name, torch.float64)) < 1e-5) == models.MODELS[name].continuous


def test_egnn_energy_reads_the_sum_of_atoms():
    """Two copies of a molecule far apart, as one molecule: twice the pooled features, through the same head."""
    model = build("egnn", torch.float64)
    z, pos, molecule = molecules((5,))
    seen = []
    model.energy_head.register_forward_pre_hook(lambda _, args: seen.append(args[0].detach()))
    answer(model, torch.float64, z, pos, molecule)
    answer(model, torch.float64, np.tile(z, 2), np.concatenate([pos, pos + 100.0]), np.zeros(10, int))
    torch.testing.assert_close(seen[1], 2 * seen[0])


def test_schnet_equals_torch_geometric_s():
    from torch_geometric.nn.models import SchNet

    torch.manual_seed(0)
    theirs = SchNet(16, 12, 2, 8, cutoff=5.0, interaction_graph=lambda pos, batch: (pairs.flip(0), distance))
    z, pos, molecule = molecules()
    batch = Batch.from_arrays(z, torch.tensor(pos, dtype=torch.float32), molecule)
    pairs = batch.pairs
    distance = (batch.pos[pairs[0]] - batch.pos[pairs[1]]).norm(dim=1)
    config = {
        "hidden_channels": 16,
        "num_filters": 12,
        "num_interactions": 2,
        "num_gaussians": 8,
        "cutoff": 5.0,
        "readout": "add",
    }
    ours = models.load_released("schnet", config, theirs.state_dict())
    torch.testing.assert_close(ours(batch).energy, theirs(batch.z, batch.pos, batch.molecule).squeeze(1))


@pytest.mark.parametrize("influence", ["keys", "values", "both", "none"])
@pytest.mark.parametrize(("lower", "rbf"), [(0.0, "expnorm"), (1.0, "gauss")])
def test_torchmd_net_equals_torchmd_net_s(influence, lower, rbf):
    """torchmd-net's own layers on the same pairs, with each atom's pair with itself."""
    from torchmdnet.models.torchmd_et import TorchMD_ET

    torch.manual_seed(0)
    common = {"hidden_channels": 16, "num_layers": 2, "num_rbf": 8, "rbf_type": rbf, "num_heads": 4,
              "distance_influence": influence, "cutoff_lower": lower, "activation": "tanh"}  # fmt: skip
    theirs = TorchMD_ET(**common, cutoff_upper=5.0, max_z=28, dtype=torch.float64).double()
    ours = models.build("torchmd_net", common).double()
    state = {
        k.replace("embedding.weight", "type_embedding.weight") if k == "embedding.weight" else k: v
        for k, v in theirs.state_dict().items()
        if k != "distance.box"
    }
    missing, unexpected = ours.load_state_dict(state, strict=False)
    assert not unexpected
    assert all(key.startswith(("energy_head.", "force_head.")) for key in missing)
    z, pos, molecule = molecules()
    batch = Batch.from_arrays(z, torch.tensor(pos), molecule)
    itself = torch.arange(len(z))

    class Search(torch.nn.Module):
        def forward(self, x, *_):
            index = torch.cat([batch.pairs, torch.stack([itself, itself])], 1)
            vector = x[index[1]] - x[index[0]]
            length = torch.cat([vector[: batch.pairs.shape[1]].norm(dim=1), x.new_zeros(len(x))])
            near = (length >= lower) | (index[0] == index[1])
            return index[:, near].flip(0), length[near], vector[near]

    theirs.distance = Search()
    scalars = []
    ours.out_norm.register_forward_hook(lambda *args: scalars.append(args[2]))
    ours(batch)
    torch.testing.assert_close(scalars[0], theirs(batch.z, batch.pos, batch.molecule)[0])


def test_gaussians_of_distances_keep_egnns_symmetry():
    """And take the place of the squared distance, which the same weights then do not see."""
    model, (z, pos, molecule) = build("egnn", torch.float64, num_rbf=6), molecules()
    turn = -Rotation.random(random_state=1).as_matrix()
    moved, still = (answer(model, torch.float64, z, x, molecule) for x in (pos @ turn.T + 3.0, pos))
    torch.testing.assert_close(moved.energy, still.energy, **TOLERANCE[torch.float64])
    torch.testing.assert_close(moved.noise, still.noise @ torch.tensor(turn.T), **TOLERANCE[torch.float64])
    assert model.gcl_0.edge_mlp[0].in_features == 2 * 12 + 6
