"""``finetune`` and ``evaluate``: what each option changes, the question before a long job, and from file to errors."""

import io
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from ase import Atoms
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from lib.cli import own
from lib.cli.main import main
from lib.data.datasets import open_store
from lib.models.weights import load_weights
from lib.own import datasets
from lib.own.evaluation import compare
from lib.own.finetuning import FineTuning
from lib.own.plan import Plan
from lib.own.pretrained import load_pretrained
from lib.paths import DATA

FILE = DATA / "mini" / "example" / "methyl-salicylate.xyz"
WEIGHTS, POTENTIAL = "schnet-smoke-dynamics", "torchmd_net-laptop-dynamics-extensive-methyl-salicylate"
LAYERS = "torchmd_net-laptop-dynamics"


@pytest.fixture
def files(tmp_path, monkeypatch):
    """Three files of different frames: 60, 20 and 30."""
    monkeypatch.chdir(tmp_path)
    frames = read(FILE, ":110")
    for k, atoms in enumerate(frames):
        atoms.info |= {"config_type": "cold" if k % 4 else "hot", "half": k % 2}
    for name, start, end in (("train", 0, 60), ("validation", 60, 80), ("test", 80, 110)):
        write(tmp_path / f"{name}.xyz", frames[start:end], format="extxyz")
    return tmp_path


@pytest.fixture
def planned(monkeypatch):
    """Plans of five core-minutes, without any being measured; every `FineTuning` that was planned."""
    tunings = []
    monkeypatch.setattr(FineTuning, "plan", lambda tuning: tunings.append(tuning) or Plan(0, 48, 6, 6, 2, 900, 5.0))
    return tunings


def finetune(*more):
    return ["finetune", "--data", "train.xyz", "--energy-unit", "eV", "--weights", WEIGHTS, "--from-scratch", *more]


def evaluate(*more, data="test.xyz"):
    options = {"--energy-unit": "eV", "--level": "GFN2-xTB"}
    return ["evaluate", "--data", data, *more, *(x for name in options.keys() - more for x in (name, options[name]))]


@pytest.mark.parametrize(
    ("flags", "value_of", "expected"),
    [
        (["--epochs", "7"], lambda config: config.training.epochs, 7),
        (["--patience", "3"], lambda config: config.training.patience, 3),
        (["--average", "0.99"], lambda config: config.training.average, 0.99),
        ([], lambda config: (config.training.patience, config.training.average, config.held_out), (0, 0.0, ())),
        (
            ["--test", "test.xyz"],
            lambda config: [(part, d.stem) for part, d in config.held_out],
            [("test", "own-test")],
        ),
        (["--validation", "test.xyz"], lambda config: config.held_out[0][0], "validation"),
        (["--force-weight", "3"], lambda config: config.training.force_weight, 3.0),
        (["--labels", "20"], lambda config: config.limits.train, 20),
    ],
)
def test_options_reach_the_run(flags, value_of, expected, files, planned):
    assert main(finetune(*flags, "--check")) == 0
    assert value_of(planned[0].configs(1e-3)[0]) == expected


def test_other_files_are_read_as_the_data_are(files, planned):
    held_out = ["--validation", "validation.xyz", "--test", "test.xyz"]
    assert main(finetune(*held_out, "--level", "GFN2-xTB", "--forces-length-unit", "bohr", "--check")) == 1
    assert main(finetune(*held_out, "--level", "GFN2-xTB", "--check")) == 0
    tuning = planned[-1]
    assert {each.level for each in (tuning.data, tuning.validation, tuning.test)} == {"GFN2-xTB"}
    assert tuning.data.options == tuning.validation.options == tuning.test.options


def test_with_files_for_validation_and_test_all_of_the_data_train(files, capsys):
    assert main(finetune("--validation", "validation.xyz", "--test", "test.xyz", "--check")) == 0
    out = capsys.readouterr().out
    assert "train.xyz: 1 molecule, 60 conformations with forces\n" in out
    assert "test.xyz: 1 molecule, 30 conformations with forces\n" in out
    assert "seed 0: 60 to train, 20 to validate, 30 to test" in out
    assert main(finetune("--test", "train.xyz", "--check")) == 0
    assert "60 of 60 test conformations of" in capsys.readouterr().out


