"""A user's own molecules: what inspection finds in spoilt files, the commands, and the learning curve."""

import gzip
import os
from math import ceil
from shutil import rmtree
from types import SimpleNamespace

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from lib.chemistry.formal_charges import formal_charges
from lib.cli.main import main
from lib.data.datasets import find, open_store
from lib.data.splits import FINE_TUNING, make_split
from lib.errors import DataError, TrainingError
from lib.own import checks, configs, datasets, finetuning, learning_curve
from lib.own.energies_and_forces import ENOUGH, agreement, judged
from lib.own.findings import ERROR, WARNING, refuse_errors
from lib.own.finetuning import FineTuning
from lib.own.inspection import inspect_store
from lib.paths import DATA
from lib.potentials.calculator import PotentialCalculator
from lib.runs.results import load_result, record
from lib.runs.runner import run_all
from lib.study.scales import get_scale
from lib.units import BOHR, EV, HARTREE

FILE = DATA / "mini" / "example" / "methyl-salicylate.xyz"
WEIGHTS = "schnet-smoke-dynamics"
ROTATION = np.array([[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]])


@pytest.fixture(scope="module")
def frames():
    return read(FILE, ":120")


def spoilt(path, frames, change):
    """``frames`` with ``change(k, positions, energy, forces)`` in their place, written to ``path``."""
    out = []
    for k, atoms in enumerate(frames):
        x, e, f = change(k, atoms.positions.copy(), atoms.get_potential_energy(), atoms.get_forces())
        copy = atoms.copy()
        copy.positions = x
        copy.calc = SinglePointCalculator(copy, energy=e, forces=f)
        out.append(copy)
    write(path, out, format="extxyz")
    return path


def found(path, **options):
    return inspect_store(open_store(datasets.own_dataset(path, **{"energy_unit": "eV"} | options)))


def test_the_example_has_no_errors():
    findings = found(FILE)
    refuse_errors(findings)
    assert [f.severity for f in findings] == [WARNING]  # one frame of high energy
    assert "frame 24" in findings[0].text


SPOILT = {
    "mixed with Hartree": (lambda k, x, e, f: (x, e if k % 7 else e / (HARTREE / EV), f), ERROR, "Hartree and eV"),
    "mixed with kcal/mol": (lambda k, x, e, f: (x, e if k != 9 else e * EV, f), ERROR, "frame 9 are 23.06 times"),
    "gradients": (lambda k, x, e, f: (x, e, -f), ERROR, "sign of gradients"),
    "forces in Hartree": (lambda k, x, e, f: (x, e, f * EV / HARTREE), ERROR, "different units"),
    "forces in kcal/mol": (lambda k, x, e, f: (x, e, f * EV), ERROR, "eV and kcal/mol"),
    "forces per bohr": (lambda k, x, e, f: (x, e, f * BOHR), ERROR, "the ratio of Å and bohr"),
    "half of them in Hartree": (lambda k, x, e, f: (x, e if k % 2 else e / (HARTREE / EV), f), ERROR, "Hartree and eV"),
    "forces in atomic units": (
        lambda k, x, e, f: (x, e, f * EV / HARTREE * BOHR),
        ERROR,
        "Hartree and eV with Å and bohr",
    ),
    "energies per atom": (lambda k, x, e, f: (x, e / len(x), f), ERROR, "energies seem to be per atom"),
    "forces of another size": (lambda k, x, e, f: (x, e, 2.8 * f), WARNING, "are they in one unit"),
    "all in atomic units": (lambda k, x, e, f: (x / BOHR, e, f * BOHR), ERROR, "sum of covalent radii"),
    "forces of other frames": (lambda k, x, e, f: (x, e, np.roll(f, 5, 0)), WARNING, "do not belong together"),
    "lengths in bohr": (lambda k, x, e, f: (x / BOHR, e, f), ERROR, "length unit"),
    "lengths in nm": (lambda k, x, e, f: (x / 10, e, f), ERROR, "length unit"),
    "an overlap": (lambda k, x, e, f: (np.vstack([x[:-1], x[:1] + 0.1]) if k == 3 else x, e, f), ERROR, "frame 3: "),
    "constant": (lambda k, x, e, f: (x, -900.0, f), ERROR, "all energies are the same"),
    "an outlier": (lambda k, x, e, f: (x, e + 20 * (k == 5), f), WARNING, "(frames 5, 24; the farthest by 4"),
}


@pytest.mark.parametrize("name", SPOILT)
def test_what_is_wrong_is_found(name, frames, tmp_path):
    change, severity, word = SPOILT[name]
    findings = found(spoilt(tmp_path / "spoilt.xyz", frames, change))
    assert any(word in f.text and f.severity == severity for f in findings), findings
    if severity == ERROR:
        with pytest.raises(ValueError, match=word.replace("(", r"\(")):
            refuse_errors(findings)


