"""Energies of isolated atoms: from the user's file, another file or by hand; and what a potential makes of them."""

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from lib import load_pretrained
from lib.chemistry.atom_types import ATOM_TYPES
from lib.chemistry.reference_energies import reference_energies
from lib.data.datasets import find, open_store
from lib.data.readers import own
from lib.data.store import ConformationStore
from lib.errors import DataError
from lib.own import checks, datasets
from lib.own.findings import ERROR
from lib.own.finetuning import FineTuning
from lib.paths import DATA
from lib.units import EV

FILE = DATA / "mini" / "example" / "methyl-salicylate.xyz"
WEIGHTS = "schnet-smoke-dynamics"
E0S = {"C": -48.8, "H": -10.7, "O": -102.6}  # eV


def isolated(symbol, energy, said="isolated_atom"):
    atoms = Atoms(symbol)
    atoms.info["config_type"] = said
    atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=[[0, 0, 0]])
    return atoms


@pytest.fixture(scope="module")
def frames():
    return read(FILE, ":40")


@pytest.fixture
def path(frames, tmp_path):
    said = iter(("isolated_atom", "IsolatedAtom", "isolated atom"))
    write(tmp_path / "my.xyz", [*(isolated(*e0, next(said)) for e0 in E0S.items()), *frames], format="extxyz")
    return tmp_path / "my.xyz"


def test_frames_that_say_so_are_no_molecules_and_give_their_energies(path, frames):
    data = datasets.own_dataset(path, "eV")
    assert len(open_store(data)) == len(frames)
    assert len(open_store(data).names) == 1
    assert dict(datasets.isolated_atoms(data)) == pytest.approx({k: v * EV for k, v in E0S.items()})


def test_a_file_of_their_own_and_energies_by_hand(frames, tmp_path):
    write(tmp_path / "my.xyz", frames, format="extxyz")
    data = datasets.own_dataset(tmp_path / "my.xyz", "eV")
    assert datasets.isolated_atoms(data) == ()
    atoms = [isolated(symbol, energy, "anything") for symbol, energy in E0S.items()]
    write(tmp_path / "isolated_atoms.xyz", atoms, format="extxyz")
    expected = {symbol: energy * EV for symbol, energy in E0S.items()}
    assert dict(datasets.isolated_atoms(data, file=tmp_path / "isolated_atoms.xyz")) == pytest.approx(expected)
    words = [f"{symbol}={energy}" for symbol, energy in E0S.items()]
    assert dict(datasets.isolated_atoms(data, words)) == pytest.approx(expected)
    with pytest.raises(ValueError, match=r"isolated atoms by hand .*beside the file"):
        datasets.isolated_atoms(data, words, tmp_path / "isolated_atoms.xyz")
    with pytest.raises(DataError, match="frame 0: it has 19 atoms, and is no free one"):
        datasets.isolated_atoms(data, file=tmp_path / "my.xyz")


def test_by_hand_in_the_unit_of_a_store_and_in_none_that_is_unknown(path, tmp_path):
    """A store is in kcal/mol, said or not."""
    store = ConformationStore.write(own.read(path, "eV"), tmp_path / "store").path
    for unit in (None, "kcal/mol"):
        assert datasets.isolated_atoms(datasets.own_dataset(store, unit), ["H=-313.5"]) == (("H", -313.5),)
    with pytest.raises(ValueError, match=r"no energy unit 'ev': choose from \['Hartree', 'eV'"):
        datasets.isolated_atoms(datasets.own_dataset(path, "ev"), ["H=-13.6"])


@pytest.mark.parametrize("word", ["H", "H=", "H=x", "Xx=-1", "=3", "CH=-1", "H=nan"])
def test_words_that_are_no_energy_of_an_element(word, path):
    with pytest.raises(ValueError, match=f"'{word}' is no energy of an element: give each once, as H=-13.6"):
        datasets.isolated_atoms(datasets.own_dataset(path, "eV"), [word])
    with pytest.raises(ValueError, match="is no energy of an element"):
        datasets.isolated_atoms(datasets.own_dataset(path, "eV"), ["H=-13.6", "H=-13.6"])


