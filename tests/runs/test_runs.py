"""Runs: stored by content, equal for equal seeds, pre-training apart from the test conformations; and real DFT data."""

import shutil
import signal
from concurrent.futures import Future
from dataclasses import dataclass, replace
from itertools import product
from math import ceil
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from conftest import MOLECULES, make_molecule, sample, write_ani1, write_ani1x

from lib.chemistry import reference_energies
from lib.data import datasets
from lib.data.datasets import FAMILIES, DataSet
from lib.data.loading import ConformationBatches
from lib.errors import DataError
from lib.machine import denormals_flushed
from lib.models import MODELS, graphs, make_settings
from lib.models.transfer import TRANSFERS
from lib.paths import RUNS
from lib.runs import jobs, provenance, runner
from lib.runs.config import Limits, RunConfig
from lib.runs.runner import run, run_all, stored
from lib.runs.selection import select, splits
from lib.study.cells import Cell
from lib.study.scales import SAME_STEPS, SCALES, get_scale, with_labels
from lib.training.execution import QUIET
from lib.training.settings import TrainingSettings

TRAINING = TrainingSettings(epochs=2, batch_size=16, learning_rate=3e-3)
SETTINGS = make_settings("egnn", {"hidden_channels": 8, "n_layers": 2})


@pytest.fixture
def data(tmp_path):
    molecules = [make_molecule(name, z, 30, k) for k, (name, z) in enumerate(MOLECULES.items())]
    one = write_ani1(tmp_path / "ani1.h5", molecules[:2])
    two = write_ani1x(tmp_path / "ani1x.h5", molecules[2:])
    return DataSet("test/ani1", "ani1", str(one)), DataSet("test/ani1x", "ani1x", str(two))


@pytest.fixture
def pretraining(data):
    return RunConfig("denoising", data, "egnn", SETTINGS, TRAINING, seed=0, sigma=0.2)


@pytest.fixture
def finetuning(data, pretraining):
    return RunConfig("energy", data[:1], "egnn", SETTINGS, TRAINING, 0, baseline="mean", pretrained=pretraining)


def test_second_call_loads(finetuning, monkeypatch):
    first = run(finetuning, QUIET)
    monkeypatch.setattr(jobs, "JOBS", {})
    again = run(finetuning, QUIET)
    assert again.metrics == first.metrics
    assert again.path == first.path
    assert set(first.about["units"]) == set(first.metrics)
    assert first.about["provenance"]["torch"]


def test_key_follows_content(finetuning, pretraining, data, tmp_path):
    keys = {
        c.key()
        for c in (
            finetuning,
            pretraining,
            replace(finetuning, pretrained=None),
            replace(finetuning, training=replace(TRAINING, learning_rate=1e-3)),
            replace(finetuning, limits=Limits(train=5)),
            replace(finetuning, pretrained=replace(pretraining, sigma=0.1)),
            replace(finetuning, data=data[1:]),
        )
    }
    assert len(keys) == 7
    renamed = replace(finetuning, data=(replace(data[0], name="another name"),))
    assert renamed.key() == finetuning.key()


def test_what_is_transferred_is_part_of_the_run(finetuning, pretraining):
    """In the key and in what a result says of its settings; asked for in vain, it is refused before anything runs."""
    settings = make_settings("schnet", {"hidden_channels": 8, "num_filters": 8, "num_interactions": 1})
    source = replace(pretraining, model="schnet", settings=settings)
    layers = replace(finetuning, model="schnet", settings=settings, pretrained=source)
    runs = [replace(layers, transfer=what) for what in TRANSFERS]
    assert runs[0] == layers
    assert len({config.key() for config in runs}) == len(TRANSFERS)
    results = [run(config, QUIET) for config in runs]
    assert [result.config.transfer for result in results] == list(TRANSFERS)
    assert len({result.metrics["test_mae"] for result in results}) == len(TRANSFERS)
    with pytest.raises(ValueError, match="transfer = 'all' of egnn: denoising does not train its energy head"):
        replace(finetuning, transfer="all")
    with pytest.raises(ValueError, match="transfer = 'all' from nothing: name the pre-training"):
        replace(layers, transfer="all", pretrained=None)