@pytest.mark.parametrize("what", ["coordinates", "forces"])
def test_what_is_not_finite_is_found_in_its_frame(what, frames, tmp_path):
    def change(k, x, e, f):
        values = {"coordinates": x.copy(), "forces": f.copy()}
        values[what][2, 1] = np.nan if k == 3 else values[what][2, 1]
        return values["coordinates"], e, values["forces"]

    with pytest.raises(DataError, match=rf"frame 3: its {what} are not finite; remove that frame"):
        found(spoilt(tmp_path / "nan.xyz", frames, change))


@pytest.mark.parametrize("name", ["mixed with Hartree", "half of them in Hartree"])
def test_energies_in_two_units_are_not_taken_for_wrong_forces(name, frames, tmp_path):
    errors = [f for f in found(spoilt(tmp_path / "spoilt.xyz", frames, SPOILT[name][0])) if f.severity == ERROR]
    assert ["seem to be mixed" in f.text for f in errors] == [True]


def test_duplicates_are_found(frames, tmp_path):
    write(tmp_path / "twice.xyz", [*frames, frames[4], frames[4], frames[7]], format="extxyz")
    (text,) = [f.text for f in found(tmp_path / "twice.xyz") if "repeat" in f.text]
    assert "3 frames repeat earlier ones, most often 3 times (frames 120, 121, 122)" in text
    turned = spoilt(tmp_path / "turned.xyz", frames[:7], lambda k, x, e, f: (x @ ROTATION, e, f @ ROTATION))
    write(tmp_path / "both.xyz", [*frames, *read(turned, ":")], format="extxyz")
    (text,) = [f.text for f in found(tmp_path / "both.xyz") if "repeat" in f.text]
    assert "7 frames repeat earlier ones, most often 2 times (frames 120, 121" in text


def test_a_wrong_unit_is_suspected(frames, tmp_path):
    texts = [f.text for f in found(FILE, energy_unit="Hartree")]
    assert any("is the unit right" in text and "Hartree and eV" in text for text in texts)
    texts = [f.text for f in found(FILE, energy_unit="kJ/mol")]
    assert any("is the unit right" in text and "eV and kJ/mol" in text for text in texts)


@pytest.mark.parametrize("name", ["spice", "ani1x", "iso17"])
def test_no_molecule_of_the_suite_is_refused_for_its_forces(name):
    """One by one, as a user's file with a single molecule is."""
    store = open_store(find(f"mini/{name}"))
    several = [k for k in range(0, len(store.names), 5) if store.n_atoms[k] > 1]
    assert len(several) > 9
    for k in several:
        index = store.conformations_of(k)[:100]
        x, forces = (rows.reshape(len(index), -1, 3).astype(float)
                     for rows in (store.gather(index).positions, store.gather_forces(index)))  # fmt: skip
        pairs, slope, correlation = agreement(store.energy(index), x, forces)
        verdicts = judged(slope, correlation, store.n_atoms[k]) if pairs >= ENOUGH else []
        assert not [text for severity, text in verdicts if severity == ERROR], store.names[k]


def test_molecules_in_different_units_are_suspected(frames, tmp_path):
    others = [atoms.copy() for atoms in frames[:30]]
    for k, atoms in enumerate(others):
        del atoms[[0]]
        atoms.calc = SinglePointCalculator(atoms, energy=-800.0 / 27.2 + 0.01 * (k % 5))
    for atoms in frames[:30]:
        bare = atoms.copy()
        bare.calc = SinglePointCalculator(bare, energy=atoms.get_potential_energy())
        others.append(bare)
    write(tmp_path / "two.xyz", others, format="extxyz")
    assert any("are all molecules in one unit" in f.text for f in found(tmp_path / "two.xyz"))


def test_many_molecules_with_few_frames_can_be_split(frames, tmp_path, capsys):
    """Sixty molecules with one frame each, as in a library of conformers, beside an atom alone."""
    library = []
    for k, atoms in enumerate(frames[:60]):
        one = atoms.copy()
        one.info["name"] = f"m{k}"
        one.calc = SinglePointCalculator(one, energy=atoms.get_potential_energy(), forces=atoms.get_forces())
        library.append(one)
    alone = Atoms("O")
    alone.calc = SinglePointCalculator(alone, energy=-102.0, forces=np.zeros((1, 3)))
    write(tmp_path / "library.xyz", [*library, alone], format="extxyz")
    path = str(tmp_path / "library.xyz")
    assert main(["finetune", "--data", path, "--energy-unit", "eV", "--check"]) == 0
    out = capsys.readouterr().out
    assert (
        "60 molecules, 60 conformations with forces; free atoms O are left out; without C, H they are no references"
        in out
    )
    assert "60 of 60 molecules have one or two frames" in out
    parts = make_split(open_store(datasets.own_dataset(path, "eV")), 0, FINE_TUNING).parts
    assert sum(len(index) for index in parts.values()) == 60
    assert 40 < len(parts["train"]) < 58
    assert min(len(index) for index in parts.values()) > 0


