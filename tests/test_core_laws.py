"""Laws of batches, units and the keys of runs, held against drawn data."""

from dataclasses import fields, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
import torch
from conftest import make_molecule, write_ani1, write_ani1x
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from lib.batches import Batch
from lib.data.datasets import DataSet
from lib.data.readers import READERS
from lib.data.readers.frame_values import ENERGY_UNITS, LENGTH_UNITS
from lib.models import make_settings
from lib.runs.config import FORMAT, Limits, RunConfig, key_of
from lib.training.settings import TrainingSettings

FEW = settings(max_examples=20, deadline=None, derandomize=True)
SIZES = st.lists(st.integers(1, 9), min_size=1, max_size=6)
SEEDS, CUTOFFS = st.integers(0, 2**32 - 1), st.floats(0.5, 8.0)


def atoms_of(sizes: list[int], seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Types, positions and molecules of atoms at random."""
    rng = np.random.default_rng(seed)
    molecule = np.repeat(np.arange(len(sizes)), sizes)
    return rng.integers(0, 28, len(molecule)), 2.0 * rng.normal(size=(len(molecule), 3)), molecule


def pairs_of(batch: Batch, names: np.ndarray | None = None) -> set[tuple[int, int]]:
    """The directed pairs, of atoms called by ``names`` where given."""
    pairs = batch.pairs.numpy()
    return set(zip(*(pairs if names is None else names[pairs]), strict=True))


@FEW
@given(SIZES, SEEDS, CUTOFFS)
def test_pairs_are_symmetric_within_the_cutoff_and_within_molecules(sizes, seed, cutoff):
    z, pos, molecule = atoms_of(sizes, seed)
    batch = Batch.from_arrays(z, pos, molecule, cutoff)
    pairs = pairs_of(batch)
    assert len(pairs) == batch.pairs.shape[1]
    assert {(j, i) for i, j in pairs} == pairs
    away = np.linalg.norm(pos[:, None] - pos, axis=-1)
    expected = (away < cutoff) & (molecule[:, None] == molecule) & ~np.eye(len(z), dtype=bool)
    assert pairs == set(zip(*np.nonzero(expected), strict=True))


@FEW
@given(SIZES, SEEDS, CUTOFFS, st.randoms())
def test_pairs_know_neither_the_order_of_atoms_nor_the_other_molecules(sizes, seed, cutoff, random):
    z, pos, molecule = atoms_of(sizes, seed)
    whole = pairs_of(Batch.from_arrays(z, pos, molecule, cutoff))
    order = np.array(sorted(range(len(z)), key=lambda k: (molecule[k], random.random())))
    assert pairs_of(Batch.from_arrays(z[order], pos[order], molecule, cutoff), order) == whole
    alone = set()
    for k in range(len(sizes)):
        (its,) = np.nonzero(molecule == k)
        alone |= pairs_of(Batch.from_arrays(z[its], pos[its], np.zeros(len(its), int), cutoff), its)
    assert alone == whole


@FEW
@given(SIZES, SEEDS)
def test_a_batch_goes_to_pyg_and_back(sizes, seed):
    pytest.importorskip("torch_geometric")
    z, pos, molecule = atoms_of(sizes, seed)
    energy, forces = np.random.default_rng(seed).normal(size=len(sizes)), pos[::-1].copy()
    batch = Batch.from_arrays(z, pos, molecule, energy=energy, forces=forces)
    again = Batch.from_pyg(batch.to_pyg())
    for name in ("z", "pos", "molecule", "pairs", "energy", "forces"):
        assert torch.equal(getattr(again, name), getattr(batch, name)), name


@FEW
@given(st.integers(1, 5), SEEDS, st.sampled_from(sorted(ENERGY_UNITS)), st.sampled_from(sorted(LENGTH_UNITS)))
def test_a_file_means_the_same_in_any_units(frames, seed, energy_unit, length_unit):
    """Energies, positions and forces in kcal/mol and Å, whatever units they were written in."""
    methane = make_molecule("methane", [6, 1, 1, 1, 1], frames, seed, forces=True)
    energy_factor, length_factor = ENERGY_UNITS[energy_unit], LENGTH_UNITS[length_unit]
    text = ""
    for x, energy, forces in zip(methane.positions, methane.energy, methane.forces, strict=True):
        rows = np.hstack([x / length_factor, forces / energy_factor * length_factor])
        text += f"5\nProperties=species:S:1:pos:R:3:forces:R:3 energy={energy / energy_factor:.17g}\n"
        text += "".join(f"{s} {' '.join(f'{v:.17g}' for v in row)}\n" for s, row in zip("CHHHH", rows, strict=True))
    with TemporaryDirectory() as folder:
        Path(folder, "m.xyz").write_text(text)
        (read,) = READERS["own"](Path(folder, "m.xyz"), energy_unit=energy_unit, length_unit=length_unit,
                                 forces_length_unit=length_unit)  # fmt: skip
    np.testing.assert_allclose(read.energy, methane.energy, rtol=1e-12)
    np.testing.assert_allclose(read.positions, methane.positions, atol=1e-6)
    np.testing.assert_allclose(read.forces, methane.forces, rtol=1e-5, atol=1e-4)


@FEW
@given(st.lists(st.tuples(st.sampled_from([[8, 1, 1], [6, 1, 1, 1, 1], [1, 6, 7]]), st.integers(1, 9)), min_size=1,
                max_size=5), SEEDS)  # fmt: skip
def test_ani1x_and_md22_are_read_as_they_were_written(drawn, seed):
    molecules = [make_molecule(f"m{k}", z, n, seed + k, forces=True) for k, (z, n) in enumerate(drawn)]
    with TemporaryDirectory() as folder:
        read = list(READERS["ani1x"](write_ani1x(Path(folder, "a.h5"), molecules)))
        first = molecules[0]
        np.savez(Path(folder, "md22_first.npz"), R=first.positions, E=first.energy, F=first.forces, z=first.z,
                 theory="GFN2-xTB")  # fmt: skip
        (of_md22,) = READERS["md22"](Path(folder, "md22_first.npz"), level="GFN2-xTB")
    for ours, written in zip([*read, of_md22], [*molecules, first], strict=True):
        np.testing.assert_array_equal(ours.z, written.z)
        np.testing.assert_array_equal(ours.positions, written.positions)
        np.testing.assert_allclose(ours.energy, written.energy, rtol=1e-12)
    np.testing.assert_array_equal(of_md22.forces, first.forces)


CHANGES = st.fixed_dictionaries(
    {},
    optional={
        "seed": st.integers(0, 3), "sigma": st.sampled_from([0.1, 0.2, 0.3]), "strict_split": st.booleans(),
        "limits": st.builds(Limits, st.sampled_from([None, 5, 9]), st.sampled_from([None, 5])),
        "settings": st.builds(lambda n: make_settings("egnn", {"n_layers": n}), st.integers(1, 3)),
        "training": st.builds(TrainingSettings, epochs=st.integers(1, 3), batch_size=st.sampled_from([8, 16]),
                              learning_rate=st.sampled_from([1e-3, 2e-3]), clip=st.sampled_from([0.0, 1.0]),
                              average=st.sampled_from([0.0, 0.9])),
    },
)  # fmt: skip


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    path = write_ani1(tmp_path_factory.mktemp("keys") / "a.h5", [make_molecule("water", [8, 1, 1], 30, 0)])
    data = (DataSet("test/a", "ani1", str(path)),)
    return RunConfig(
        "denoising", data, "egnn", make_settings("egnn", {"n_layers": 2}), TrainingSettings(epochs=2), 0, 0.2
    )


@FEW
@given(one=CHANGES, other=CHANGES)
def test_two_runs_have_one_key_exactly_where_they_are_one(config, one, other):
    """Else a run would be found in place of another, or trained twice."""
    first, second = replace(config, **one), replace(config, **other)
    assert (first.key() == second.key()) == (first == second)
    assert first.key() == replace(config, **one).key() == key_of(first.describe(whole=False))


ONE_AT_A_TIME = {
    "epochs": 3, "batch_size": 8, "learning_rate": 1e-3, "min_learning_rate": 1e-6, "warmup": 0.5, "plateau": 0.1,
    "clip": 1.0, "normalise": True, "force_weight": 0.0, "validate_every": 2, "patience": 5, "average": 0.9,
}  # fmt: skip


def test_every_setting_of_training_is_in_the_key(config):
    assert {*ONE_AT_A_TIME, "noise_weight"} == {field.name for field in fields(TrainingSettings)}
    changed = [replace(config, training=replace(config.training, **{k: v})) for k, v in ONE_AT_A_TIME.items()]
    noisy = [replace(config, task="energy", baseline="mean", training=replace(config.training, noise_weight=weight))
             for weight in (0.1, 0.2)]  # fmt: skip
    assert len({run.key() for run in [config, *changed, *noisy]}) == len(changed) + len(noisy) + 1


@FEW
@given(change=CHANGES)
def test_a_fine_tuning_has_another_key_for_another_pretraining(config, change):
    other = replace(config, **change)
    assume(other != config and (other.settings, other.seed) == (config.settings, config.seed))
    tuned = replace(config, task="energy", sigma=None, baseline="mean", pretrained=config)
    again = replace(tuned, pretrained=other)
    assert len({tuned.key(), again.key(), config.key(), other.key()}) == 4
    assert tuned.describe()["format"] == FORMAT
