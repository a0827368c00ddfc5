"""ASE databases are read without a byte written; archives to their last byte."""

import gzip
import io
import sqlite3
import tarfile

import numpy as np
import pytest
from ase.db.sqlite import SQLite3Database
from samples import iso17, md22, own, read

from lib.data.readers import READERS, ase_database
from lib.data.readers.archives import unpack
from lib.errors import DataError


def refused(name: str, path, *words: str, **options) -> None:
    with pytest.raises(DataError) as caught:
        list(READERS[name](path, **options))
    for word in (str(path), *words):
        assert word in str(caught.value)
    assert "\n" not in str(caught.value)


def state(path) -> tuple:
    return path.read_bytes(), path.stat().st_mtime_ns, sorted(path.parent.iterdir())


def change(path, statement: str, *values: object) -> None:
    with sqlite3.connect(path) as database:
        database.execute(statement, values)
    database.close()


OWN = {"energy_unit": "eV"}


@pytest.mark.parametrize(("name", "options"), [("own", OWN), ("iso17", {})])
def test_a_database_of_something_else_stays_as_it_is(tmp_path, name, options):
    path = tmp_path / "notes.db"
    change(path, "CREATE TABLE notes (text TEXT)")
    before = state(path)
    refused(name, path, "no ASE database", **options)
    assert state(path) == before


@pytest.mark.parametrize(("sample", "make"), [("own.db", own), ("iso17.db", iso17)])
def test_reading_writes_nothing(tmp_path, sample, make):
    path = make(tmp_path / sample)
    path.chmod(0o444)
    before = state(path)
    assert sum(len(m.energy) for m in read(sample, path)) == 8
    assert state(path) == before


def test_a_database_is_read_a_few_rows_at_a_time_in_order(tmp_path, monkeypatch):
    """At the paper's size all rows together would take gigabytes; a row more or less would be noticed."""
    path, asked = iso17(tmp_path / "reference.db"), []
    whole = [(row.id, row.positions.tolist()) for row in ase_database.rows(path)]
    select = SQLite3Database.select
    monkeypatch.setattr(ase_database, "AT_ONCE", 2)
    monkeypatch.setattr(SQLite3Database, "select", lambda *a, **limits: asked.append(limits) or select(*a, **limits))
    assert [(row.id, row.positions.tolist()) for row in ase_database.rows(path)] == whole
    assert len(asked) == len(whole) // 2 + 1 and {limits["limit"] for limits in asked} == {2}


def test_a_journal_that_is_not_yet_in_it(tmp_path):
    path = own(tmp_path / "own.db")
    (tmp_path / "own.db-wal").write_bytes(b"rows to come")
    refused("own", path, "own.db-wal", "close the program", **OWN)


def test_a_view_in_place_of_the_table(tmp_path):
    path = own(tmp_path / "own.db")
    change(path, "ALTER TABLE systems RENAME TO s0")
    change(path, "CREATE VIEW systems AS SELECT a.* FROM s0 a, s0 b, s0 c")
    refused("own", path, "tables systems and information", **OWN)


@pytest.mark.parametrize(
    ("column", "value"),
    [("numbers", b"\x01\x02"), ("numbers", None), ("positions", b""), ("positions", None), ("cell", b""),
     ("constraints", "{"), ("calculator_parameters", "{"), ("key_value_pairs", "[]"), ("energy", None),
     ("energy", b"\x01"), ("forces", None), ("data", "{"), ("data", b"\x80\x04"), ("initial_charges", b"\x01"),
     ("data", '{"a": {"__ndarray__": [[10000000000000], "float64", [1]]}}'), ("pbc", 255),
     ("numbers", np.full(3, 134, "i4").tobytes()), ("numbers", np.full(3, -1, "i4").tobytes())],
)  # fmt: skip
def test_odd_columns_of_one_row(tmp_path, column, value):
    path = own(tmp_path / "own.db")
    change(path, f"UPDATE systems SET {column} = ? WHERE id = 2", value)
    refused("own", path, **OWN)


@pytest.mark.parametrize(
    ("change_of", "word"),
    [('{"total_energy": "low"}', "no number"), ('{"total_energy": true}', "no number"), ("{}", "total_energy")],
)
def test_odd_energies_of_iso17(tmp_path, change_of, word):
    path = iso17(tmp_path / "iso17.db")
    change(path, "UPDATE systems SET key_value_pairs = ? WHERE id = 3", change_of)
    refused("iso17", path, "row 3", word)


def test_metadata_of_another_kind(tmp_path):
    path = iso17(tmp_path / "iso17.db")
    for said, word in (("{", "no ASE database"), ("[1]", "metadata"), ('{"level_of_theory": 3}', "is no text")):
        change(path, "UPDATE information SET value = ? WHERE name = 'metadata'", said)
        refused("iso17", path, word)