def test_lengths_are_those_that_were_asked_for(files, capsys):
    """48 conformations in batches of 8 are 6 steps an epoch."""
    for flags, steps in ((["--steps", "60"], 60), (["--epochs", "5"], 30)):
        assert main(finetune(*flags, "--check")) == 0
        assert f"of some {steps} steps" in capsys.readouterr().out
    assert main(finetune("--minutes", "0.2", "--learning-rates", "0.001", "--check")) == 0
    minutes = float(capsys.readouterr().out.split("about ")[1].split()[0])
    assert 0.1 <= minutes <= 0.3


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--steps", "0"], "--steps 0: give a whole number from 1 on"),
        (["--epochs", "0"], "--epochs 0: give a whole number from 1 on"),
        (["--minutes", "0"], "--minutes 0.0: give a number of minutes above 0"),
        (["--minutes", "nan"], "--minutes nan: give a number of minutes above 0"),
        (["--minutes", "inf"], "--minutes inf: give a number of minutes above 0"),
        (["--steps", "5", "--minutes", "1"], "steps and minutes are given: choose one of them"),
        (["--patience", "-1"], "--patience -1: give a whole number from 0 on"),
        (["--average", "1"], "--average 1.0: give a decay from 0 to below 1, such as 0.999"),
        (["--average", "nan"], "--average nan: give a decay from 0 to below 1"),
        (["--test", "nothing.xyz"], "--test nothing.xyz: it is not there"),
        (["--validation", "nothing.xyz"], "--validation nothing.xyz: it is not there"),
    ],
)
def test_nonsense_of_finetune(flags, message, files, planned, capsys):
    assert main(finetune(*flags)) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {message}")
    assert len(said.splitlines()) == 1
    assert not planned


def test_a_folder_that_cannot_be_written_is_found_before_training(files, planned, capsys, monkeypatch):
    """This folder too, where none is named."""

    def refused(option, folder, given=None):
        raise ValueError(f"{option} {folder}: it cannot be written")

    monkeypatch.setattr(own, "check_folder", refused)
    assert main(finetune("--yes")) == 1
    assert capsys.readouterr().err == "error: --output .: it cannot be written\n"
    assert not planned
    assert main(finetune("--check")) == 0  # which writes nothing


def test_a_unit_without_its_file_is_refused(files, planned, capsys):
    assert main(["finetune", "--data", "train.xyz", "--energy-unit", "eV", "--pretrain-length-unit", "bohr"]) == 2
    assert "--pretrain-length-unit is of the file of --pretrain-on" in capsys.readouterr().err


def test_a_folder_of_files_is_said(files, planned, capsys):
    command = ["finetune", "--data", ".", "--energy-unit", "eV", "--weights", WEIGHTS, "--from-scratch", "--check"]
    assert main(command) == 0
    assert ".: 3 files, 1 molecule, 110 conformations with forces" in capsys.readouterr().out


def test_which_isolated_atoms_count_is_said(files, planned, capsys):
    alone = [Atoms(element) for element in "CHO"]
    for atoms, energy in zip(alone, (-48.8, -10.7, -102.6), strict=True):
        atoms.calc = SinglePointCalculator(atoms, energy=energy, forces=np.zeros((1, 3)))
    write("with.xyz", [*alone, *read("train.xyz", ":")], format="extxyz")
    command = ["finetune", "--data", "with.xyz", "--energy-unit", "eV", "--weights", WEIGHTS, "--from-scratch"]
    assert main([*command, "--check"]) == 0
    assert "free atoms C, H, O are references" in capsys.readouterr().out
    assert main([*command, "--check", "--e0", "C=-48.7", "H=-10.7", "O=-102.6"]) == 0
    assert "free atoms C, H, O are left out" in capsys.readouterr().out
    assert main([*command, "--check", "--e0", "C=-1328", "H=-291", "O=-2792"]) == 1
    assert "error: isolated atoms: relative to the isolated atoms molecules have" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nonsense", "no trained model 'nonsense': choose from"),
        ("nothing.safetensors", "there is no such weights file"),
        (LAYERS, "it holds 'denoising' weights, which give no energy"),
    ],
)
def test_what_cannot_be_continued(name, message, files, capsys):
    continued = ["finetune", "--data", "train.xyz", "--energy-unit", "eV", "--continue", name]
    assert main(continued) == 1
    assert message in capsys.readouterr().err
    assert main([*continued, "--from-scratch"]) == 2
    assert "--from-scratch, --pretrain-on and --continue exclude each other" in capsys.readouterr().err


def test_a_shipped_potential_is_continued_by_name(files, planned):
    flags = ["--data", "train.xyz", "--energy-unit", "eV", "--weights", LAYERS, "--continue", POTENTIAL, "--check"]
    assert main(["finetune", *flags]) == 0
    assert planned[0].source is None
    assert planned[0].start == load_pretrained(POTENTIAL).weights[0].path


