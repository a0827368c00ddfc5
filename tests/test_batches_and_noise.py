"""Neighbour pairs against brute force, the Gaussian noise, its rigid part, and the order of loading."""

import numpy as np
import pytest
import torch
from conftest import make_molecule

from lib import batches
from lib.batches import Batch
from lib.data.loading import ConformationBatches, Selection, make_loader
from lib.data.store import ConformationStore
from lib.machine import flush_denormals
from lib.noising import gaussian_noise, rigid_part


def random_molecules(sizes, spread, seed=0):
    rng = np.random.default_rng(seed)
    molecule = np.repeat(np.arange(len(sizes)), sizes)
    return np.zeros(len(molecule), int), (spread * rng.normal(size=(len(molecule), 3))).astype("f4"), molecule


@pytest.mark.parametrize(("sizes", "spread"), [([1, 2, 7, 23, 1, 12], 2.5), ([80], 1.0), ([3, 3], 40.0), ([1], 1.0)])
def test_pairs_equal_brute_force(sizes, spread):
    """80 atoms within 5 Å: every atom has more than 32 neighbours, and none is dropped."""
    z, pos, molecule = random_molecules(sizes, spread)
    batch = Batch.from_arrays(z, pos, molecule, cutoff=5.0)
    distance = np.linalg.norm(pos[:, None].astype("f8") - pos[None], axis=-1)
    near = (distance < 5.0) & (molecule[:, None] == molecule[None]) & ~np.eye(len(z), dtype=bool)
    assert set(map(tuple, batch.pairs.T.tolist())) == set(zip(*np.nonzero(near), strict=True))
    assert batch.pairs.shape[1] == near.sum()
    half = batch.pairs.shape[1] // 2
    torch.testing.assert_close(batch.pairs[:, half:], batch.pairs[:, :half].flip(0))


@pytest.mark.parametrize("sizes", [[batches.ALL_PAIRS + 1], [5, 1, batches.ALL_PAIRS + 50, 7]])
def test_large_molecules_have_the_same_pairs_in_the_same_order(sizes, monkeypatch):
    """On a grid of 2.5 Å whole rows of atoms lie on the cutoff itself, which is not closer than the cutoff.

    The settings are those of training, under which SciPy's tree of several molecules would end the process.
    """
    z, pos, molecule = random_molecules(sizes, 6.0)
    pos[::2] = np.round(pos[::2] / 2.5) * 2.5
    with flush_denormals():
        by_tree = Batch.from_arrays(z, pos, molecule, cutoff=5.0).pairs
    monkeypatch.setattr(batches, "ALL_PAIRS", 10**6)
    assert torch.equal(by_tree, Batch.from_arrays(z, pos, molecule, cutoff=5.0).pairs)


@pytest.mark.parametrize(
    ("z", "pos", "molecule", "word"),
    [
        ([0, 28], np.zeros((2, 3)), [0, 0], "28"),
        ([0, 0], np.array([[0, 0, 0], [np.nan, 0, 0]]), [0, 0], "atom 1"),
        ([0, 0], np.zeros((2, 3)), [1, 0], "ascend"),
        ([0, 0], np.zeros((2, 3)), [0, 2], "without gaps"),
        ([0, 0], np.zeros((3, 3)), [0, 0], "(3, 3)"),
        ([], np.zeros((0, 3)), [], "at least one atom"),
    ],
)
def test_bad_arrays(z, pos, molecule, word):
    with pytest.raises(ValueError, match=r".") as caught:
        Batch.from_arrays(np.array(z), pos, np.array(molecule))
    assert word in str(caught.value)


@pytest.mark.parametrize(
    ("targets", "said"),
    [
        ({"energy": np.zeros(7)}, r"energy has shape \(7,\), not \(2,\): give one number a molecule"),
        ({"energy": torch.zeros(2, 1)}, r"energy has shape \(2, 1\), not \(2,\)"),
        ({"forces": np.zeros((9, 3))}, r"forces has shape \(9, 3\), not \(3, 3\): give three numbers an atom"),
        ({"noise": torch.zeros(9)}, r"noise has shape \(9,\), not \(3, 3\)"),
        ({"index": np.arange(3)}, r"index has shape \(3,\), not \(2,\)"),
    ],
)
def test_targets_of_another_shape_are_refused(targets, said):
    """Two molecules of three atoms in all; a loss would broadcast (2, 1) energies to the errors of every pair."""
    atoms = np.array([0, 0, 0]), np.eye(3), np.array([0, 0, 1])
    with pytest.raises(ValueError, match=said):
        Batch.from_arrays(*atoms, **targets)
    batch = Batch.from_arrays(*atoms, energy=torch.zeros(2), forces=np.eye(3), noise=torch.eye(3), index=np.arange(2))
    assert [tuple(t.shape) for t in (batch.energy, batch.forces, batch.noise, batch.index)] == [
        (2,),
        (3, 3),
        (3, 3),
        (2,),
    ]


def test_noise_is_gaussian_and_drawn_from_the_generator():
    noise = gaussian_noise(200_000, 0.2, np.random.default_rng(1))
    assert noise.std() == pytest.approx(0.2, rel=0.01)
    assert abs(noise.mean()) < 0.001
    assert (np.abs(noise) < 0.4).mean() == pytest.approx(0.9545, abs=0.002)
    np.testing.assert_array_equal(noise, gaussian_noise(200_000, 0.2, np.random.default_rng(1)))
    assert not np.array_equal(noise, gaussian_noise(200_000, 0.2, np.random.default_rng(2)))