def test_forces_that_cannot_be_compared_are_said(frames, tmp_path):
    library = []
    for k, atoms in enumerate(frames[:60]):
        library.append(atoms.copy())
        library[-1].info["name"] = f"m{k}"
        library[-1].calc = SinglePointCalculator(
            atoms, energy=atoms.get_potential_energy(), forces=-10 * atoms.get_forces()
        )
    write(tmp_path / "library.xyz", library, format="extxyz")
    (text,) = [f.text for f in found(tmp_path / "library.xyz") if "similar enough" in f.text]
    size = 10 * np.sqrt(np.mean(frames[0].get_forces() ** 2)) * EV
    assert f"are {size:.3g} kcal/mol/Å" in text


def test_a_part_that_is_left_empty_is_an_error(frames, tmp_path, capsys):
    write(tmp_path / "four.xyz", frames[:4], format="extxyz")
    assert main(["finetune", "--data", str(tmp_path / "four.xyz"), "--energy-unit", "eV", "--check"]) == 1
    assert "the split leaves no conformation for it; give more frames" in capsys.readouterr().err


def test_a_test_file_of_another_composition_is_an_error(tmp_path):
    """Ethanol alone says nothing of methanol, whose energies would be off by an arbitrary constant."""
    for name in ("CH3CH2OH", "CH3OH"):
        frames = [molecule(name) for _ in range(25)]
        for k, atoms in enumerate(frames):
            atoms.rattle(0.05, seed=k)
            atoms.calc = SinglePointCalculator(atoms, energy=-100.0 - 0.1 * k)
        write(tmp_path / f"{name}.xyz", frames, format="extxyz")
    ethanol, methanol = (datasets.own_dataset(tmp_path / f"{name}.xyz", "eV") for name in ("CH3CH2OH", "CH3OH"))
    other = configs.Options(held_out=(("test", methanol),))
    with pytest.raises(ValueError, match="test part have compositions that no combination of those in training gives"):
        configs.fine_tune(WEIGHTS, ethanol, None, 3e-3, 0, options=other)
    configs.fine_tune(WEIGHTS, ethanol, None, 3e-3, 0)


def test_types_that_training_lacks_are_an_error(frames, tmp_path):
    """One molecule with sulfur: where it is in validation or test, nothing was taught of it."""
    strange = frames[0].copy()
    strange.symbols[0] = "S"
    strange.calc = SinglePointCalculator(strange, energy=-900.0)
    others = [atoms.copy() for atoms in frames[:60]]
    for atoms, old in zip(others, frames, strict=False):
        atoms.calc = SinglePointCalculator(atoms, energy=old.get_potential_energy())
    write(tmp_path / "one.xyz", [*others, strange], format="extxyz")
    dataset = datasets.own_dataset(tmp_path / "one.xyz", "eV")
    store, refused, taught = open_store(dataset), 0, 0
    (sulfur,) = np.flatnonzero(store.n_conformations[store.molecule_of(np.arange(len(store)))] == 1)
    for seed in range(30):
        parts = make_split(store, seed, FINE_TUNING).parts
        if sulfur in parts["train"]:
            finetuning.fine_tune(WEIGHTS, dataset, None, 3e-3, seed)
            taught += 1
        else:
            with pytest.raises(ValueError, match=rf"seed {seed}: no training conformation has S, which 0-.*S.* of the"):
                finetuning.fine_tune(WEIGHTS, dataset, None, 3e-3, seed)
            refused += 1
    assert refused > 0
    assert taught > 10


def test_files_of_one_name_size_and_time_are_two_data_sets(frames, tmp_path):
    for folder, energy in (("a", -100.0), ("b", -200.0)):
        (tmp_path / folder).mkdir()
        one = frames[0].copy()
        one.calc = SinglePointCalculator(one, energy=energy)
        write(tmp_path / folder / "md.traj", [one, one])
        os.utime(tmp_path / folder / "md.traj", (1e9, 1e9))
    first, second = (open_store(datasets.own_dataset(tmp_path / f / "md.traj", "eV")) for f in "ab")
    assert first.arrays["energy"][0] - second.arrays["energy"][0] == pytest.approx(100 * EV)


