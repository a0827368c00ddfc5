"""Settings, schedule, scaling, one fit of each task, weights files and the transfer of layers."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from conftest import make_molecule
from safetensors.torch import save_file
from small_models import SMALL as SMALL_MODELS

from lib import models
from lib.batches import Batch
from lib.data.loading import ConformationBatches, Selection, make_loader
from lib.data.store import ConformationStore
from lib.errors import DataError
from lib.models.base import HEAD, READ_OUT
from lib.models.transfer import ALL, TURNED, transfer
from lib.models.weights import checksum, load_weights, save_weights
from lib.training.denoising import DenoisingTask
from lib.training.energy import EnergyTask
from lib.training.execution import Execution
from lib.training.fit import fit
from lib.training.scaling import Scaling, determined, independent
from lib.training.settings import TrainingSettings

SMALL = {"hidden_channels": 8, "n_layers": 2}
SETTINGS = TrainingSettings(epochs=3, batch_size=16, learning_rate=5e-3)


def build(seed=0, **settings):
    torch.manual_seed(seed)
    return models.build("egnn", SMALL | settings)


@pytest.fixture
def selection(tmp_path):
    store = ConformationStore.write(
        [make_molecule("water", [8, 1, 1], 40, 0), make_molecule("methane", [6, 1, 1, 1, 1], 50, 1)], tmp_path / "s"
    )
    return Selection(store, np.arange(90))


def test_schedule_is_warmup_plateau_half_cosine():
    s = TrainingSettings(epochs=5, learning_rate=2e-4, min_learning_rate=1e-7, warmup=0.7, plateau=0.3)
    assert s.rate(0.35) == pytest.approx(0.5)
    assert s.rate(0.7) == s.rate(0.9) == s.rate(1.0) == 1.0
    assert s.rate(3.0) == pytest.approx(0.5, abs=1e-3)
    assert s.rate(5.0) == pytest.approx(1e-7 / 2e-4)
    rates = [s.rate(1 + 0.1 * k) for k in range(41)]
    assert rates == sorted(rates, reverse=True)


def test_the_least_learning_rate_is_that_of_the_schedule():
    assert TrainingSettings(epochs=1, learning_rate=5e-8, min_learning_rate=0.0).learning_rate == 5e-8
    with pytest.raises(ValueError, match="learning_rate = 5e-08: give a number from 1e-07"):
        TrainingSettings(epochs=1, learning_rate=5e-8)


BAD = {"epochs": 0, "learning_rate": -1.0, "batch_size": 0, "clip": -1, "validate_every": 2}


@pytest.mark.parametrize(("name", "value"), BAD.items())
def test_settings_that_cannot_train(name, value):
    with pytest.raises(ValueError, match=name):
        replace(SETTINGS, **{name: value})


@pytest.fixture
def fitted(selection, tmp_path):
    """A denoising fit of three epochs, with its task and the files it left."""
    data = ConformationBatches([selection], 5.0, sigma=0.2)
    task = DenoisingTask(build(), SETTINGS, 0.2)
    loaders = make_loader(data, 16, 0, shuffle=True), make_loader(data, 64, 0, shuffle=False)
    return fit(task, *loaders, tmp_path / "fit", Execution(progress=False, accelerator="cpu")), task, loaders[1]


def test_denoising_fit_beats_predicting_nothing(fitted):
    result, _, _ = fitted
    assert result.best_metric < 1.0
    assert result.steps == 3 * 6


def test_tensorboard_only_when_asked_for(selection, tmp_path):
    data = ConformationBatches([selection], 5.0, sigma=0.2)
    for asked in (False, True):
        folder = tmp_path / str(asked)
        loaders = make_loader(data, 32, 0, shuffle=True), make_loader(data, 64, 0, shuffle=False)
        task = DenoisingTask(build(), replace(SETTINGS, epochs=1), 0.2)
        fit(task, *loaders, folder, Execution(progress=False, tensorboard=asked, accelerator="cpu"))
        assert (folder / "metrics.csv").exists()
        assert bool(list(folder.glob("events.out.*"))) is asked


class Recording(DenoisingTask):
    """Keeps the noise of every batch that Lightning hands over."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.seen = {"train": [], "validation": []}

    def training_step(self, batch):
        self.seen["train"].append(batch.noise.clone())
        return super().training_step(batch)

    def validation_step(self, batch):
        self.seen["validation"].append(batch.noise.clone())
        return super().validation_step(batch)


