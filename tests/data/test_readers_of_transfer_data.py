"""Readers of ISO17, SPICE, MD22 and a user's own files: real samples by values checked by hand, and bad input."""

import io
import tarfile

import h5py
import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.db import connect
from ase.io import write
from conftest import sample

from lib.data.readers import READERS
from lib.data.readers.iso17 import published_ids
from lib.data.readers.spice import charges_in_map_order
from lib.data.store import ConformationStore
from lib.errors import DataError
from lib.units import BOHR, EV, HARTREE


def read(name, path, **options):
    return list(READERS[name](path, **options))


def raises(name, path, *words, **options):
    with pytest.raises(DataError) as caught:
        read(name, path, **options)
    message = str(caught.value)
    assert "\n" not in message
    for word in words:
        assert word in message, message


def test_spice_real_sample():
    amine, sodium = read("spice", sample("spice_1.1.4_2_groups.hdf5"))
    assert (len(amine.energy), len(amine.z), sodium.name) == (50, 27, "C#C.[Na+]")
    assert amine.charges.tolist() == [0] * 8 + [1] + [0] * 18  # the nitrogen is [N+:9]
    assert sodium.charges.tolist() == [0, 0, 0, 0, 1]
    assert amine.energy[0] == pytest.approx(-4.27100228 * HARTREE, abs=1e-4)
    with h5py.File(sample("spice_1.1.4_2_groups.hdf5")) as file:
        group = file["103147721"]
        np.testing.assert_allclose(amine.positions[3], group["conformations"][3] * BOHR, rtol=1e-6)
        gradient = group["dft_total_gradient"][3]
    np.testing.assert_allclose(amine.forces[3], -gradient * HARTREE / BOHR, rtol=1e-5)


def test_spice_forces_point_downhill():
    """Two conformations of acetylene and sodium: the work of the mean force is minus the change of energy."""
    _, sodium = read("spice", sample("spice_1.1.4_2_groups.hdf5"))
    order = np.argsort(np.linalg.norm(sodium.positions[:, 4] - sodium.positions[:, :2].mean(1), axis=-1))
    a, b = order[1], order[2]
    work = 0.5 * ((sodium.forces[a] + sodium.forces[b]) * (sodium.positions[b] - sodium.positions[a])).sum()
    assert work == pytest.approx(sodium.energy[a] - sodium.energy[b], rel=0.3, abs=0.3)


def test_spice_subsets():
    path = sample("spice_1.1.4_2_groups.hdf5")
    assert [m.name for m in read("spice", path, subsets=["DES370K"])] == ["C#C.[Na+]"]
    raises("spice", path, "no group of ['Dipeptides']", "DES370K", subsets=["Dipeptides"])


def test_spice_charges_follow_the_map_not_the_string(tmp_path):
    z = np.array([1, 7, 1, 6, 1, 1, 1, 1])
    mapped = "[H:1][N+:2]([H:3])([H:8])[C:4]([H:5])([H:6])[H:7]"
    scrambled = "[C:4]([H:7])([H:6])([N+:2]([H:1])([H:8])[H:3])[H:5]"
    for smiles in (mapped, scrambled):
        assert charges_in_map_order(tmp_path, "x", smiles, z).tolist() == [0, 1, 0, 0, 0, 0, 0, 0]
    for smiles, word in (
        (scrambled.replace("N+:2", "P+:2"), "other elements"),
        ("CN", "does not map"),
        ("C(", "cannot"),
    ):
        with pytest.raises(DataError, match=word):
            charges_in_map_order(tmp_path, "x", smiles, z)


def test_spice_unknown_charge_says_how_to_extend(tmp_path):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        group = file.create_group("x")
        group["atomic_numbers"] = np.array([12, 1])
        group["smiles"] = [b"[Mg+:1][H:2]"]
        group["subset"] = [b"s"]
        group["conformations"] = np.zeros((2, 2, 3))
        group["formation_energy"] = np.zeros(2)
        group["dft_total_gradient"] = np.zeros((2, 2, 3))
    raises("spice", tmp_path / "a.hdf5", "/x", "(Mg) with charge +1", "ATOM_TYPES")