def test_charges_are_read_as_the_calculator_reads_them(tmp_path):
    ion = Atoms("NH4", 0.6 * np.array([[0, 0, 0], [1, 1, 1], [-1, -1, 1], [-1, 1, -1], [1, -1, -1]]))
    ion.set_initial_charges([1, 0, 0, 0, 0])
    ion.calc = SinglePointCalculator(ion, energy=-100.0)
    write(tmp_path / "ion.traj", [ion, ion])
    store = open_store(datasets.own_dataset(tmp_path / "ion.traj", "eV"))
    assert store.arrays["charges"].tolist() == [1, 0, 0, 0, 0]
    ion.info = {"charge": None, "multiplicity": None}  # keys that say nothing
    assert formal_charges(ion).tolist() == [1, 0, 0, 0, 0]
    ion.info = {}
    for charges, info, word in (([0.8, 0.05, 0.05, 0.05, 0.05], {}, "not a formal charge"),
                                ([0, 0, 0, 0, 0], {"charge": 1}, "add up to 0")):  # fmt: skip
        ion.set_initial_charges(charges)
        ion.info = info
        ion.calc = SinglePointCalculator(ion, energy=-100.0)
        write(tmp_path / "bad.traj", [ion, ion])
        with pytest.raises(DataError, match=word):
            open_store(datasets.own_dataset(tmp_path / "bad.traj", "eV"))


def test_a_wrong_forces_key(frames, tmp_path, capsys):
    own = ["finetune", "--data", str(FILE), "--energy-unit", "eV", "--check"]
    assert main([*own, "--forces-key", "force"]) == 1
    said = capsys.readouterr().err.replace("'energy', ", "")
    assert "no forces 'force' among ['forces', 'numbers', 'positions'" in said
    assert "; name the forces with forces_key (--forces-key)" in said
    renamed = [atoms.copy() for atoms in frames[:30]]
    for atoms, old in zip(renamed, frames, strict=False):
        atoms.info["energy"] = old.get_potential_energy()
        atoms.set_array("REF_forces", old.get_forces())
    write(tmp_path / "renamed.xyz", renamed, format="extxyz")
    assert main(["finetune", "--data", str(tmp_path / "renamed.xyz"), "--energy-unit", "eV", "--check"]) == 0
    assert "no forces under 'forces', but arrays ['REF_forces']" in capsys.readouterr().out
    for key, word in (("forces", "'forces' is no number"), ("level", "'level' is no number but 'GFN2-xTB'")):
        assert main([*own, "--energy-key", key]) == 1
        said = capsys.readouterr().err
        assert word in said
        assert "; name the energy with energy_key (--energy-key): [" in said


def test_frames_without_forces_are_named(frames, tmp_path):
    some = [atoms.copy() for atoms in frames[:10]]
    for k, (atoms, old) in enumerate(zip(some, frames, strict=False)):
        atoms.calc = SinglePointCalculator(atoms, energy=old.get_potential_energy(),
                                           **({} if k == 7 else {"forces": old.get_forces()}))  # fmt: skip
    write(tmp_path / "some.xyz", some, format="extxyz")
    with pytest.raises(DataError, match="frame 7: forces in some frames"):
        open_store(datasets.own_dataset(tmp_path / "some.xyz", "eV"))


def test_forces_per_another_length(frames, tmp_path):
    path = spoilt(tmp_path / "mixed.xyz", frames, lambda k, x, e, f: (x, e, f * BOHR))
    assert not [f for f in found(path, forces_length_unit="bohr") if f.severity == ERROR]


def test_test_conformations_in_the_pool_are_counted(frames, tmp_path):
    write(tmp_path / "some.xyz", frames[:50], format="extxyz")
    some, pool = datasets.own_dataset(tmp_path / "some.xyz", "eV"), datasets.unlabelled_dataset(FILE)
    ((known, tested),) = checks.shared_conformations(some, pool, [0])
    assert known == tested == 5
    turned = spoilt(tmp_path / "t.xyz", frames, lambda k, x, e, f: (x @ ROTATION, e, f @ ROTATION))
    write(tmp_path / "r.xyz", [atoms[::-1] for atoms in read(turned, ":")], format="extxyz")
    ((known, _),) = checks.shared_conformations(some, datasets.unlabelled_dataset(tmp_path / "r.xyz"), [0])
    assert known == 5  # however they are turned and numbered
    rounded = spoilt(tmp_path / "3.xyz", frames, lambda k, x, e, f: (x.round(3), e, f))
    assert checks.shared_conformations(some, datasets.unlabelled_dataset(rounded), [0]) == [(5, 5)]
    apart = datasets.unlabelled_dataset(spoilt(tmp_path / "b.xyz", frames, lambda k, x, e, f: (1.01 * x, e, f)))
    assert checks.shared_conformations(some, apart, [0, 1]) == [(0, 5), (0, 5)]
    assert not finetuning.pretrain_on(WEIGHTS, pool).strict_split
    assert finetuning.pretrain_on(WEIGHTS, some).strict_split


