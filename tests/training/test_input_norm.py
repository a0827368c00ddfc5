"""Normalised inputs of the energy head: folded away without a trace, exact in validation, and they make it learn."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import MOLECULES, make_molecule, write_ani1
from small_models import SMALL

from lib import models
from lib.data.datasets import DataSet, find
from lib.data.loading import ConformationBatches, make_loader
from lib.runs.config import Limits, RunConfig
from lib.runs.runner import run
from lib.runs.selection import select, splits
from lib.training.energy import EnergyTask
from lib.training.execution import QUIET, Execution
from lib.training.input_norm import InputNorm
from lib.training.scaling import Scaling
from lib.training.settings import TrainingSettings


@pytest.fixture
def data(tmp_path):
    return DataSet(
        "test/one",
        "ani1",
        str(write_ani1(tmp_path / "a.h5", [make_molecule("formamide", MOLECULES["formamide"], 200, 0)])),
    )


def config(data, name="egnn", normalise=True, **more):
    training = TrainingSettings(epochs=4, batch_size=16, learning_rate=3e-3, normalise=normalise)
    return RunConfig("energy", (data,), name, models.make_settings(name, SMALL[name]), replace(training, **more), 0,
                     baseline="mean", limits=Limits(train=100))  # fmt: skip


def loader(config):
    (selection,) = select(config, splits(config))["test"]
    return make_loader(ConformationBatches([selection], config.settings.cutoff), 64, 0, shuffle=False)


@pytest.mark.parametrize("name", models.MODELS)
def test_a_head_that_knows_plain_inputs_answers_the_same_when_they_are_normalised(data, name):
    """A transferred head starts as what it was; without `keep_head` it would be another function."""
    batches = loader(config(data, name))
    batch = next(iter(batches))
    answers = []
    for keep in (False, True):
        torch.manual_seed(0)
        model = models.build(name, config(data, name).settings)
        with torch.no_grad():
            before = model(batch, noise=False).energy
            task = EnergyTask(model, config(data, name).training, Scaling(0.0, 1.0, np.zeros(28)), batches)
            task.keep_head() if keep else task.input_norm.measure(model, batches)
            task.eval()
            answers.append(model(batch, noise=False).energy)
    torch.testing.assert_close(answers[1], before, rtol=1e-3, atol=1e-3)
    assert (answers[0] - before).abs().max() > 10 * (answers[1] - before).abs().max()


@pytest.mark.parametrize("name", models.MODELS)
def test_folded_model_answers_the_same(data, name):
    wanted = config(data, name)
    torch.manual_seed(0)
    model = models.build(name, wanted.settings)
    names = set(model.state_dict())
    norm = InputNorm(model.energy_head)
    batches = loader(wanted)
    norm.measure(model, batches)
    norm.eval()
    batch = next(iter(batches))
    with torch.no_grad():
        before = model(batch, noise=False).energy
        norm.fold()
        after = model(batch, noise=False).energy
    torch.testing.assert_close(after, before, rtol=1e-3, atol=1e-3)
    assert set(model.state_dict()) == names


def test_heads_see_centred_and_scaled_features(data):
    wanted = config(data)
    torch.manual_seed(0)
    model = models.build("egnn", wanted.settings)
    norm = InputNorm(model.energy_head)
    seen = []
    model.energy_head[0].register_forward_hook(lambda _, given, __: seen.append(given[0]))
    batch = next(iter(loader(wanted)))
    for training in (True, False):
        norm.train(training)
        if not training:
            norm.measure(model, loader(wanted))
            seen.clear()
        model(batch, noise=False)
        assert seen[-1].mean(0).abs().max() < 1e-3
        assert seen[-1].std(0).mean().item() == pytest.approx(1, abs=0.15)


def test_saved_weights_are_the_papers_model_and_predict_what_was_tested(data):
    result = run(config(data), QUIET)
    model, target = result.weights().build(), result.about["target"]
    found = result.predictions()
    batch = next(iter(loader(config(data))))
    with torch.no_grad():
        energy = model(batch, noise=False).energy.double().numpy() * target["std"] + found["baseline"]
    np.testing.assert_allclose(energy, found["prediction"], rtol=1e-4, atol=1e-2)


def test_it_learns_where_plain_training_does_not():
    """A 42-atom peptide at one temperature, 130 steps."""
    small = models.make_settings("egnn", {"hidden_channels": 16, "n_layers": 2, "num_rbf": 32, "smooth_cutoff": True})
    training = TrainingSettings(epochs=10, batch_size=32, learning_rate=5e-3, validate_every=5)
    plain = RunConfig("energy", (find("mini/md22/Ac-Ala3-NHMe"),), "egnn", small, training, 0, baseline="mean",
                      limits=Limits(400, 50, 100))  # fmt: skip
    r2 = {
        n: run(replace(plain, training=replace(training, normalise=n)), QUIET).metrics["test_r2"] for n in (True, False)
    }
    assert r2[True] > 0.25 > 0.1 > r2[False], r2


def test_it_goes_on_as_if_never_interrupted(data, monkeypatch):
    whole = run(config(data, clip=1e9), QUIET)  # another key, the same run
    from lib.training.energy import EnergyTask

    step = EnergyTask.training_step

    def broken(self, batch):
        if self.current_epoch == 2:
            raise KeyboardInterrupt
        return step(self, batch)

    monkeypatch.setattr(EnergyTask, "training_step", broken)
    with pytest.raises(BaseException):  # noqa: B017 (Lightning turns it into SystemExit)
        run(config(data, clip=2e9), QUIET)
    monkeypatch.setattr(EnergyTask, "training_step", step)
    again = run(config(data, clip=2e9), QUIET)
    assert again.about["resumed"]
    np.testing.assert_allclose(again.predictions()["prediction"], whole.predictions()["prediction"], rtol=1e-6)


def test_a_last_batch_of_one_is_normalised_from_the_first_step(data, monkeypatch):
    """17 conformations in batches of 16: the one left over would come as it is, sums over atoms."""
    measured, forward = [], InputNorm.forward

    def watched(self, x):
        if self.training and len(x) == 1:
            measured.append(bool((self.scale != 1).all()))
        return forward(self, x)

    monkeypatch.setattr(InputNorm, "forward", watched)
    run(replace(config(data, epochs=2, validate_every=2), limits=Limits(train=17)), QUIET)
    assert measured == [True, True]


@pytest.mark.parametrize("average", [0.0, 0.9])
def test_a_batch_of_one_is_normalised_by_the_weights_that_train(data, monkeypatch, average):
    """At the start of every epoch, also where averaged weights validated just before."""
    epochs = []

    def measured_again(self):
        known = self.input_norm.mean.clone(), self.input_norm.scale.clone()
        self._measure_input()
        torch.testing.assert_close(known, (self.input_norm.mean, self.input_norm.scale))
        epochs.append(self.current_epoch)

    monkeypatch.setattr(EnergyTask, "on_train_epoch_start", measured_again)
    run(config(data, average=average, clip=3e9), QUIET)
    assert epochs == [0, 1, 2, 3]


def test_batches_in_parts_are_refused(data):
    with pytest.raises(ValueError, match="accumulate = 2"):
        run(config(data, clip=0.5), Execution(progress=False, accumulate=2))
