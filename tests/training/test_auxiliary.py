"""The noise as a second term of an energy's loss, told forces, and runs that start from other labels."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import make_molecule
from small_models import build, molecules

from lib import models
from lib.batches import Batch
from lib.cli.main import main
from lib.data.datasets import STORE, DataSet
from lib.data.loading import ConformationBatches, Selection, make_loader
from lib.data.store import ConformationStore
from lib.errors import DataError
from lib.models import make_settings
from lib.models.base import HEAD, TOLD
from lib.models.transfer import ALL, TURNED, transfer
from lib.models.weights import load_weights, save_weights
from lib.runs import results
from lib.runs.config import RunConfig
from lib.runs.runner import run, trained
from lib.study import questions
from lib.study.trials import Trial, results_to_record
from lib.training.auxiliary import DeNSTask, NoisyNodesTask
from lib.training.energy import EnergyTask
from lib.training.execution import QUIET
from lib.training.scaling import Scaling
from lib.training.settings import TrainingSettings

SMALL = {"hidden_channels": 8, "n_layers": 2}
SETTINGS = TrainingSettings(epochs=1, batch_size=16, learning_rate=1e-3)
NOISY = replace(SETTINGS, noise_weight=0.5)
TOLD_MODELS = [name for name, entry in models.MODELS.items() if entry.module.takes_forces]
SIGMA = 0.05


def stored(folder, name, seed):
    atoms = {"water": [8, 1, 1], "methane": [6, 1, 1, 1, 1]}
    rng = np.random.default_rng(seed)
    made = [make_molecule(key, z, 40, seed + k) for k, (key, z) in enumerate(atoms.items())]
    made = [replace(m, forces=rng.normal(size=m.positions.shape).astype(np.float32)) for m in made]
    return ConformationStore.write(made, folder / name)


@pytest.fixture
def selection(tmp_path):
    store = stored(tmp_path, "own", 0)
    return Selection(store, np.arange(len(store)))


def loaded(selection, sigma, forces=False):
    data = ConformationBatches([selection], 5.0, forces=forces).noised(sigma)
    return next(iter(make_loader(data, 20, 0, shuffle=True)))


def scaling_of(selection):
    data = ConformationBatches([selection], 5.0)
    return Scaling.fit("composition", data.energies(), data.compositions())


def test_noised_batches_have_the_labels_of_conformations_as_they_are(selection):
    clean, noised = loaded(selection, None, forces=True), loaded(selection, SIGMA, forces=True)
    assert torch.equal(clean.energy, noised.energy)
    assert torch.equal(clean.forces, noised.forces)
    assert clean.noise is None
    torch.testing.assert_close(noised.pos - noised.noise, clean.pos)
    assert noised.noise.std() == pytest.approx(SIGMA, rel=0.15)


def test_noisy_nodes_adds_the_noise_to_the_loss_of_the_noised_energy(selection):
    torch.manual_seed(0)
    model, batch = models.build("egnn", SMALL), loaded(selection, SIGMA)
    losses = {
        weight: NoisyNodesTask(model, replace(NOISY, noise_weight=weight), scaling_of(selection), sigma=SIGMA)
        for weight in (0.5, 1.0)
    }
    of_energy = EnergyTask(model, SETTINGS, scaling_of(selection)).loss(batch)  # of the noised coordinates
    error = (model(batch).noise - batch.noise).square().mean(1) / SIGMA**2
    by_molecule = [float(error[batch.molecule == k].mean().detach()) for k in range(batch.n_molecules)]
    for weight, task in losses.items():
        assert float(task.loss(batch).detach()) == pytest.approx(
            float(of_energy.detach()) + weight * np.mean(by_molecule), rel=1e-5
        )


def test_dens_adds_the_loss_of_what_is_told_to_that_of_conformations_as_they_are(selection):
    torch.manual_seed(0)
    settings = replace(NOISY, force_weight=2.0)
    model, scaling = models.build("egnn", SMALL | {"told_forces": True}), scaling_of(selection)
    batch, clean = loaded(selection, SIGMA, forces=True), loaded(selection, None, forces=True)
    told = replace(batch, told=(batch.forces / scaling.std).float())
    parts = (
        EnergyTask(model, settings, scaling).loss(clean),
        NoisyNodesTask(model, NOISY, scaling, sigma=SIGMA).loss(told),
    )
    loss = DeNSTask(model, settings, scaling, sigma=SIGMA).loss(batch)
    torch.testing.assert_close(loss, parts[0] + parts[1], rtol=1e-4, atol=1e-5)
    loss.backward()
    assert all(p.grad.abs().max() > 0 for name, p in model.named_parameters() if name.startswith(TOLD))


@pytest.mark.parametrize("name", TOLD_MODELS)
def test_told_forces_turn_with_the_molecule_and_their_absence_changes_nothing(name):
    z, pos, molecule = molecules()
    model, deaf = build(name, torch.float64, told_forces=True), build(name, torch.float64)
    deaf.load_state_dict({key: value for key, value in model.state_dict().items() if not key.startswith(TOLD)})
    batch = Batch.from_arrays(z, pos, molecule).to("cpu", torch.float64)
    for kind in ("energy", "noise"):
        assert torch.equal(getattr(model(batch), kind), getattr(deaf(batch), kind))
    generator = torch.Generator().manual_seed(0)
    told = torch.randn(batch.pos.shape, generator=generator, dtype=torch.float64)
    turn = torch.linalg.qr(torch.randn(3, 3, generator=generator, dtype=torch.float64))[0]
    first = model(replace(batch, told=told))
    second = model(replace(batch, pos=batch.pos @ turn, told=told @ turn))
    torch.testing.assert_close(second.energy, first.energy)
    torch.testing.assert_close(second.noise, first.noise @ turn)
    assert (first.noise - model(batch).noise).abs().max() > 1e-6
    assert (first.energy - model(batch).energy).abs().max() > 1e-6


@pytest.mark.parametrize("name", TOLD_MODELS)
def test_what_learnt_energies_hands_over_all_but_the_head_or_that_too(tmp_path, name):
    source, path = build(name, torch.float32, 1, told_forces=True), tmp_path / "w.safetensors"
    target = {"mean": 0.0, "std": 1.0, "per_type": [0.0] * 28, "level": "GFN2-xTB"}
    save_weights(path, name, source, task="energy", target=target)
    for what, left in (("layers", HEAD), (ALL, "nothing")):
        fresh = build(name, torch.float32, 2)
        before = {key: value.clone() for key, value in fresh.state_dict().items()}
        moved = transfer(fresh, name, load_weights(path), what, learnt="energy")
        for key, value in fresh.state_dict().items():
            assert (key in moved) is not key.startswith(left)
            assert torch.equal(value, (before if key.startswith(left) else source.state_dict())[key]), key
    with pytest.raises(ValueError, match=f"transfer = '{TURNED}' of a network that learnt energy: its head has"):
        transfer(fresh, name, load_weights(path), TURNED, learnt="energy")
    with pytest.raises(DataError, match="it holds 'energy', not 'denoising'"):
        transfer(fresh, name, load_weights(path))


@pytest.fixture
def chain(tmp_path):
    """Denoising, then labels with forces of one data set, then labels of another."""
    cheap, dear = (DataSet(f"test/{name}", STORE, str(stored(tmp_path, name, k).path))
                   for k, name in enumerate(("cheap", "dear")))  # fmt: skip
    small = make_settings("egnn", SMALL)
    first = RunConfig("denoising", (cheap,), "egnn", small, SETTINGS, 0, sigma=0.2)
    second = RunConfig("energy", (cheap,), "egnn", small, replace(SETTINGS, force_weight=2.0), 0, baseline="mean",
                       pretrained=first)  # fmt: skip
    third = RunConfig("energy", (dear,), "egnn", small, replace(SETTINGS, normalise=True), 0, baseline="mean",
                      pretrained=second, transfer=ALL)  # fmt: skip
    return first, second, third


def test_a_run_starts_from_one_that_learnt_other_labels(chain, tmp_path, monkeypatch):
    _, second, third = chain
    result = run(third, QUIET)
    assert np.isfinite(result.metrics["test_rmse"])
    assert result.config.pretrained.task == "energy"
    assert result.config.pretrained.pretrained.task == "denoising"
    assert trained(second.key()).metrics["test_force_rmse"] > 0
    trial = Trial("a trial", "which?", {"both": lambda rate, seed: third}, (1e-3,), (0,), "both")
    keys = [config.key() for config in chain]
    assert [each.key for each in results_to_record(trial)] == keys
    monkeypatch.setattr(results, "RECORDS", tmp_path / "records")
    monkeypatch.setitem(questions.TRIALS, "smoke", lambda: [trial])
    assert main(["runs", "record", "mine", "--trials", "smoke"]) == 0
    assert sorted(path.name for path in tmp_path.glob("records/mine/*")) == sorted(f"{k}.json.gz" for k in keys)
    assert not results_to_record(trial)
    assert main(["runs", "record", "mine", keys[0], "--trials", "smoke"]) == 1


def test_noise_and_told_forces_train_and_are_named_by_their_settings(chain):
    _, second, third = chain
    told = make_settings("egnn", SMALL | {"told_forces": True})
    noisy = replace(third, sigma=SIGMA, training=replace(third.training, noise_weight=0.1), pretrained=None,
                    transfer="layers")  # fmt: skip
    dens = replace(second, settings=told, sigma=SIGMA, training=replace(second.training, noise_weight=0.1))
    for config in (noisy, replace(third, pretrained=dens)):
        assert np.isfinite(run(config, QUIET).metrics["test_rmse"])
    assert len({config.key() for config in (*chain, noisy, dens)}) == 5


def test_starts_and_noise_that_make_no_sense_are_refused(chain):
    first, second, third = chain
    with pytest.raises(ValueError, match=r"has learnt the labels of \['test/cheap'\] before"):
        replace(third, data=second.data)
    with pytest.raises(ValueError, match="joins an energy run to an earlier run, not denoising to energy"):
        replace(first, pretrained=second)
    with pytest.raises(ValueError, match="only there or with a noise_weight"):
        replace(third, sigma=SIGMA)
    with pytest.raises(ValueError, match="sigma = None with task 'energy'"):
        replace(third, training=replace(third.training, noise_weight=0.1))
    with pytest.raises(ValueError, match="leave it at 0, the noise is all its loss"):
        replace(first, training=NOISY)
    with pytest.raises(ValueError, match="a noised conformation has no labels of its forces"):
        replace(second, sigma=SIGMA, training=replace(second.training, noise_weight=0.1))
    with pytest.raises(ValueError, match="told_forces = True of egnn: it is for denoising beside energies and forces"):
        replace(third, settings=make_settings("egnn", SMALL | {"told_forces": True}))
    noisy = replace(third, sigma=SIGMA, training=NOISY, pretrained=None, transfer="layers")
    for name in ("schnet", "se3_transformer", "tensornet"):
        with pytest.raises(ValueError, match=f"noise_weight = 0.5 of {name}: .* would turn the energy's sign"):
            replace(noisy, model=name, settings=make_settings(name, {}))
    with pytest.raises(ValueError, match="noise_weight = -1"):
        replace(SETTINGS, noise_weight=-1)
