"""Kinds of files that users have: each gives the conformations of extended xyz, or says in a line what is wrong."""

import gzip
import shutil

import h5py
import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write
from conftest import make_molecule, sample, write_ani1

from lib.cli.main import main
from lib.data.datasets import open_store
from lib.data.readers import own
from lib.data.readers.layouts import LAYOUTS
from lib.data.store import ConformationStore
from lib.errors import DataError
from lib.own.datasets import free_atoms_of, isolated_atoms, lacking, own_dataset, unlabelled_dataset
from lib.own.evaluation import _groups
from lib.own.inspection import inspect_store
from lib.paths import DATA
from lib.units import EV, HARTREE

FILE = DATA / "mini" / "example" / "methyl-salicylate.xyz"
WATER = (
    "3\nProperties=species:S:1:pos:R:3:forces:R:3 energy=-76.0{more}\n"
    "{0} 0 0 0 0 0 1\n{1} 0 0 0.96 0 0 -1\n{2} 0 0.93 -0.24 0 0 0\n"
)
ATOM = "1\nProperties=species:S:1:pos:R:3 config_type={kind} energy={energy}\n{symbol} 0 0 0\n"


@pytest.fixture(scope="module")
def whole():
    """The example as extended xyz has it."""
    (out,) = own.read(FILE, "eV")
    return out


def file(folder, name, *parts):
    path = folder / name
    path.write_text("".join(parts), encoding="utf-8")
    return path


def water(*symbols, more=""):
    return WATER.format(*symbols, more=f" {more}" if more else "")


def refused(path, said, **options):
    with pytest.raises(DataError) as error:
        list(own.read(path, **{"energy_unit": "eV"} | options))
    assert said in str(error.value)
    assert str(path) in str(error.value)


def same(one, other):
    assert np.array_equal(one.z, other.z)
    assert np.allclose(one.positions, other.positions, atol=1e-5)
    assert np.allclose(one.energy, other.energy, rtol=1e-12)
    assert np.allclose(one.forces, other.forces, atol=1e-4)


def test_a_compressed_file_is_the_file(whole, tmp_path):
    path = tmp_path / "a.xyz.gz"
    path.write_bytes(gzip.compress(FILE.read_bytes()))
    (out,) = own.read(path, "eV")
    same(out, whole)
    assert own_dataset(path, "eV").name == "own/a"


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda packed: packed[: len(packed) // 2], "Compressed file ended before the end-of-stream marker"),
        (lambda packed: packed[:3000] + b"XXXX" + packed[3004:], "gzip cannot unpack it"),
        (lambda packed: b"3\n\nO 0 0 0", "Not a gzipped file"),
    ],
)
def test_a_broken_compressed_file_is_refused(spoil, said, tmp_path):
    path = tmp_path / "a.xyz.gz"
    path.write_bytes(spoil(gzip.compress(FILE.read_bytes())))
    refused(path, said)


def arrays(whole):
    return {"R": whole.positions.astype(np.float64), "E": whole.energy[:, None], "F": whole.forces, "z": whole.z}


NPZ = {
    "md17": lambda a: a | {"name": np.array(b"aspirin"), "theory": np.array("unknown"), "md5": np.array("1a2b")},
    "revised md17": lambda a: {
        "coords": a["R"], "energies": a["E"][:, 0], "forces": a["F"], "nuclear_charges": a["z"].astype(np.uint8),
        "old_energies": a["E"][:, 0] + 1, "old_indices": np.arange(len(a["R"])),
    },
    "sgdml": lambda a: a | {"r_unit": np.array("Ang"), "e_unit": np.array("kcal/mol"), "type": np.array("d")},
}  # fmt: skip


@pytest.mark.parametrize("kind", NPZ)
def test_arrays_of_a_trajectory_are_its_frames(kind, whole, tmp_path):
    np.savez(tmp_path / "a.npz", **NPZ[kind](arrays(whole)))
    (out,) = own.read(tmp_path / "a.npz", "kcal/mol")
    same(out, whole)
    assert out.name == ("0-aspirin" if kind == "md17" else "0-C8H8O3")