def test_md22_real_sample():
    (peptide,) = read("md22", sample("md22_Ac-Ala3-NHMe_5_frames.xyz"))
    assert peptide.positions.shape == (5, 42, 3)
    assert peptide.energy[0] == -620726.002662
    np.testing.assert_allclose(peptide.positions[0, 0], [2.04866, 3.0397, -1.90538], rtol=1e-6)
    np.testing.assert_allclose(peptide.forces[0, 0], [1.07102, 1.79039, -3.86023], rtol=1e-6)
    assert peptide.level == "PBE+MBD"


def test_md22_npz(tmp_path):
    rng = np.random.default_rng(0)
    arrays = {"R": rng.normal(size=(4, 3, 3)), "E": rng.normal(size=(4, 1)), "F": rng.normal(size=(4, 3, 3))}
    np.savez(tmp_path / "md22_DHA.npz", z=np.array([8, 1, 1]), **arrays)
    np.savez(tmp_path / "md22_AT-AT.npz", z=np.array([8, 1, 1]), **arrays)
    assert [m.name for m in read("md22", tmp_path, level="PBE+MBD")] == ["AT-AT", "DHA"]
    (chosen,) = read("md22", tmp_path, systems=["DHA"], level="PBE+MBD")
    np.testing.assert_array_equal(chosen.energy, arrays["E"].ravel())
    raises("md22", tmp_path, "['DNA']", "'AT-AT', 'DHA'", systems=["DNA"])


def test_md22_bad_files(tmp_path):
    np.savez(tmp_path / "md22_a.npz", R=np.zeros((2, 3, 3)))
    raises("md22", tmp_path / "md22_a.npz", "md22_a.npz", "['E', 'F', 'z']")
    (tmp_path / "md22_b.npz").write_bytes((tmp_path / "md22_a.npz").read_bytes()[:-30])
    raises("md22", tmp_path / "md22_b.npz", "numpy cannot read it")
    (tmp_path / "md22_c.xyz").touch()
    raises("md22", tmp_path / "md22_c.xyz", "the file is empty")
    (tmp_path / "md22_d.dat").write_text("1")
    raises("md22", tmp_path / "md22_d.dat", "'.dat'", "npz")
    (tmp_path / "md22_e.xyz").write_text("1\nProperties=species:S:1:pos:R:3:forces:R:3\nH 0 0 0 0 0 0\n")
    raises("md22", tmp_path / "md22_e.xyz", "frame 0", "no Energy=")


def test_iso17_real_sample():
    found = read("iso17", sample("iso17_40_rows.db"))
    assert sum(len(m.energy) for m in found) == 40
    assert sorted(np.concatenate([m.rows for m in found])) == list(range(1, 41))
    first = next(m for m in found if 1 in m.rows)
    assert first.energy[list(first.rows).index(1)] == pytest.approx(-11505.647279852 * EV, abs=1e-6)
    assert all(sorted(m.z) == [1] * 10 + [6] * 7 + [8] * 2 for m in found)


@pytest.fixture
def iso17(tmp_path):
    """A small archive in the published layout."""
    folder = tmp_path / "iso17"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for part in ("reference", "test_within", "test_other"):
        with connect(folder / f"{part}.db") as database:
            database.metadata = {"level_of_theory": "PBE+vdW-TS"}
            for k in range(6):
                atoms = Atoms("CO" if k % 2 else "OC", positions=rng.normal(size=(2, 3)))
                database.write(atoms, total_energy=-10.0 - k, data={"atomic_forces": rng.normal(size=(2, 3))})
    for part, ids in {"train": "1\n2\n4\n", "validation": "3\n", "test": "5\n6\n"}.items():
        (folder / f"{part}_ids.txt").write_text(ids)
    with tarfile.open(tmp_path / "iso17.tar.gz", "w:gz") as archive:
        archive.add(folder, arcname="iso17")
    return folder


def test_iso17_folder_and_archive_are_the_same(iso17):
    one, other = read("iso17", iso17), read("iso17", iso17.parent / "iso17.tar.gz")
    assert [m.name for m in one] == [m.name for m in other]
    assert [m.name for m in one][:2] == ["reference/OC", "reference/CO"]
    assert one[0].rows.tolist() == [1, 3, 5]
    assert {m.name.split("/")[0] for m in read("iso17", iso17, parts=["test_other"])} == {"test_other"}
    ids = published_ids(iso17)
    assert {k: v.tolist() for k, v in ids.items()} == {"train": [1, 2, 4], "validation": [3], "test": [5, 6]}


