"""Forces: minus the gradient of the energy for every model, learnt, measured, recorded and tabled."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import make_molecule
from small_models import build, molecules

from lib import models
from lib.batches import Batch
from lib.data.loading import ConformationBatches, Selection, make_loader
from lib.data.store import ConformationStore
from lib.errors import DataError
from lib.models.forces import energy_and_forces
from lib.report.statistics import Errors, errors_of
from lib.runs.results import FORCES, load_result, record
from lib.runs.runner import run
from lib.study.cells import Cell
from lib.study.scale import ByData
from lib.study.scales import get_scale
from lib.training.energy import EnergyTask
from lib.training.execution import QUIET
from lib.training.scaling import Scaling
from lib.training.settings import TrainingSettings

STEP = 1e-5  # Å
SMOOTH = {"smooth_cutoff": True}
SETTINGS = TrainingSettings(epochs=1, batch_size=16, force_weight=2.0)


def batch_of(z, pos, molecule, cutoff=5.0):
    return Batch.from_arrays(z, pos, molecule, cutoff).to("cpu", torch.float64)


@pytest.mark.parametrize("name", models.MODELS)
@pytest.mark.parametrize("settings", [{}, SMOOTH], ids=["paper", "smooth"])
def test_forces_are_minus_the_finite_difference(name, settings):
    model, (z, pos, molecule) = build(name, torch.float64, **settings), molecules()
    energy, forces = energy_and_forces(model, batch_of(z, pos, molecule))
    torch.testing.assert_close(energy, model(batch_of(z, pos, molecule), noise=False).energy)
    for atom, axis in ((0, 0), (3, 2), (8, 1), (15, 0)):
        shift = np.zeros_like(pos)
        shift[atom, axis] = STEP
        above, below = (
            model(batch_of(z, pos + s, molecule), noise=False).energy.detach().sum() for s in (shift, -shift)
        )
        expected = -(above - below).item() / (2 * STEP)
        assert float(forces[atom, axis]) == pytest.approx(expected, rel=1e-5, abs=1e-7)
    totals = torch.zeros(4, 3, dtype=torch.float64).index_add(0, torch.as_tensor(molecule), forces)
    torch.testing.assert_close(totals, torch.zeros_like(totals), atol=1e-9, rtol=0)
    assert float(forces[6].abs().max()) == 0  # an atom alone


@pytest.mark.parametrize("name", models.MODELS)
def test_weights_learn_from_forces(name):
    """The loss's gradient with respect to a weight is that of finite differences, second derivatives included."""
    model, (z, pos, molecule) = build(name, torch.float64, **SMOOTH), molecules()
    batch = replace(
        batch_of(z, pos, molecule),
        energy=torch.zeros(4, dtype=torch.float64),
        forces=torch.ones(len(z), 3, dtype=torch.float64),
    )
    task = EnergyTask(model, SETTINGS, Scaling(0.0, 1.0, np.zeros(28)))
    task.loss(batch).backward()
    parameters = [p for p in model.parameters() if p.grad is not None and p.grad.abs().max() > 1e-3]
    for parameter in parameters[:: max(1, len(parameters) // 4)]:
        where = tuple(int(i) for i in np.unravel_index(int(parameter.grad.abs().argmax()), parameter.shape))
        losses = []
        for sign in (1, -1):
            with torch.no_grad():
                parameter[where] += sign * STEP
            losses.append(task.loss(batch).item())
            with torch.no_grad():
                parameter[where] -= sign * STEP
        assert float(parameter.grad[where]) == pytest.approx((losses[0] - losses[1]) / (2 * STEP), rel=1e-4)


def test_loss_and_metrics_are_those_of_the_formula():
    model, (z, pos, molecule) = build("schnet", torch.float64), molecules()
    plain = batch_of(z, pos, molecule)
    energy, forces = energy_and_forces(model, plain)
    task = EnergyTask(model, SETTINGS, Scaling(1.0, 3.0, np.zeros(28)))
    target = replace(plain, energy=3.0 * energy + 1.0 + 6.0, forces=3.0 * forces + 1.5)  # off by 6 and 1.5
    expected = (6.0 / 3) ** 2 + 2.0 * (1.5 / 3) ** 2
    assert float(task.loss(target).detach()) == pytest.approx(expected)
    found = task.metrics(task.errors(target))
    assert found["rmse"] == pytest.approx(6.0)
    assert found["force_rmse"] == found["force_mae"] == pytest.approx(1.5)
    assert found["loss"] == pytest.approx(expected)
    small = torch.as_tensor(molecule == 3).unsqueeze(1)  # two atoms of eighteen: a conformation counts, not its atoms
    target = replace(target, forces=torch.where(small, 3.0 * forces + 6.0, 3.0 * forces))
    expected = (6.0 / 3) ** 2 + 2.0 * (6.0 / 3) ** 2 / 4
    assert float(task.loss(target).detach()) == pytest.approx(expected)
    assert task.metrics(task.errors(target))["loss"] == pytest.approx(expected)
    assert task.monitor == "validation_loss"
    assert EnergyTask(model, replace(SETTINGS, force_weight=0.0), Scaling(1.0, 3.0, np.zeros(28))).monitor == (
        "validation_rmse"
    )


@pytest.mark.parametrize(
    ("values", "word"),
    [
        ({"force_weight": -1.0}, "force_weight = -1.0"),
        ({"force_weight": 1.0, "normalise": True}, "one molecule's forces"),
    ],
)
def test_weights_that_teach_nothing(values, word):
    with pytest.raises(ValueError, match=word):
        TrainingSettings(epochs=1, **values)


def test_data_without_forces(tmp_path):
    store = ConformationStore.write([make_molecule("water", [8, 1, 1], 10, 0)], tmp_path / "s")
    with pytest.raises(DataError, match=r"no forces.*force_weight"):
        ConformationBatches([Selection(store, np.arange(10))], 5.0, forces=True)


def test_batches_carry_the_store_s_forces(tmp_path):
    made = [make_molecule("water", [8, 1, 1], 9, 0, forces=True), make_molecule("hcn", [1, 6, 7], 9, 1, forces=True)]
    store = ConformationStore.write(made, tmp_path / "s")
    data = ConformationBatches([Selection(store, np.arange(18))], 5.0, forces=True)
    for batch in make_loader(data, 5, 0, shuffle=True):
        torch.testing.assert_close(batch.forces, torch.as_tensor(store.gather_forces(batch.index.numpy())))


@pytest.fixture(scope="module")
def results():
    """Energies alone with forces measured, and energies with forces, of mini ANI-1x at smoke scale."""
    scale = get_scale("smoke")
    training = ByData(replace(scale.finetuning.training.of("ani1x"), epochs=24))
    scale = replace(scale, finetuning=replace(scale.finetuning, training=training))
    cells = {weight: Cell("schnet", "ani1x", False, force_weight=weight) for weight in (None, 0.0, 30.0)}
    return {weight: run(scale.finetune(cell, 1e-2, 0), QUIET) for weight, cell in cells.items()}


def test_forces_are_measured_and_learnt(results):
    assert not any("force" in name for name in results[None].metrics)
    assert results[0.0].metrics["test_rmse"] == pytest.approx(results[None].metrics["test_rmse"], rel=1e-4)
    assert results[0.0].metrics["test_force_r2"] < results[30.0].metrics["test_force_r2"] < 1
    assert results[30.0].metrics["test_force_rmse"] < 0.8 * results[0.0].metrics["test_force_rmse"]
    assert set(results[30.0].metrics) <= set(results[30.0].about["units"])
    assert results[30.0].about["units"]["test_force_mae"] == "kcal/mol/angstrom"
    history = results[30.0].history()
    assert results[30.0].metrics["validation_loss"] == min(history["validation_loss"])


def test_errors_of_forces(results, tmp_path, monkeypatch):
    result = results[30.0]
    weights = np.ones((1, 10_000))
    trained = errors_of(result, of_forces=True)
    assert trained.score("force_rmse", weights)[0] == pytest.approx(result.metrics["test_force_rmse"])
    assert trained.score("force_mae", weights)[0] == pytest.approx(result.metrics["test_force_mae"])
    assert not np.isclose(errors_of(result).score("rmse", weights)[0], result.metrics["test_force_rmse"])
    with pytest.raises(ValueError, match="measured no forces"):
        errors_of(results[None], of_forces=True)
    monkeypatch.setattr("lib.runs.results.RECORDS", tmp_path)
    written = replace(load_result(result.path), path=record(result, "test"), recorded=True)
    again: Errors = errors_of(written, of_forces=True)
    np.testing.assert_allclose(again.squared, trained.squared, rtol=1e-3)
    assert set(FORCES) <= set(written.test_errors())