def test_a_potential_that_is_continued_keeps_its_baseline(files, planned, capsys):
    """Free atoms in the file are left out; those that are given are refused."""
    atoms = [Atoms(symbol) for symbol in "CHO"]
    for each, energy in zip(atoms, (-1328.0, -291.0, -2792.0), strict=True):
        each.calc = SinglePointCalculator(each, energy=energy, forces=np.zeros((1, 3)))
    write("with.xyz", [*atoms, *read("train.xyz", ":")], format="extxyz")
    command = ["finetune", "--data", "with.xyz", "--energy-unit", "eV", "--weights", LAYERS, "--continue", POTENTIAL]
    assert main([*command, "--check"]) == 0
    assert "free atoms C, H, O are left out" in capsys.readouterr().out
    assert planned[0].isolated_atoms == ()
    assert main([*command, "--check", "--e0", "C=-1328", "H=-291", "O=-2792"]) == 2
    assert "--e0 and --isolated-atoms make a baseline" in " ".join(capsys.readouterr().err.split())


class Terminal(io.StringIO):
    """A stream that a user sees."""

    def isatty(self):
        return True


@pytest.mark.parametrize(
    ("terminal", "answer", "flags", "minutes", "asked", "trained"),
    [
        (True, "n\n", [], 5.0, True, False),
        (True, "\n", [], 5.0, True, False),
        (True, "", [], 5.0, True, False),  # the end of what is typed
        (True, "y\n", [], 5.0, True, True),
        (True, "n\n", ["--yes"], 5.0, False, True),
        (True, "n\n", [], 0.5, False, True),
        (True, "y\n", ["--check"], 5.0, False, False),
        (False, "n\n", [], 5.0, False, True),
    ],
)
def test_a_user_at_a_terminal_is_asked(terminal, answer, flags, minutes, asked, trained, files, monkeypatch):
    kind, begun = Terminal if terminal else io.StringIO, []
    stdout = kind()
    monkeypatch.setattr(own, "sys", SimpleNamespace(stdin=kind(answer), stdout=stdout))
    monkeypatch.setattr(own, "_train", lambda tuning, *_: begun.append(tuning))
    monkeypatch.setattr(FineTuning, "plan", lambda _: Plan(0, 48, 6, 6, 2, 900, minutes))
    assert main(finetune(*flags)) == 0
    said = stdout.getvalue()
    assert "48 to train" in said
    assert ("start?" in said) is asked
    assert ("nothing was trained" in said) is (asked and not trained)
    assert bool(begun) is trained


@pytest.mark.slow
def test_from_files_to_errors(files, capsys):
    """Train with a test file, go on with the potential, and hold both against the test file."""
    short = ["--test", "test.xyz", "--learning-rates", "0.003", "--steps", "60", "--workers", "1"]
    assert main(finetune(*short, "--average", "0.9", "--output", "first")) == 0
    said = capsys.readouterr().out
    (first,) = files.glob("first/*.safetensors")
    assert first.name in said
    rmse = float(said.split("test_rmse ")[1].split()[0])
    assert main(evaluate("--weights", str(first), "--level", "own", "--output", "out")) == 0
    table = pd.read_csv(files / "out" / "own-test.csv").set_index(["group", "quantity"])["rmse (kcal/mol)"]
    assert table[("all", "energy")] == pytest.approx(rmse, rel=0.02)
    continued = finetune(*short, "--continue", str(first), "--output", "more")
    continued.remove("--from-scratch")
    assert main(continued) == 0
    (second,) = files.glob("more/*.safetensors")
    assert load_weights(second).about["config"]["start"] == load_weights(first).about["checksum"]
    other = [LAYERS if word == WEIGHTS else word for word in continued]
    capsys.readouterr()
    assert main(other) == 1
    assert "it holds schnet, not torchmd_net; let --weights" in capsys.readouterr().err


def test_evaluation_prints_and_writes_what_compare_finds(files, capsys):
    assert main(evaluate("--weights", POTENTIAL, "--worst", "2", "--output", "out")) == 0
    out = capsys.readouterr().out
    potential = load_pretrained(POTENTIAL).calculator().potential
    dataset = datasets.own_dataset("test.xyz", "eV", level="GFN2-xTB")
    expected = compare(potential, dataset)
    for row in expected.table().itertuples(index=False):
        words = [*f"{row[0]} {row[1]}".split(), str(row[2])]
        (line,) = [text.split() for text in out.splitlines() if text.split()[: len(words)] == words]
        assert line[len(words) :] == [f"{value:.{'2f' if value >= 1000 else '4g'}}" for value in row[3:]]
    assert {"all", "hot", "cold"} == set(expected.table()["group"])
    worst = out.split("worst frames")[1].split("out/")[0].splitlines()[2:]
    assert [int(line.split()[0]) for line in worst if line] == expected.worst(2)["frame"].tolist()
    names = {path.name for path in (files / "out").iterdir()}
    assert names == {"own-test.csv", "own-test-frames.csv", "own-test-parity.png"}
    assert len(pd.read_csv(files / "out" / "own-test-frames.csv")) == len(open_store(dataset)) == 30


