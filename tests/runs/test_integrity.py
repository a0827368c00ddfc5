"""Stored and recorded results that were changed are named; junk in the run store stops no command."""

import gzip
import json
import re
import shutil
from dataclasses import replace

import numpy as np
import pytest
from conftest import MOLECULES, make_molecule, write_ani1

from lib.cli import run as run_command
from lib.cli.main import main
from lib.data.datasets import DataSet
from lib.errors import DataError
from lib.models import make_settings
from lib.models.weights import load_weights, save_weights
from lib.paths import DATA
from lib.runs import integrity, results, runner
from lib.runs.checksums import SEAL
from lib.runs.config import RunConfig
from lib.runs.runner import run
from lib.training.execution import QUIET
from lib.training.settings import TrainingSettings

SETTINGS = make_settings("egnn", {"hidden_channels": 8, "n_layers": 2})
TRAINING = TrainingSettings(epochs=2, batch_size=16, learning_rate=3e-3)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run store with a pre-training and an energy run, their configs by task."""
    folder = tmp_path_factory.mktemp("trained")
    molecules = [make_molecule(name, z, 30, k) for k, (name, z) in enumerate(MOLECULES.items())]
    data = (DataSet("test/ani1", "ani1", str(write_ani1(folder / "ani1.h5", molecules))),)
    source = RunConfig("denoising", data, "egnn", SETTINGS, TRAINING, seed=0, sigma=0.2)
    energy = RunConfig("energy", data, "egnn", SETTINGS, TRAINING, 0, baseline="mean", pretrained=source)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runner, "RUNS", folder / "runs")
        run(energy, QUIET)
    return folder / "runs", {"denoising": source, "energy": energy}


@pytest.fixture
def runs(trained, tmp_path, monkeypatch):
    """A copy of that store, to be spoilt."""
    store, _ = trained
    shutil.copytree(store, tmp_path / "runs")
    monkeypatch.setattr(runner, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(results, "RECORDS", tmp_path / "records")
    monkeypatch.setattr(results, "WEIGHTS", tmp_path / "weights")
    monkeypatch.delenv(results.IGNORE, raising=False)
    return tmp_path / "runs"


@pytest.fixture
def energy(trained, runs):
    return runs / trained[1]["energy"].key()


def edit(path, change):
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))


def test_whole_runs_are_whole_with_and_without_checksums(runs, energy, capsys):
    assert set(integrity.verify().values()) == {integrity.WHOLE}
    assert main(["runs", "verify"]) == 0
    for folder in integrity.stored_folders():
        (folder / SEAL).unlink()
    assert set(integrity.verify().values()) == {integrity.UNSEALED}
    assert main(["runs", "verify"]) == 0


@pytest.mark.parametrize(
    "name",
    ["result.json", "weights.safetensors", "history.json", "predictions.npz", "split-test-ani1.npz", "metrics.csv"],
)
def test_one_flipped_bit_in_any_file_is_seen(energy, name):
    content = bytearray((energy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (energy / name).write_bytes(content)
    assert integrity.verdict_of(energy) not in integrity.GOOD


def test_files_that_are_missing_or_new_are_named(energy):
    (energy / "metrics.csv").unlink()
    (energy / "notes.txt").write_text("mine")
    assert integrity.verdict_of(energy) == "since it was stored, metrics.csv is missing, notes.txt is new"


def scaled(name):
    def change(content):
        content["metrics"][name] *= 0.5

    return change


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (scaled("test_rmse"), "is stated, but its predictions give"),
        (scaled("test_mae"), "is stated, but its predictions give"),
        (scaled("validation_rmse"), "is stated, but its history gives"),
        (lambda c: c["metrics"].update(test_rmse=float("nan")), "are not all finite"),
        (lambda c: c["metrics"].update(test_rmse=None), "a number is expected, not None"),
        (lambda c: c["metrics"].pop("test_mae"), "give test_mae, which its metrics lack"),
        (lambda c: c["about"]["units"].update(test_rmse="eV"), "units {'test_rmse': 'eV'}"),
        (lambda c: c["about"]["config"]["training"].update(learning_rate=1.0), "they were changed"),
        (lambda c: c["about"]["target"].update(mean=0.0), "another energy target"),
        (lambda c: c["about"].update(config=None), "about.config: a table is expected, not None"),
        (lambda c: c.update(about=None), "metrics and about must be tables"),
    ],
)
def test_an_edited_result_is_seen_even_without_checksums(energy, change, word):
    (energy / SEAL).unlink()
    edit(energy / "result.json", change)
    assert word in integrity.verdict_of(energy)


def test_edited_predictions_and_the_weights_of_another_run_are_seen(trained, runs, energy):
    (energy / SEAL).unlink()
    rows = dict(np.load(energy / "predictions.npz"))
    np.savez_compressed(energy / "predictions.npz", **rows | {"prediction": rows["prediction"] * 1.01})
    assert "its predictions give" in integrity.verdict_of(energy)
    np.savez_compressed(energy / "predictions.npz", **rows)
    assert integrity.verdict_of(energy) == integrity.UNSEALED
    other = runs / trained[1]["denoising"].key() / "weights.safetensors"
    shutil.copy(other, energy / "weights.safetensors")
    assert f"these are the weights of the run '{other.parent.name}'" in integrity.verdict_of(energy)
    save_weights(energy / "weights.safetensors", "egnn", load_weights(other).build(), task="denoising", sigma=0.2)
    assert "its weights are of task 'denoising', not 'energy': another run's" in integrity.verdict_of(energy)


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("result.json", lambda result: None),
        ("history.json", lambda result: result.history()),
        ("predictions.npz", lambda result: result.predictions()),
        ("weights.safetensors", lambda result: result.weights()),
    ],
)
def test_a_run_is_held_against_its_checksums_as_it_is_read(trained, energy, name, read):
    """By everyone who asks for it, not by `runs verify` alone."""
    read(runner.stored(trained[1]["energy"]))
    content = bytearray((energy / name).read_bytes())
    content[len(content) // 2] ^= 1
    (energy / name).write_bytes(content)
    with pytest.raises(DataError, match=f"since it was stored, {name} is changed; remove its folder and train it aga"):
        read(run(trained[1]["energy"], QUIET))


def test_what_was_changed_is_neither_fine_tuned_nor_drawn(trained, runs, energy):
    source = trained[1]["denoising"]
    shutil.rmtree(energy)
    shutil.copy(runs / source.key() / "history.json", runs / source.key() / "weights.safetensors")
    with pytest.raises(DataError, match=r"weights.safetensors is changed; remove its folder"):
        run(trained[1]["energy"], QUIET)
    assert not energy.exists()


def test_weights_of_another_seed_are_refused_without_checksums(trained, runs):
    """Same model, same settings, same task: only the run that they name tells them apart."""
    config = trained[1]["denoising"]
    other = run(replace(config, seed=1), QUIET)
    folder = runs / config.key()
    (folder / SEAL).unlink()
    shutil.copy(other.path / "weights.safetensors", folder)
    with pytest.raises(DataError, match=f"these are the weights of the run '{other.key}', not of {config.key()}"):
        runner.stored(config).weights()


def test_another_configs_result_stands_in_for_none(trained, runs, energy):
    """A folder that was renamed, and a record: the settings must make the key."""
    shutil.rmtree(energy)
    shutil.copytree(runs / trained[1]["denoising"].key(), energy)
    with pytest.raises(DataError, match=f"its settings do not make the key {energy.name}; remove its folder"):
        runner.stored(trained[1]["energy"])
    record = results.record(runner.stored(trained[1]["denoising"]), "laptop")
    record.rename(record.with_name(f"{energy.name}.json.gz"))
    with pytest.raises(DataError, match=f"do not make the key {energy.name}; restore it: git checkout data/results"):
        runner.stored(trained[1]["energy"])


@pytest.mark.parametrize("content", ["null", "[]", '"x"', "1", "{}", "", "{", '{"metrics": null, "about": {}}'])
def test_junk_stops_no_command(runs, energy, content, capsys):
    (runs / "junk").mkdir()
    (runs / "junk" / "result.json").write_text(content)
    (runs / "empty").mkdir()
    (runs / "a-file.txt").write_text("notes")
    assert main(["runs", "list"]) == 0
    captured = capsys.readouterr()
    assert f"{energy.name} energy egnn seed 0: " in captured.out
    units = set(re.findall(r"test_(\w+) [-\d.e]+([^,\n]*)", captured.out))
    assert units == {("rmse", " kcal/mol"), ("mae", " kcal/mol"), ("r2", "")}
    assert captured.err.count("warning: ") == 3
    assert main(["runs", "show", energy.name[:8]]) == 0
    assert main(["runs", "gc"]) == 0
    assert (runs / "junk" / "result.json").exists()
    assert (runs / "a-file.txt").exists()
    capsys.readouterr()
    assert main(["runs", "verify"]) == 1
    captured = capsys.readouterr()
    assert f"{energy.name}: whole" in captured.out
    assert "3 of 5 runs are not whole" in captured.err
    assert main(["runs", "show", "junk"]) == 1
    assert "it is no result" in capsys.readouterr().err


def test_gc_removes_only_what_runs_left(runs, energy):
    for name in (".git", ".0123456789abcdef"):
        (runs / name).mkdir()
        (runs / f"{name}.lock").touch()
    removed = {path.name for path in integrity.collect()}
    assert {".0123456789abcdef", ".0123456789abcdef.lock"} <= removed
    assert (runs / ".git").is_dir()
    assert energy.is_dir()


def test_a_broken_result_is_neither_loaded_nor_exported(trained, runs, energy, tmp_path, capsys):
    edit(energy / "result.json", scaled("test_rmse"))
    with pytest.raises(ValueError, match=r"result.json is changed; remove its folder and train it again"):
        run_command._result(trained[1]["energy"], QUIET)
    assert main(["export", energy.name, str(tmp_path / "w.safetensors")]) == 1
    assert main(["runs", "record", "laptop", energy.name]) == 1
    assert "result.json is changed" in capsys.readouterr().err
    assert not (tmp_path / "w.safetensors").exists()


def test_export_replaces_only_weights_of_the_same_run(runs, energy, tmp_path, capsys):
    mine = tmp_path / "mine.safetensors"
    mine.write_text("not weights")
    for force in ([], ["--force"]):
        assert main(["export", energy.name, str(mine), *force]) == 1
        assert f"FILE {mine}: it exists and is no weights file, so it is not replaced; name" in capsys.readouterr().err
        assert mine.read_text() == "not weights"
    shutil.copyfile(min((DATA / "weights").glob("*.safetensors")), mine)
    assert main(["export", energy.name, str(mine)]) == 1
    assert f"FILE {mine}: it exists already; name another place, or add --force" in capsys.readouterr().err
    for force in (["--force"], []):  # the second time it holds the same run
        assert main(["export", energy.name, str(mine), *force]) == 0
    assert load_weights(mine).about["run"] == energy.name


@pytest.mark.parametrize("name", ["x.txt", "x"])
def test_export_writes_no_file_that_no_weights_are_read_from(name, runs, energy, tmp_path, capsys):
    assert main(["export", energy.name, str(tmp_path / name)]) == 1
    expected = f"FILE {tmp_path / name}: weights are read from .safetensors files only; name it x.safetensors"
    assert expected in capsys.readouterr().err
    assert not (tmp_path / name).exists()


def test_records_that_contradict_themselves_are_seen(runs, energy, capsys):
    assert main(["runs", "record", "laptop", energy.name]) == 0
    (path,) = results.RECORDS.glob("*/*.json.gz")
    assert integrity.verify_records() == {energy.name: integrity.WHOLE}
    whole = json.loads(gzip.decompress(path.read_bytes()))
    for change, word in (
        (scaled("test_rmse"), "its recorded errors give"),
        (scaled("validation_rmse"), "its history gives"),
        (lambda c: c["errors"]["parts"]["test"]["error"].__setitem__(0, 1e3), "its recorded errors give"),
        (lambda c: c["about"]["config"].update(seed=1), "they were changed"),
    ):
        content = json.loads(json.dumps(whole))
        change(content)
        path.write_bytes(gzip.compress(json.dumps(content).encode()))
        assert word in integrity.verify_records()[energy.name]
        capsys.readouterr()
        assert main(["runs", "verify"]) == 1
        assert "git checkout data/results" in capsys.readouterr().err


def test_every_record_of_the_project_is_whole():
    verdicts = integrity.verify_records()
    assert len(verdicts) >= 462
    assert set(verdicts.values()) == {integrity.WHOLE}
