"""The level of theory is what a file says, held against what is expected; what says nothing is recognised, or asked."""

import h5py
import numpy as np
import pytest
from conftest import SHARED, sample
from samples import FREE, SHAPE, ani1, md22, waters

from lib.chemistry.reference_energies import level_named, usual_energy
from lib.data.readers import READERS
from lib.data.readers.own import free_atoms
from lib.errors import DataError
from lib.units import HARTREE

WATER = -76.39  # Hartree, of water near equilibrium in ωB97X/6-31G(d)


def bare(path, energy: float = WATER, **levels: str):
    """Water in ANI-1's layout at ``energy``, with ``lot`` in each group where given."""
    with h5py.File(path, "w") as file:
        for k in range(3):
            x, above, _ = waters(6, k)
            group = file.create_group(f"gdb11_s01/gdb11_s01-{k}")
            group["coordinates"], group["species"] = x, np.array([b"O", b"H", b"H"])
            group["energies"] = energy + above - above.min()
            for key, value in levels.items():
                group[key] = np.array([value.encode()])
    return path


def refused(name: str, path, *words: str, **options) -> None:
    with pytest.raises(DataError) as caught:
        list(READERS[name](path, **options))
    for word in (str(path), *words):
        assert word in str(caught.value)


def test_spellings_of_one_level():
    for text in ("wb97x/6-31g*", "ωB97X/6-31G(d)", "WB97X / 6-31G(D)", "wB97X/6-31G(d)"):
        assert level_named(text) == "wB97X/6-31G(d)"
    for text in ("wB97X-D/6-31G(d)", "wB97X/6-31+G(d)", "wB97X/6-31G**", "CASPT2/6-31G(d)"):
        assert level_named(text) == text


def test_published_names_are_believed_where_the_energies_fit(tmp_path):
    assert next(READERS["ani1"](bare(tmp_path / "a.h5"))).level == "wB97X/6-31G(d)"


@pytest.mark.parametrize("shift", [0.17, -0.17, 0.12, 1.0])
def test_another_level_under_the_published_names(tmp_path, shift):
    """0.17 Hartree is how far CASPT2 was from ωB97X."""
    path = bare(tmp_path / "a.h5", WATER + shift)
    refused("ani1", path, "states no level of theory", "kcal/mol from those of wB97X/6-31G(d)", "level (--level)")
    assert next(READERS["ani1"](path, level="wB97X/6-31G(d)")).level == "wB97X/6-31G(d)"  # the user knows


def test_what_each_group_says(tmp_path):
    path = bare(tmp_path / "a.h5", lot="wb97x/6-31g*")
    assert next(READERS["ani1"](path)).level == "wB97X/6-31G(d)"
    refused("ani1", path, "not 'GFN2-xTB'", level="GFN2-xTB")
    refused("ani1", bare(tmp_path / "b.h5", lot="caspt2/cc-pvdz"), "'caspt2/cc-pvdz' has no reference energies")
    with h5py.File(path, "a") as file:
        file["gdb11_s01/gdb11_s01-2/lot"][0] = b"b3lyp/6-31g*"
    refused("ani1", path, "'b3lyp/6-31g*'")


