"""The progress of a fit: one bar for all its steps, none in continuous integration, and a log to follow."""

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
from lib.training import progress
from lib.training.denoising import DenoisingTask
from lib.training.execution import LOG, Execution
from lib.training.fit import fit
from lib.training.progress import EVERY, FitBar, RunLog
from lib.training.settings import TrainingSettings

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
    config = SimpleNamespace(key=lambda: "a", pretrained=None, chain=lambda: [config])
    runner.run_all([config], workers=1, title="some runs")
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


QUIETLY = Execution(progress=False, accelerator="cpu")
STEP = re.compile(r"step (\d+) of 18, epoch (\d) of 3, loss (\S+), learning rate (\S+), (\d:\d\d:\d\d) left")


def log_of(folder):
    """The lines of a fit's log without their times, which are looked at."""
    lines = (folder / LOG).read_text(encoding="utf-8").splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d ", line) for line in lines)
    return [line[20:] for line in lines]


def test_the_log_has_steps_losses_rates_and_every_validation(data, tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "SECONDS", 0.0)
    history = train(data, tmp_path / "fit", QUIETLY)
    lines = log_of(tmp_path / "fit")
    assert lines[0] == "denoising: starts at step 0 of 18"
    assert lines[-1].startswith("ends at step 18 after 0:00:")
    steps = [STEP.fullmatch(line).groups() for line in lines if " of 3, " in line]
    assert [(int(step), int(epoch)) for step, epoch, *_ in steps] == [(k, (k + 5) // 6) for k in range(1, 19)]
    assert all(0 < float(loss) < 2 for _, _, loss, _, _ in steps)
    assert steps[-1][-1] == "0:00:00"
    rates = [float(rate) for *_, rate, _ in steps]
    assert rates == pytest.approx([SETTINGS.learning_rate * SETTINGS.rate(k / 6) for k in range(1, 19)], rel=2e-3)
    validations = [line for line in lines if "lowest" in line]
    lowest = [min(history[: k + 1]) for k in range(3)]
    assert validations == [
        f"step {6 * k + 6}: validation_denoising_error {history[k]:.4g}; lowest {lowest[k]:.4g}" for k in range(3)
    ]


def test_a_fit_that_goes_on_continues_its_log(data, tmp_path, monkeypatch):
    with pytest.raises(RuntimeError, match="interrupted"):
        train(data, tmp_path / "fit", QUIETLY, Interrupted)
    assert log_of(tmp_path / "fit")[-1] == "stopped at step 12: RuntimeError('interrupted')"
    train(data, tmp_path / "fit", QUIETLY)
    lines = log_of(tmp_path / "fit")
    assert "denoising: resumes at step 12 of 18" in lines
    assert lines[0].startswith("denoising: starts")
    assert lines[-1].startswith("ends at step 18")


@pytest.mark.parametrize(("first", "looks"), [(True, 3), (False, 0)])
def test_the_log_has_a_line_every_few_seconds_by_the_first_process(first, looks, tmp_path, monkeypatch):
    """A step a second: after the first one a line each five; 40 s of 100 steps at the last one leave 60 s."""
    now = SimpleNamespace(monotonic=lambda: now.time, strftime=lambda _: "", time=0.0)
    monkeypatch.setattr(progress, "time", now)
    trainer = SimpleNamespace(
        is_global_zero=first, estimated_stepping_batches=100, global_step=0, current_epoch=0, max_epochs=1,
        optimizers=[SimpleNamespace(param_groups=[{"lr": 0.001}])],
    )  # fmt: skip
    task = SimpleNamespace(title="a fit", monitor="metric", history={})
    log = RunLog(tmp_path)
    log.on_train_start(trainer, task)
    CountedLoss.looks = 0
    for trainer.global_step in range(1, 13):
        log.on_train_batch_start(trainer, task, None, 0)
        now.time += 1.0
        log.on_train_batch_end(trainer, task, {"loss": CountedLoss()}, None, 0)
    assert CountedLoss.looks == looks
    assert (tmp_path / LOG).exists() is first
    if first:
        last = (tmp_path / LOG).read_text(encoding="utf-8").splitlines()[-1]
        assert last.endswith("step 11 of 100, epoch 1 of 1, loss 0.2, learning rate 0.001, 0:01:29 left")