@pytest.mark.parametrize("count", [40, 120])
def test_pretraining_on_few_conformations_passes_them_more_often(frames, tmp_path, count):
    write(tmp_path / "few.xyz", frames[:count], format="extxyz")
    training = finetuning.pretrain_on("egnn-laptop", datasets.unlabelled_dataset(tmp_path / "few.xyz")).training
    whole = get_scale("laptop").pretrain("egnn", 0).training
    steps = training.epochs * ceil(0.95 * count / training.batch_size)
    assert steps == pytest.approx(get_scale("laptop").own.pretraining_steps, rel=0.02)
    ratios = {getattr(training, k) / getattr(whole, k) for k in ("epochs", "warmup", "plateau", "validate_every")}
    assert max(ratios) == pytest.approx(min(ratios))


@pytest.mark.parametrize(("count", "severity", "word"), [(1, ERROR, "1 frame: "), (2, ERROR, "2 frames"),
                                                         (10, WARNING, "10 frames only")])  # fmt: skip
def test_few_frames(frames, tmp_path, count, severity, word):
    write(tmp_path / "few.xyz", frames[:count], format="extxyz")
    assert any(f.severity == severity and word in f.text for f in found(tmp_path / "few.xyz"))


def test_agreement_is_exact_for_springs():
    """Springs between all atoms, frames turned and moved at random: slope and correlation 1, gradients -1."""
    rng = np.random.default_rng(0)
    base = 2 * rng.normal(size=(6, 3))
    x = base + 0.02 * rng.normal(size=(50, 6, 3))
    i, j = np.triu_indices(6, 1)
    delta, rest = x[:, i] - x[:, j], np.linalg.norm(base[i] - base[j], axis=1)
    length = np.linalg.norm(delta, axis=2)
    energy, forces = 50.0 * ((length - rest) ** 2).sum(1), np.zeros_like(x)
    pull = -100.0 * ((length - rest) / length)[:, :, None] * delta
    for k in range(len(i)):
        forces[:, i[k]] += pull[:, k]
        forces[:, j[k]] -= pull[:, k]
    turns = np.linalg.qr(rng.normal(size=(50, 3, 3)))[0]
    turns *= np.linalg.det(turns)[:, None, None]
    x, forces = x @ turns + rng.normal(size=(50, 1, 3)), forces @ turns
    pairs, slope, correlation = agreement(energy, x, forces)
    assert pairs == 200
    assert slope == pytest.approx(1.0, abs=0.01)
    assert correlation > 0.999
    assert agreement(energy, x, -forces)[1] == pytest.approx(-slope)