def test_rows_that_an_index_knows_and_the_table_lacks(tmp_path):
    """A byte of the table's page is changed, so that SQLite itself would read fewer rows."""
    path = own(tmp_path / "own.db")
    content = path.read_bytes()
    with sqlite3.connect(path) as database:
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'systems'").fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
    database.close()
    cells = (page - 1) * size + 4
    path.write_bytes(content[:cells] + b"\x01" + content[cells + 1 :])
    refused("own", path, **OWN)


def test_every_wrong_checksum_of_an_archive_is_seen(tmp_path):
    """One byte of the checksum, of the length, and of the packed data; cut; and with rubbish behind."""
    path = iso17(tmp_path / "iso17.tar.gz")
    content = path.read_bytes()
    for place in (-8, -5, -4, -1, len(content) // 2, 100):
        place %= len(content)
        path.write_bytes(content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :])
        refused("iso17", path, "cannot be unpacked")
    for other in (content[:-1], content[:-20], content + b"rubbish", b"no gzip", gzip.compress(b"no tar" * 200)):
        path.write_bytes(other)
        refused("iso17", path, "cannot be unpacked")


def archive(path, *members: tarfile.TarInfo) -> None:
    with tarfile.open(path, "w:gz") as opened:
        for member in members:
            opened.addfile(member, io.BytesIO(bytes(member.size)))


def member(name: str, kind: bytes = tarfile.REGTYPE, target: str = "") -> tarfile.TarInfo:
    made = tarfile.TarInfo(name)
    made.type, made.linkname, made.size = kind, target, 5 if kind == tarfile.REGTYPE else 0
    return made


@pytest.mark.parametrize(
    "bad",
    [member("l", tarfile.SYMTYPE, "../.."), member("l", tarfile.SYMTYPE, "l"), member("l", tarfile.LNKTYPE, "/etc/a"),
     member("p", tarfile.FIFOTYPE), member("d", tarfile.CHRTYPE), member("../outside"), member("a/" * 3000 + "a")],
    ids=["link out", "link to itself", "hard link", "pipe", "device", "outside", "long"],
)  # fmt: skip
def test_members_that_are_no_files_inside(tmp_path, bad):
    folder = tmp_path / "inside"
    folder.mkdir()
    archive(tmp_path / "a.tar.gz", member("good"), bad)
    with pytest.raises(DataError, match="cannot be unpacked"):
        unpack(tmp_path / "a.tar.gz", folder)
    assert not list(folder.iterdir())
    assert sorted(tmp_path.iterdir()) == [tmp_path / "a.tar.gz", folder]


def test_unpacking_again_replaces_files_and_leaves_others(tmp_path):
    archive(tmp_path / "a.tar.gz", member("in/a"), member("b"))
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_bytes(b"old")
    (tmp_path / "in" / "mine").write_bytes(b"mine")
    unpack(tmp_path / "a.tar.gz", tmp_path)
    assert (tmp_path / "in" / "a").read_bytes() == (tmp_path / "b").read_bytes() == bytes(5)
    assert (tmp_path / "in" / "mine").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [("R", np.zeros((8, 3, 3), "U4"), "not floating-point"), ("F", np.zeros((8, 3, 3), "c8"), "complex"),
     ("E", np.zeros(8, "M8[D]"), "datetime"), ("E", np.float64(1), "shape ()"), ("E", np.zeros(7), "7 energies of 8"),
     ("z", np.ones((1, 3), int), "shape (1, 3)"), ("z", np.ones(3), "not whole"), ("R", np.zeros((0, 3, 3)), "of 0"),
     ("theory", np.array("B3LYP"), "'B3LYP'"), ("theory", np.array(3), "is no text"),
     ("theory", np.array("unknown"), "states no level of theory")],
)  # fmt: skip
def test_odd_arrays_of_md22(tmp_path, key, value, word):
    path = md22(tmp_path / "md22_water.npz")
    with np.load(path) as content:
        arrays = dict(content) | {key: value}
    np.savez(path, **arrays)
    refused("md22", path, word)


def test_arrays_that_are_shorter_than_they_say(tmp_path):
    import zipfile

    path = tmp_path / "md22_water.npz"
    with zipfile.ZipFile(path, "w") as packed:
        for key, shape in (("R", (10**13, 1, 3)), ("E", (1,)), ("F", (1, 1, 3)), ("z", (1,))):
            header = io.BytesIO()
            np.lib.format.write_array_header_1_0(header, {"descr": "<f4", "fortran_order": False, "shape": shape})
            packed.writestr(f"{key}.npy", header.getvalue())
    refused("md22", path, "R.npy", "declares 120000000000000 bytes, but has 0")


def test_one_system_in_two_files(tmp_path):
    md22(tmp_path / "md22_water.npz")
    (tmp_path / "md22_water.xyz").write_text("1\nx\nH 0 0 0\n")
    with pytest.raises(DataError, match=r"md22_water\.npz holds the system water too"):
        list(READERS["md22"](tmp_path))
