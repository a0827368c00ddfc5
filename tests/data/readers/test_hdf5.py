"""HDF5 for the readers: what cannot be opened, is elsewhere, or was never stored is an error that names the entry."""

import h5py
import numpy as np
import pytest
from conftest import SHARED
from samples import ani1, ani1x, read, spice

from lib.data.readers import guard
from lib.data.readers.hdf5 import members
from lib.errors import DataError

FIRST = "gdb11_s01/gdb11_s01-0"


@pytest.fixture
def path(tmp_path):
    return ani1(tmp_path / "ani1.h5")


def refused(path, *words: str, name: str = "ani1.h5") -> None:
    with pytest.raises(DataError) as caught:
        read(name, path)
    message = str(caught.value)
    assert "\n" not in message
    assert message.startswith(str(path))
    for word in words:
        assert word in message, message


def replace(path, key: str, make) -> None:
    """Delete ``key`` of the first group, and ``make`` it anew in the group."""
    with h5py.File(path, "a") as file:
        if key in file[FIRST]:
            del file[FIRST][key]
        make(file[FIRST])


@pytest.mark.parametrize(
    "link", [h5py.SoftLink("/nowhere"), h5py.SoftLink(f"/{FIRST}"), h5py.ExternalLink("other.h5", "/gdb11_s01")]
)
@pytest.mark.parametrize("place", ["/", "gdb11_s01", FIRST])
def test_links_are_refused(path, place, link):
    with h5py.File(path, "a") as file:
        file[place]["link"] = link
    refused(path, "/link", "it is a link to", "put what it links to in its place")


def test_a_loop_of_links_ends(path):
    with h5py.File(path, "a") as file:
        file["gdb11_s01/self"] = file["gdb11_s01"]
        file["gdb11_s01/a"] = h5py.SoftLink("/gdb11_s01/a")
    refused(path, "gdb11_s01/a", "link")


def test_virtual_data_with_a_missing_source(path, tmp_path):
    layout = h5py.VirtualLayout((5, 3, 3), "f4")
    layout[:] = h5py.VirtualSource(str(tmp_path / "gone.h5"), "x", (5, 3, 3))
    replace(path, "coordinates", lambda group: group.create_virtual_dataset("coordinates", layout, fillvalue=0))
    refused(path, f"{FIRST}/coordinates", "virtual")


def test_external_storage(path, tmp_path):
    (tmp_path / "raw.bin").write_bytes(bytes(180))
    stored = [(str(tmp_path / "raw.bin"), 0, 180)]
    replace(path, "coordinates", lambda group: group.create_dataset("coordinates", (5, 3, 3), "f4", external=stored))
    refused(path, f"{FIRST}/coordinates", "external storage")


@pytest.mark.parametrize("chunks", [None, (1, 3, 3)])
def test_what_was_never_written_is_not_read_as_zeros(path, chunks):
    def make(group):
        made = group.create_dataset("coordinates", (5, 3, 3), "f4", chunks=chunks)
        if chunks:
            made[:3] = 1.0

    replace(path, "coordinates", make)
    refused(path, f"{FIRST}/coordinates", "not in it")


@pytest.mark.parametrize("chunks", [None, (1000, 3, 3)])
def test_a_size_beyond_the_file(path, chunks):
    replace(path, "coordinates", lambda g: g.create_dataset("coordinates", (10**15, 3, 3), "f4", chunks=chunks))
    refused(path, f"{FIRST}/coordinates", "it declares", "but the file has")


@pytest.mark.parametrize(
    ("key", "value", "word"),
    [
        ("coordinates", np.zeros((5, 3, 3), "i1"), "int8"),
        ("coordinates", np.zeros((5, 3, 3), "c8"), "complex"),
        ("coordinates", np.float64(1), "shape ()"),
        ("coordinates", np.zeros((5, 3, 3)), "in one place"),
        ("coordinates", np.full((5, 3, 3), 1e20) * np.arange(1, 10).reshape(3, 3), "from its centre"),
        ("energies", h5py.Empty("f8"), "without a shape"),
        ("energies", np.full(5, b"x"), "not floating-point"),
        ("energies", np.ones(5, bool), "bool"),
        ("energies", np.full((5, 1), -5.0), "not one of 1 dimensions"),
        ("energies", np.full(4, -5.0), "coordinates have shape (5, 3, 3), not (4, 3, 3)"),
        ("energies", np.zeros(0), "0 conformations"),
        ("species", b"O", "shape ()"),
        ("species", np.array([b"X", b"H", b"H"]), "unknown element 'X'"),
        ("species", np.array([b"\xff", b"H", b"H"]), "UTF-8"),
        ("species", np.dtype("f4"), "no data set 'species'"),
    ],
)
def test_odd_data_sets(path, key, value, word):
    replace(path, key, lambda group: group.__setitem__(key, value))
    refused(path, FIRST, word)


@pytest.mark.parametrize(("value", "word"), [(3, "is no text"), (np.array(["a", "b"], object), "is no text")])
def test_level_of_another_type(path, value, word):
    with h5py.File(path, "a") as file:
        file.attrs["level_of_theory"] = value
    refused(path, "attribute level_of_theory", word)


def test_an_empty_group_and_one_that_is_none(path):
    with h5py.File(path, "a") as file:
        file.create_group("gdb11_s02")
    refused(path, "/gdb11_s02", "empty")
    with h5py.File(path, "a") as file:
        del file["gdb11_s02"]
        file["gdb11_s01/notes"] = "a remark"
    refused(path, "/gdb11_s01/notes", "it is no group")


