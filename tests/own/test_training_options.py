"""Files for validation and test, length, early stopping, averaged weights, and going on with a potential."""

from dataclasses import replace
from math import ceil

import numpy as np
import pytest
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import read, write

from lib.data.datasets import open_store
from lib.data.store import ConformationStore
from lib.errors import DataError
from lib.own import datasets
from lib.own.configs import Length
from lib.own.finetuning import FineTuning
from lib.own.plan import EPOCH, STARTING, Speed, measure
from lib.paths import DATA
from lib.potentials.ensemble import Potential
from lib.runs import integrity
from lib.runs.config import Start
from lib.runs.continuation import start_from
from lib.runs.runner import run
from lib.training.execution import QUIET
from lib.units import EV

FILE = DATA / "mini" / "example" / "methyl-salicylate.xyz"
WEIGHTS = "schnet-smoke-dynamics"


@pytest.fixture(scope="module")
def frames():
    return read(FILE, ":140")


@pytest.fixture
def files(frames, tmp_path):
    """40 frames to train on, 24 to validate, 30 to test."""
    out = {}
    for name, part in (("train", frames[:40]), ("validation", frames[40:64]), ("test", frames[70:100])):
        write(tmp_path / f"{name}.xyz", part, format="extxyz")
        out[name] = datasets.own_dataset(tmp_path / f"{name}.xyz", "eV")
    return out


def tuning(files, **options):
    return FineTuning(**{"data": files["train"], "weights": WEIGHTS, "rates": (3e-3,)} | options)


@pytest.mark.parametrize(
    ("parts", "sizes"),
    [
        (("validation", "test"), (40, 20, 30)),  # the scale validates on 20 conformations at most
        (("test",), (36, 4, 30)),
        (("validation",), (36, 20, 4)),
    ],
)
def test_parts_from_files_of_their_own(files, parts, sizes):
    plan = tuning(files, **{part: files[part] for part in parts}).plan()
    assert (plan.train, plan.validation, plan.test) == sizes


def test_errors_are_those_of_the_test_file(files):
    (result,) = tuning(files, validation=files["validation"], test=files["test"], epochs=2).train(workers=1)
    store, rows = open_store(files["test"]), result.predictions()
    np.testing.assert_array_equal(rows["index"], np.arange(30))
    answer = Potential([result.weights()]).evaluate(
        [store.types] * 30, store.gather(np.arange(30)).positions.reshape(30, -1, 3)
    )
    np.testing.assert_allclose(answer.energies[0], rows["prediction"], atol=0.05)
    np.testing.assert_allclose(rows["energy"], store.energy(np.arange(30)), rtol=1e-12)
    assert result.metrics["test_rmse"] == pytest.approx(np.sqrt(np.mean(result.test_errors()["error"] ** 2)))


def test_another_test_file_is_another_run_and_none_is_the_same_as_before(files):
    (plain,), (held,), (other,) = (
        tuning(files, **o).configs(3e-3) for o in ({}, {"test": files["test"]}, {"test": files["validation"]})
    )
    assert len({plain.key(), held.key(), other.key()}) == 3
    assert "held_out" not in plain.describe(whole=False) and "start" not in plain.describe(whole=False)
    assert not {"patience", "average"} & set(plain.describe(whole=False)["training"])


def test_what_is_held_out_and_trains_too_is_said(files, frames, tmp_path):
    write(tmp_path / "both.xyz", [*frames[70:90], *frames[:3]], format="extxyz")
    both = datasets.own_dataset(tmp_path / "both.xyz", "eV")
    said = [str(f) for f in tuning(files, test=both).inspect()]
    assert any(f"3 of 23 test conformations of {tmp_path}/both.xyz are in {tmp_path}/train.xyz too" in s for s in said)
    assert not any("are in" in str(f) for f in tuning(files, test=files["test"]).inspect())


def test_files_that_do_not_fit_are_refused(files, frames, tmp_path):
    bare = [atoms.copy() for atoms in frames[70:90]]
    for atoms, old in zip(bare, frames[70:90], strict=True):
        atoms.calc = SinglePointCalculator(atoms, energy=old.get_potential_energy())
    write(tmp_path / "bare.xyz", bare, format="extxyz")
    with pytest.raises(ValueError, match=r"bare.xyz has no forces; hold it against the potential with evaluate"):
        tuning(files, test=datasets.own_dataset(tmp_path / "bare.xyz", "eV")).plan()
    with pytest.raises(ValueError, match="level 'GFN2-xTB' beside 'own'; give files of one level"):
        tuning(files, test=datasets.own_dataset(tmp_path / "test.xyz", "eV", level="GFN2-xTB")).plan()