def test_what_arrays_say_of_their_units_is_taken(whole, tmp_path):
    np.savez(tmp_path / "a.npz", **NPZ["sgdml"](arrays(whole)))
    (out,) = own.read(tmp_path / "a.npz")
    same(out, whole)
    refused(tmp_path / "a.npz", "its energy unit is kcal/mol, not eV; give that one with energy_unit (--energy-unit)")
    np.savez(tmp_path / "b.npz", **NPZ["revised md17"](arrays(whole)))
    (old,) = own.read(tmp_path / "b.npz", "kcal/mol", energy_key="old_energies")
    assert np.allclose(old.energy, whole.energy + 1)
    refused(tmp_path / "b.npz", "its energies have no unit; name it with energy_unit (--energy-unit)", energy_unit=None)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"R": None}, "no positions, ('R',"),
        ({"z": None}, "no numbers, ('z',"),
        ({"E": np.zeros(5)}, "E: shape (5,) beside 576 conformations"),
        ({"F": np.zeros((5, 19, 3))}, "F: shape (5, 19, 3) beside 576 conformations of 19 atoms"),
        ({"z": np.ones(18, dtype=int)}, "and 18 atomic numbers"),
        ({"z": np.ones(19)}, "float64, not whole numbers"),
        ({"R": np.zeros((576, 57))}, "(576, 57), not one of 3 dimensions"),
        ({"E": None}, "no energy 'energy' among"),
    ],
)
def test_arrays_that_do_not_fit(change, said, whole, tmp_path):
    kept = {name: array for name, array in (arrays(whole) | change).items() if array is not None}
    np.savez(tmp_path / "a.npz", **kept)
    refused(tmp_path / "a.npz", said, energy_unit="kcal/mol")


def ani1_like(path, level=None):
    m = make_molecule("water", [8, 1, 1], 20, 0)
    with h5py.File(path, "w") as opened:
        group = opened.create_group("mine/mine-0")
        group["coordinates"], group["energies"] = m.positions, m.energy / HARTREE
        group["species"] = np.array([b"O", b"H", b"H"])
        if level:
            opened.attrs["level_of_theory"] = level
    return m


@pytest.mark.parametrize("level", [None, "GFN2-xTB"])
def test_the_layout_of_ani1(level, tmp_path):
    """With a level of its own it is read all the same; as in xyz the level is the user's unless it is named."""
    m = ani1_like(tmp_path / "a.h5", level)
    for given in ("own", "GFN2-xTB"):
        (out,) = own.read(tmp_path / "a.h5", level=given)
        assert np.allclose(out.energy, m.energy)
        assert np.array_equal(out.positions, m.positions)
        assert out.level == given


def test_other_levels_and_units_than_those_of_a_layout(tmp_path):
    ani1_like(tmp_path / "a.h5", "GFN2-xTB")
    refused(tmp_path / "a.h5", "is 'GFN2-xTB', not 'PBE+MBD'", level="PBE+MBD", energy_unit=None)
    refused(tmp_path / "a.h5", "energies of this layout are in Hartree, not eV; leave the energy unit out")
    refused(tmp_path / "a.h5", "lengths of this layout are in angstrom", length_unit="bohr", energy_unit=None)


def test_a_layout_that_nobody_knows(tmp_path):
    with h5py.File(tmp_path / "a.h5", "w") as opened:
        opened["water/x"] = np.zeros(3)
    refused(tmp_path / "a.h5", f"['x'] are of no layout ({next(iter(LAYOUTS))}: coordinates, energies, species")
    with h5py.File(tmp_path / "b.h5", "w") as opened:
        opened["x"] = np.zeros(3)
    refused(tmp_path / "b.h5", "it is no group")


@pytest.mark.parametrize(
    ("name", "molecules"),
    [("ani1_gdb_s01.h5", 3), ("ani1x_5_formulas.h5", 5), ("spice_1.1.4_2_groups.hdf5", 2)],
)
def test_published_files_are_own_files_too(name, molecules):
    out = list(own.read(sample(name)))
    assert len(out) == molecules
    assert {m.level for m in out} == {"own"}