def test_the_lowest_energies_of_each_molecule_are_what_parts_are_drawn_from(finetuning):
    """Of every part of the same split: nothing moves from one part to another."""
    config = replace(finetuning, pretrained=None)
    whole, low = select(config, splits(config)), select(replace(config, lowest=0.4), splits(config))
    drawn = np.concatenate([selections[0].index for selections in low.values()])
    store = low["train"][0].store
    for molecule in range(len(store.names)):
        members = store.conformations_of(molecule)
        own, energy = np.isin(members, drawn), store.energy(members)
        assert own.sum() == round(0.4 * len(members))
        assert energy[own].max() < energy[~own].min()
    for part, (selection,) in low.items():
        assert set(selection.index) <= set(whole[part][0].index)
    assert replace(config, lowest=0.4).key() != config.key()
    with pytest.raises(ValueError, match="lowest = 0 of each molecule's conformations must be above 0"):
        replace(config, lowest=0)


def test_a_new_setting_at_its_default_keeps_the_key(finetuning, monkeypatch):
    @dataclass(frozen=True)
    class Longer(TrainingSettings):
        novelty: int = 0

    known = vars(finetuning.training)
    assert replace(finetuning, training=Longer(**known)).key() == finetuning.key()
    assert replace(finetuning, training=Longer(**known, novelty=1)).key() != finetuning.key()
    assert finetuning.describe()["training"]["clip"] == 0  # results still say everything


def test_equal_seeds_give_equal_numbers(finetuning, pretraining):
    """To the bit, on a CPU."""
    on_cpu = replace(QUIET, accelerator="cpu")
    first = run(replace(finetuning, pretrained=None), on_cpu)
    here = first.path.rename(first.path.with_name("aside"))
    again = run(replace(finetuning, pretrained=None), on_cpu)
    assert again.metrics == first.metrics
    np.testing.assert_array_equal(again.predictions()["prediction"], np.load(here / "predictions.npz")["prediction"])


