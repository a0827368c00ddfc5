"""Records, upkeep of the run store, and weights for others."""

import gzip
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import MOLECULES, make_molecule, write_ani1
from filelock import FileLock

from lib.cli.main import main
from lib.data.datasets import DataSet
from lib.errors import DataError
from lib.models import make_settings
from lib.models.transfer import transfer
from lib.models.weights import load_weights, save_weights
from lib.paths import DATA
from lib.report.statistics import errors_of
from lib.runs import integrity, jobs, results, runner
from lib.runs.checksums import seal
from lib.runs.config import RunConfig
from lib.runs.results import Result
from lib.runs.runner import run, run_all, stored
from lib.training.execution import QUIET
from lib.training.metrics import metric_of
from lib.training.settings import TrainingSettings

SETTINGS = make_settings("egnn", {"hidden_channels": 8, "n_layers": 2})
TRAINING = TrainingSettings(epochs=2, batch_size=16, learning_rate=3e-3)


@pytest.fixture(autouse=True)
def _own_folders(tmp_path, monkeypatch):
    monkeypatch.setattr(runner, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(results, "RECORDS", tmp_path / "records")
    monkeypatch.setattr(results, "WEIGHTS", tmp_path / "weights")
    monkeypatch.delenv(results.IGNORE, raising=False)


@pytest.fixture
def configs(tmp_path):
    molecules = [make_molecule(name, z, 30, k) for k, (name, z) in enumerate(MOLECULES.items())]
    data = (DataSet("test/ani1", "ani1", str(write_ani1(tmp_path / "ani1.h5", molecules))),)
    source = RunConfig("denoising", data, "egnn", SETTINGS, TRAINING, seed=0, sigma=0.2)
    return source, RunConfig("energy", data, "egnn", SETTINGS, TRAINING, 0, baseline="mean", pretrained=source)


def forget(result):
    result.path.rename(result.path.parent.parent / f"aside-{result.key}")


def test_a_recorded_result_is_found_instead_of_trained(configs, monkeypatch):
    trained = [run(config, QUIET) for config in configs]
    errors, histories = errors_of(trained[1]), [r.history() for r in trained]
    for result in trained:
        results.record(result, "laptop")
        forget(result)
    monkeypatch.setattr(jobs, "JOBS", {})
    recorded = [run(config, QUIET) for config in configs]
    for a, b, history in zip(trained, recorded, histories, strict=True):
        assert (a.source, b.source) == ("trained", "recorded")
        assert a.metrics == b.metrics
        assert b.history() == history
    found = errors_of(recorded[1])
    np.testing.assert_array_equal(found.molecule, errors.molecule)
    np.testing.assert_allclose(found.squared, errors.squared, rtol=1e-3)
    np.testing.assert_allclose(found.absolute, errors.absolute, rtol=1e-3)
    with pytest.raises(DataError, match="not predictions"):
        recorded[1].predictions()
    monkeypatch.setenv(results.IGNORE, "1")
    assert stored(configs[0]) is None


def test_what_is_trained_again_does_not_overrule_its_record(configs):
    """Else a cell that a notebook repeats could change the learning rate that is chosen from the records."""
    first = run(configs[1], QUIET)
    results.record(first, "laptop")
    content = json.loads((first.path / "result.json").read_text())
    content["metrics"]["validation_rmse"] = 1e6
    (first.path / "result.json").write_text(json.dumps(content))
    seal(first.path)
    for found in (stored(configs[1]), run(configs[1], QUIET), *run_all([configs[1]], 1)):
        assert (found.source, found.metrics) == ("recorded", first.metrics)
    (found,) = run_all([configs[1]], 1, weights=True)
    assert (found.source, found.metrics["validation_rmse"]) == ("trained", 1e6)
    assert found.has_weights()
    results.ship_weights(found)
    (found,) = run_all([configs[1]], 1, weights=True)
    assert (found.source, found.metrics) == ("recorded", first.metrics)


def test_a_record_is_shown_and_drawn_by_its_key(configs, tmp_path, monkeypatch, capsys):
    """What was never trained on this machine, too; its weights, which are not there, cannot be exported."""
    monkeypatch.chdir(tmp_path)
    source = run(configs[0], QUIET)
    results.record(source, "laptop")
    forget(source)
    assert main(["runs", "show", source.key]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"] == source.metrics
    assert main(["runs", "curves", source.key]) == 0
    assert main(["runs", "show", source.key[:8]]) == 1
    assert main(["export", source.key]) == 1
    whole = results.RECORDS / "laptop" / f"{source.key}.json.gz"
    before = whole.read_bytes()
    capsys.readouterr()
    for name in ("laptop", "elsewhere"):
        assert main(["runs", "record", name, source.key]) == 1
        assert "is recorded already" in capsys.readouterr().err
    assert whole.read_bytes() == before and [path.name for path in results.RECORDS.iterdir()] == ["laptop"]


def test_shipped_weights_of_a_record_are_exported(configs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    source = run(configs[0], QUIET)
    results.record(source, "laptop")
    results.ship_weights(source)
    forget(source)
    assert main(["export", source.key, "mine.safetensors"]) == 0
    assert load_weights(Path("mine.safetensors")).about["run"] == source.key


def test_only_what_is_needed_is_trained_before_a_run_and_in_its_order(configs, tmp_path, monkeypatch):
    """Sources of runs that are recorded are not; sources without weights are, level by level."""
    source, tuned = configs
    other = replace(tuned, seed=1, pretrained=replace(source, seed=1))
    elsewhere = write_ani1(tmp_path / "elsewhere.h5", [make_molecule("water", [8, 1, 1], 30, 7)])
    again = replace(tuned, data=(DataSet("test/elsewhere", "ani1", str(elsewhere)),), pretrained=tuned)
    for config in (source, tuned):
        results.record(run(config, QUIET), "laptop")
    shutil.rmtree(runner.RUNS)
    trained = []
    monkeypatch.setattr(runner, "_train_all", lambda configs, *_: trained.append({c.key() for c in configs}))
    monkeypatch.setattr(runner, "stored", lambda config: results.find_record(config.key()))
    run_all([tuned], 1)
    assert trained == []
    run_all([tuned, other, again], 1)
    assert trained == [{source.key(), other.pretrained.key()}, {tuned.key(), other.key()}, {again.key()}]


def test_fine_tuning_from_a_record_without_weights_trains_them(configs):
    source = run(configs[0], QUIET)
    results.record(source, "laptop")
    forget(source)
    assert run(configs[0], QUIET).recorded
    tuned = run(configs[1], QUIET)
    assert tuned.source == "trained"
    assert (runner.RUNS / source.key / "weights.safetensors").exists()


def test_shipped_weights_stand_in(configs, monkeypatch):
    source = run(configs[0], QUIET)
    results.record(source, "laptop")
    results.WEIGHTS.mkdir()
    (source.path / "weights.safetensors").rename(results.WEIGHTS / f"{source.key}.safetensors")
    forget(source)
    monkeypatch.delitem(jobs.JOBS, "denoising")
    assert run(configs[1], QUIET).source == "trained"


def test_records_are_compressed_text_with_the_same_bytes_and_a_broken_one_is_named(configs):
    result = run(configs[1], QUIET)
    first = results.record(result, "laptop").read_bytes()
    assert results.record(result, "laptop").read_bytes() == first
    content = json.loads(gzip.decompress(first))
    rows = content["errors"]["parts"]["test"]
    assert len(rows["index steps"]) == len(rows["molecule steps"]) == len(rows["error"]) > 0
    assert content["about"]["provenance"]["commit"]
    forget(result)
    path = results.RECORDS / "laptop" / f"{result.key}.json.gz"
    path.write_bytes(first[: len(first) // 2])
    with pytest.raises(DataError, match=r"json.gz.*restore it: git checkout data/results"):
        stored(configs[1])


def test_verify_sees_what_was_changed(configs, capsys):
    result = run(configs[0], QUIET)
    assert main(["runs", "verify"]) == 0
    path = result.path / "result.json"
    whole = path.read_text()
    path.write_text(whole.replace('"learning_rate": 0.003', '"learning_rate": 0.004'))
    assert main(["runs", "verify"]) == 1
    assert "since it was stored, result.json is changed" in capsys.readouterr().out
    path.write_text(whole[: len(whole) // 2])
    assert "result.json is changed" in integrity.verify()[result.key]
    assert main(["runs", "list"]) == 0
    assert "remove its folder" in capsys.readouterr().err
    path.write_text(whole)
    (result.path / "weights.safetensors").unlink()
    assert "weights.safetensors is missing" in integrity.verify()[result.key]


def test_gc_leaves_what_is_trained_or_finished(configs):
    result = run(configs[0], QUIET)
    dead, alive = "0" * 16, "1" * 16
    for name in (dead, alive):
        (runner.RUNS / f".{name}").mkdir()
        (runner.RUNS / f".{name}.lock").touch()
    with FileLock(runner.RUNS / f".{alive}.lock"):
        removed = integrity.collect()
    assert {path.name for path in removed} == {f".{dead}", f".{dead}.lock", f".{result.key}.lock"}
    assert (runner.RUNS / f".{alive}").exists()
    assert stored(configs[0]) is not None


def test_show_needs_one_run(configs, capsys):
    result = run(configs[0], QUIET)
    assert main(["runs", "show", result.key[:5]]) == 0
    assert json.loads(capsys.readouterr().out)["metrics"] == result.metrics
    assert main(["runs", "show", "zz"]) == 1
    assert "runs list" in capsys.readouterr().err


def test_exported_weights_say_what_they_are(configs, tmp_path):
    result = run(configs[1], QUIET)
    path = tmp_path / "out" / "e.safetensors"
    assert main(["export", result.key, str(path)]) == 0
    found = load_weights(path)
    assert found.about["units"]["energy"].startswith("kcal/mol")
    assert found.about["licence"] == "MIT"
    assert found.about["target"]["level"] == "GFN2-xTB"
    assert found.about["provenance"]["torch"]
    for key, value in result.weights().build().state_dict().items():
        assert torch.equal(value, found.build().state_dict()[key])


def test_exported_pretraining_can_be_transferred(configs, tmp_path):
    path = tmp_path / "p.safetensors"
    assert main(["export", run(configs[0], QUIET).key, str(path)]) == 0
    assert transfer(load_weights(path).build(), "egnn", load_weights(path))


def test_a_flipped_bit_is_seen(configs, tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, "egnn", run(configs[0], QUIET).weights().build(), task="denoising")
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="checksum"):
        load_weights(path)


def test_a_result_has_its_settings_typed(configs):
    for config in configs:
        stored_config = run(config, QUIET).config
        assert (stored_config.task, stored_config.labelled) == (config.task, config.labelled)
        assert (stored_config.model, stored_config.seed, stored_config.sigma) == ("egnn", 0, config.sigma)
        assert stored_config.training == config.training
        assert stored_config.limits == config.limits
        assert stored_config.settings["hidden_channels"] == 8
        assert [(d.name, d.reader) for d in stored_config.data] == [("test/ani1", "ani1")]
        assert len(stored_config.data[0].fingerprint) == 64
    assert stored_config.pretrained.training == configs[0].training
    assert stored_config.pretrained.sigma == 0.2


def test_settings_of_every_record_can_be_read():
    """Older ones too, with settings that have been retired since, and without those that are new."""
    paths = sorted((DATA / "results").glob("*/*.json.gz"))
    assert paths
    for path in paths:
        about = results._read_record(path)["about"]
        config = Result(path.stem, path, {}, about).config
        assert (config.labelled, config.training.learning_rate) == (
            "target" in about,
            about["config"]["training"]["learning_rate"],
        )
        assert all(metric_of(name).unit == unit for name, unit in about["units"].items())


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (
            {"training": {"epochs": 3, "weight_decay": 0.1}},
            r"training settings \['weight_decay'\] of the run are unknown",
        ),
        ({"training": {"epochs": 3, "novelty": 1}}, r"training settings \['novelty'\] of the run are unknown"),
        ({"seed": None}, r"the settings of the run lack \['seed'\]"),
        ({"nonsense": 3}, r"settings \['nonsense'\] of the run are unknown to this version"),
    ],
)
def test_settings_that_this_version_cannot_read_are_named(change, word):
    config = {
        "task": "denoising",
        "model": "egnn",
        "seed": 0,
        "settings": {},
        "training": {"epochs": 3},
        "data": [{"reader": "ani1", "fingerprint": "f"}],
    }
    retired = config | {"training": {"epochs": 3, "weight_decay": 0.0, "energy_weight": 1.0}}
    assert Result("k", Path("k"), {}, {"config": retired, "splits": {"a": "h"}}).config.training.epochs == 3
    wrong = {name: value for name, value in (config | change).items() if value is not None}
    with pytest.raises(DataError, match=word):
        _ = Result("k", Path("k"), {}, {"config": wrong, "splits": {"a": "h"}}).config


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ({"validation_rmse": 3.0}, 3.0),
        ({"validation_rmse": 3.0, "validation_loss": 0.5}, 0.5),
        ({"validation_rmse": float("nan")}, float("inf")),
    ],
)
def test_what_decides_between_runs(metrics, expected):
    assert Result("key", Path(), metrics, {}).validation == expected
