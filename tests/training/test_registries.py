"""Registries of tasks, metrics and data sets: whole registrations work, half ones fail with one clear line."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from conftest import MOLECULES, make_molecule, write_ani1

from lib.batches import Batch
from lib.data import datasets
from lib.data.datasets import FAMILIES, DataSet, Family, find, open_store
from lib.data.readers import READERS, ani1
from lib.models import make_settings
from lib.models.baseline import baseline_of_target
from lib.report import data_overview, settings_tables
from lib.runs import jobs, runner
from lib.runs.config import RunConfig
from lib.runs.runner import run
from lib.study.cells import Cell
from lib.study.scales import SCALES, get_scale
from lib.training.denoising import DenoisingTask
from lib.training.energy import EnergyTask
from lib.training.execution import QUIET
from lib.training.metrics import METRICS, metric_label, metric_of
from lib.training.scaling import Scaling
from lib.training.settings import TrainingSettings
from lib.training.task import Task
from lib.training.tasks import TASKS, TaskEntry, task_entry

SETTINGS = make_settings("egnn", {"hidden_channels": 8, "n_layers": 2})
TRAINING = TrainingSettings(epochs=1, batch_size=16, learning_rate=1e-3)


@pytest.fixture
def pretraining(tmp_path):
    molecules = [make_molecule(name, z, 30, k) for k, (name, z) in enumerate(MOLECULES.items())]
    data = (DataSet("test/ani1", "ani1", str(write_ani1(tmp_path / "ani1.h5", molecules))),)
    return RunConfig("denoising", data, "egnn", SETTINGS, TRAINING, seed=0, sigma=0.2)


class Halved(DenoisingTask):
    """Another pre-training: half the loss."""

    title = "halved denoising"

    def loss(self, batch):
        return 0.5 * super().loss(batch)


@pytest.mark.parametrize("name", TASKS)
def test_registered_tasks_are_whole(name):
    assert task_entry(name).missing() == []
    assert jobs.job_of(name) is jobs.JOBS[name]


def test_a_new_task_is_one_line_and_one_job(pretraining, monkeypatch):
    monkeypatch.setitem(TASKS, "halved", TASKS["denoising"])
    monkeypatch.setitem(jobs.JOBS, "halved", partial(jobs.denoise, make_task=Halved))
    config = replace(pretraining, task="halved")
    result = run(config, QUIET)
    assert result.config.task == "halved" and not result.config.labelled
    assert result.about["units"]["validation_denoising_error"] == "sigma^2"
    tuned = replace(config, task="energy", sigma=None, baseline="mean", pretrained=config)  # may start from it
    with pytest.raises(ValueError, match="it belongs to denoising"):
        replace(tuned, task="halved", baseline="mean", pretrained=None)
    with pytest.raises(ValueError, match="only energy runs take less than all"):
        replace(config, share=0.5)


@pytest.mark.parametrize(
    ("entry", "lacks"),
    [
        (
            TaskEntry(False, "validation_denoising_error", ("denoising_error", "sharpness")),
            "'sharpness' in lib.training.metrics.METRICS",
        ),
        (
            TaskEntry(False, "validation_denoising_error", ("rigid_part",)),
            "its monitor 'denoising_error' among its metrics",
        ),
    ],
)
def test_a_half_registered_task_says_what_it_lacks(pretraining, monkeypatch, entry, lacks):
    monkeypatch.setitem(TASKS, "half", entry)
    with pytest.raises(ValueError, match=f"task 'half' is half registered: give it .*{lacks}") as error:
        replace(pretraining, task="half")
    assert "\n" not in str(error.value)


def test_a_half_written_task_says_what_it_lacks():
    with pytest.raises(TypeError, match="task Half is half written: give it a title, a monitor, a summed"):

        class Half(Task):
            """It says nothing of itself."""


def test_a_task_without_a_job_trains_nothing(pretraining, monkeypatch):
    monkeypatch.setitem(TASKS, "half", TASKS["denoising"])
    config = replace(pretraining, task="half")
    with pytest.raises(ValueError, match=r"task 'half' is half registered: give it a job in lib\.runs\.jobs\.JOBS"):
        run(config, QUIET)
    assert not (runner.RUNS / f".{config.key()}").exists()


def test_metrics_are_known_with_and_without_their_part():
    assert metric_of("test_known_force_mae") is METRICS["force_mae"]
    assert metric_of("validation_rmse") is metric_of("rmse") is METRICS["rmse"]
    assert (metric_label("test_mae"), metric_label("force_rmse")) == ("MAE", "force RMSE")
    assert METRICS["force_mae"].shown_unit == "kcal/mol/Å"
    assert METRICS["denoising_error"].shown_unit == "σ²"
    with pytest.raises(ValueError, match="no metric 'test_median': choose from"):
        metric_of("test_median")


@pytest.fixture
def suite(tmp_path, monkeypatch):
    """A folder of data sets with the files of a sixth one, ``mini/sixth``."""
    monkeypatch.setitem(datasets.FOLDERS, "mini", tmp_path / "mini")
    (tmp_path / "mini").mkdir()
    molecules = [make_molecule(name, z, 60, k) for k, (name, z) in enumerate(MOLECULES.items())]
    write_ani1(tmp_path / "mini" / "sixth", molecules)


def test_a_sixth_data_set_is_one_reader_and_one_line(suite, monkeypatch):
    """Every scale trains on it, tables name it, Table 1 counts it."""
    monkeypatch.setitem(READERS, "sixth", ani1.read)
    monkeypatch.setitem(FAMILIES, "sixth", Family("Sixth"))
    assert len(open_store(find("mini/sixth"))) == 240
    for scale in SCALES.values():
        config = scale.finetune(Cell("egnn", "sixth", False), scale.rates_of("sixth")[0], scale.seeds[0])
        assert config.data[0].name == f"{scale.suite}/sixth"
    smoke = get_scale("smoke")
    assert smoke.data_label("sixth") == "mini Sixth (GFN2-xTB)"
    assert run(smoke.finetune(Cell("schnet", "sixth", False), 3e-3, 0), QUIET).metrics["test_mae"] > 0
    assert "sixth" in data_overview.available("mini")
    counts = data_overview.table1("mini", ["sixth"]).set_index("metric")
    assert counts.loc["molecules", "value"] == 4 and np.isnan(counts.loc["molecules", "paper_value"])
    assert settings_tables.training_table(smoke).loc["sixth", "epochs"] == 4


def test_half_registered_data_sets_say_what_is_missing(monkeypatch):
    monkeypatch.setitem(READERS, "sixth", ani1.read)
    scale = get_scale("smoke")
    with pytest.raises(ValueError, match=r"'mini/sixth' is half registered: .* line in lib\.data\.datasets\.FAMILIES"):
        scale.finetune(Cell("egnn", "sixth", False), 1e-3, 0)
    monkeypatch.setitem(FAMILIES, "seventh", Family("Seventh"))
    with pytest.raises(ValueError, match=r"'mini/seventh' is half registered: .* in lib\.data\.readers\.READERS"):
        scale.finetune(Cell("egnn", "seventh", False), 1e-3, 0)


def test_one_baseline_for_batches_and_arrays():
    """Mean plus one energy per atom: of arrays, and of the batch that a task sees, to the bit."""
    rng = np.random.default_rng(0)
    scaling = Scaling(3.0, 2.0, rng.normal(size=28))
    types, molecule = rng.integers(0, 28, 12), np.repeat([0, 1, 2], [3, 4, 5])
    target = {"mean": 3.0, "per_type": scaling.per_type.tolist()}  # as weights files keep it
    baselines = baseline_of_target(target, types, molecule, 3)
    by_hand = [3.0 + sum(scaling.per_type[types[molecule == k]]) for k in range(3)]
    np.testing.assert_allclose(baselines, by_hand, rtol=1e-14)
    batch = Batch.from_arrays(types, rng.normal(size=(12, 3)).astype(np.float32), molecule)
    model = torch.nn.Module()
    assert (EnergyTask(model, TRAINING, scaling).baseline(batch).numpy() == baselines).all()
