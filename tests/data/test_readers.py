"""Readers: real samples by values checked by hand, the mini suite, and every kind of bad input."""

import h5py
import numpy as np
import pytest
from conftest import MOLECULES, make_molecule, sample, write_ani1, write_ani1x

from lib.chemistry.atom_types import ATOM_TYPES, atom_types
from lib.data.readers import READERS
from lib.data.readers.molecule import Molecule
from lib.errors import DataError
from lib.paths import DATA
from lib.units import HARTREE

WRITERS = {"ani1": write_ani1, "ani1x": write_ani1x}


def read(name: str, path, **options) -> list[Molecule]:
    return list(READERS[name](path, **options))


def test_ani1_real_sample():
    found = read("ani1", sample("ani1_gdb_s01.h5"))
    assert [(len(m.z), len(m.energy)) for m in found] == [(5, 5400), (4, 3600), (3, 1800)]
    methane = found[0]
    assert methane.z.tolist() == [6, 1, 1, 1, 1]
    assert methane.level == "wB97X/6-31G(d)"
    with h5py.File(sample("ani1_gdb_s01.h5")) as file:
        group = file["gdb11_s01/gdb11_s01-0"]
        assert methane.energy[0] == group["energies"][0] * HARTREE
        np.testing.assert_array_equal(methane.positions[7], group["coordinates"][7])
    assert methane.energy[0] == pytest.approx(-25401.9526, abs=1e-3)  # -40.4805 Hartree
    assert methane.forces is None


def test_ani1x_real_sample():
    found = read("ani1x", sample("ani1x_5_formulas.h5"))
    assert [m.name for m in found] == ["C1H4N4O4", "C1H5N3O5", "C1H6N2O5", "C2H10N4O3", "C2H10N6O1"]
    assert [len(m.energy) for m in found] == [2, 1, 3, 1, 1]
    first = found[0]
    assert first.energy[0] == pytest.approx(-351384.8026, abs=1e-3)
    with h5py.File(sample("ani1x_5_formulas.h5")) as file:
        forces = file["C1H4N4O4/wb97x_dz.forces"][1]
    np.testing.assert_allclose(first.forces[1], forces * HARTREE, rtol=1e-6)


@pytest.mark.parametrize("name", list(WRITERS))
def test_mini_suite_is_read(name):
    first = next(READERS[name](DATA / "mini" / name))
    assert first.level == "GFN2-xTB"
    assert first.positions.dtype == np.float32
    assert first.energy.dtype == np.float64


@pytest.mark.parametrize("name", list(WRITERS))
def test_file_order_does_not_matter(name, tmp_path):
    parts = [make_molecule(f"m{k}", z, 4, k) for k, z in enumerate(MOLECULES.values())]
    paths = [WRITERS[name](tmp_path / f"{k}.h5", [part]) for k, part in enumerate(parts)]
    forward, backward, folder = read(name, paths), read(name, paths[::-1]), read(name, tmp_path)
    assert [m.name for m in forward] == [m.name for m in backward] == [m.name for m in folder]


def test_ani1x_leaves_out_what_was_not_computed(tmp_path):
    path = write_ani1x(tmp_path / "x.h5", [make_molecule("water", [8, 1, 1], 5, 0)])
    with h5py.File(path, "a") as file:
        file["water/gfn2_xtb.energy"][1] = np.nan
    (water,) = read("ani1x", path)
    assert len(water.energy) == len(water.positions) == 4


def test_ani1x_forces_of_another_shape(tmp_path):
    path = write_ani1x(tmp_path / "x.h5", [make_molecule("water", [8, 1, 1], 5, 0)])
    with h5py.File(path, "a") as file:
        file["water/gfn2_xtb.forces"] = np.zeros((4, 3, 3))
    raises("ani1x", path, "water", "(4, 3, 3)", "(5, 3, 3)")


def test_level_may_be_stored_as_bytes(tmp_path):
    for name, write in WRITERS.items():
        path = write(tmp_path / f"{name}.h5", [make_molecule("water", [8, 1, 1], 5, 0)])
        with h5py.File(path, "a") as file:
            file.attrs["level_of_theory"] = np.bytes_("GFN2-xTB")
        assert read(name, path)[0].level == "GFN2-xTB"


def raises(name: str, path, *words: str, **options) -> None:
    """Reading fails with one line that names the file and the words."""
    with pytest.raises(DataError) as caught:
        read(name, path, **options)
    message = str(caught.value)
    assert "\n" not in message
    for word in (path.name, *words):
        assert word in message


