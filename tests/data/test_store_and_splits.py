"""The store returns what was written; splits keep their laws whatever the order of files."""

import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from conftest import make_molecule

from lib.cli.main import main
from lib.data import datasets
from lib.data.datasets import find, open_store
from lib.data.readers import iso17
from lib.data.splits import FINE_TUNING, PRE_TRAINING, Split, make_split, split_by_rows, subsample
from lib.data.store import ConformationStore
from lib.errors import DataError
from lib.own.datasets import example
from lib.paths import DATA
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


def test_a_store_is_replaced_only_when_told_to(store, molecules):
    with pytest.raises(DataError, match=r"a store is there already; .*--force"):
        ConformationStore.write(molecules[:1], store.path)
    assert len(ConformationStore.open(store.path)) == len(store)
    assert len(ConformationStore.write(molecules[:1], store.path, replace=True).names) == 1
    assert sorted(p.name for p in store.path.parent.iterdir()) == [store.path.name]


def test_a_store_that_was_replaced_is_opened_anew(store, molecules):
    """In the same process too; while it is the same, it is opened once."""
    dataset = datasets.DataSet("own/s", datasets.STORE, str(store.path))
    before = open_store(dataset)
    assert open_store(dataset) is before
    others = [replace(m, energy=m.energy + 1.0) for m in molecules]
    written = ConformationStore.write(others, store.path, replace=True)
    assert open_store(dataset).fingerprint == written.fingerprint != before.fingerprint


def something(kind: str, place) -> None:
    """Put a file, a folder or a link of a user's at ``place``."""
    if kind == "file":
        place.write_text("mine")
    elif kind == "link":
        place.with_name("elsewhere").mkdir()
        place.symlink_to("elsewhere")
    elif kind == "dangling link":
        place.symlink_to("nowhere")
    else:
        place.mkdir()
        if kind == "folder":
            (place / "notes.txt").write_text("mine")
        elif kind == "another header":
            (place / "header.json").write_text('{"format": "another"}')


@pytest.mark.parametrize(
    ("file", "problem"),
    [
        ("header.json", "its header.json is missing"),
        ("names.json", "it cannot be read"),
        ("positions.bin", "0 bytes, not"),
    ],
)
def test_a_damaged_store_of_the_cache_says_how_it_is_made_again(file, problem, tmp_path, monkeypatch):
    """The user, who has made none, is not told to convert anything."""
    monkeypatch.setattr(datasets, "STORES", tmp_path)
    path = open_store(example()).path
    datasets._opened.cache_clear()
    (path / file).unlink()
    with pytest.raises(DataError) as caught:
        open_store(example())
    remedy = f"; remove this folder: it is made again from {example().path}"
    assert str(caught.value).startswith(str(path))
    assert problem in str(caught.value)
    assert str(caught.value).endswith(remedy)
    shutil.rmtree(path)
    assert open_store(example()).path == path


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("kind", ["file", "folder", "empty folder", "link", "dangling link", "another header"])
def test_what_is_no_store_is_never_touched(molecules, tmp_path, kind, replace):
    something(kind, tmp_path / "place")
    before = {p: p.lstat().st_mtime_ns for p in tmp_path.rglob("*")}
    with pytest.raises(DataError, match="no conformation store is there already, and is left as it is"):
        ConformationStore.write(molecules, tmp_path / "place", replace=replace)
    assert {p: p.lstat().st_mtime_ns for p in tmp_path.rglob("*")} == before


def test_a_store_with_a_file_of_the_users_in_it_is_not_replaced(store, molecules):
    (store.path / "notes.txt").write_text("mine")
    with pytest.raises(DataError, match="left as it is"):
        ConformationStore.write(molecules, store.path, replace=True)
    assert (store.path / "notes.txt").read_text() == "mine"


def test_a_file_that_appears_while_it_is_written_stays(molecules, tmp_path):
    def slow():
        yield molecules[0]
        (tmp_path / "place").write_text("mine")

    with pytest.raises(DataError, match="left as it is"):
        ConformationStore.write(slow(), tmp_path / "place")
    assert [p.name for p in tmp_path.iterdir()] == ["place"]


