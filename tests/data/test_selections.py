"""Selections of published data: the right conformations in any order, and clear errors for changed or missing ones."""

import hashlib
from dataclasses import replace

import numpy as np
import pytest
from conftest import SHARED, make_molecule, write_ani1

from lib.data import datasets, selections
from lib.data.datasets import SELECTED, find, open_store
from lib.data.selections import Selection, find_selection, hash_of, load_picks, load_selections, pick
from lib.data.store import ConformationStore
from lib.errors import DataError
from lib.study.published import LABELS, PUBLISHED_START, SCRATCH, published_run
from lib.units import HARTREE

REAL = SHARED / "real_data"


def real(folder: str):
    """The published files of one data set; the test is skipped where they are absent."""
    if not (REAL / folder).exists():
        pytest.skip(f"the published files {folder} are not beside this checkout")
    return REAL / folder


@pytest.fixture
def formulas():
    return [make_molecule(name, z, 12, k) for k, (name, z) in enumerate({"H2O": [8, 1, 1], "CHN": [1, 6, 7]}.items())]


@pytest.fixture
def picks(formulas):
    """The third and the first conformation of one formula, the sixth of the other."""
    chosen = {"H2O": (2, 0), "CHN": (5,)}
    return {m.name: [hash_of(m.z, m.positions[k]) for k in chosen[m.name]] for m in formulas}


def shuffled(molecules, seed=0):
    """The same molecules in another order, and their conformations too."""
    rng = np.random.default_rng(seed)
    orders = [rng.permutation(len(m.energy)) for m in molecules]
    return [replace(m, positions=m.positions[o], energy=m.energy[o]) for m, o in zip(molecules, orders, strict=True)][
        ::-1
    ]


def test_the_right_conformations_in_the_order_of_the_list_whatever_that_of_the_file(formulas, picks, tmp_path):
    water, hcn = formulas
    fingerprints = set()
    for k, molecules in enumerate(
        (formulas, shuffled(formulas), [*formulas, make_molecule("NH3", [7, 1, 1, 1], 3, 9)])
    ):
        store = ConformationStore.write(pick(molecules, picks, tmp_path), tmp_path / f"store{k}")
        assert store.names == ["H2O", "CHN"]
        expected = np.concatenate([water.positions[[2, 0]].reshape(-1, 3), hcn.positions[5]])
        np.testing.assert_array_equal(store.gather(np.arange(3)).positions, expected)
        np.testing.assert_allclose(store.energy(np.arange(3)), [*water.energy[[2, 0]], hcn.energy[5]], atol=0.02)
        assert not store.has_forces
        fingerprints.add(store.fingerprint)
    assert len(fingerprints) == 1


def test_energies_that_went_through_float32_give_the_same_store(formulas, picks, tmp_path):
    rounded = [replace(m, energy=(m.energy / HARTREE).astype(np.float32).astype(float) * HARTREE) for m in formulas]
    stores = [
        ConformationStore.write(pick(m, picks, tmp_path), tmp_path / f"s{k}") for k, m in enumerate((formulas, rounded))
    ]
    assert stores[0].fingerprint == stores[1].fingerprint


@pytest.mark.parametrize("change", ["moved", "gone", "formula gone"])
def test_a_changed_or_missing_conformation_is_told(formulas, picks, tmp_path, change):
    water, hcn = formulas
    if change == "moved":
        positions = water.positions.copy()
        positions[2, 0, 0] = np.nextafter(positions[2, 0, 0], np.float32(9))
        water = replace(water, positions=positions)
    elif change == "gone":
        water = replace(water, positions=water.positions[:2], energy=water.energy[:2])
    molecules = [hcn] if change == "formula gone" else [water, hcn]
    first = picks["H2O"][0]
    count = 2 if change == "formula gone" else 1
    with pytest.raises(DataError, match=f"H2O: {count} of 3 chosen conformations are not in it, .* the first {first}"):
        list(pick(molecules, picks, tmp_path / "file.h5"))