def test_a_group_that_cannot_be_opened_is_not_passed_over(tmp_path):
    """The header of each group in turn is overwritten: h5py itself would leave such a group out."""
    whole = ani1x(tmp_path / "ani1x.h5")
    content = whole.read_bytes()
    with h5py.File(whole) as file:
        places = [h5py.h5o.get_info(group.id).addr for group in file.values()]
    for place in places:
        whole.write_bytes(content[:place] + b"\x77" + content[place + 1 :])
        refused(whole, "HDF5 cannot", name="ani1x.h5")


def test_some_groups_without_forces_or_energies(tmp_path):
    path = ani1x(tmp_path / "ani1x.h5")
    with h5py.File(path, "a") as file:
        del file["H2O3/gfn2_xtb.forces"]
    refused(path, "/H2O3", "forces in some groups only", name="ani1x.h5")
    with h5py.File(path, "a") as file:
        del file["H2O2/gfn2_xtb.energy"]
    refused(path, "/H2O2", "no data set 'gfn2_xtb.energy'", name="ani1x.h5")


def test_a_formula_without_any_energy(tmp_path):
    path = ani1x(tmp_path / "ani1x.h5")
    with h5py.File(path, "a") as file:
        file["H2O1/gfn2_xtb.energy"][...] = np.nan
    refused(path, "/H2O1", "none with an energy", name="ani1x.h5")


@pytest.mark.parametrize("text", [b"waters\0\0", b"GFN2-xTB"])
def test_a_heap_in_which_hdf5_goes_round_for_ever(tmp_path, monkeypatch, text):
    """The length of each text of variable length in turn is changed; HDF5 refuses some lengths, and loops at others."""
    monkeypatch.setattr(guard, "LONGEST", 1)
    path = spice(tmp_path / "spice.hdf5")
    content = path.read_bytes()
    place = content.index(text) + len(text) + 8  # of the length of the next object in the heap
    ends = 0
    for length in (102, 17, 255):
        path.write_bytes(content[:place] + bytes([length]) + content[place + 1 :])
        try:
            assert sum(len(m.energy) for m in read("spice.hdf5", path)) == 26
        except DataError as error:
            ends += "neither reads nor refuses" in str(error) or "HDF5" in str(error)
    assert ends


def test_looking_in_a_child_changes_nothing(tmp_path):
    said = []
    guard.refuse_endless(tmp_path, "x", [lambda: said.append(1), lambda: 1 / 0])
    assert not said
    with pytest.raises(DataError, match="neither reads nor refuses"):
        guard.refuse_endless(tmp_path, "x", [lambda: __import__("os").kill(__import__("os").getpid(), 9)])


def numbered(path, groups: int) -> None:
    """A file with ``groups`` groups, half of which were removed again, so that its tree of names has some history."""
    with h5py.File(path, "w") as file:
        for k in range(2 * groups):
            file.create_group(f"{'long' * (k % 3)}{k}")
        for name in sorted(file)[1::2]:
            del file[name]


@pytest.mark.parametrize("groups", [1, 6, 60, 300])
def test_a_list_of_names_that_was_shortened_is_refused(tmp_path, groups):
    """The old format has no checksum of it: each count of entries is made smaller, and nothing is lost silently."""
    path = tmp_path / "old.h5"
    numbered(path, groups)
    whole = path.read_bytes()
    with h5py.File(path) as file:
        assert len(members(path, file)) == len(file) == groups
        lists = tree_of(whole, file)
    for place in lists:
        count = int.from_bytes(whole[place + 6 : place + 8], "little")
        for fewer in {0, count - 1}:
            path.write_bytes(whole[: place + 6] + fewer.to_bytes(2, "little") + whole[place + 8 :])
            with h5py.File(path) as file, pytest.raises(DataError, match=r", /: "):
                members(path, file)


def tree_of(content: bytes, file: h5py.File) -> list[int]:
    """Where the lists of names of the root group begin: its tree's nodes and leaves that have entries."""
    header = h5py.h5o.get_info(file.id).addr
    (root,) = (int.from_bytes(content[header + 24 : header + 32], "little"),)
    out, nodes = [], [root]
    for place in nodes:
        out.append(place)
        count = int.from_bytes(content[place + 6 : place + 8], "little")
        if content[place : place + 4] == b"TREE":
            nodes += [
                int.from_bytes(content[at : at + 8], "little") for at in range(place + 32, place + 32 + 16 * count, 16)
            ]
    return out


def test_real_files_of_older_versions_are_whole():
    """COMP6 has, behind the last child of each tree, what another group's tree had."""
    path = SHARED / "real_data" / "comp6" / "s66x8_wb97x6-31gd.h5"
    if not path.exists():
        pytest.skip("the real file of COMP6 is not beside this checkout")
    with h5py.File(path) as file:
        assert len(members(path, file["s66x8"])) == 66
        assert "forces" in members(path, file["s66x8/mol00"])


def test_groups_of_the_newer_format_are_read(tmp_path):
    path = tmp_path / "new.h5"
    with h5py.File(path, "w", libver="latest") as file:
        for k in range(100):
            file.create_group(str(k))
    with h5py.File(path) as file:
        assert len(members(path, file)) == 100