def test_batches_without_gradients_are_four_times_as_large_but_for_large_molecules(finetuning, monkeypatch):
    loaded = ConformationBatches(select(finetuning, splits(finetuning))["train"], 5.0)
    atoms = loaded.selections[0].store.n_atoms.mean()  # as many conformations of each molecule

    def sizes():
        return [batch.n_molecules for batch in jobs._evaluation_loader(finetuning, loaded)]

    whole, batch = len(loaded), finetuning.training.batch_size
    assert sizes()[0] == min(whole, 4 * batch) > batch
    monkeypatch.setattr(jobs, "EVALUATED", 10 * atoms)
    assert sizes() == [10] * (whole // 10) + [whole % 10] * (whole % 10 > 0)
    monkeypatch.setattr(jobs, "EVALUATED", 1)
    assert sizes() == [1] * whole
    assert next(iter(jobs._training_loader(finetuning, loaded, QUIET))).n_molecules == batch


@pytest.mark.parametrize("top", [None, "/elsewhere"])
def test_a_copy_without_git_is_told_its_commit(top, monkeypatch):
    """By the environment, outside git and in another checkout alike."""

    def git(*_):
        if top is None:
            raise OSError
        return top

    monkeypatch.setattr(provenance, "_git", git)
    for told, expected in (("abc", "abc"), (None, "unknown")):
        monkeypatch.setenv("DENOISING_COMMIT", told) if told else monkeypatch.delenv("DENOISING_COMMIT")
        assert provenance.commit.__wrapped__() == expected


def test_a_seed_changes_split_order_noise_and_weights_alike(pretraining):
    def drawn(config):
        data = ConformationBatches(select(config, splits(config))["train"], 5.0, config.sigma)
        batch = next(iter(jobs._training_loader(config, data, QUIET)))
        weights = jobs._initial_model(config, QUIET).type_embedding.weight
        return splits(config)[0][1].hash, batch.index.tolist(), batch.noise.flatten().tolist(), weights.tolist()

    again, other = drawn(pretraining), drawn(replace(pretraining, seed=1))
    assert drawn(pretraining) == again
    assert all(a != b for a, b in zip(again, other, strict=True))


def test_level_and_reference_energies_are_part_of_the_key(finetuning, monkeypatch):
    before = finetuning.key()
    table = reference_energies._table("GFN2-xTB").copy()
    table[10] += 1e-6
    monkeypatch.setattr(reference_energies, "_table", lambda _: table)
    datasets._opened.cache_clear()  # a table changes between processes
    assert finetuning.key() != before


def test_pretraining_never_sees_a_test_conformation(pretraining, finetuning):
    def first(config):
        return {part: chosen[0].index for part, chosen in select(config, splits(config)).items()}

    tested = first(finetuning)["test"]
    seen = list(first(pretraining).values())
    assert not np.isin(np.concatenate(seen), tested).any()
    loose = list(first(replace(pretraining, strict_split=False)).values())
    assert np.isin(np.concatenate(loose), tested).any()


def test_pretraining_of_another_seed_is_refused(finetuning, pretraining):
    with pytest.raises(ValueError, match="has seen test conformations"):
        replace(finetuning, seed=1)


def test_every_earlier_run_is_held_against_what_is_tested(data, finetuning, pretraining):
    """Also one that the run before started from, and also data that are held out."""
    one, two = data
    first = replace(pretraining, data=(one,))
    between = replace(finetuning, data=(two,), pretrained=first)
    last = replace(finetuning, pretrained=between)
    assert last.chain() == [first, between, last]
    other_seed = replace(between, seed=1, pretrained=replace(first, seed=1))
    with pytest.raises(ValueError, match="pre-training of seed 1 has seen test conformations of seed 0"):
        replace(finetuning, pretrained=other_seed)
    of_labels = replace(finetuning, seed=1, pretrained=None)
    with pytest.raises(ValueError, match=r"has learnt the labels of \['test/ani1'\] before"):
        replace(finetuning, pretrained=replace(between, pretrained=of_labels))
    with pytest.raises(ValueError, match=r"has learnt the labels of \['test/ani1x'\] before"):
        replace(last, held_out=(("test", two),))


def test_pretrained_weights_are_used(finetuning):
    tuned = run(finetuning, QUIET)
    scratch = run(replace(finetuning, pretrained=None), QUIET)
    assert tuned.metrics["test_mae"] != scratch.metrics["test_mae"]
    assert tuned.about["steps"] == scratch.about["steps"]
    assert tuned.about["splits"] == scratch.about["splits"]


def test_lost_pretrained_weights_are_an_error(finetuning, pretraining):
    (run(pretraining, QUIET).path / "weights.safetensors").unlink()
    with pytest.raises(DataError, match="no such weights file"):
        run(replace(finetuning, training=replace(TRAINING, epochs=1)), QUIET)
    shutil.rmtree(run(pretraining, QUIET).path)


def test_folder_without_a_result_is_no_result(pretraining):
    """What a removed or half-copied run left is replaced, not trusted."""
    config = replace(pretraining, seed=9)
    folder = RUNS / config.key()
    folder.mkdir(parents=True)
    (folder / "weights.safetensors").write_bytes(b"half")
    assert stored(config) is None
    assert run(config, QUIET).weights().about["task"] == "denoising"


def test_failed_run_is_no_result(finetuning, monkeypatch):
    def fail(*_):
        raise RuntimeError("the power went")

    config = replace(finetuning, pretrained=None, training=replace(TRAINING, epochs=3))
    monkeypatch.setitem(jobs.JOBS, "energy", fail)
    with pytest.raises(RuntimeError, match="power"):
        run(config, QUIET)
    assert stored(config) is None
    assert not (RUNS / config.key()).exists()
    monkeypatch.undo()
    assert np.isfinite(run(config, QUIET).metrics["test_mae"])


def test_a_process_that_waits_for_work_ignores_an_interrupt():
    """Else the end of a notebook, whose kernel interrupts its group, prints a traceback of each."""
    with runner._pool.__wrapped__(1) as pool:
        assert pool.submit(signal.getsignal, signal.SIGINT).result() == signal.SIG_IGN


def test_where_a_run_fails_those_that_wait_are_not_begun(monkeypatch):
    failed, waiting = Future(), Future()
    failed.set_exception(RuntimeError("diverged"))
    answers = iter([failed, waiting])
    monkeypatch.setattr(runner, "_pool", lambda _: SimpleNamespace(submit=lambda *_: next(answers)))
    with pytest.raises(RuntimeError, match="diverged"):
        runner._train_all([None, None], 2, iter, "cpu")
    assert waiting.cancelled()


def test_a_pretraining_that_diverged_is_no_result(pretraining):
    settings = make_settings("schnet", {"hidden_channels": 8, "num_filters": 8, "num_interactions": 2})
    training = replace(TRAINING, learning_rate=1e2, warmup=0.0)
    wild = replace(pretraining, model="schnet", settings=settings, training=training)
    with pytest.raises(RuntimeError, match=r"schnet, seed 0, diverged.*lower learning_rate = 100"):
        run(wild, QUIET)
    assert stored(wild) is None
    assert not list(RUNS.glob(f"{wild.key()}/*"))


@pytest.mark.parametrize(
    ("by_epoch", "expected"),
    [([1.1, 1.0], False), ([0.5, 0.45, 0.46], False), ([0.51, 0.99, 0.99], True), ([30.0, 20.0], True),
     ([0.5, float("nan")], True)],
)  # fmt: skip
def test_a_pretraining_that_forgot_what_it_knew_diverged(by_epoch, expected):
    """Its best weights would be those of an early epoch, and nobody would see it."""
    assert jobs.diverged(by_epoch) is expected


def test_denoising_history_and_rigid_part(pretraining):
    result = run(replace(pretraining, seed=4), QUIET)
    assert result.history()["epoch"] == [1, 2]
    assert 0 < result.metrics["validation_rigid_part"] < 1


def test_predictions_belong_to_the_test_split(finetuning):
    result = run(finetuning, QUIET)
    found = result.predictions()
    ((store, split),) = splits(finetuning)
    np.testing.assert_array_equal(found["index"], split.parts["test"])
    np.testing.assert_array_equal(found["energy"], store.relative_energy(found["index"]))
    np.testing.assert_array_equal(found["molecule"], store.molecule_of(found["index"]))


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"task": "energi"}, "choose from"),
        ({"sigma": 0.2}, "belongs to denoising"),
        ({"baseline": None}, "baseline"),
        ({"baseline": "median"}, "baseline"),
        ({"settings": 3}, "EGNNSettings"),
        ({"model": "egn"}, "choose from"),
        ({"seed": "0"}, "whole number"),
        ({"seed": -1}, "whole number"),
    ],
)
def test_bad_configs_fail_before_anything_runs(finetuning, change, word):
    with pytest.raises(ValueError, match=word):
        replace(finetuning, **change)