@pytest.mark.parametrize(
    ("options", "epochs", "every", "train"),
    [
        ({"epochs": 7}, 7, 1, 32),
        ({"epochs": 100}, 100, 5, 32),
        ({"epochs": 41}, 41, 1, 32),  # a prime
        ({"epochs": 63}, 63, 3, 32),
        ({"epochs": 70}, 70, 2, 32),  # 3 does not divide it
        ({"steps": 80}, 20, 1, 32),  # 4 steps of 8 pass 32 conformations
        ({"steps": 1}, 1, 1, 8),  # fewer than all of them
    ],
)
def test_lengths(files, options, epochs, every, train):
    (config,) = tuning(files, **options).configs(3e-3)
    assert (config.training.epochs, config.training.validate_every) == (epochs, every)
    assert tuning(files, **options).plan().train == train
    usual = tuning(files).configs(3e-3)[0].training
    assert config.training.warmup / config.training.epochs == pytest.approx(usual.warmup / usual.epochs)


def test_minutes_are_steps_at_the_measured_speed(files, monkeypatch):
    monkeypatch.setattr("lib.own.finetuning.measure", lambda config: Speed(step=0.5, evaluation=0.01))
    plan = tuning(files, minutes=2.0).plan()  # 4 of validation, 4 of test
    assert plan.minutes == pytest.approx(2.0, abs=0.1)
    assert plan.steps == pytest.approx((120 - 1.0 - 0.01 * (20 * 4 + 4)) / 0.5, abs=4)


def test_the_same_minutes_are_the_same_runs_at_another_speed(files, monkeypatch):
    """So that what was interrupted goes on, although the machine is busier by now."""
    keys = []
    for step in (0.5, 0.1):
        monkeypatch.setattr("lib.own.finetuning.measure", lambda config, step=step: Speed(step, 0.01))
        keys.append([config.key() for config in tuning(files, minutes=1.5).scan()])
    assert keys[0] == keys[1]
    assert keys[0] != [config.key() for config in tuning(files, minutes=1.6).scan()]
    integrity.collect()
    assert keys[0] != [config.key() for config in tuning(files, minutes=1.5).scan()]


def test_epochs_cost_time_of_their_own(files, monkeypatch):
    """32 training conformations in batches of 8: four steps an epoch."""
    monkeypatch.setattr("lib.own.finetuning.measure", lambda config: Speed(step=0.02, evaluation=0.0))
    plan = tuning(files, minutes=2.01).plan()
    assert plan.steps == pytest.approx((120 - STARTING) / (0.02 + EPOCH / 4), rel=0.01)
    assert Speed(0.02, 0.5).seconds(100, 25, 5, 4, 6) == pytest.approx(STARTING + 2.0 + 25 * EPOCH + 0.5 * 26)


def test_pretraining_that_is_still_to_be_done_is_in_the_plan(files, monkeypatch):
    """At half a second a step it takes far longer than the 0.1 s a step of fine-tuning."""
    speeds = {True: Speed(0.1, 0.0), False: Speed(0.5, 0.0)}
    monkeypatch.setattr("lib.own.finetuning.measure", lambda config: speeds[config.labelled])
    pool = datasets.unlabelled_dataset(files["validation"].path)
    task = tuning(files, source=pool, steps=20)
    config = task.pretraining(0)
    assert config.training.epochs == 3  # of 23 conformations in a batch of 32
    plan, without = task.plan(), tuning(files, steps=20).plan()
    assert plan.pretraining == pytest.approx((STARTING + 3 * (0.5 + EPOCH)) / 60, abs=0.05)
    assert plan.minutes - without.minutes == pytest.approx(plan.pretraining, abs=0.1)
    said = str(replace(plan, minutes=2.0, pretraining=1.5))
    assert said.endswith("about 2.0 core-minutes (estimate), 1.5 of them for pre-training")
    run(config, QUIET)
    assert tuning(files, source=pool, steps=20).plan().pretraining == 0.0


@pytest.mark.parametrize("batch_size", [None, 5])
def test_batches_of_another_size(files, batch_size):
    config = tuning(files, batch_size=batch_size, steps=70).configs(3e-3)[0]
    assert config.training.batch_size == (batch_size or 8)
    per_epoch = ceil(32 / config.training.batch_size)
    assert tuning(files, batch_size=batch_size, steps=70).plan().steps == per_epoch * config.training.epochs
    assert per_epoch * config.training.epochs == pytest.approx(70, abs=per_epoch)


def test_the_speed_of_this_machine_is_measured(files):
    speed = measure(tuning(files).configs(3e-3)[0])
    assert 1e-4 < speed.step < 5.0 and 1e-6 < speed.evaluation < speed.step


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"epochs": 3, "steps": 10}, "steps and epochs are given: choose one"),
        ({"minutes": 0}, "minutes = 0 must be positive"),
        ({"steps": 0}, "steps = 0: give one of them, at least 1"),
        ({"patience": -1}, "patience = -1 must be a finite number that is not negative"),
        ({"average": 1.0}, "average = 1.0, a decay by step, must be"),
        ({"start": "w.safetensors", "source": FineTuning.layers(WEIGHTS)}, "beside a pre-training"),
    ],
)
def test_options_that_make_no_sense(files, options, said):
    with pytest.raises(ValueError, match=said):
        tuning(files, **options).configs(3e-3)
    with pytest.raises(ValueError, match="give one of them"):
        Length()