def test_evaluation_by_another_entry_without_worst_frames(files, capsys):
    assert main(evaluate("--weights", POTENTIAL, "--group", "half", "--worst", "0")) == 0
    out = capsys.readouterr().out
    assert {line.split()[0] for line in out.splitlines()[2:]} == {"all", "0", "1"}
    assert "worst" not in out
    assert not (files / "out").exists()


def test_another_level_is_said(files, capsys):
    assert main(evaluate("--weights", POTENTIAL, "--worst", "0")) == 0
    assert "warning" not in capsys.readouterr().out
    assert main(evaluate("--weights", POTENTIAL, "--worst", "0", "--level", "own")) == 0
    assert "learnt the level 'GFN2-xTB', the labels are of 'own'" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--weights", "nonsense"], "no trained model 'nonsense': choose from"),
        (["--weights", LAYERS], "are pre-trained layers, which predict noise and no energies"),
        (["--weights", "nothing.safetensors"], "there is no such weights file"),
        (["--weights", POTENTIAL, "a.safetensors"], f"{POTENTIAL!r} is no .safetensors file; give one name, or files"),
        (["--weights", POTENTIAL, POTENTIAL], "is given twice"),
        (["--weights", POTENTIAL, "--worst", "-1"], "--worst -1: give a whole number from 0 on"),
        (["--weights", POTENTIAL, "--output", "/proc"], "/proc cannot be written"),
        (["--weights", POTENTIAL, "--output", "mine"], "own-test.csv: it exists already; name another place, or add"),
        (["--weights", POTENTIAL, "--energy-key", "e"], "no energy 'e' among"),
        (["--weights", POTENTIAL, "--energy-unit", "kcal"], "unknown energy unit 'kcal'"),
    ],
)
def test_nonsense_of_evaluate(flags, message, files, capsys):
    (files / "mine").mkdir()
    (files / "mine" / "own-test.csv").write_text("years of work", encoding="utf-8")
    assert main(evaluate(*flags)) == 1
    captured = capsys.readouterr()
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1
    assert (files / "mine" / "own-test.csv").read_text(encoding="utf-8") == "years of work"


def test_an_entry_that_no_frame_has_is_refused(files, capsys):
    assert main(evaluate("--weights", POTENTIAL, "--group", "nogroup")) == 1
    assert "group 'nogroup': no frame of" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("unit", "of_energy", "of_forces", "status", "message"),
    [
        ("eV", 1.0, -1.0, 1, "have the sign of gradients"),
        ("eV", -1.0, 1.0, 1, "change that of the one that is wrong"),
        ("eV", 27.2, 1.0, 1, "Hartree and eV"),
        ("eV", -1.0, None, 0, "are unit, sign and key of the labels right?"),
        ("Hartree", 1.0, None, 0, "energies vary 2"),
        ("eV", 1.0, 1.0, 0, "energy per atom"),
    ],
)
def test_labels_in_another_unit_or_of_another_sign_are_said(unit, of_energy, of_forces, status, message, files, capsys):
    frames = read("test.xyz", ":")
    for atoms in frames:
        energy, forces = atoms.get_potential_energy(), atoms.get_forces()
        labels = {} if of_forces is None else {"forces": of_forces * forces}
        atoms.calc = SinglePointCalculator(atoms, energy=of_energy * energy, **labels)
    write("labels.xyz", frames, format="extxyz")
    command = ["evaluate", "--weights", POTENTIAL, "--data", "labels.xyz", "--energy-unit", unit]
    assert main(command) == status
    said = capsys.readouterr()
    assert message in said.out + said.err
    assert ("labels right" in said.out) == (of_forces is None)


@pytest.mark.parametrize("factor", [-1.0, 0.529177, 1.889726, 1.0])
def test_forces_of_few_frames_are_held_against_the_predictions(factor, files, capsys):
    """Frames so few and so far apart that their energies say nothing of their forces."""
    frames = read("test.xyz", "::6")
    for atoms in frames:
        atoms.calc = SinglePointCalculator(
            atoms, energy=atoms.get_potential_energy(), forces=factor * atoms.get_forces()
        )
    write("few.xyz", frames, format="extxyz")
    assert main(evaluate("--weights", POTENTIAL, data="few.xyz")) == 0
    assert ("warning: forces vary" in capsys.readouterr().out) == (factor != 1.0)


def test_evaluation_is_replaced_by_force(files, capsys):
    write_it = evaluate("--weights", POTENTIAL, "--output", "out")
    assert [main(write_it), main(write_it), main([*write_it, "--force"])] == [0, 1, 0]
    capsys.readouterr()