def test_negative_sigma(pretraining):
    with pytest.raises(ValueError, match="positive"):
        replace(pretraining, sigma=-0.2)


def test_unknown_scale_and_data_set():
    with pytest.raises(ValueError, match="laptop"):
        get_scale("huge")
    with pytest.raises(ValueError, match="mini/ani1x"):
        get_scale("smoke").finetune(Cell("egnn", "ani2", False), 1e-3, 0)


@pytest.mark.parametrize("name", list(SCALES))
def test_every_shipped_setting_makes_a_config(name):
    scale = SCALES[name]
    own = {"own/any": DataSet("own/any", "own", "any.xyz")}
    for name, model in product([*FAMILIES, *own], MODELS):
        config = scale.finetune(Cell(model, name, True), scale.rates_of(name)[0], scale.seeds[0], own.get(name))
        assert config.pretrained.sigma == 0.2
        assert len(config.pretrained.data) == 2
    for system in scale.systems:
        assert scale.finetune(Cell("egnn", f"md22/{system}", False), 1e-3, 0).data[0].options == (
            ("systems", (system,)),
        )


@pytest.mark.parametrize("model", list(MODELS))
def test_every_model_pretrains_and_fine_tunes(model, data):
    """Through the same jobs, the smoke scale's settings."""
    settings = get_scale("smoke").settings(model)
    source = RunConfig("denoising", data, model, settings, TRAINING, seed=0, sigma=0.2, limits=Limits(24, 4))
    tuned = RunConfig("energy", data[:1], model, settings, TRAINING, 0, baseline="mean", pretrained=source,
                      limits=Limits(16, 4, 4))  # fmt: skip
    assert run(source).metrics["validation_denoising_error"] > 0
    assert np.isfinite(run(tuned).metrics["test_rmse"])


def test_a_split_order_is_kept_apart(data):
    """Another order is another run, and a pre-training that saw the other order's test part is refused."""
    config = RunConfig("energy", data[:1], "egnn", SETTINGS, TRAINING, 0, baseline="mean")
    ordered = replace(config, split_order="file")
    assert config.key() != ordered.key()
    source = RunConfig("denoising", data, "egnn", SETTINGS, TRAINING, seed=0, sigma=0.2)
    with pytest.raises(ValueError, match="split_order"):
        replace(ordered, pretrained=source)
    with pytest.raises(ValueError, match="choose from"):
        replace(config, split_order="time")


def test_paper_scale_is_the_papers():
    paper = SCALES["paper"]
    assert paper.pretraining.training == TrainingSettings(5, 256, 2e-4, 1e-7, 0.7, 0.3)
    assert paper.finetuning.training.of("ani1") == TrainingSettings(10, 256, 2e-4, 1e-7, 0.3, 0.7)
    assert paper.finetuning.baseline == "mean"


def test_training_flushes_denormal_floats(pretraining, monkeypatch):
    seen = []
    monkeypatch.setitem(jobs.JOBS, "denoising", lambda *_: seen.append(denormals_flushed()) or ({}, {}))
    runner.run_here(replace(pretraining, seed=7), QUIET)  # nothing else ran it
    if not torch.set_flush_denormal(False):
        pytest.skip("this processor cannot take denormal floats as zero")
    assert seen == [True]


