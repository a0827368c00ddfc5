"""The store returns what was written; splits keep their laws whatever the order of files."""

import csv
import json

import numpy as np
import pytest
from conftest import make_molecule

from lib.datasets import find, open_store
from lib.errors import DataError
from lib.paths import DATA
from lib.readers import iso17
from lib.splits import FINE_TUNING, PRE_TRAINING, Split, make_split, split_by_rows, subsample
from lib.store import ConformationStore
from lib.units import HARTREE


def test_round_trip(store, molecules):
    energies = np.concatenate([m.energy for m in molecules])
    assert len(store) == len(energies)
    index = np.random.default_rng(0).permutation(len(store))
    np.testing.assert_array_equal(store.energy(index), energies[index])
    found = store.gather(index)
    frames = [(m, k) for m in molecules for k in range(len(m.energy))]
    for row, i in enumerate(index):
        molecule, k = frames[i]
        np.testing.assert_array_equal(found.positions[found.molecule == row], molecule.positions[k])
    assert store.energy(index).dtype == np.float64
    assert found.positions.dtype == np.float32


def test_header_states_units_and_level(store):
    header = json.loads((store.path / "header.json").read_text())
    assert header["units"]["energy"] == "kcal/mol"
    assert header["units"]["positions"] == "angstrom"
    assert header["level"] == "GFN2-xTB"


def test_forces(tmp_path):
    molecule = make_molecule("water", [8, 1, 1], 6, 0, forces=True)
    store = ConformationStore.write([molecule], tmp_path / "s")
    np.testing.assert_array_equal(store.gather_forces(np.array([4]))[:], molecule.forces[4])


def test_relative_energy_is_subtracted_in_float64(tmp_path):
    """To 1e-9 kcal/mol; float32 would round water's energy, about -3180 kcal/mol, to 2e-4."""
    water = make_molecule("water", [8, 1, 1], 3, 0)
    store = ConformationStore.write([water], tmp_path / "s")
    rows = csv.DictReader((DATA / "mini" / "reference_energies.csv").open())
    free = {(row["element"], row["charge"]): float(row["energy_hartree"]) * HARTREE for row in rows}
    expected = water.energy - (free["O", "0"] + 2 * free["H", "0"])
    np.testing.assert_allclose(store.relative_energy(np.arange(3)), expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (lambda h: h | {"units": {"energy": "eV"}}, "units"),
        (lambda h: h | {"format": "another"}, "another"),
    ],
)
def test_store_with_other_units_is_refused(store, change, word):
    path = store.path / "header.json"
    path.write_text(json.dumps(change(json.loads(path.read_text()))))
    with pytest.raises(DataError, match=word):
        ConformationStore.open(store.path)


def test_cut_store_is_refused(store):
    path = store.path / "positions.bin"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(DataError, match=r"positions\.bin"):
        ConformationStore.open(store.path)


def test_failed_write_leaves_the_old_store(store, molecules):
    with pytest.raises(DataError, match="two molecules have this name"):
        ConformationStore.write([*molecules, molecules[0]], store.path, replace=True)
    assert len(ConformationStore.open(store.path)) == len(store)
    assert sorted(p.name for p in store.path.parent.iterdir()) == [store.path.name]


def test_empty_store_is_refused(tmp_path):
    with pytest.raises(DataError, match="no conformation"):
        ConformationStore.write([], tmp_path / "s")


def test_fingerprint_changes_with_the_data(store, molecules, tmp_path):
    again = ConformationStore.write(molecules, tmp_path / "again")
    assert again.fingerprint == store.fingerprint
    molecules[0].energy[0] += 1e-9
    assert ConformationStore.write(molecules, tmp_path / "other").fingerprint != store.fingerprint


@pytest.mark.parametrize("shares", [FINE_TUNING, PRE_TRAINING])
def test_split_covers_each_molecule_once(store, shares):
    split = make_split(store, 3, shares)
    together = np.concatenate(list(split.parts.values()))
    np.testing.assert_array_equal(np.sort(together), np.arange(len(store)))
    for m, count in enumerate(store.n_conformations):
        sizes = [int((store.molecule_of(index) == m).sum()) for index in split.parts.values()]
        edges = np.cumsum(list(shares.values())) * count // 100
        assert sizes == np.diff(edges, prepend=0).tolist()