def test_iso17_rows_are_kept_in_the_store(iso17, tmp_path):
    store = ConformationStore.write(READERS["iso17"](iso17), tmp_path / "store")
    assert store.arrays["rows"][:3].tolist() == [1, 3, 5]


def test_iso17_bad_files(iso17, tmp_path):
    (iso17 / "test_other.db").unlink()
    raises("iso17", iso17, "test_other.db", "no such file")
    (iso17 / "test_other.db").write_bytes(b"no database at all" * 100)
    raises("iso17", iso17 / "test_other.db", "no ASE database")
    with connect(tmp_path / "other.db") as database:
        database.write(Atoms("CO"), energy_elsewhere=1.0)
    raises("iso17", tmp_path / "other.db", "total_energy")
    (iso17 / "train_ids.txt").write_text("0\n")
    with pytest.raises(DataError, match="rows count from 1"):
        published_ids(iso17)


def test_archive_cannot_write_outside(tmp_path):
    with tarfile.open(tmp_path / "bad.tar.gz", "w:gz") as archive:
        member = tarfile.TarInfo("../escaped.db")
        member.size = 3
        archive.addfile(member, io.BytesIO(b"abc"))
    raises("iso17", tmp_path / "bad.tar.gz", "cannot be unpacked")
    assert not list(tmp_path.rglob("escaped.db"))


def frames(n=5, **info):
    rng = np.random.default_rng(1)
    out = []
    for k in range(n):
        atoms = Atoms("OHH", positions=rng.normal(size=(3, 3)))
        atoms.calc = SinglePointCalculator(atoms, energy=-1.0 - k, forces=rng.normal(size=(3, 3)))
        atoms.info.update(info)
        out.append(atoms)
    return out


@pytest.mark.parametrize("name", ["a.xyz", "a.extxyz", "a.traj", "a.db"])
def test_own_formats(tmp_path, name):
    path, made = tmp_path / name, frames()
    if name.endswith(".db"):
        with connect(path) as database:
            for atoms in made:
                database.write(atoms)
    else:
        write(path, made, **({"format": "extxyz"} if "xyz" in name else {}))
    (water,) = read("own", path, energy_unit="eV")
    np.testing.assert_allclose(water.energy, [(-1.0 - k) * EV for k in range(5)])
    np.testing.assert_allclose(water.positions[2], made[2].positions, atol=1e-6)
    np.testing.assert_allclose(water.forces[2], made[2].get_forces() * EV, rtol=1e-5, atol=1e-5)


def test_own_units_and_charges(tmp_path):
    ions = frames(2, my_energy=0.5)
    for atoms in ions:
        atoms.set_array("formal_charges", np.array([-1, 0, 0]))
    write(tmp_path / "a.xyz", ions, format="extxyz")
    (ion,) = read("own", tmp_path / "a.xyz", energy_unit="Hartree", energy_key="my_energy", length_unit="bohr")
    assert ion.charges.tolist() == [-1, 0, 0]
    assert ion.energy[0] == 0.5 * HARTREE
    np.testing.assert_allclose(ion.positions[0], ions[0].positions * BOHR, atol=1e-6)
    np.testing.assert_allclose(ion.forces[0], ions[0].get_forces() * HARTREE / BOHR, rtol=1e-5)


def test_own_bad_input(tmp_path):
    path = tmp_path / "a.xyz"
    write(path, frames(), format="extxyz")
    raises("own", path, "'kcal'", "kcal/mol", energy_unit="kcal")
    raises("own", path, "frame 0", "'e_tot'", "energy_key (--energy-key)", energy_unit="eV", energy_key="e_tot")
    periodic = frames(1)
    periodic[0].set_cell([9, 9, 9])
    periodic[0].pbc = True
    write(path, periodic, format="extxyz")
    raises("own", path, "periodic", "vacuum", energy_unit="eV")
    path.write_text("3\nnot a comment that helps\nO 0 0")
    raises("own", path, "frame 0", "announces 3 atoms", "ends after 1", energy_unit="eV")
    path.write_text("1\nenergy=1\nO 0 0 zero\n")
    raises("own", path, "frame 0", "ASE cannot read it", energy_unit="eV")
    path.write_text("")
    raises("own", path, "empty", energy_unit="eV")
    (tmp_path / "a.pdb").write_text("x")
    raises("own", tmp_path / "a.pdb", "'.pdb'", energy_unit="eV")
