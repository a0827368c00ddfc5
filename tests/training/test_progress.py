"""The progress bar of a fit: one for all its steps, with loss and metric; none in continuous integration."""

import re
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import make_molecule

from lib import models
from lib.data.loading import ConformationBatches, Selection, make_loader
from lib.data.store import ConformationStore
from lib.runs import runner
from lib.training.fit import Execution, fit
from lib.training.progress import EVERY, FitBar
from lib.training.settings import TrainingSettings
from lib.training.tasks import DenoisingTask

SHOWN = Execution(accelerator="cpu")
SETTINGS = TrainingSettings(epochs=3, batch_size=16, learning_rate=5e-3)  # 90 conformations: 6 steps an epoch


class Interrupted(DenoisingTask):
    """Fails in the third epoch."""

    def training_step(self, batch):
        if self.current_epoch == 2:
            raise RuntimeError("interrupted")
        return super().training_step(batch)


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.delenv("CI", raising=False)
    molecules = [make_molecule("water", [8, 1, 1], 40, 0), make_molecule("methane", [6, 1, 1, 1, 1], 50, 1)]
    store = ConformationStore.write(molecules, tmp_path / "store")
    return ConformationBatches([Selection(store, np.arange(90))], 5.0, sigma=0.2)


def train(data, folder, execution=SHOWN, kind=DenoisingTask):
    torch.manual_seed(0)
    task = kind(models.build("egnn", {"hidden_channels": 8, "n_layers": 2}), SETTINGS, 0.2)
    training = make_loader(data, 16, 0, shuffle=True, micro_batches=execution.accumulate)
    fit(task, training, make_loader(data, 64, 0, shuffle=False), folder, execution)
    return task.history["validation_denoising_error"]


def drawn(capsys):
    """Every state of the bars that were drawn, in order, and their number.

    Without the spaces that tqdm puts behind a state shorter than the one before it.
    """
    text = capsys.readouterr().err
    return [state.rstrip() for state in re.split(r"[\r\n]+", text) if state.strip()], text.count("\n")


def test_one_bar_for_the_fit_shows_steps_rate_time_loss_and_metric(data, tmp_path, capsys):
    history = train(data, tmp_path / "fit")
    states, bars = drawn(capsys)
    assert bars == 1
    assert "| 0/18 [" in states[0]
    bar = r"denoising: 100%\|.*\| 18/18 \[\d\d:\d\d<00:00, .*(?:step/s|s/step)"
    pattern = bar + r", loss (\S+), validation_denoising_error (\S+)\]"
    loss, metric = re.fullmatch(pattern, states[-1]).groups()
    assert 0 < float(loss) < 2
    assert float(metric) == pytest.approx(history[-1], rel=1e-3)


def test_micro_batches_of_a_step_are_one_step_with_one_loss(data, tmp_path, capsys):
    losses = []
    for micro_batches in (1, 3):
        train(data, tmp_path / str(micro_batches), Execution(accelerator="cpu", accumulate=micro_batches))
        (last,) = drawn(capsys)[0][-1:]
        assert " 18/18 [" in last
        losses.append(float(re.search(r"loss ([^,]+),", last).group(1)))
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


def test_a_fit_that_goes_on_begins_at_its_step(data, tmp_path, capsys):
    with pytest.raises(RuntimeError, match="interrupted"):
        train(data, tmp_path / "fit", kind=Interrupted)
    states, bars = drawn(capsys)
    assert bars == 1
    assert " 12/18 [" in states[-1]
    train(data, tmp_path / "fit")
    states, _ = drawn(capsys)
    assert " 12/18 [" in states[0]
    assert " 18/18 [" in states[-1]


@pytest.mark.parametrize(("ci", "progress"), [("1", True), ("true", True), ("", False)])
def test_quiet_in_continuous_integration_and_where_nobody_asked(data, tmp_path, capsys, monkeypatch, ci, progress):
    monkeypatch.setenv("CI", ci)
    train(data, tmp_path / "fit", Execution(progress, accelerator="cpu"))
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("ci", "shown"), [("", True), ("1", False)])
def test_the_bar_over_runs_is_quiet_too(capsys, monkeypatch, ci, shown):
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(runner, "ProcessPoolExecutor", lambda workers, _: ThreadPoolExecutor(workers))
    for name in ("stored", "run", "_run_quietly"):
        monkeypatch.setattr(runner, name, lambda *_: None)
    runner.run_all([SimpleNamespace(key=lambda: "a", pretrained=None)], workers=1, title="some runs")
    out, err = capsys.readouterr()
    assert out == ""
    assert ("some runs" in err) is shown


class CountedLoss:
    """Counts how often its value is asked for."""

    looks = 0

    def __radd__(self, _):
        return self

    __add__ = __radd__

    def __float__(self):
        type(self).looks += 1
        return 1.0


@pytest.mark.parametrize(("first", "looks"), [(True, 1 + 100 // EVERY), (False, 0)])
def test_the_loss_is_fetched_rarely_and_on_the_first_process_alone(first, looks, capsys):
    trainer = SimpleNamespace(is_global_zero=first, estimated_stepping_batches=101, global_step=0)
    task = SimpleNamespace(title="a fit", monitor="metric", history={})
    bar = FitBar()
    bar.on_train_start(trainer, task)
    CountedLoss.looks = 0
    for trainer.global_step in range(1, 102):
        bar.on_train_batch_end(trainer, task, {"loss": CountedLoss()}, None, 0)
    bar.on_train_end(trainer, task)
    assert CountedLoss.looks == looks
    assert bool(capsys.readouterr().err) is first