def test_hashes_tell_conformations_and_elements_apart(formulas):
    water = formulas[0]
    hashes = {hash_of(water.z, p) for p in water.positions}
    assert len(hashes) == len(water.positions)
    assert hash_of(water.z[::-1], water.positions[0]) not in hashes


@pytest.fixture
def whole_files(tmp_path, monkeypatch):
    """A selection of one whole file, in a folder below that of the data set."""
    folder = tmp_path / "official"
    (folder / "inner").mkdir(parents=True)
    file = write_ani1(folder / "inner" / "one.h5", [make_molecule("m-0", [6, 1, 1, 1, 1], 4, 0)])
    store = ConformationStore.write(datasets.READERS["ani1"](file), tmp_path / "expected")
    entry = Selection("one file", store.fingerprint, "r", {"one.h5": hashlib.sha256(file.read_bytes()).hexdigest()})
    known = {"ani1": entry}
    monkeypatch.setattr(selections, "load_selections", lambda: known)
    return replace(find(f"{SELECTED}/ani1"), path=str(folder), selection=True), file, known


def test_whole_files_are_taken_by_their_sha256(whole_files, tmp_path):
    dataset, file, _ = whole_files
    store = open_store(dataset)
    assert len(store) == 4
    file.unlink()
    assert open_store(dataset) is store  # once it is there the files are not needed
    other = replace(dataset, name="published/other")
    with pytest.raises(DataError, match=r"official, one\.h5: it is not there; fetch it: python -m lib data fetch ani1"):
        open_store(other)
    write_ani1(file, [make_molecule("m-0", [6, 1, 1, 1, 1], 4, 1)])
    with pytest.raises(DataError, match="so it is not the published file; fetch it again"):
        open_store(other)
    with pytest.raises(DataError, match=r"published/other is not there; .* data select ani1 PATH"):
        open_store(replace(other, path=str(tmp_path / "nowhere")))


def test_another_store_than_the_one_that_runs_were_recorded_with_is_refused_and_not_kept(whole_files):
    dataset, _, known = whole_files
    known["ani1"] = replace(known["ani1"], fingerprint="0" * 64)
    for _ in range(2):
        with pytest.raises(DataError, match=r"has the fingerprint .*, not 000000000000…"):
            open_store(dataset)


def test_the_committed_list():
    assert set(load_selections()) == {"ani1", "ani1x"}
    picks = load_picks(selections.FOLDER / find_selection("ani1x").conformations)
    assert len(picks) == 449
    hashes = [h for group in picks.values() for h in group]
    assert len(hashes) == len(set(hashes)) == 1000
    with pytest.raises(ValueError, match="no selection of a published data set 'spice'"):
        find_selection("spice")


@pytest.mark.parametrize(("name", "conformations", "molecules"), [("ani1", 61762, 16), ("ani1x", 1000, 449)])
def test_the_published_files_give_the_stores_of_the_list(name, conformations, molecules, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets, "STORES", tmp_path)
    dataset = replace(find(f"{SELECTED}/{name}"), path=str(real(name)))
    store = open_store(dataset)
    assert (len(store), len(store.names), store.level) == (conformations, molecules, "wB97X/6-31G(d)")
    assert store.fingerprint == datasets.fingerprint_of(dataset)
    by_content = replace(dataset, selection=False)
    monkeypatch.setattr(datasets, "open_store", lambda _: store)
    assert datasets.references_of(by_content) == datasets.references_of(dataset)


def test_runs_have_their_keys_without_the_data(monkeypatch):
    """No store is opened, so that records are found in a checkout without the published files."""
    monkeypatch.setattr(datasets, "open_store", lambda dataset: pytest.fail(f"{dataset.name} is opened"))
    keys = {
        published_run(labels, "egnn", start, 1e-3, 0).key()
        for labels in LABELS.values()
        for start in (SCRATCH, PUBLISHED_START)
    }
    assert len(keys) == 2 * len(LABELS)
    assert published_run(LABELS["ani1x"], "egnn", SCRATCH, 1e-3, 3).key() == "b3b7595665f957bc"