def test_convert_does_not_take_the_input_for_the_store(tmp_path, capsys):
    path = tmp_path / "m.xyz"
    path.write_text("2\nenergy=1\nH 0 0 0\nH 0 0 0.74\n")
    arguments = ["data", "convert", "own", str(path), str(path), "--set", "energy_unit=eV"]
    for command in (arguments, [*arguments, "--force"]):
        assert main(command) == 1
        assert "not replaced" in capsys.readouterr().err
    assert path.read_text().startswith("2\n")
    arguments[4] = str(tmp_path / "store")
    assert main(arguments) == 0
    assert main(arguments) == 1
    assert main([*arguments, "--force"]) == 0


@pytest.mark.parametrize("name", ["energy.bin", "positions.bin", "z.bin", "names.json", "header.json"])
def test_every_flipped_bit_is_seen_by_verify(store, name):
    store.verify()
    path = store.path / name
    content = path.read_bytes()
    for place in (0, len(content) // 2, len(content) - 2):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        with pytest.raises(DataError, match=name.replace(".", r"\.")):
            ConformationStore.open(store.path).verify()
    path.write_bytes(content)
    ConformationStore.open(store.path).verify()


def test_opening_reads_small_files_only(store):
    """A flipped bit of the energies is not looked for on opening, one of the atoms is."""
    for name, seen in (("energy.bin", False), ("z.bin", True)):
        path = store.path / name
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
        if seen:
            with pytest.raises(DataError, match="changed since it was written"):
                ConformationStore.open(store.path)
        else:
            ConformationStore.open(store.path)
        path.write_bytes(content)


def test_a_store_of_before_there_were_checksums(store):
    header = json.loads((store.path / "header.json").read_text())
    older = {key: value for key, value in header.items() if not key.startswith("checksum")}
    (store.path / "header.json").write_text(json.dumps(older))
    again = ConformationStore.open(store.path)
    assert again.fingerprint == store.fingerprint
    with pytest.raises(DataError, match=r"has no checksums.*convert"):
        again.verify()


@pytest.mark.parametrize(
    "change",
    [{"counts": None}, {"counts": {"molecules": "4"}}, {"counts": {"molecules": -1}}, {"arrays": "z"},
     {"arrays": ["z"]}, {"arrays": [["z"]]}, {"level": 3}, {"fingerprint": None}, {"checksums": []}],
)  # fmt: skip
def test_header_fields_of_another_kind(store, change):
    path = store.path / "header.json"
    header = json.loads(path.read_text())
    header.pop("checksum_of_header")
    path.write_text(json.dumps(header | change))
    with pytest.raises(DataError, match=r"header\.json"):
        ConformationStore.open(store.path)


@pytest.mark.parametrize("content", ["null", "[]", "3", "{", ""])
def test_a_header_that_is_none(store, content):
    (store.path / "header.json").write_text(content)
    with pytest.raises(DataError, match=r"header\.json"):
        ConformationStore.open(store.path)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda m: {"energy": m.energy[1:]}, r"coordinates have shape \(20, 3, 3\), not \(19, 3, 3\)"),
        (lambda m: {"energy": m.energy[:, None]}, r"energies have shape \(20, 1\), not \(20,\)"),
        (lambda m: {"forces": m.positions[:, 1:]}, r"forces have shape \(20, 2, 3\), not \(20, 3, 3\)"),
        (lambda m: {"charges": m.charges[1:]}, r"charges have shape \(2,\), not \(3,\)"),
        (lambda m: {"charges": np.array([0, np.nan, 0])}, "charges are not finite"),
        (lambda m: {"rows": np.arange(3)}, r"row numbers have shape \(3,\), not \(20,\)"),
        (lambda m: {"energy": np.where(np.arange(20) == 4, np.nan, m.energy)}, "energies of conformation 4 are not"),
        (lambda m: {"positions": np.full_like(m.positions, np.inf)}, "coordinates of conformation 0 are not finite"),
        (lambda m: {"forces": np.full_like(m.positions, np.nan)}, "forces of conformation 0 are not finite"),
    ],
)
def test_arrays_that_do_not_fit_or_are_not_finite(molecules, tmp_path, change, problem):
    """Else the conformations after them would have others' energies; nothing is left where the store would be."""
    water = replace(molecules[0], **change(molecules[0]))
    with pytest.raises(DataError, match=rf"place, water: {problem}"):
        ConformationStore.write([water], tmp_path / "place")
    assert not list(tmp_path.iterdir())


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