def test_commands_from_file_to_calculator(frames, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("lib.runs.runner.RUNS", tmp_path / "runs")  # nothing is pre-trained yet
    write(tmp_path / "my.xyz", frames, format="extxyz")
    own = ["finetune", "--data", str(tmp_path / "my.xyz"), "--energy-unit", "eV", "--weights", WEIGHTS]
    assert main([*own, "--output", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert f"python -m lib pretrain --weights {WEIGHTS} --seed 0" in said
    assert main(["pretrain", "--weights", WEIGHTS]) == 0
    assert "validation denoising error" in capsys.readouterr().out
    assert main([*own, "--output", str(tmp_path), "--labels", "40", "--seeds", "0", "1", "--workers", "1"]) == 0
    said = capsys.readouterr().out
    paths = sorted(tmp_path.glob("*.safetensors"))
    assert [str(path) in said for path in paths] == [True, True]
    (answer,) = PotentialCalculator.from_weights(paths).evaluate(frames[:1])
    assert abs(answer["energy"] - frames[0].get_potential_energy()) < 2.0
    assert answer["energy_std"] > 0
    monkeypatch.setattr("lib.runs.results.RECORDS", tmp_path / "records")
    for path in sorted(
        (tmp_path / "runs").glob("[!.]*/result.json")
    ):  # recorded without their weights they are trained again
        result = load_result(path.parent)
        if result.about["config"]["task"] == "energy":
            record(result, "laptop")
            rmtree(result.path)
    assert main([*own, "--output", str(tmp_path), "--labels", "40", "--workers", "1"]) == 0
    for wrong, word in (
        (["--labels", "100"], "my.xyz has 96 training conformations"),
        (["--energy-key", "e_tot"], "no energy 'e_tot' among ['energy', 'forces', 'level']"),
        (["--energy-unit", "kcal"], "unknown energy unit 'kcal'"),
        (["--weights", "egnn"], "no pre-trained weights 'egnn': choose from"),
        (["--length-unit", "bohr"], "the length unit seems to be another one"),
        (["--pretraining-rate", "1e-3"], "name them with --pretrain-on"),
    ):
        given = [each for k in range(1, len(own), 2) if own[k] not in wrong for each in own[k : k + 2]]
        assert main(["finetune", *given, *wrong]) == 1, wrong
        assert word in capsys.readouterr().err


def test_forces_that_are_not_there_are_refused_before_training(frames, tmp_path, capsys):
    bare = [atoms.copy() for atoms in frames[:40]]
    for atoms, old in zip(bare, frames, strict=False):
        atoms.calc = SinglePointCalculator(atoms, energy=old.get_potential_energy())
    write(tmp_path / "energies.xyz", bare, format="extxyz")
    own = ["finetune", "--data", str(tmp_path / "energies.xyz"), "--energy-unit", "eV", "--weights", WEIGHTS]
    assert main([*own, "--from-scratch", "--force-weight", "10"]) == 1
    assert "energies.xyz has no forces; leave the weight out" in capsys.readouterr().err


def test_a_pretraining_that_diverged_is_said_in_one_line(frames, tmp_path, capsys):
    write(tmp_path / "own.xyz", frames[:60], format="extxyz")
    own = ["pretrain", "--weights", WEIGHTS, "--data", str(tmp_path / "own.xyz")]
    assert main([*own, "--pretraining-rate", "100"]) == 1
    assert "--pretraining-rate" in capsys.readouterr().err


def test_all_labels_take_as_many_steps_as_their_number(frames, tmp_path):
    write(tmp_path / "few.xyz", frames[:50], format="extxyz")
    dataset = datasets.own_dataset(tmp_path / "few.xyz", "eV", level="GFN2-xTB")
    named, all_there = (finetuning.fine_tune("egnn-laptop", dataset, None, 1e-3, labels=n).training for n in (40, None))
    assert named == all_there
    assert all_there.epochs == 5 * get_scale("laptop").finetuning.training.of("own").epochs


def test_frames_and_molecules_are_those_of_the_file_in_any_order(frames, tmp_path):
    other = molecule("H2O")
    waters = [other.copy() for _ in range(6)]
    for k, water in enumerate(waters):
        water.positions[1] += 0.01 * k
        water.calc = SinglePointCalculator(water, energy=-100.0 + 0.01 * k * k, forces=np.zeros((3, 3)))
    waters[4].positions[1] = waters[4].positions[0] + 0.1
    mixed = [atoms for pair in zip(frames, waters, strict=False) for atoms in pair]
    write(tmp_path / "mixed.xyz", mixed, format="extxyz")
    (text,) = [f.text for f in found(tmp_path / "mixed.xyz") if f.molecule == "0-H2O" and "closer" in f.text]
    assert "in frame 9" in text
    write(tmp_path / "back.xyz", mixed[::-1], format="extxyz")
    names = [open_store(datasets.own_dataset(tmp_path / f, "eV")).names for f in ("mixed.xyz", "back.xyz")]
    assert sorted(names[0]) == sorted(names[1]) == ["0-C8H8O3", "0-H2O"]


def test_molecules_of_one_formula_keep_their_names_in_any_order(tmp_path):
    alike = [Atoms(symbols, np.array([[0.0, 0, 0], [1.0, 0, 0], [2.2, 0, 0]])) for symbols in ("HCN", "HNC")]
    for atoms in alike:
        atoms.calc = SinglePointCalculator(atoms, energy=-1.0)
    places = []
    for order in (alike, alike[::-1]):
        path = tmp_path / f"{order[0].symbols}.traj"
        write(path, order)
        store = open_store(datasets.own_dataset(path, "eV"))
        places.append({name: store.arrays["z"][store.atoms_of(k)].tolist() for k, name in enumerate(store.names)})
    assert places[0] == places[1]
    assert sorted(places[0]) == ["0-CHN", "1-CHN"]


def test_check_trains_nothing(tmp_path, capsys):
    path = tmp_path / "one.xyz"
    write(path, read(FILE, ":1"), format="extxyz")
    assert main(["finetune", "--data", str(path), "--energy-unit", "eV", "--check"]) == 1
    assert "1 frame: nothing can be learnt" in capsys.readouterr().err
    assert main(["finetune", "--data", str(FILE), "--energy-unit", "eV", "--check"]) == 0
    out = capsys.readouterr().out
    assert "576 conformations with forces" in out
    assert "seed 0: 460 to train, 58 to validate, 58 to test; runs: 2 of some 2320 steps" in out
    assert "has not met" not in out  # C, H and O are in the pool


def test_atoms_that_pretraining_has_not_met_are_named(frames, tmp_path, capsys):
    some = [atoms.copy() for atoms in frames]
    for atoms, old in zip(some, frames, strict=True):
        atoms.symbols[0] = "S"
        atoms.calc = SinglePointCalculator(atoms, energy=old.get_potential_energy(), forces=old.get_forces())
    write(tmp_path / "sulfur.xyz", some, format="extxyz")
    check = ["finetune", "--data", str(tmp_path / "sulfur.xyz"), "--energy-unit", "eV", "--check"]
    for more, named in ([], True), (["--from-scratch"], False), (["--pretrain-on", str(FILE)], True):
        assert main([*check, *more]) == 0
        assert ("has not met S: " in capsys.readouterr().out) is named


def test_check_looks_at_the_pool_too(frames, tmp_path, capsys):
    write(tmp_path / "some.xyz", frames, format="extxyz")
    check = ["finetune", "--data", str(tmp_path / "some.xyz"), "--energy-unit", "eV", "--check"]
    assert main([*check, "--pretrain-on", str(FILE)]) == 0
    assert "12 of 12 test conformations of seed 0" in capsys.readouterr().out
    pool = str(spoilt(tmp_path / "pool.xyz", frames, lambda k, x, e, f: (x / BOHR, e, f)))
    assert main([*check, "--pretrain-on", pool]) == 1
    assert "the length unit seems to be another one" in capsys.readouterr().err
    assert main([*check, "--pretrain-on", pool, "--pretrain-length-unit", "bohr"]) == 0
    assert "12 of 12 test conformations of seed 0" in capsys.readouterr().out


def test_numbers_of_labels_that_a_file_does_not_have_are_left_out(frames, tmp_path):
    write(tmp_path / "some.xyz", frames[:100], format="extxyz")
    dataset = datasets.own_dataset(tmp_path / "some.xyz", "eV")
    assert finetuning.labels_that_fit((20, 50, 200), dataset) == [20, 50]
    assert finetuning.labels_that_fit((200,), dataset) == [80]
    lots = [atoms.copy() for atoms in frames[:30]]  # molecules of one frame each: every seed has another number
    for k, (atoms, old) in enumerate(zip(lots, frames, strict=False)):
        atoms.info["name"] = f"m{k}"
        atoms.calc = SinglePointCalculator(atoms, energy=old.get_potential_energy())
    write(tmp_path / "lots.xyz", lots, format="extxyz")
    dataset = datasets.own_dataset(tmp_path / "lots.xyz", "eV")
    counts = [len(make_split(open_store(dataset), seed, FINE_TUNING).parts["train"]) for seed in range(5)]
    assert finetuning.labels_that_fit((min(counts), max(counts)), dataset, range(5)) == [min(counts)]


def test_fine_tuning_that_diverged_chooses_nothing(monkeypatch):
    dataset = datasets.own_dataset(FILE, "eV")
    source = finetuning.FineTuning.layers(WEIGHTS)
    tuning = finetuning.FineTuning(dataset, WEIGHTS, source, rates=(1e-3, 3e-3, 1e-2))
    for scores, chosen in (([np.nan, 2.0, 3.0], 3e-3), ([np.inf, 5.0, np.nan], 3e-3), ([np.nan, np.inf, np.nan], None)):
        ended = [SimpleNamespace(validation=score, key=f"run{k}") for k, score in enumerate(scores)]
        monkeypatch.setattr("lib.own.finetuning.run_all", lambda *_, ended=ended: ended)
        if chosen is None:
            with pytest.raises(TrainingError, match=r"learning rates 0\.001, 0\.003, 0\.01: try lower"):
                tuning.choose_rate()
        else:
            assert tuning.choose_rate() == chosen
        with pytest.raises(TrainingError, match="diverged in run"):
            finetuning.refuse_diverged(ended)


@pytest.mark.parametrize(("change", "word"), [
    (lambda atoms: atoms.set_pbc(True), "the cell is periodic"),
    (lambda atoms: atoms.symbols.__setitem__(0, "Si"), "atomic number 14 (Si)"),
    (lambda atoms: atoms.positions.__setitem__(0, np.nan), "not finite"),
    (lambda atoms: atoms.info.update(multiplicity=3), "its multiplicity is 3"),
    (lambda atoms: atoms.info.update(multiplicity=1.9), "its multiplicity is 1.9"),
    (lambda atoms: atoms.info.update(multiplicity="doublet"), "info['multiplicity'] is no number but 'doublet'"),
    (lambda atoms: atoms.info.update(multiplicity=np.array([1, 1])), "info['multiplicity'] is no number"),
    (lambda atoms: atoms.info.update(spin=2), "its spin is 2"),
    (lambda atoms: atoms.info.update(total_charge=1), "info['total_charge'] is 1"),
    (lambda atoms: atoms.info.update(charge=np.nan), "info['charge'] is nan"),
    (lambda atoms: atoms.set_pbc(True), "F F F"),
    (lambda atoms: atoms.calc.results.update(energy=np.nan), "frame 0: its energy is nan"),
])  # fmt: skip
def test_atoms_that_cannot_be_learnt(frames, tmp_path, capsys, change, word):
    spoilt_frames = [atoms.copy() for atoms in frames[:25]]
    for atoms, old in zip(spoilt_frames, frames, strict=False):
        atoms.calc = SinglePointCalculator(atoms, **old.calc.results)
        change(atoms)
    write(tmp_path / "bad.xyz", spoilt_frames, format="extxyz")
    assert main(["finetune", "--data", str(tmp_path / "bad.xyz"), "--energy-unit", "eV", "--check"]) == 1
    assert word in capsys.readouterr().err


def test_an_odd_number_of_electrons_is_said(frames, tmp_path):
    radicals = [atoms.copy() for atoms in frames[:30]]
    for k, (atoms, old) in enumerate(zip(radicals, frames, strict=False)):
        del atoms[-1]
        atoms.calc = SinglePointCalculator(atoms, energy=old.get_potential_energy() + 0.01 * k)
    write(tmp_path / "radical.xyz", radicals, format="extxyz")
    (text,) = [f.text for f in found(tmp_path / "radical.xyz") if "electrons" in f.text]
    assert f"{radicals[0].numbers.sum()} electrons, an odd number" in text


def test_what_ase_reads_badly_is_said_in_short(frames, tmp_path, capsys):
    write(tmp_path / "good.xyz", frames[:40], format="extxyz")
    (tmp_path / "packed.xyz").write_bytes(gzip.compress((tmp_path / "good.xyz").read_bytes()))
    nothing = Atoms()
    nothing.calc = SinglePointCalculator(nothing, energy=0.0)
    write(tmp_path / "nothing.traj", [nothing, nothing])
    for name, word in (("packed.xyz", "ASE cannot read it"), ("nothing.traj", "frame 0: it has no atoms")):
        assert main(["finetune", "--data", str(tmp_path / name), "--energy-unit", "eV", "--check"]) == 1
        said = capsys.readouterr().err
        assert word in said
        assert len(said) < 500
    (tmp_path / "folder").mkdir()
    write(tmp_path / "folder" / "a.xyz", frames[:40], format="extxyz")
    (tmp_path / "folder" / "README.txt").write_text("what this is", encoding="utf-8")
    assert main(["finetune", "--data", str(tmp_path / "folder"), "--energy-unit", "eV", "--check"]) == 0


def test_missing_and_empty_files(tmp_path, capsys):
    (tmp_path / "empty.xyz").touch()
    for name, word in (("empty.xyz", "the file is empty"), ("nothing.xyz", "is not there")):
        assert main(["finetune", "--data", str(tmp_path / name), "--energy-unit", "eV", "--check"]) == 1
        assert word in capsys.readouterr().err


def test_pretraining_on_unlabelled_conformations(frames, tmp_path):
    bare = [atoms.copy() for atoms in frames[:60]]  # copies have no energies
    write(tmp_path / "bare.xyz", bare, format="extxyz")
    there = datasets.unlabelled_dataset(tmp_path / "bare.xyz")
    source = finetuning.pretrain_on(WEIGHTS, there, 0)
    (pretrained,) = run_all([source], 1)
    assert pretrained.metrics["validation_denoising_error"] < 2.0
    labelled = datasets.own_dataset(FILE, "eV", level="GFN2-xTB")
    (tuned,) = run_all([finetuning.fine_tune(WEIGHTS, labelled, source, 3e-3, 0, 40, 10.0)], 1)
    assert tuned.about["config"]["pretrained"]["task"] == "denoising"
    with pytest.raises(ValueError, match="do not vary"):  # energies that are not there teach nothing
        run_all([finetuning.fine_tune(WEIGHTS, there, None, 3e-3, 0, 20)], 1)


def test_learning_curve_and_the_better_arm(tmp_path):
    dataset = datasets.own_dataset(FILE, "eV", level="GFN2-xTB")
    tuning = FineTuning(dataset, WEIGHTS, FineTuning.layers(WEIGHTS), rates=(3e-3,), seeds=(0, 1), epochs=4)
    results = learning_curve.run_curve(tuning, [20, 100], 1)
    assert set(results) == {(n, arm) for n in (20, 100) for arm in (False, True)}
    table = learning_curve.learning_curve(results, "methyl salicylate")
    assert set(table["metric"]) == {"rmse", "mae", "force_rmse", "force_mae"}
    rows = table[(table["metric"] == "force_mae") & (table["pretrained"] == "no")].set_index("labels")["value"]
    direct = np.mean([r.metrics["test_force_mae"] for r in results[20, False]])
    assert rows[20] == pytest.approx(direct, rel=1e-6)
    scores = {arm: np.mean([r.metrics["validation_loss"] for r in results[100, arm]]) for arm in (False, True)}
    assert results[20, False][0].about["steps"] == 4 * 3  # epochs x batches
    assert results[100, False][0].about["steps"] == 4 * 13
    assert learning_curve.best_arm(results) == results[100, min(scores, key=scores.get)]