@pytest.mark.parametrize("sigma", [0.0, -0.1, float("nan"), float("inf")])
def test_bad_sigma(sigma):
    with pytest.raises(ValueError, match="sigma"):
        gaussian_noise(3, sigma, np.random.default_rng(0))


def test_rigid_part_is_the_projection_on_rigid_motion():
    rng = np.random.default_rng(0)
    sizes = [5, 2, 9, 1, 3]
    molecule = np.repeat(np.arange(5), sizes)
    positions = rng.normal(size=(20, 3))
    positions[-3:] = np.outer([0.0, 1.1, 2.3], [1.0, 2.0, -1.0])  # a linear molecule
    noise = rng.normal(size=(20, 3))
    part = rigid_part(positions, noise, molecule)
    np.testing.assert_allclose(rigid_part(positions, part, molecule), part, atol=1e-10)
    np.testing.assert_allclose(rigid_part(positions, noise - part, molecule), 0, atol=1e-10)
    for k in range(5):
        here = molecule == k
        r = positions[here] - positions[here].mean(0)
        spin = np.cross(rng.normal(size=3), r) + rng.normal(size=3)
        assert abs(((noise - part)[here] * spin).sum()) < 1e-10
    share = np.mean(
        [(rigid_part(positions[:5], rng.normal(size=(5, 3)), molecule[:5]) ** 2).sum() for _ in range(2000)]
    )
    assert share == pytest.approx(6, rel=0.05)  # six of 3N directions


@pytest.fixture
def two_stores(tmp_path):
    small = ConformationStore.write([make_molecule("water", [8, 1, 1], 30, 0)], tmp_path / "a")
    large = ConformationStore.write([make_molecule("methane", [6, 1, 1, 1, 1], 50, 1)], tmp_path / "b")
    return [Selection(small, np.arange(0, 30, 2)), Selection(large, np.arange(50))]


def test_every_conformation_is_seen_once_an_epoch(two_stores):
    """The last batch too, which is smaller."""
    loader = make_loader(ConformationBatches(two_stores, 5.0, sigma=0.2), batch_size=16, seed=0, shuffle=True)
    batches = list(loader)
    assert len(batches) == len(loader) == 5
    seen = torch.cat([b.index for b in batches])
    assert sorted(seen.tolist()) == list(range(65))


def test_noise_and_order_are_new_each_epoch_and_repeat_with_the_seed(two_stores):
    def epoch(number, seed=0):
        loader = make_loader(ConformationBatches(two_stores, 5.0, sigma=0.2), 16, seed, shuffle=True)
        loader.sampler.set_epoch(number)
        return next(iter(loader))

    assert torch.equal(epoch(1).noise, epoch(1).noise)
    assert not torch.equal(epoch(0).index, epoch(1).index)
    assert not torch.equal(epoch(0).index, epoch(0, seed=1).index)
    assert epoch(0).noise.flatten()[0] != epoch(1).noise.flatten()[0]


def test_validation_noise_is_fixed(two_stores):
    loader = make_loader(ConformationBatches(two_stores, 5.0, sigma=0.2), 16, seed=0, shuffle=False)
    first = [b.noise for b in loader]
    loader.sampler.set_epoch(3)
    for one, other in zip(first, loader, strict=True):
        assert torch.equal(one, other.noise)


def test_noised_batch_is_clean_plus_noise(two_stores):
    data = ConformationBatches(two_stores, 5.0, sigma=0.2)
    batch = next(iter(make_loader(data, 8, 0, shuffle=True)))
    for row, number in enumerate(batch.index.tolist()):
        chosen = two_stores[0] if number < 15 else two_stores[1]
        clean = chosen.store.gather(chosen.index[[number if number < 15 else number - 15]]).positions
        here = batch.molecule == row
        np.testing.assert_allclose((batch.pos - batch.noise)[here].numpy(), clean, atol=1e-6)


def test_energies_belong_to_their_conformations(two_stores):
    data = ConformationBatches(two_stores, 5.0)
    batch = next(iter(make_loader(data, 20, 0, shuffle=True)))
    np.testing.assert_array_equal(batch.energy.numpy(), data.energies()[batch.index.numpy()])
    assert batch.energy.dtype == torch.float64


def test_different_compositions_are_those_of_the_conformations(two_stores):
    data = ConformationBatches([*two_stores, two_stores[0]], 5.0)
    np.testing.assert_array_equal(data.different_compositions(), np.unique(data.compositions(), axis=0))
    assert len(data.different_compositions()) == 2


def test_worker_processes_load_the_same_batches(two_stores):
    """To the bit; and an epoch that goes on after two batches is the rest of it."""
    data = ConformationBatches(two_stores, 5.0, sigma=0.2)
    plain = list(make_loader(data, 16, 0, shuffle=True))
    parallel = make_loader(data, 16, 0, shuffle=True, workers=2)
    assert parallel.state_dict() == {"given": 0}
    for one, other in zip(plain, parallel, strict=True):
        for name in ("z", "pos", "molecule", "pairs", "noise", "index"):
            assert torch.equal(getattr(one, name), getattr(other, name))
    parallel.load_state_dict({"given": 2})
    assert [b.index.tolist() for b in parallel] == [b.index.tolist() for b in plain[2:]]
    assert len(list(parallel)) == len(plain)
