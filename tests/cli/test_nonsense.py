"""Nonsense is refused in one line that names it, what is expected and the remedy, before anything is trained."""

import pytest

from lib.cli import targets
from lib.cli.main import main
from lib.data.store import ConformationStore
from lib.machine import available_cores
from lib.paths import DATA
from lib.runs import jobs, runner
from lib.runs.config import RunConfig
from lib.study.scales import get_scale
from lib.training import execution
from lib.training.execution import Execution
from lib.training.settings import TrainingSettings

FILE = str(DATA / "mini" / "example" / "methyl-salicylate.xyz")
RUN = ["run", "--model", "egnn"]
ENERGY = [*RUN, "--data", "ani1x"]
OWN = ["finetune", "--data", FILE, "--energy-unit", "eV"]
CONVERT = ["data", "convert", "own", FILE]
RATES = "give a number from 1e-07 to 100, such as 0.001"

NONSENSE = [
    ([*RUN, "--devices", "0"], "--devices 0: give a whole number from 1 on"),
    ([*RUN, "--nodes", "0"], "--nodes 0: give a whole number from 1 on"),
    ([*RUN, "--nodes", "2"], "--nodes 2: start the same command on each machine with torchrun --nnodes 2"),
    ([*RUN, "--accumulate", "0"], "--accumulate 0: give a whole number"),
    ([*RUN, "--accelerator", "banana"], "no accelerator 'banana': choose from ['auto', 'cpu'"),
    ([*RUN, "--seed", "-1"], "--seed -1: give a whole number from 0 on"),
    ([*RUN, "--scale", "huge"], "no scale 'huge': choose from"),
    (["run", "--model", "foo"], "no model 'foo': choose from"),
    ([*RUN, "--pretrained"], "--pretrained is for learning energies: name their data set with --data"),
    ([*RUN, "--learning-rate", "0.001"], "--learning-rate is for learning energies"),
    ([*RUN, "--data", "nonsense"], "no data set 'mini/nonsense': choose from"),
    *(([*ENERGY, "--learning-rate", value], f"{RATES}") for value in ("0", "-1", "nan", "inf", "1e300", "1e-300")),
    (["runs", "train", "--model", "egnn", "--seed", "77"], "--seed 77: the scale smoke has no runs of egnn with this"),
    (["runs", "train", "--model", "egnn", "--seed", "0", "--workers", "0"], "--workers 0: give a whole number from 1"),
    (["runs", "train", "--model", "foo", "--seed", "0"], "no model 'foo': choose from"),
    (["runs", "show", "zz"], "0 stored runs begin with 'zz': python -m lib runs list"),
    (["runs", "record", "../elsewhere"], "NAME ../elsewhere: give the plain name of a folder"),
    (["runs", "record", "/tmp"], "NAME /tmp: give the plain name of a folder"),
    (["export", "zz"], "0 stored runs begin with 'zz'"),
    (["finetune", "--data", "nothing.xyz", "--energy-unit", "eV"], "--data nothing.xyz: it is not there"),
    ([*OWN, "--seeds", "0", "0"], "--seeds 0 0: 0 is given twice"),
    ([*OWN, "--seeds", "0", "-2"], "--seeds -2: give a whole number from 0 on"),
    ([*OWN, "--workers", "0"], "--workers 0: give a whole number from 1 on"),
    ([*OWN, "--labels", "0"], "--labels 0: give a whole number from 1 on"),
    ([*OWN, "--learning-rates", "0.001", "0"], f"--learning-rates 0.0: {RATES}"),
    ([*OWN, "--learning-rates", "0.001", "1e-3"], "0.001 is given twice"),
    ([*OWN, "--force-weight", "nan"], "--force-weight nan: give a weight from 0 to 1e+06"),
    ([*OWN, "--force-weight", "-1"], "--force-weight -1.0: give a weight from 0"),
    ([*OWN, "--pretraining-rate", "0.001"], "name them with --pretrain-on"),
    ([*OWN, "--output", "/proc"], "--output /proc: /proc cannot be written"),
    ([*OWN, "--output", f"{FILE}/out"], "is not a folder; name a folder that can be written"),
    ([*OWN, "--weights", "egnn"], "no pre-trained weights 'egnn': choose from"),
    (["pretrain", "--data", FILE, "--pretraining-rate", "inf"], f"--pretraining-rate inf: {RATES}"),
    (["pretrain", "--pretraining-rate", "0.001"], "name them with --data"),
    (["pretrain", "--weights", "nonsense"], "no pre-trained weights 'nonsense': choose from"),
    (["pretrain", "--data", FILE, "--length-unit", "furlong"], "unknown length unit 'furlong'; choose from"),
    (["data", "fetch", "nonsense"], "no published data set 'nonsense': choose from"),
    (["data", "verify", "nonsense"], "no published data set 'nonsense': choose from"),
    (["data", "fetch", "ani1x", "--folder", "/proc"], "--folder /proc: /proc cannot be written"),
    (["data", "convert", "nonsense", FILE, "out"], "no reader 'nonsense': choose from"),
    ([*CONVERT, "out", "--set", "energy_unit"], "--set energy_unit: write KEY=VALUE"),
    ([*CONVERT, "out", "--set", "energy_unit="], "--set energy_unit=: write KEY=VALUE"),
    ([*CONVERT, "out", "--set", "energy_unit=eV", "--set", "energy_unit=eV"], "energy_unit is given twice"),
    (
        [*CONVERT, "out", "--set", "energy_unit=eV", "--set", "labelled=False"],
        "labelled=False: it is a switch",
    ),
    (["data", "convert", "spice", str(DATA / "mini" / "spice"), "out", "--set", "misplaced=False"], "it is a switch"),
    ([*CONVERT, "/dev/null", "--set", "energy_unit=eV", "--force"], "it exists and is not a conformation store"),
    ([*CONVERT, "/proc/store", "--set", "energy_unit=eV"], "STORE /proc/store: /proc cannot be written"),
    (["mini-suite", "nonsense"], "no mini data set 'nonsense': choose from"),
    (["mini-suite", "--processes", "0"], "--processes 0: give a whole number from 1 on"),
    (["mini-suite", "--seed", "-1"], "--seed -1: give a whole number from 0 on"),
    (["mini-suite", "--output", "/proc"], "--output /proc: /proc cannot be written"),
    (["mini-suite", "ani1", "--output", str(DATA / "mini")], "exists already; name another place, or add --force"),
    (["bench", "data", "--conformations", "0"], "--conformations 0: give a whole number from 1000 on"),
    (["bench", "data", "--seconds", "nan"], "--seconds nan: give a number of seconds from 0"),
    (["bench", "data", "--json", "/proc/b.json"], "--json /proc/b.json: /proc cannot be written"),
    (["bench", "models", "--models", "egnn", "egnn"], "--models egnn egnn: egnn is given twice"),
    (["bench", "models", "--models", "foo"], "no model 'foo': choose from"),
    (["bench", "models", "--scales", "huge"], "no scale 'huge': choose from"),
    (["bench", "models", "--batch-size", "0"], "--batch-size 0: give a whole number from 1 on"),
    (["bench", "inference", "--sizes", "-5"], "--sizes -5: give a whole number from 1 on"),
    (["runs", "curves", "zz"], "0 stored runs begin with 'zz'"),
]