def test_a_fit_draws_new_noise_each_epoch_and_validates_on_the_same(selection, tmp_path):
    data = ConformationBatches([selection], 5.0, sigma=0.2)
    task = Recording(build(), replace(SETTINGS, epochs=2), 0.2)
    loaders = make_loader(data, 90, 0, shuffle=True), make_loader(data, 90, 0, shuffle=False)
    fit(task, *loaders, tmp_path / "fit", Execution(progress=False, accelerator="cpu"))
    first, second = task.seen["train"]
    assert not torch.isin(first, second).any()
    assert torch.equal(*task.seen["validation"])


class Worsening(DenoisingTask):
    """Its validation metric rises from epoch to epoch, so the first epoch is the best one."""

    def metrics(self, sums):
        return {"denoising_error": 1.0 + self.current_epoch}


def test_best_and_last_are_distinct_files_and_the_best_is_kept(selection, tmp_path):
    data = ConformationBatches([selection], 5.0, sigma=0.2)
    task = Worsening(build(), SETTINGS, 0.2)
    loaders = make_loader(data, 16, 0, shuffle=True), make_loader(data, 64, 0, shuffle=False)
    result = fit(task, *loaders, tmp_path / "fit", Execution(progress=False, accelerator="cpu"))
    assert result.best != result.last
    best, last = (torch.load(p, weights_only=True) for p in (result.best, result.last))
    assert (best["global_step"], last["global_step"]) == (6, 18)
    for key, value in task.state_dict().items():
        assert torch.equal(value, best["state_dict"][key])
    assert not torch.equal(
        task.state_dict()["model.type_embedding.weight"], last["state_dict"]["model.type_embedding.weight"]
    )


def test_validation_sees_every_conformation(fitted):
    """The metric equals the one computed by hand over all 90 conformations, the last small batch included."""
    result, task, loader = fitted
    with torch.no_grad():
        pairs = [(task.model(b, energy=False).noise - b.noise).square() for b in loader]
    assert torch.cat(pairs).shape == (40 * 3 + 50 * 5, 3)
    assert float(torch.cat(pairs).double().mean() / 0.04) == pytest.approx(result.best_metric, rel=1e-5)


@pytest.mark.parametrize("baseline", ["mean", "composition"])
def test_energy_fit(selection, tmp_path, baseline):
    data = ConformationBatches([selection], 5.0)
    scaling = Scaling.fit(baseline, data.energies(), data.compositions())
    task = EnergyTask(build(), replace(SETTINGS, epochs=20), scaling)
    loaders = make_loader(data, 16, 0, shuffle=True), make_loader(data, 64, 0, shuffle=False)
    result = fit(task, *loaders, tmp_path / "fit", Execution(progress=False, accelerator="cpu"))
    with torch.no_grad():
        error = torch.cat([task.predict(b) - b.energy for b in loaders[1]])
    assert float(error.square().mean().sqrt()) == pytest.approx(result.best_metric, rel=1e-5)
    assert result.best_metric < data.energies().std()
    saved = torch.load(result.best, weights_only=True)["state_dict"]
    assert float(saved["std"]) == scaling.std
    assert float(saved["mean"]) == scaling.mean


def test_scaling_baselines():
    composition = np.zeros((4, 28), int)
    composition[:, 10] = [2, 4, 2, 4]
    energy = np.array([-210.0, -410.0, -190.0, -390.0])

    def fit_to(baseline):
        """The scaling of the energies as they are now."""
        return Scaling.fit(baseline, energy, composition)

    mean = fit_to("mean")
    assert (mean.mean, mean.std) == (-300.0, energy.std())
    fitted = fit_to("composition")
    assert fitted.per_type[10] == pytest.approx(-100.0)
    assert fitted.std == pytest.approx(10.0)
    energy[2] += 30.0
    assert fit_to("atoms").mean == 0.0 != fit_to("composition").mean
    with pytest.raises(ValueError, match="choose from"):
        fit_to("median")


def test_energies_that_a_baseline_leaves_nothing_of_are_refused():
    """Also where rounding leaves some 1e-14 of them: their unit would be that."""
    for energy in (1.0, -0.1, -123.4):
        with pytest.raises(ValueError, match="50 training energies do not vary once their mean is taken off"):
            Scaling.fit("mean", np.full(50, energy), None)
    composition = np.zeros((30, 28), dtype=int)
    composition[:, 3] = np.repeat([1, 2, 3], 10)
    composition[:, 10] = 2 * composition[:, 3] + 2
    linear = composition @ np.linspace(-300.1, -13.7, 28)
    with pytest.raises(ValueError, match="once their composition is taken off"):
        Scaling.fit("composition", linear, composition)
    varied = linear + np.random.default_rng(0).normal(scale=1e-6, size=30)
    assert Scaling.fit("composition", varied, composition).std == pytest.approx(1e-6, rel=0.3)