@pytest.mark.parametrize("factor", [1.0, -1.0])
def test_forces_and_gradients_are_told_by_the_energies(tmp_path, factor):
    path = ani1(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        for k, group in enumerate(file["gdb11_s01"].values()):
            x, _, forces = waters(5 + k, k)
            group["forces"], group["coordinates"][...] = factor * forces, x
    molecule = next(READERS["ani1"](path))
    np.testing.assert_allclose(molecule.forces, HARTREE * (SHAPE - molecule.positions), atol=1e-3)


def test_forces_that_do_not_belong_to_the_energies(tmp_path):
    path = ani1(tmp_path / "a.h5")
    with h5py.File(path, "a") as file:
        for k, group in enumerate(file["gdb11_s01"].values()):
            group["forces"] = np.random.default_rng(k).normal(size=group["coordinates"].shape)
    refused("ani1", path, "do not tell whether")


def test_a_level_that_an_npz_states(tmp_path):
    path = md22(tmp_path / "md22_water.npz")
    with np.load(path) as content:
        arrays = dict(content)
    np.savez(path, **arrays | {"theory": np.array("B3LYP")})
    refused("md22", path, "'B3LYP'")
    refused("md22", path, "'B3LYP', not 'PBE+MBD'", level="PBE+MBD")
    arrays.pop("theory")
    np.savez(path, **arrays)
    refused("md22", path, "states no level of theory", "give level (--level) 'PBE+MBD'")
    assert next(READERS["md22"](path, level="PBE+MBD")).level == "PBE+MBD"


def test_usual_energies():
    assert usual_energy("wB97X/6-31G(d)", np.array([8, 1, 1])) / HARTREE == pytest.approx(WATER, abs=0.01)
    assert usual_energy("wB97X/6-31G(d)", np.array([17, 1])) is None
    assert usual_energy("PBE+MBD", np.array([8, 1, 1])) is None
    assert usual_energy("PBE+vdW-TS", np.array([6] * 7 + [8] * 2 + [1] * 10)) == -265320
    assert FREE * HARTREE - usual_energy("wB97X/6-31G(d)", np.array([8, 1, 1])) > 4e4


REAL = SHARED / "real_data"
PUBLISHED = [  # reader, file, molecules, conformations, level, forces
    ("ani1", "ani1", 16, 61762, "wB97X/6-31G(d)", False),
    ("ani1x", "ani1x", 449, 1000, "wB97X/6-31G(d)", True),
    ("ani1", "comp6", 66, 528, "wB97X/6-31G(d)", True),
]


@pytest.mark.parametrize(("reader", "folder", "molecules", "conformations", "level", "forces"), PUBLISHED)
def test_published_files(reader, folder, molecules, conformations, level, forces):
    if not REAL.exists():
        pytest.skip("the published files, ../shared/real_data, are not beside this checkout")
    read = list(READERS[reader](REAL / folder))
    assert (len(read), sum(len(m.energy) for m in read)) == (molecules, conformations)
    assert {m.level for m in read} == {level}
    assert all((m.forces is not None) == forces for m in read)


XYZ = {"acac/train_300K.xyz": 500, "acac/train_600K.xyz": 500, "acac/test_MD_300K.xyz": 650,
       "acac/test_MD_600K.xyz": 650, "acac/test_dihedral.xyz": 45, "acac/test_H_transfer.xyz": 15,
       "3bpa/train_300K.xyz": 500, "3bpa/train_mixedT.xyz": 500}  # fmt: skip


@pytest.mark.parametrize(("name", "frames"), XYZ.items())
def test_published_xyz(name, frames):
    if not REAL.exists():
        pytest.skip("the published files, ../shared/real_data, are not beside this checkout")
    read = list(READERS["own"](REAL / name, energy_unit="eV"))
    assert sum(len(m.energy) for m in read) == frames


@pytest.mark.parametrize(("name", "elements"), [("acac/isolated_atoms.xyz", "CHO"), ("3bpa/iso_atoms.xyz", "CHNO")])
def test_published_free_atoms(name, elements):
    """Those of one benchmark say that they are isolated atoms, those of the other do not."""
    if not REAL.exists():
        pytest.skip("the published files, ../shared/real_data, are not beside this checkout")
    assert sorted(free_atoms(REAL / name, "eV")) == list(elements)


def test_comp6_keeps_gradients_apart_from_forces():
    path = REAL / "comp6" / "s66x8_wb97x6-31gd.h5"
    if not path.exists():
        pytest.skip("the published files, ../shared/real_data, are not beside this checkout")
    first = next(READERS["ani1"](path))
    with h5py.File(path) as file:
        np.testing.assert_allclose(first.forces, -HARTREE * file["s66x8/mol00/forces"][()], rtol=1e-6)


def test_published_samples_say_nothing_and_are_recognised():
    assert next(READERS["iso17"](sample("iso17_40_rows.db"))).level == "PBE+vdW-TS"
    assert next(READERS["md22"](sample("md22_Ac-Ala3-NHMe_5_frames.xyz"))).level == "PBE+MBD"
    assert next(READERS["spice"](sample("spice_1.1.4_2_groups.hdf5"))).level.startswith("wB97M-D3BJ")