def test_atomic_numbers_and_deuterium(tmp_path):
    (plain,) = own.read(file(tmp_path, "a.xyz", water("O", "H", "H") * 3), "Hartree")
    (numbers,) = own.read(file(tmp_path, "b.xyz", water("8", "1", "1") * 3), "Hartree")
    (heavy,) = own.read(file(tmp_path, "c.xyz", water("O", "D", "H"), water("O", "H", "H") * 2), "Hartree")
    for each in (numbers, heavy):
        same(each, plain)
    assert not plain.notes + numbers.notes
    (note,) = heavy.notes
    assert note.startswith("1 of 3 frames have deuterium, read as hydrogen")
    assert "2.014 u" in note
    findings = inspect_store(open_store(own_dataset(tmp_path / "c.xyz", "Hartree")))
    assert [(f.severity, f.molecule) for f in findings if f.text == note] == [("warning", "0-H2O")]
    refused(file(tmp_path, "d.xyz", water("O", "H", "999")), "999")


def test_elements_in_another_column(tmp_path):
    text = "2\nProperties=pos:R:3:species:S:1 energy=-1.0\n1 0 0 1\n6 6 0 6\n"
    (out,) = own.read(file(tmp_path, "a.xyz", text), "eV")
    assert out.z.tolist() == [1, 6]
    assert out.positions[0].tolist() == [[1, 0, 0], [6, 6, 0]]
    text = "2\nProperties=Z:I:1:pos:R:3 energy=-1.0\n1 0 0 1\n6 6 0 6\n"
    (out,) = own.read(file(tmp_path, "b.xyz", text), "eV")
    assert out.z.tolist() == [1, 6]


@pytest.mark.parametrize("kind", ["isolated_atom", "IsolatedAtom", "something"])
def test_free_atoms_are_references_and_nothing_to_learn(kind, tmp_path):
    atoms = [ATOM.format(kind=kind, energy=e, symbol=s) for s, e in (("H", -0.5), ("8", -75.0))]
    path = file(tmp_path, "a.xyz", atoms[0], water("O", "H", "H") * 2, atoms[1])
    (out,) = own.read(path, "Hartree")
    assert len(out.energy) == 2
    assert out.rows.tolist() == [1, 2]  # as numbered in the file
    expected = {"H": -0.5 * HARTREE, "O": -75.0 * HARTREE}
    assert own.free_atoms(path, "Hartree") == pytest.approx(expected)
    assert dict(isolated_atoms(own_dataset(path, "Hartree"))) == pytest.approx(expected)


def test_free_atoms_of_other_formats(tmp_path):
    frames = [molecule("H2O"), Atoms("O"), Atoms("N", charges=[1])]
    for k, atoms in enumerate(frames):
        atoms.calc = SinglePointCalculator(atoms, energy=-10.0 - k)
    write(tmp_path / "a.traj", frames)
    assert own.free_atoms(tmp_path / "a.traj", "eV") == pytest.approx({"O": -11 * EV, "N+": -12 * EV})
    assert own.free_atoms(FILE, "eV") == {}


def test_free_atoms_that_are_none_or_two(tmp_path):
    said = water("O", "H", "H", more="config_type=isolated_atom")
    refused(file(tmp_path, "a.xyz", said), "frame 0: config_type is 'isolated_atom', and it has 3 atoms")
    alone = ATOM.format(kind="isolated_atom", energy=-0.5, symbol="H")
    refused(file(tmp_path, "b.xyz", alone), "it holds free atoms alone; give conformations of molecules")
    other = ATOM.format(kind="isolated_atom", energy=-0.6, symbol="H")
    with pytest.raises(DataError, match=r"frame 1: the free atom H has -376\.506 kcal/mol, and -313\.755 in frame 0"):
        own.free_atoms(file(tmp_path, "c.xyz", alone, other), "Hartree")


