"""Laws of readers, store and splits, held against drawn data: what is written is read, whole and once."""

import io
from pathlib import Path
from tempfile import TemporaryDirectory

import h5py
import numpy as np
from conftest import LEVEL, make_molecule
from hypothesis import given, settings
from hypothesis import strategies as st

from lib.chemistry.reference_energies import level_named
from lib.data.readers import READERS
from lib.data.readers.checks import FAR, near_origin
from lib.data.splits import FINE_TUNING, PRE_TRAINING, make_split, subsample
from lib.data.store import ConformationStore, ranges
from lib.errors import DataError
from lib.units import EV

FEW = settings(max_examples=25, deadline=None, derandomize=True)
MOLECULES = st.lists(
    st.tuples(st.lists(st.sampled_from([1, 6, 7, 8]), min_size=1, max_size=6), st.integers(1, 30)),
    min_size=1,
    max_size=5,
)


def molecules_of(drawn: list[tuple[list[int], int]], forces: bool = False) -> list:
    return [make_molecule(f"m{k}", z, n, k, forces) for k, (z, n) in enumerate(drawn)]


@FEW
@given(MOLECULES, st.booleans())
def test_a_store_returns_what_was_written(drawn, forces):
    molecules = molecules_of(drawn, forces)
    with TemporaryDirectory() as folder:
        store = ConformationStore.write(molecules, Path(folder) / "store")
        store.verify()
        for k, molecule in enumerate(molecules):
            index = store.conformations_of(k)
            conformations = store.gather(index[::-1])
            np.testing.assert_array_equal(conformations.positions, np.concatenate(molecule.positions[::-1]))
            np.testing.assert_array_equal(store.energy(index), molecule.energy)
            if forces:
                np.testing.assert_array_equal(store.gather_forces(index), np.concatenate(molecule.forces))


@FEW
@given(MOLECULES, st.integers(0, 2**32 - 1), st.sampled_from([FINE_TUNING, PRE_TRAINING]), st.randoms())
def test_a_split_covers_everything_once_in_any_order_of_molecules(drawn, seed, shares, random):
    molecules = molecules_of(drawn)
    shuffled = random.sample(molecules, len(molecules))
    with TemporaryDirectory() as folder:
        store = ConformationStore.write(molecules, Path(folder) / "store")
        split = make_split(store, seed, shares)
        together = np.concatenate(list(split.parts.values()))
        np.testing.assert_array_equal(np.sort(together), np.arange(len(store)))
        other = ConformationStore.write(shuffled, Path(folder) / "shuffled")
        assert make_split(other, seed, shares).hash == split.hash


@FEW
@given(st.integers(1, 300), st.data())
def test_smaller_subsamples_are_in_larger_ones(total, data):
    large = data.draw(st.integers(1, total))
    small, seed = data.draw(st.integers(1, large)), data.draw(st.integers(0, 1000))
    index = np.arange(total) * 3
    assert set(subsample(index, small, seed)) <= set(subsample(index, large, seed)) <= set(index)


@FEW
@given(st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 20))))
def test_ranges_are_concatenated(pairs):
    starts, lengths = (np.array([p[i] for p in pairs], dtype=np.int64) for i in (0, 1))
    expected = [k for start, length in pairs for k in range(start, start + length)]
    assert ranges(starts, lengths).tolist() == expected


@FEW
@given(MOLECULES)
def test_ani1_is_read_as_it_was_written(drawn):
    molecules = molecules_of(drawn)
    symbols = {1: b"H", 6: b"C", 7: b"N", 8: b"O"}
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.h5"
        with h5py.File(path, "w") as file:
            file.attrs["level_of_theory"] = LEVEL
            for molecule in molecules:
                group = file.create_group(f"any/{molecule.name}")
                group["coordinates"], group["energies"] = molecule.positions, molecule.energy / 627.5094740631
                group["species"] = np.array([symbols[int(z)] for z in molecule.z])
        for read, molecule in zip(READERS["ani1"](path), molecules, strict=True):
            np.testing.assert_array_equal(read.positions, molecule.positions)
            np.testing.assert_allclose(read.energy, molecule.energy, rtol=1e-9)
            np.testing.assert_array_equal(read.z, molecule.z)


NUMBERS = st.floats(-50, 50).map(lambda value: round(value, 4))


@FEW
@given(
    st.lists(
        st.tuples(st.lists(st.tuples(NUMBERS, NUMBERS, NUMBERS), min_size=2, max_size=5, unique=True), NUMBERS),
        min_size=1,
        max_size=6,
    ),
    st.sampled_from(["", "\n", " \n\n"]),
)
def test_xyz_is_read_whole_or_refused(frames, between):
    """As many frames as were written, with their energies; atoms in one place are refused."""
    text = between.join(
        f"{len(atoms)}\nenergy={energy}\n" + "".join(f"H {x} {y} {z}\n" for x, y, z in atoms)
        for atoms, energy in frames
    )
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a@1.xyz"
        path.write_text(text)
        try:
            read = list(READERS["own"](path, energy_unit="eV"))
        except DataError as error:
            assert "in one place" in str(error)
            return
    energies = np.sort(np.concatenate([m.energy for m in read]))
    np.testing.assert_allclose(energies, np.sort([energy * EV for _, energy in frames]))


@FEW
@given(st.integers(0, 2**31), st.floats(-1e9, 1e9))
def test_centring_changes_no_shape_and_nothing_nearby(seed, shift):
    near = np.random.default_rng(seed).normal(size=(3, 5, 3))
    moved = near + shift
    out = near_origin(moved)
    assert out.dtype == np.float32
    apart = np.diff(out.astype(float), axis=1) - np.diff(near, axis=1)
    assert np.abs(apart).max() < 1.3e-4 + 1e-7 * abs(shift) * (abs(shift) > 1e6)
    if np.abs(moved).max() <= FAR:
        np.testing.assert_array_equal(out, moved.astype(np.float32))


@FEW
@given(st.text(max_size=30))
def test_any_text_names_a_level_or_stays(text):
    assert level_named(level_named(text)) == level_named(text)


@FEW
@given(st.binary(max_size=400), st.sampled_from(["a.xyz", "a.traj", "a.db", "md22_a.npz", "a.h5", "iso17.tar.gz"]))
def test_any_bytes_are_refused_in_one_line(content, name):
    readers = {"a.h5": ["ani1", "ani1x", "spice"], "md22_a.npz": ["md22"], "iso17.tar.gz": ["iso17"]}
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        path.write_bytes(content)
        for reader in readers.get(name, ["own"]):
            try:
                assert list(READERS[reader](path, **({"energy_unit": "eV"} if reader == "own" else {})))
            except DataError as error:
                assert len(io.StringIO(str(error)).readlines()) == 1
                assert path.name in str(error)