def test_the_mean_needs_no_compositions():
    """At the paper's size they would take gigabytes."""
    energy = np.array([1.0, 2.0])
    assert Scaling.fit("mean", energy, None).mean == 1.5
    with pytest.raises(ValueError, match="the baseline 'atoms' is fitted to compositions: give them"):
        Scaling.fit("atoms", energy, None)


def test_transfer_moves_layers_and_keeps_the_fresh_head(tmp_path):
    source, fresh = build(1), build(2)
    save_weights(tmp_path / "w.safetensors", "egnn", source, task="denoising")
    before = {key: value.clone() for key, value in fresh.state_dict().items()}
    moved = transfer(fresh, "egnn", load_weights(tmp_path / "w.safetensors"))
    for key, value in fresh.state_dict().items():
        head = key.startswith(("energy_head.", "gcl_1.node_mlp."))
        assert (key in moved) is not head
        assert torch.equal(value, (before if head else source.state_dict())[key]), key


def test_layers_do_not_depend_on_how_energies_are_read_out(tmp_path):
    """Those of the paper's read-out, in a file that knows no other, go into a model that sums over atoms."""
    save_weights(tmp_path / "w.safetensors", "egnn", source := build(1), task="denoising")
    weights = load_weights(tmp_path / "w.safetensors")
    old = {key: value for key, value in weights.about["settings"].items() if key not in READ_OUT}
    fresh = build(2, atomwise=True, repulsion=True)
    moved = transfer(fresh, "egnn", replace(weights, about=weights.about | {"settings": old}))
    assert {key for key in source.state_dict() if not key.startswith(source.not_pretrained)} == set(moved)
    assert all(torch.equal(fresh.state_dict()[key], source.state_dict()[key]) for key in moved)
    assert fresh.settings.of_layers() == source.settings
    with pytest.raises(DataError, match=r"settings.*choose matching weights"):
        transfer(build(smooth_cutoff=True), "egnn", weights)


@pytest.mark.parametrize("name", [name for name, entry in models.MODELS.items() if entry.module.denoises_with_head])
def test_a_head_that_denoising_trains_moves_where_asked_for_and_turns(tmp_path, name):
    """With the last layer's sign turned, the scalar of the whole model is minus what it was."""

    def small(seed):
        torch.manual_seed(seed)
        return models.build(name, SMALL_MODELS[name])

    source, path = small(1), tmp_path / "w.safetensors"
    save_weights(path, name, source, task="denoising")
    pos = torch.tensor([[0, 0, 0], [0, 0, 1.0], [0, 1.2, 0]])
    batch = Batch.from_arrays(np.array([3, 10, 17]), pos, np.zeros(3, int))
    before = source(batch, noise=False).energy
    for what, factor in ((ALL, 1), (TURNED, -1)):
        model = small(2)
        assert transfer(model, name, load_weights(path), what) == list(model.state_dict())
        torch.testing.assert_close(model(batch, noise=False).energy, factor * before)
    assert not any(key.startswith(HEAD) for key in transfer(small(2), name, load_weights(path)))
    summed = models.build(name, SMALL_MODELS[name] | {"atomwise": True})
    with pytest.raises(DataError, match=r"atomwise=False.*not.*atomwise=True"):
        transfer(summed, name, load_weights(path), ALL)


@pytest.mark.parametrize("what", [ALL, TURNED])
def test_a_head_that_denoising_does_not_train_is_refused(tmp_path, what):
    save_weights(tmp_path / "w.safetensors", "egnn", build(1), task="denoising")
    with pytest.raises(ValueError, match=f"transfer = '{what}' of egnn: denoising does not train its energy head"):
        transfer(build(2), "egnn", load_weights(tmp_path / "w.safetensors"), what)
    with pytest.raises(ValueError, match="transfer = 'head': choose from"):
        transfer(build(2), "egnn", load_weights(tmp_path / "w.safetensors"), "head")