def boxed(shift=0.0):
    """Water in a box of 10 Å, one hydrogen moved by so many Å."""
    cell = 'Lattice="10 0 0 0 10 0 0 0 10" pbc="T T T"'
    return f"3\n{cell} Properties=species:S:1:pos:R:3 energy=-76.0\nO 0 0 0\nH 0 0 {0.96 + shift}\nH 0 0.93 -0.24\n"


def test_molecules_in_a_box(tmp_path):
    path = file(tmp_path, "a.xyz", boxed() * 3)
    refused(path, "frame 0: the cell is periodic; only molecules in vacuum are supported: if it is one in a box")
    (out,) = own.read(path, "eV", ignore_cell=True)
    assert out.positions[0, 1].tolist() == pytest.approx([0, 0, 0.96])
    (note,) = out.notes
    assert note.startswith("3 of 3 frames have a periodic cell, which is ignored")
    cut = file(tmp_path, "b.xyz", boxed(), boxed(shift=-10))
    refused(cut, "frame 1: its box cuts it: 2 pieces, 1 across the sides of the box", ignore_cell=True)


def test_a_converted_store_is_a_file_of_ones_own(tmp_path, capsys):
    path = tmp_path / "mine"
    convert = ["data", "convert", "own", str(FILE), str(path), "--set", "energy_unit=eV", "--level", "GFN2-xTB"]
    assert main(convert) == 0
    labelled, unlabelled = own_dataset(path), unlabelled_dataset(path)
    stored = ConformationStore.open(path)
    assert {open_store(each).fingerprint for each in (labelled, unlabelled)} == {stored.fingerprint}
    assert (labelled.name, labelled.level) == ("own/mine", "GFN2-xTB")
    for options, said in (
        ({"energy_unit": "eV"}, "the energy unit of a store is kcal/mol, not eV"),
        ({"length_unit": "bohr"}, "the length unit of a store is angstrom, not bohr"),
        ({"level": "PBE+MBD"}, "its level of theory is 'GFN2-xTB', not 'PBE+MBD'"),
    ):
        with pytest.raises(DataError) as error:
            own_dataset(path, **options)
        assert said in str(error.value)
    capsys.readouterr()
    words = ["--data", str(path), "--weights", "schnet-smoke", "--pretrain-on", str(path), "--steps", "20", "--check"]
    assert main(["finetune", *words]) == 0
    assert f"{path}: 1 molecule, 576 conformations with forces\n" in capsys.readouterr().out


def test_errors_name_the_users_file(tmp_path):
    """Forces in the first molecule alone are noticed while the store is written."""
    text = "2\nProperties=species:S:1:pos:R:3 energy=-1.0\nH 0 0 0\nH 0 0 0.74\n"
    path = file(tmp_path, "a.xyz", water("O", "H", "H"), text)
    with pytest.raises(DataError, match="forces for some molecules only") as error:
        open_store(own_dataset(path, "eV"))
    assert error.value.path == path


def test_groups_of_a_compressed_file(tmp_path):
    path = tmp_path / "a.xyz.gz"
    frames = read(FILE, ":2")
    frames[1].info["config_type"] = "hot"
    write(tmp_path / "a.xyz", frames, format="extxyz")
    with open(tmp_path / "a.xyz", "rb") as plain, gzip.open(path, "wb") as packed:
        shutil.copyfileobj(plain, packed)
    assert _groups(path, "config_type") == {1: "hot"}
    assert _groups(tmp_path, "config_type") == {1: "hot", 3: "hot"}, "of a folder both files count, in order"


def test_free_atoms_of_some_elements_are_no_references(tmp_path):
    path = file(tmp_path, "a.xyz", ATOM.format(kind="x", energy=-0.5, symbol="H"), water("O", "H", "H") * 2)
    data = own_dataset(path, "Hartree")
    assert lacking(free_atoms_of(data), data) == ["O"]
    assert isolated_atoms(data) == ()


