"""Labels that contradict one another: force labels frame by frame, two references, equal frames, pieces, orders."""

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from lib.data.datasets import find, open_store
from lib.own import datasets
from lib.own.findings import ERROR, WARNING
from lib.own.inspection import inspect_store
from lib.paths import DATA, ROOT

FILE = DATA / "mini" / "example" / "methyl-salicylate.xyz"
REAL = ROOT.parent / "shared" / "real_data"
BAD = np.arange(3, 150, 20)  # frames that are spoilt: a twentieth


@pytest.fixture(scope="module")
def frames():
    return [atoms for k, atoms in enumerate(read(FILE, ":151")) if k != 24]  # without the one of high energy


def written(path, frames, change):
    out = []
    for k, atoms in enumerate(frames):
        x, e, f = change(k, atoms.positions.copy(), atoms.get_potential_energy(), atoms.get_forces())
        out.append(Atoms(atoms.symbols, x))
        out[-1].calc = SinglePointCalculator(out[-1], energy=e, forces=f)
    write(path, out, format="extxyz")
    return inspect_store(open_store(datasets.own_dataset(path, "eV")))


def fixed(f):
    f[[0, 4]] = 0.0
    return f


SPOILT = {
    "moved": (
        lambda k, x, e, f: (x, e, f + 0.5 * (k in BAD)),
        ERROR,
        "net force in frames 3, 23, 43, 63, 83 …",
    ),
    "all moved": (lambda k, x, e, f: (x, e, f + 0.5), WARNING, "150 of 150 frames have a net force"),
    "halved": (lambda k, x, e, f: (x, e, f * (0.5 if k in BAD else 1)), ERROR, "(8 of 150) are 0.50 times those of"),
    "turned": (lambda k, x, e, f: (x, e, f @ TURN if k in BAD else f), ERROR, "have a torque in frames 3, 23"),
    "fixed atoms": (
        lambda k, x, e, f: (x, e, fixed(f) if k in BAD else f),
        ERROR,
        "atoms 0, 4 are exactly zero",
    ),
    "missing": (lambda k, x, e, f: (x, e, 0 * f if k == 7 else f), ERROR, "all forces are exactly zero in frame 7"),
    "atomization": (lambda k, x, e, f: (x, e + 880 * (k % 2), f), ERROR, "(75 of 150) lie 2.025e+04 kcal/mol from"),
    "another method": (lambda k, x, e, f: (x, e + 30.0 * (k in BAD), f), ERROR, "two references seem to be mixed"),
}
TURN = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


@pytest.mark.parametrize("name", SPOILT)
def test_labels_that_contradict_the_rest(name, frames, tmp_path):
    change, severity, word = SPOILT[name]
    findings = written(tmp_path / "spoilt.xyz", frames, change)
    assert any(word in f.text and f.severity == severity for f in findings), findings


def test_one_outlier_does_not_hide_what_else_is_wrong(frames, tmp_path):
    findings = written(tmp_path / "s.xyz", frames, lambda k, x, e, f: (x, e + 500.0 * (k == 9), -f))
    assert any("sign of gradients" in f.text for f in findings)
    assert any("(frame 9; the farthest by" in f.text for f in findings)


def test_equal_frames_with_other_labels(frames, tmp_path):
    again = [atoms.copy() for atoms in frames[:2]]
    for atoms, old, more in zip(again, frames, (0.0, 0.1), strict=False):
        atoms.rotate(40, "z")
        turn = np.linalg.lstsq(old.positions - old.positions.mean(0), atoms.positions - atoms.positions.mean(0))[0]
        atoms.calc = SinglePointCalculator(
            atoms, energy=old.get_potential_energy() + more, forces=old.get_forces() @ turn
        )
    write(tmp_path / "twice.xyz", [*frames, *again], format="extxyz")
    findings = inspect_store(open_store(datasets.own_dataset(tmp_path / "twice.xyz", "eV")))
    (text,) = [f.text for f in findings if f.severity == ERROR]
    assert "1 frames repeat earlier ones with another energy, frame 151 that of frame 1 by 2.306 kcal/mol" in text


def test_a_molecule_that_its_box_cut(frames, tmp_path):
    """A hydrogen at the far side of a 12 Å box in some frames."""

    def cut(k, x, e, f):
        x[-1, 0] += 12.0 * (k in (4, 8))
        return x, e, f

    (text,) = [f.text for f in written(tmp_path / "cut.xyz", frames, cut) if "pieces" in f.text]
    assert "odd electrons in frames 4, 8" in text


def swapped(atoms, more=0.0):
    """The frame with its first atom last, and so many eV added."""
    order = [*range(1, len(atoms)), 0]
    out = atoms[order]
    energy, forces = atoms.get_potential_energy() + more, atoms.get_forces()[order]
    out.calc = SinglePointCalculator(out, energy=energy, forces=forces)
    return out