def test_split_depends_on_the_seed_and_not_on_the_order_of_molecules(store, molecules, tmp_path):
    backward = ConformationStore.write(molecules[::-1], tmp_path / "backward")
    one, other = make_split(store, 5, FINE_TUNING), make_split(backward, 5, FINE_TUNING)
    assert one.hash == other.hash
    assert one.hash != make_split(store, 6, FINE_TUNING).hash
    for part in FINE_TUNING:
        energies = [np.sort(s.energy(split.parts[part])) for s, split in ((store, one), (backward, other))]
        np.testing.assert_array_equal(*energies)


def test_split_does_not_depend_on_other_molecules(store, molecules, tmp_path):
    alone = ConformationStore.write(molecules[:1], tmp_path / "alone")
    test = make_split(store, 1, FINE_TUNING).parts["test"]
    own = make_split(alone, 1, FINE_TUNING).parts["test"]
    np.testing.assert_array_equal(own, test[store.molecule_of(test) == 0])


def test_strict_pretraining_split_leaves_out_the_test_part(store):
    test = make_split(store, 2, FINE_TUNING).parts["test"]
    strict = make_split(store, 2, PRE_TRAINING, without=test)
    assert not np.isin(np.concatenate(list(strict.parts.values())), test).any()
    released = make_split(store, 2, PRE_TRAINING)
    assert np.isin(released.parts["train"], test).any()


def test_saved_split(store, molecules, tmp_path):
    split = make_split(store, 0, FINE_TUNING)
    split.save(tmp_path / "split.npz")
    loaded = Split.load(tmp_path / "split.npz", store)
    assert loaded.hash == split.hash
    np.testing.assert_array_equal(loaded.parts["test"], split.parts["test"])
    other = ConformationStore.write(molecules[1:], tmp_path / "other")
    with pytest.raises(DataError, match="does not fit the store"):
        Split.load(tmp_path / "split.npz", other)


def test_subsamples_are_nested():
    index = np.arange(100, 200)
    small, large = subsample(index, 10, 4), subsample(index, 50, 4)
    assert set(small) < set(large) < set(index)
    with pytest.raises(ValueError, match="1 to 100"):
        subsample(index, 101, 4)


def test_shares_must_add_up(store):
    with pytest.raises(ValueError, match="add up to 100"):
        make_split(store, 0, {"train": 80, "test": 10})


def test_a_split_in_the_order_of_the_file(store):
    """Each molecule's first 80 % train and its last conformations test, whatever the seed."""
    split = make_split(store, 0, FINE_TUNING, order="file")
    assert split.hash == make_split(store, 9, FINE_TUNING, order="file").hash
    for molecule, first in enumerate(store.first_conformation):
        of_molecule = {part: index[store.molecule_of(index) == molecule] - first for part, index in split.parts.items()}
        n = store.n_conformations[molecule]
        np.testing.assert_array_equal(np.concatenate(list(of_molecule.values())), np.arange(n))
        assert of_molecule["test"][-1] == n - 1
        assert len(of_molecule["train"]) == n * 80 // 100
    with pytest.raises(ValueError, match="choose from"):
        make_split(store, 0, FINE_TUNING, order="time")


def test_published_split_by_rows():
    """ISO17's ids divide reference.db; the other two databases are parts of their own."""
    mini = find("mini/iso17")
    store, ids = open_store(mini), iso17.published_ids(mini.path)
    chosen = {part: ("reference/", rows) for part, rows in ids.items()}
    split = split_by_rows(store, chosen | {"unknown": ("test_other/", None), "within": ("test_within/", None)})
    assert {part: len(split.parts[part]) for part in ids} == {part: len(rows) for part, rows in ids.items()}
    together = np.concatenate(list(split.parts.values()))
    assert len(np.unique(together)) == len(together) == len(store)
    train = split.parts["train"]
    np.testing.assert_array_equal(np.sort(store.arrays["rows"][train]), np.sort(ids["train"]))
    with pytest.raises(ValueError, match="row 99999"):
        split_by_rows(store, {"train": ("reference/", np.array([99999]))})


def test_no_published_split_without_rows(store):
    with pytest.raises(ValueError, match="no row numbers"):
        split_by_rows(store, {"train": ("reference/", None)})