@pytest.mark.parametrize("given", ["eV", None])
def test_units_that_a_file_states_and_nobody_knows_are_refused(given, tmp_path):
    path = file(tmp_path, "a.xyz", water("O", "H", "H"), water("O", "H", "H", more="energy_unit=meV"))
    stated = file(tmp_path, "b.xyz", water("O", "H", "H", more="energy_unit=meV"))
    if given:
        refused(
            path,
            "frame 1: it says energy_unit='meV', which is not known; if it is another spelling of one of",
            energy_unit=given,
        )
    refused(
        stated,
        "frame 0: it says energy_unit='meV', which is not known; if it is another spelling of one of",
        energy_unit=given,
    )
    (spelled,) = own.read(file(tmp_path, "d.xyz", water("O", "H", "H", more="length_unit=Angstroms")), "eV")
    assert spelled.positions.max() == pytest.approx(0.96, abs=0.5)
    nanometres = file(tmp_path, "c.xyz", water("O", "H", "H", more="length_unit=nm"))
    refused(nanometres, "frame 0: it says length_unit='nm', which is not known; if it is another spelling of one of")


def test_what_only_frames_need_to_be_told_is_refused_for_other_files(tmp_path):
    """Else a unit that was named would be ignored without a word."""
    path = tmp_path / "a.h5"
    write_ani1(path, [make_molecule("water", [8, 1, 1], 4, 0)])
    given = {"energy_key": "E", "forces_key": "F", "forces_length_unit": "bohr"}
    for name, value in given.items():
        option = f"{name} (--{name.replace('_', '-')})"
        refused(
            path,
            f"{option} is {value!r}, but the layout of an HDF5 file has its own",
            energy_unit=None,
            **{name: value},
        )
    assert len(open_store(own_dataset(path))) == 4
    store = ConformationStore.write(own.read(FILE, "eV"), tmp_path / "store")
    for name, value in given.items():
        with pytest.raises(DataError, match=f"is '{value}', but a store has its own"):
            own_dataset(store.path, **{name: value})


def test_frames_of_a_folder_are_counted_through_all_files(tmp_path):
    """So that a frame that is named, and its group, can be found again."""
    frames = read(FILE, ":5")
    for k, atoms in enumerate(frames):
        atoms.info["config_type"] = f"group {k}"
    other = file(tmp_path, "b.xyz", water("O", "H", "H", more="config_type=water"))
    for name, some in (("a.xyz", frames[:2]), ("c.xyz", frames[2:])):
        write(tmp_path / name, some, format="extxyz")
    rows = {molecule.name: molecule.rows.tolist() for molecule in own.read(tmp_path, "eV")}
    assert sorted(rows.values()) == [[0, 1, 3, 4, 5], [2]]
    expected = {0: "group 0", 1: "group 1", 2: "water", 3: "group 2", 4: "group 3", 5: "group 4"}
    assert _groups(tmp_path, "config_type") == expected
    other.rename(tmp_path / "b.h5")
    assert _groups(tmp_path, "config_type") == {}, "molecules of HDF5 files are no frames"


def test_a_file_of_free_atoms_that_comes_first_hides_no_arrays(tmp_path):
    file(tmp_path, "a.xyz", ATOM.format(kind="isolated_atom", energy=-0.5, symbol="H"))
    file(tmp_path, "b.xyz", water("O", "H", "H").replace("forces:R:3", "pull:R:3"))
    assert own.arrays_like_forces(tmp_path) == ["pull"]
    (tmp_path / "b.xyz").unlink()
    assert own.arrays_like_forces(tmp_path) == []


def test_two_energies_of_a_free_atom_are_named_with_their_files(tmp_path):
    file(tmp_path, "a.xyz", ATOM.format(kind="isolated_atom", energy=-0.5, symbol="H"))
    file(tmp_path, "b.xyz", ATOM.format(kind="isolated_atom", energy=-0.6, symbol="H"))
    with pytest.raises(DataError, match=r"b\.xyz, frame 0: .* in frame 0 of a\.xyz"):
        own.free_atoms(tmp_path, "eV")