def test_the_same_molecule_in_another_order(frames, tmp_path):
    write(tmp_path / "two.xyz", [*frames[:30], *(swapped(a) for a in frames[28:60])], format="extxyz")
    findings = inspect_store(open_store(datasets.own_dataset(tmp_path / "two.xyz", "eV")))
    (text,) = [f.text for f in findings if "another order" in f.text]
    assert "0-C8H8O3, 1-C8H8O3 have the same atoms and bonds in another order, and count as 2 molecules" in text
    assert text.endswith("; 2 of their frames are in two orders, and training and test may share them")
    assert not [f for f in findings if f.severity == ERROR]


def test_labels_that_contradict_those_of_another_order(frames, tmp_path):
    again = [swapped(frames[k], more=0.1 * (k == 29)) for k in range(28, 60)]
    write(tmp_path / "two.xyz", [*frames[:30], *again], format="extxyz")
    findings = inspect_store(open_store(datasets.own_dataset(tmp_path / "two.xyz", "eV")))
    (text,) = [f.text for f in findings if f.severity == ERROR]
    assert "1 frames repeat earlier ones with another energy, frame 31 that of frame 29 by 2.306 kcal/mol" in text


def test_isomers_are_not_the_same_molecule(tmp_path):
    isomers = [molecule("CH3CH2OH"), molecule("CH3OCH3")]
    for k, atoms in enumerate(isomers):
        atoms.calc = SinglePointCalculator(atoms, energy=-400.0 - k)
    write(tmp_path / "isomers.xyz", isomers, format="extxyz")
    findings = inspect_store(open_store(datasets.own_dataset(tmp_path / "isomers.xyz", "eV")))
    assert not [f for f in findings if "another order" in f.text]


def test_scans_and_free_atoms_raise_no_alarm(frames, tmp_path):
    """Fifteen frames along a soft coordinate, and an atom alone."""
    water = [molecule("H2O") for _ in range(15)]
    for k, atoms in enumerate(water):
        atoms.positions[1] += [0, 0.001 * k, 0]
        atoms.calc = SinglePointCalculator(atoms, energy=-400.0 + 1e-5 * k * k)
    alone = Atoms("H")
    alone.calc = SinglePointCalculator(alone, energy=-13.6)
    write(tmp_path / "scan.xyz", [*water, alone], format="extxyz")
    texts = [f.text for f in inspect_store(open_store(datasets.own_dataset(tmp_path / "scan.xyz", "eV")))]
    assert not [text for text in texts if "unusual" in text or "odd number" in text]


@pytest.mark.parametrize("name", ["spice", "ani1x", "iso17"])
def test_the_suite_is_not_refused(name):
    """Ion pairs far apart, dimers, charged species, single molecules of two atoms: odd, and no errors."""
    findings = inspect_store(open_store(find(f"mini/{name}")))
    words = ("net force", "torque", "exactly zero", "times those of", "two references", "another energy")
    assert not [f for f in findings if f.severity == ERROR or any(word in f.text for word in words)]


def of_real(name):
    path = REAL / name
    if not path.exists():
        pytest.skip(f"the published file {name} is not beside this checkout")
    return inspect_store(open_store(datasets.own_dataset(path, "eV" if path.suffix == ".xyz" else None)))


def test_dimers_at_eight_distances_raise_no_alarm():
    """S66x8: of some dimers two stand in it, as donor and as acceptor of a hydrogen bond."""
    findings = of_real("comp6/s66x8_wb97x6-31gd.h5")
    assert [f.text for f in findings if "in another order" not in f.text] == []


@pytest.mark.parametrize("name", ["ani1/ani_gdb_s01.h5", "ani1/ani_gdb_s02.h5", "ani1x/ani1x_1000_release_layout.h5"])
def test_published_data_sets_are_not_refused(name):
    assert [f.text for f in of_real(name) if f.severity == ERROR] == []


@pytest.mark.parametrize("name", ["acac/train_300K", "acac/train_600K", "acac/test_dihedral", "acac/test_H_transfer",
                                  "3bpa/train_300K", "3bpa/train_mixedT"])  # fmt: skip
def test_published_data_raise_no_alarm(name):
    findings = of_real(f"{name}.xyz")
    assert [f.text for f in findings if "frames only" not in f.text] == []


@pytest.mark.parametrize("name", ["acac/train_300K.xyz", "acac/train_600K.xyz", "3bpa/train_300K.xyz"])
def test_halved_forces_in_a_twentieth_of_real_frames(name, tmp_path):
    """DFT dynamics of molecules that a sum over pairs explains worse; as they are, nothing is said of their forces."""
    if not (REAL / name).exists():
        pytest.skip(f"the real file {name} is not beside this checkout")
    frames, bad = read(REAL / name, ":"), range(3, 500, 20)
    whole = written(tmp_path / "whole.xyz", frames, lambda k, x, e, f: (x, e, f))
    assert not [finding for finding in whole if "times those of" in finding.text]
    findings = written(tmp_path / "halved.xyz", frames, lambda k, x, e, f: (x, e, f * (0.5 if k in bad else 1)))
    (text,) = [f.text for f in findings if "times those of frames like them" in f.text and f.severity == ERROR]
    assert text.startswith("forces of frames 3, 23, 43, 63, 83 … ")
    assert 20 <= int(text.split("(")[1].split()[0]) <= 25