def test_files_with_two_energies_of_an_element_or_without_molecules(frames, tmp_path):
    write(tmp_path / "two.xyz", [isolated("H", -13.6), isolated("H", -13.5), *frames], format="extxyz")
    with pytest.raises(DataError, match=r"frame 1: the free atom H has -311\.3.* kcal/mol, and -313\.6.* in frame 0"):
        datasets.isolated_atoms(datasets.own_dataset(tmp_path / "two.xyz", "eV"))
    write(tmp_path / "none.xyz", [isolated("H", -13.6)], format="extxyz")
    with pytest.raises(DataError, match="it holds free atoms alone"):
        list(own.read(tmp_path / "none.xyz", "eV"))


def test_some_elements_only_are_refused_before_anything_runs(path):
    tuning = FineTuning(datasets.own_dataset(path, "eV"), WEIGHTS, isolated_atoms=(("C", -1.0), ("H", -1.0)))
    with pytest.raises(ValueError, match=r"isolated atoms \['C', 'H'\] lack O: give its energy too"):
        tuning.scan()


@pytest.mark.parametrize(
    ("factor", "wrong"),
    [(1.0, False), (1.01, False), (-1.0, True), (0.0, True), (EV, True), (1 / EV, True), (27.2114, True)],
)
def test_another_unit_or_sign_is_an_error(factor, wrong, path):
    e0s = tuple((element, factor * energy * EV) for element, energy in E0S.items())
    findings = FineTuning(datasets.own_dataset(path, "eV"), WEIGHTS, isolated_atoms=e0s).inspect()
    found = [f.text for f in findings if f.severity == ERROR]
    assert len(found) == wrong
    assert all("kcal/mol an atom, where some -200 to -45 are usual" in text for text in found)


@pytest.mark.parametrize("zero", ["H", "C"])
def test_one_energy_of_zero_is_an_error(zero, path):
    e0s = tuple((element, energy * EV if element != zero else 0.0) for element, energy in E0S.items())
    findings = FineTuning(datasets.own_dataset(path, "eV"), WEIGHTS, isolated_atoms=e0s).inspect()
    assert [f.text.split(",")[0] for f in findings if f.severity == ERROR] == [f"energies of {zero} are not below zero"]


def test_a_missing_element_is_named_and_not_taken_for_another_unit(path):
    tuning = FineTuning(datasets.own_dataset(path, "eV"), WEIGHTS, isolated_atoms=(("C", -48.8 * EV),))
    assert not [f for f in tuning.inspect() if f.severity == ERROR]
    with pytest.raises(ValueError, match="lack H: give its energy too"):
        tuning.plan()


@pytest.mark.parametrize("name", ["mini/ani1", "mini/ani1x", "mini/iso17", "mini/spice", "mini/md22"])
def test_right_energies_of_isolated_atoms_are_none(name):
    """Of pairs of ions too, whose energies are above those of the neutral atoms."""
    data = find(name)
    store = open_store(data)
    types = np.flatnonzero(store.compositions.any(0))
    energies = reference_energies(store.level, types)
    right = {ATOM_TYPES[k][0]: e for k, e in zip(types, energies, strict=True) if ATOM_TYPES[k][1] == 0}
    assert not checks.inspect_isolated(data, right)


def test_a_potential_gives_them_back_and_answers_other_compositions(path, tmp_path):
    """Without them a potential of one composition refuses all others; they say how its energy divides."""
    data = datasets.own_dataset(path, "eV")
    e0s = datasets.isolated_atoms(data)
    tuning = FineTuning(data, WEIGHTS, rates=(3e-3,), steps=20, isolated_atoms=e0s)
    calculator = load_pretrained(tuning.export(tuning.train(3e-3, 1), tmp_path)).calculator()
    alone = calculator.evaluate([Atoms(symbol) for symbol in E0S])
    assert [each["energy"] for each in alone] == pytest.approx(list(E0S.values()))
    methanol = Atoms(
        "COH4", [[0, 0, 0], [1.4, 0, 0], [1.8, 0.9, 0], [-0.4, 1, 0], [-0.4, -0.5, 0.9], [-0.4, -0.5, -0.9]]
    )
    (answer,) = calculator.evaluate([methanol])
    bonds = answer["energy"] - sum(E0S[symbol] for symbol in methanol.get_chemical_symbols())
    assert -60 < bonds < 0  # eV; the atomization energy is about -22
    assert answer["unfamiliarity"] > 2