def test_weights_alone_are_a_model(tmp_path):
    model = build(3)
    save_weights(tmp_path / "w.safetensors", "egnn", model)
    again = load_weights(tmp_path / "w.safetensors").build()
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), again.parameters(), strict=True))


def test_missing_and_broken_weights(tmp_path):
    with pytest.raises(DataError, match="no such weights file"):
        load_weights(tmp_path / "none.safetensors")
    path = tmp_path / "w.safetensors"
    save_weights(path, "egnn", build())
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(DataError, match="not a whole safetensors file"):
        load_weights(path)
    save_file({"a": torch.zeros(1)}, path)
    with pytest.raises(DataError, match="does not say which model"):
        load_weights(path)


def test_mismatched_weights_never_train_from_scratch(tmp_path):
    path = tmp_path / "w.safetensors"
    save_weights(path, "egnn", build())
    with pytest.raises(DataError, match="settings"):
        transfer(build(tanh=False), "egnn", load_weights(path))
    with pytest.raises(DataError, match="model"):
        transfer(build(), "schnet", load_weights(path))
    with pytest.raises(DataError, match="task"):
        transfer(build(), "egnn", load_weights(path))  # says nothing of denoising
    save_weights(path, "egnn", build(), task="denoising")
    state = build().state_dict()
    state["gcl_0.att_mlp.0.bias"] = torch.zeros(2)
    state["extra"] = state.pop("type_embedding.weight")
    about = load_weights(path).about
    save_file(state, path, metadata={"about": json.dumps(about)})
    with pytest.raises(DataError, match="checksum"):
        load_weights(path)
    about.pop("checksum_of_header")
    about["checksum"] = checksum(state)
    save_file(state, path, metadata={"about": json.dumps(about)})
    with pytest.raises(
        DataError, match=r"missing \['type_embedding.weight'\], unknown \['extra'\], misshapen \['gcl_0"
    ):
        transfer(build(), "egnn", load_weights(path))


class Interrupted(Recording):
    """Fails at the third epoch's first step."""

    def training_step(self, batch):
        if self.current_epoch == 2:
            raise RuntimeError("interrupted")
        return super().training_step(batch)


def test_a_fit_goes_on_after_its_last_epoch(selection, tmp_path):
    """Two epochs, a break, then one epoch; and nothing at all where it was finished."""
    data = ConformationBatches([selection], 5.0, sigma=0.2)
    loaders = make_loader(data, 90, 0, shuffle=True), make_loader(data, 90, 0, shuffle=False)
    execution = Execution(progress=False, accelerator="cpu")
    with pytest.raises(RuntimeError, match="interrupted"):
        fit(Interrupted(build(), SETTINGS, 0.2), *loaders, tmp_path / "fit", execution)
    for expected in (1, 0):
        task = Recording(build(), SETTINGS, 0.2)
        result = fit(task, *loaders, tmp_path / "fit", execution)
        assert len(task.seen["train"]) == expected
        assert task.history["epoch"] == [1, 2, 3]
        assert result.steps == 3
    whole = Recording(build(), SETTINGS, 0.2)
    fit(whole, *loaders, tmp_path / "whole", execution)
    for key, value in task.state_dict().items():
        assert torch.equal(value, whole.state_dict()[key])


def test_micro_batches_of_a_step_train_alike(selection, tmp_path):
    """90 conformations in steps of 16: the last step has 10, in micro-batches of 4, 3 and 3."""
    data = ConformationBatches([selection], 5.0, sigma=0.2)
    found = []
    for micro_batches in (1, 3):
        task = DenoisingTask(build(), SETTINGS, 0.2)
        loaders = (
            make_loader(data, 16, 0, shuffle=True, micro_batches=micro_batches),
            make_loader(data, 90, 0, shuffle=False),
        )
        result = fit(
            task, *loaders, tmp_path / str(micro_batches), Execution(False, accelerator="cpu", accumulate=micro_batches)
        )
        assert result.steps == 3 * 6
        found.append(task.history["validation_denoising_error"])
    assert found[0] == pytest.approx(found[1], rel=1e-4)


def test_what_compositions_determine():
    """Each is a combination of the independent ones, which are no more than their rank."""
    compositions = np.array([[2, 6, 1], [2, 6, 0], [4, 12, 1], [2, 6, 3]])
    few = independent(compositions)
    assert len(few) == 2 and determined(few, compositions).all()
    asked = np.array([[0, 0, 5], [1, 4, 1], [1, 3, 0]])
    np.testing.assert_array_equal(determined(few, asked), [True, False, True])