@pytest.mark.parametrize("name", list(WRITERS))
class TestBadInput:
    """Each names the file, the entry where there is one, and the remedy."""

    def good(self, name, tmp_path):
        return WRITERS[name](tmp_path / "data.h5", [make_molecule("water", [8, 1, 1], 50, 0)])

    def test_missing(self, name, tmp_path):
        raises(name, tmp_path / "none.h5", "no such file", "check the path")

    def test_empty(self, name, tmp_path):
        (tmp_path / "data.h5").touch()
        raises(name, tmp_path / "data.h5", "empty", "again")

    def test_truncated(self, name, tmp_path):
        path = self.good(name, tmp_path)
        path.write_bytes(path.read_bytes()[:-600])
        raises(name, path, "HDF5 cannot read it", "again")

    def test_not_hdf5(self, name, tmp_path):
        (tmp_path / "data.h5").write_text("no HDF5 at all")
        raises(name, tmp_path / "data.h5", "HDF5 cannot read it")

    def test_no_molecules(self, name, tmp_path):
        h5py.File(tmp_path / "data.h5", "w").close()
        raises(name, tmp_path / "data.h5")

    def test_nan_coordinates(self, name, tmp_path):
        path = self.good(name, tmp_path)
        with h5py.File(path, "a") as file:
            entry = "gdb11_s03/water" if name == "ani1" else "water"
            values = file[entry]["coordinates"][()]
            values[3, 1, 2] = np.nan
            file[entry]["coordinates"][...] = values
        raises(name, path, "water", "conformation 3", "not finite", "remove")

    def test_another_layout(self, name, tmp_path):
        other = next(k for k in WRITERS if k != name)
        raises(name, WRITERS[other](tmp_path / "data.h5", [make_molecule("water", [8, 1, 1], 5, 0)]), "layout")

    def test_wrong_level_is_seen_in_the_energies(self, name, tmp_path):
        level = {"level": "wB97X/6-31G(d)"} if name == "ani1" else {"key": "wb97x_dz"}
        path = WRITERS[name](tmp_path / "data.h5", [make_molecule("water", [8, 1, 1], 5, 0)], **level)
        raises(name, path, "water", "kcal/mol per heavy atom", "level of theory")


def test_ani1_unknown_element(tmp_path):
    path = write_ani1(tmp_path / "data.h5", [make_molecule("water", [8, 1, 1], 5, 0)])
    with h5py.File(path, "a") as file:
        del file["gdb11_s03/water/species"]
        file["gdb11_s03/water/species"] = np.array([b"O", b"Q", b"H"])
    raises("ani1", path, "water", "'Q'", "species")


def test_ani1x_counts_conformations_as_the_file_does(tmp_path):
    """Those without an energy are not read, and counted all the same."""
    path = write_ani1x(tmp_path / "data.h5", [make_molecule("water", [8, 1, 1], 5, 0)])
    with h5py.File(path, "a") as file:
        (key,) = (name for name in file["water"] if name.endswith(".energy"))
        energy, positions = file["water"][key][()], file["water/coordinates"][()]
        energy[:2], positions[3] = np.nan, np.nan
        file["water"][key][...], file["water/coordinates"][...] = energy, positions
    raises("ani1x", path, "water", "conformation 3", "not finite")


def test_ani1x_unknown_element(tmp_path):
    path = write_ani1x(tmp_path / "data.h5", [make_molecule("water", [8, 1, 1], 5, 0)])
    with h5py.File(path, "a") as file:
        file["water/atomic_numbers"][1] = 92
    raises("ani1x", path, "water", "(U)", "ATOM_TYPES")


def test_ani1_missing_and_mixed_levels(tmp_path):
    water = [make_molecule("water", [8, 1, 1], 5, 0)]
    bare = write_ani1(tmp_path / "bare.h5", water, level=None, root="mine")
    raises("ani1", bare, "states no level of theory", "level_of_theory")
    assert len(read("ani1", bare, level="GFN2-xTB")) == 1
    stated = write_ani1(tmp_path / "stated.h5", water)
    raises("ani1", stated, "not 'wB97X/6-31G(d)'", level="wB97X/6-31G(d)")
    unknown = write_ani1(tmp_path / "unknown.h5", water, level="PM7")
    raises("ani1", unknown, "'PM7'")
    with pytest.raises(DataError, match="states no level"):
        read("ani1", [stated, bare.rename(tmp_path / "zz.h5")])  # a level is not inherited from another file
    with pytest.raises(DataError, match="do not mix levels"):
        read("ani1", [stated, write_ani1(tmp_path / "z.h5", water, level="wB97X/6-31G(d)")])


def test_mini_file_without_its_level_is_refused(tmp_path):
    """The published group names say nothing: the energies show that they are not of the published level."""
    bare = write_ani1(tmp_path / "bare.h5", [make_molecule("water", [8, 1, 1], 5, 0)], level=None)
    raises("ani1", bare, "states no level of theory", "kcal/mol from those of wB97X/6-31G(d)", "level_of_theory")


def test_ani1x_two_levels_need_a_choice(tmp_path):
    path = write_ani1x(tmp_path / "data.h5", [make_molecule("water", [8, 1, 1], 5, 0)])
    with h5py.File(path, "a") as file:
        file["water/wb97x_dz.energy"] = np.full(5, -76.3)
    raises("ani1x", path, "mixes levels of theory")
    assert len(read("ani1x", path, level="GFN2-xTB")) == 1


def test_atom_types_are_the_released_ones():
    assert len(ATOM_TYPES) == 28
    known = {("Br", -1): 0, ("C", 0): 3, ("H", 0): 10, ("N", 0): 17, ("O", 0): 21, ("S", 1): 27}
    assert {pair: ATOM_TYPES.index(pair) for pair in known} == known
    assert atom_types(np.array([6, 1, 35]), np.array([0, 0, -1])).tolist() == [3, 10, 0]


@pytest.mark.parametrize(("z", "charge", "word"), [(2, 0, "He"), (6, 4, "+4"), (300, 0, "no element"), (-1, 0, "-1")])
def test_atom_types_outside_the_vocabulary(z, charge, word):
    with pytest.raises(ValueError, match="ATOM_TYPES") as caught:
        atom_types(np.array([1, z]), np.array([0, charge]))
    assert word in str(caught.value)