@pytest.fixture(autouse=True)
def _nothing_is_trained(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(runner, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(jobs, "JOBS", {})  # a run that began would end with a KeyError
    monkeypatch.delenv("WORLD_SIZE", raising=False)


@pytest.mark.parametrize(
    ("arguments", "message"), NONSENSE, ids=[" ".join(arguments)[-60:] for arguments, _ in NONSENSE]
)
def test_nonsense_is_one_line_and_status_1(arguments, message, capsys, tmp_path):
    assert main(arguments) == 1
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert message in captured.err
    assert len(captured.err.splitlines()) == 1
    assert not list(tmp_path.iterdir())


def test_a_gpu_that_is_not_there_is_refused(capsys, monkeypatch):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setitem(execution.ACCELERATORS, "cuda", lambda: False)
    assert main([*RUN, "--accelerator", "cuda"]) == 1
    assert "accelerator = 'cuda': torch finds none on this machine; choose 'auto' or 'cpu'" in capsys.readouterr().err
    assert main(["bench", "models", "--device", "cuda"]) == 1
    assert "--device cuda: torch sees no GPU here; use --device cpu" in capsys.readouterr().err


def test_more_processes_than_cores_are_refused(capsys):
    more = available_cores() + 1
    assert main([*RUN, "--accelerator", "cpu", "--devices", str(more)]) == 1
    assert f"this machine has {more - 1} CPU cores; choose at most {more - 1}" in capsys.readouterr().err


def test_another_number_of_processes_than_torchrun_started_is_refused(capsys, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main([*RUN, "--devices", "3"]) == 1
    assert "2 processes were started, but --devices 3 times --nodes 1 are 3" in capsys.readouterr().err


@pytest.mark.parametrize("what", ["the input itself", "a folder of the user's", "a dangling link", "an empty folder"])
def test_convert_leaves_what_is_not_a_store(what, tmp_path, capsys, store):
    place = tmp_path / "mine"
    if what == "the input itself":
        place.write_text((DATA / "mini" / "example" / "methyl-salicylate.xyz").read_text())
    elif what == "a folder of the user's":
        store.path.rename(place)
        (place / "notes.txt").write_text("years of work")
    elif what == "a dangling link":
        place.symlink_to(tmp_path / "nowhere")
    else:
        place.mkdir()
    source = str(place) if place.is_file() else FILE
    for force in ([], ["--force"]):
        assert main(["data", "convert", "own", source, str(place), "--set", "energy_unit=eV", *force]) == 1
        said = capsys.readouterr().err
        assert f"STORE {place}: it exists and is not a conformation store" in said
        assert "name a folder that does not exist yet" in said
    assert place.is_symlink() or place.exists()
    if place.is_dir() and what != "an empty folder":
        assert (place / "notes.txt").read_text() == "years of work"


def test_convert_replaces_a_store_only_by_force(tmp_path, capsys, store):
    convert = ["data", "convert", "own", FILE, str(store.path), "--set", "energy_unit=eV"]
    before = store.fingerprint
    assert main(convert) == 1
    assert "a conformation store is there already; name another place, or add --force" in capsys.readouterr().err
    assert ConformationStore.open(store.path).fingerprint == before
    assert main([*convert, "--force"]) == 0
    assert ConformationStore.open(store.path).fingerprint != before


def test_files_of_the_user_are_not_replaced(tmp_path, capsys):
    mine = tmp_path / "thesis.json"
    mine.write_text('{"years": 4}')
    assert main(["bench", "data", "--json", str(mine)]) == 1
    assert f"--json {mine}: it exists already; name another place, or add --force" in capsys.readouterr().err
    assert main(["runs", "curves", "zz", "--output", str(mine)]) == 1
    assert f"--output {mine}: it exists already" in capsys.readouterr().err
    assert mine.read_text() == '{"years": 4}'
    with pytest.raises(ValueError, match="it exists and is no plain file"):
        targets.check_file("FILE", tmp_path, force=True)
    targets.check_file("FILE", mine, force=True)
    targets.check_file("FILE", tmp_path / "new" / "a.json")
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"learning_rate": float("nan")}, "learning_rate = nan"),
        ({"learning_rate": 1e300}, "learning_rate = 1e\\+300: give a number from 1e-07 to 100"),
        ({"learning_rate": 1e-9}, "learning_rate = 1e-09: give a number"),
        ({"learning_rate": 1e-3, "min_learning_rate": 1e-2}, "min_learning_rate = 0.01 must not be above"),
        ({"clip": float("inf")}, "clip = inf must be a finite number"),
        ({"force_weight": float("nan")}, "force_weight = nan must be a finite number"),
    ],
)
def test_settings_refuse_rates_that_cannot_train(change, message):
    with pytest.raises(ValueError, match=message):
        TrainingSettings(epochs=1, **change)


@pytest.mark.parametrize("sigma", [1e9, 1e-300, float("nan"), float("inf"), 0.0, 11.0])
def test_a_noise_that_teaches_nothing_is_refused(sigma):
    scale = get_scale("smoke")
    with pytest.raises(ValueError, match=f"sigma = {sigma!r}".replace("+", r"\+")):
        scale.pretrain("egnn", 0, sigma=sigma)
    assert isinstance(scale.pretrain("egnn", 0, sigma=10.0), RunConfig)


@pytest.mark.parametrize("name", ["accumulate", "devices", "nodes"])
def test_execution_refuses_nothing_at_all(name):
    with pytest.raises(ValueError, match=f"{name} = 0 must be a whole number from 1 on"):
        Execution(**{name: 0})