def test_a_run_that_does_not_improve_stops(files):
    (result,) = tuning(files, epochs=20, patience=1, rates=(3e-2,)).train(workers=1)
    losses = result.history()["validation_loss"]
    assert len(losses) < 20 and losses[-1] >= losses[-2]
    assert (np.diff(losses[:-1]) < 0).all()  # each one before was the best so far
    assert result.about["steps"] == 4 * len(losses)


@pytest.mark.parametrize("force_weight", [None, 0.0], ids=["forces", "inputs normalised"])
def test_averaged_weights_validate_and_are_kept(files, force_weight):
    """The weights that are left give the validation error of the best epoch; without averaging it is another."""
    averaged, plain = (
        tuning(files, validation=files["validation"], epochs=6, average=a, force_weight=force_weight).train(workers=1)[
            0
        ]
        for a in (0.9, 0.0)
    )
    store = open_store(files["validation"])
    index = np.sort(np.random.default_rng([0, 1]).permutation(24)[:20])  # the scale's limit, `splits.subsample`
    positions = store.gather(index).positions.reshape(20, -1, 3)
    for result in (averaged, plain):
        answer = Potential([result.weights()]).evaluate([store.types] * 20, positions)
        rmse = np.sqrt(np.mean((answer.energies[0] - store.energy(index)) ** 2))
        assert result.metrics["validation_rmse"] == pytest.approx(rmse, rel=1e-2)
    assert averaged.metrics["validation_rmse"] != plain.metrics["validation_rmse"]


def shifted(frames, path, eV):
    """``frames`` with energies of another reference: so much more for each atom."""
    out = []
    for atoms in frames:
        one = atoms.copy()
        one.calc = SinglePointCalculator(
            one, energy=atoms.get_potential_energy() + eV * len(atoms), forces=atoms.get_forces()
        )
        out.append(one)
    write(path, out, format="extxyz")
    return datasets.own_dataset(path, "eV")


@pytest.mark.parametrize("force_weight", [None, 0.0], ids=["forces", "inputs normalised"])
def test_going_on_keeps_what_was_learnt(files, frames, tmp_path, force_weight):
    """With a vanishing learning rate the errors stay, even where the labels are of another reference."""
    (first,) = tuning(files, test=files["test"], epochs=10, force_weight=force_weight).train(workers=1)
    path = first.weights().path
    for name, dataset in (("same", files["train"]), ("other", shifted(frames[:40], tmp_path / "o.xyz", 50.0))):
        test = files["test"] if name == "same" else shifted(frames[70:100], tmp_path / "t.xyz", 50.0)
        going_on = {"data": dataset, "test": test, "epochs": 1, "start": path, "rates": (1e-7,)}
        (again,) = tuning(files, **going_on, force_weight=force_weight).train(workers=1)
        offset = first.test_errors()["error"].std()
        assert again.test_errors()["error"].std() == pytest.approx(offset, rel=1e-3)
        assert again.metrics["test_force_rmse"] == pytest.approx(first.metrics["test_force_rmse"], rel=1e-3)
        assert abs(again.test_errors()["error"].mean()) < 3 * offset
    assert shifted_by(test, files["test"]) == pytest.approx(50.0 * 19 * EV)


def shifted_by(one, other):
    stores: list[ConformationStore] = [open_store(each) for each in (one, other)]
    return (stores[0].energy(np.arange(1)) - stores[1].energy(np.arange(1)))[0]


def test_weights_that_cannot_be_continued(files, tmp_path):
    layers = DATA / "weights" / "schnet-laptop-seed0.safetensors"
    with pytest.raises(DataError, match="which give no energy; pre-trained layers are named by --weights"):
        start_from(layers)
    potential = DATA / "weights" / "torchmd_net-laptop-iso17-seed0.safetensors"
    with pytest.raises(DataError, match=r"it holds torchmd_net, not schnet; let --weights \(weights\) name layers"):
        tuning(files, start=potential, epochs=1).plan()
    narrow = tuning(files, weights="torchmd_net-smoke-dynamics", start=potential, epochs=1)
    with pytest.raises(DataError, match=r"it has .*hidden_channels = 64, not 16, num_layers = ") as refused:
        narrow.plan()
    assert "num_rbf = 32, not 16; let" in str(refused.value)  # what is equal is not named
    (config,) = tuning(files, weights="torchmd_net-laptop", start=potential, epochs=1).configs(3e-3)
    assert config.describe()["start"] == start_from(potential).checksum
    with pytest.raises(ValueError, match="an energy run continues weights, and not from pre-training"):
        replace(config, pretrained=FineTuning.layers(WEIGHTS))
    changed = replace(config, start=Start(str(potential), "0" * 64))
    with pytest.raises(DataError, match="the file is another one than before"):
        run(changed, QUIET)