def test_a_run_by_graphs_is_the_run_without_up_to_rounding(finetuning, monkeypatch):
    """On a CPU, where padded batches are all that is different; both stages train by them."""
    config = replace(finetuning, seed=8, pretrained=replace(finetuning.pretrained, seed=8))
    plain = runner.run_here(config, QUIET)
    monkeypatch.setattr(runner, "RUNS", runner.RUNS / "graphs")
    batches, pad = [], graphs.padded
    monkeypatch.setattr(graphs, "padded", lambda batch: batches.append(batch) or pad(batch))
    by_graphs = runner.run_here(config, replace(QUIET, graphs=True))
    assert len(batches) > 8
    assert by_graphs.metrics == pytest.approx(plain.metrics, rel=1e-3)
    with pytest.raises(ValueError, match="graphs = True and compiled = True"):
        replace(QUIET, graphs=True, compiled=True)


def test_atoms_that_fill_a_batch_are_not_normalised_with_others(finetuning):
    config = replace(
        finetuning, seed=9, pretrained=None, settings=replace(finetuning.settings, atomwise=True),
        training=replace(finetuning.training, normalise=True),
    )  # fmt: skip
    with pytest.raises(ValueError, match="graphs = True with normalise = True and atomwise = True"):
        runner.run_here(config, replace(QUIET, graphs=True))


def test_all_labels_differ_from_the_laptops_in_their_number_and_epochs_alone():
    """So the runs share pre-training, validation and test conformations, and 1,000 labels are the same 1,000."""
    few, all_ = SCALES["laptop"], SCALES["all_labels"]
    for model, seed in product(MODELS, few.seeds):
        assert all_.pretrain(model, seed).key() == few.pretrain(model, seed).key()
    one, other = (scale.finetune(Cell("egnn", "ani1x", True), 1e-3, 1) for scale in (few, all_))
    assert replace(one, training=other.training, limits=other.limits) == other
    thousand = with_labels(1000, same_steps=True).finetune(Cell("egnn", "ani1x", True), 1e-3, 1)
    parts = [select(config, splits(config)) for config in (one, other, thousand)]
    for part in ("validation", "test"):
        assert len({tuple(found[part][0].index) for found in parts}) == 1
    assert [len(found["train"][0].index) for found in parts] == [1000, 13061, 1000]
    assert set(parts[2]["train"][0].index) == set(parts[0]["train"][0].index) < set(parts[1]["train"][0].index)


def test_fewer_labels_take_as_many_steps_or_as_many_epochs():
    whole = SCALES["all_labels"].finetuning.training.of("ani1x")
    steps = {13061: whole.epochs * ceil(13061 / whole.batch_size)}
    for labels in SAME_STEPS:
        same = with_labels(labels, same_steps=True).finetuning.training.of("ani1x")
        steps[labels] = same.epochs * ceil(labels / same.batch_size)
        for share in (0.01, 0.05, 0.5, 0.9):
            assert same.rate(share * same.epochs) == pytest.approx(whole.rate(share * whole.epochs))
        assert with_labels(labels, same_steps=False).finetuning.training.of("ani1x") == whole
    assert max(steps.values()) < 1.02 * min(steps.values())
    with pytest.raises(ValueError, match="no number of labels 500"):
        with_labels(500, same_steps=True)


def test_whole_path_on_real_dft_data():
    """Read, split, pre-train, fine-tune and score on the real first file of ANI-1, at a tiny size, in two processes."""
    real = DataSet("real/ani1", "ani1", str(sample("ani1_gdb_s01.h5")))
    training = replace(TRAINING, epochs=3)
    source = RunConfig("denoising", (real,), "egnn", SETTINGS, training, 0, sigma=0.2, limits=Limits(400, 100))
    limits = Limits(200, 100, 200)
    tuned = RunConfig(
        "energy", (real,), "egnn", SETTINGS, training, 0, baseline="mean", limits=limits, pretrained=source
    )
    with_it, without = run_all([tuned, replace(tuned, pretrained=None)], workers=2)
    assert run(source).metrics["validation_denoising_error"] < 1
    spread = without.predictions()["energy"].std()
    for result in (with_it, without):
        assert np.isfinite(result.metrics["test_mae"])
        assert result.metrics["test_rmse"] < 2 * spread
        assert result.about["target"]["level"] == "wB97X/6-31G(d)"
