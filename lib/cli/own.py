"""The commands for a user's own molecules: ``pretrain`` and ``finetune``."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lib.cli.options import LengthUnit, PretrainingRate, Seed, Weights
from lib.cli.own_options import (
    Check,
    Data,
    EnergyKey,
    EnergyUnit,
    ForcesKey,
    ForcesLengthUnit,
    ForceWeight,
    FromScratch,
    Labels,
    LearningRates,
    Level,
    Output,
    PretrainLengthUnit,
    PretrainOn,
    Seeds,
    Unlabelled,
    Workers,
)
from lib.cli.parsing import examples
from lib.cli.targets import check_folder

if TYPE_CHECKING:
    from lib.data.datasets import DataSet
WEIGHTS = "torchmd_net-laptop-dynamics"
PRETRAIN_EPILOG = examples(
    "pretrain --weights egnn-laptop --seed 1", "pretrain --data my-unlabelled.xyz --pretraining-rate 0.0005"
)
FINETUNE_EPILOG = examples(
    "finetune --data my.xyz --energy-unit eV --check",
    "finetune --data my.xyz --energy-unit Hartree --forces-length-unit bohr --seeds 0 1 2",
    "finetune --data my.xyz --energy-unit eV --pretrain-on my-unlabelled.xyz",
)


@dataclass(frozen=True)
class Tuning:
    """What ``finetune`` was asked for, checked; units, keys and level are already in its data set."""

    weights: str
    from_scratch: bool
    pretrain_on: Path | None
    pretrain_length_unit: str
    pretraining_rate: float | None
    labels: int | None
    learning_rates: Sequence[float]
    force_weight: float | None
    seeds: Sequence[int]
    workers: int | None
    output: Path


def pretrain(
    weights: Weights = WEIGHTS,
    data: Unlabelled = None,
    length_unit: LengthUnit = "angstrom",
    seed: Seed = 0,
    pretraining_rate: PretrainingRate = None,
) -> None:
    """Pre-train a model on a scale's conformations or on yours.

    The model learns to remove Gaussian noise (0.2 Angstrom) from the positions, which needs no energies; finetune goes
    on from its layers. The result is the validation error in units of the noise's variance (sigma^2);
    1 is no better than predicting no noise.
    """
    from lib.own.datasets import unlabelled_dataset
    from lib.own.finetuning import pretrain_on
    from lib.runs.runner import run_all
    from lib.study.layers import named

    scale, model = named(weights)
    if data is None:
        _refuse_rate(pretraining_rate, "--data")
        config = scale.pretrain(model, seed)
    else:
        dataset = unlabelled_dataset(data, length_unit)
        _inspect(dataset, labelled=False)
        config = pretrain_on(weights, dataset, seed, pretraining_rate)
    (result,) = run_all([config], 1, "pre-training", weights=True)
    error = result.metrics["validation_denoising_error"]
    sys.stdout.write(f"{result.key} {weights}: validation denoising error {error:.3f} sigma^2\n")


def finetune(
    data: Data,
    energy_unit: EnergyUnit,
    energy_key: EnergyKey = "energy",
    forces_key: ForcesKey = "forces",
    length_unit: LengthUnit = "angstrom",
    forces_length_unit: ForcesLengthUnit = None,
    level: Level = "own",
    weights: Weights = WEIGHTS,
    from_scratch: FromScratch = False,
    pretrain_on: PretrainOn = None,
    pretrain_length_unit: PretrainLengthUnit = None,
    pretraining_rate: PretrainingRate = None,
    labels: Labels = None,
    learning_rates: LearningRates = None,
    force_weight: ForceWeight = None,
    seeds: Seeds = (0,),
    workers: Workers = None,
    output: Output = None,
    check: Check = False,
) -> None:
    """Check your labelled conformations, and fine-tune a model.

    The data are checked first for wrong units, duplicates, overlapping atoms and forces that contradict the energies.
    Errors stop the command before anything is trained.
    """
    from lib.own.datasets import own_dataset
    from lib.study.layers import named

    if from_scratch and pretrain_on is not None:
        raise typer.BadParameter("--from-scratch and --pretrain-on exclude each other: give one of them")
    if pretrain_on is None:
        _refuse_rate(pretraining_rate, "--pretrain-on")
    if output is not None and not check:
        check_folder("--output", output)
    scale, _ = named(weights)
    dataset = own_dataset(data, energy_unit, energy_key, forces_key, length_unit, forces_length_unit, level)
    options = Tuning(
        weights, from_scratch, pretrain_on, pretrain_length_unit or length_unit, pretraining_rate, labels,
        learning_rates or scale.rates_of(dataset.name), force_weight, seeds, workers, output or Path.cwd(),
    )  # fmt: skip
    _look_at(data, dataset, forces_key)
    if not from_scratch:
        _warn_about_pretraining(options, dataset)
    _say_cost(options, dataset)
    if not check:
        _train(options, dataset)


def _look_at(data: Path, dataset: "DataSet", forces_key: str) -> None:
    """Say what the file holds, print warnings, stop at errors."""
    from lib.data.datasets import open_store
    from lib.data.readers.own import arrays_like_forces

    store = open_store(dataset)
    has = "with" if store.has_forces else "without"
    sys.stdout.write(f"{data}: {len(store.names)} molecules, {len(store)} conformations {has} forces\n")
    if not store.has_forces and (others := arrays_like_forces(data)):
        sys.stdout.write(f"warning: no forces under {forces_key!r}, but arrays {others}: name one with --forces-key\n")
    _inspect(dataset)


def _refuse_rate(rate: float | None, option: str) -> None:
    """Stop where a rate is given and ``option`` does not name the conformations that it is for."""
    if rate is not None:
        raise ValueError(f"--pretraining-rate {rate:g} is for your own conformations: name them with {option}")


def _weight(options: Tuning, dataset: "DataSet") -> float | None:
    from lib.own.finetuning import default_force_weight

    return default_force_weight(dataset) if options.force_weight is None else options.force_weight


def _pool(options: Tuning) -> "DataSet":
    """What ``--pretrain-on`` names."""
    from lib.own.datasets import unlabelled_dataset

    return unlabelled_dataset(options.pretrain_on, options.pretrain_length_unit)


def _inspect(dataset: "DataSet", labelled: bool = True) -> None:
    """Print the warnings, stop at errors."""
    from lib.data.datasets import open_store
    from lib.own.findings import WARNING, refuse_errors
    from lib.own.inspection import inspect_store

    findings = inspect_store(open_store(dataset), labelled)
    where = "" if labelled else f"{dataset.path}: "
    sys.stdout.writelines(f"{f.severity}: {where}{f.molecule}: {f.text}\n" for f in findings if f.severity == WARNING)
    refuse_errors(findings)


def _say_cost(options: Tuning, dataset: "DataSet") -> None:
    """Say what is to be run, and stop where a seed's split leaves nothing to learn, to choose by, or to test."""
    from lib.own.finetuning import fine_tune
    from lib.runs.selection import select, splits
    from lib.study.cost import MINUTES, in_words, todo
    from lib.study.layers import named

    scale, _ = named(options.weights)
    rates = options.learning_rates
    pairs = [*((rate, options.seeds[0]) for rate in rates), *((rates[0], seed) for seed in options.seeds[1:])]
    weight = _weight(options, dataset)
    configs = [fine_tune(options.weights, dataset, None, rate, s, options.labels, weight) for rate, s in pairs]
    training, parts = configs[0].training, select(configs[0], splits(configs[0]))
    train, validate, test = (sum(len(s.index) for s in parts[part]) for part in ("train", "validation", "test"))
    steps = training.epochs * ceil(train / training.batch_size)
    cost = in_words(todo(scale, "", configs)[MINUTES])
    sys.stdout.write(
        f"seed {options.seeds[0]}: {train} to train, {validate} to validate, {test} to test; runs: {len(configs)} of "
        f"some {steps} steps, {cost} (estimate), and pre-training where it is not there\n"
    )


def _is_own(options: Tuning, dataset: "DataSet") -> bool:
    """Whether pre-training is on the labelled file itself: then test conformations are left out."""
    return options.pretrain_on is not None and options.pretrain_on.resolve() == Path(dataset.path)


def _warn_about_pretraining(options: Tuning, dataset: "DataSet") -> None:
    """Say what pre-training has not met of the data, and what of it that is to test."""
    from lib.own import checks as own_checks
    from lib.own import finetuning
    from lib.study import layers

    if _is_own(options, dataset):
        return
    scale, model = layers.named(options.weights)
    source, where = scale.pretrain(model, 0), options.weights
    if options.pretrain_on is not None:
        there, where = _pool(options), options.pretrain_on
        _inspect(there, labelled=False)
        source = finetuning.pretrain_on(options.weights, there)
        shared = own_checks.shared_conformations(dataset, there, options.seeds)
        sys.stdout.writelines(
            f"warning: {known} of {tested} test conformations of seed {seed} are in {where}, so that pre-training sees "
            "them, without labels: test errors will flatter\n"
            for seed, (known, tested) in zip(options.seeds, shared, strict=True)
            if known
        )
    if unseen := own_checks.unseen_types(dataset, source):
        sys.stdout.write(
            f"warning: the pre-training of {where} has not met {', '.join(unseen)}: what stands for these atoms is "
            "random at first, and pre-training may help less; compare with --from-scratch\n"
        )


def _train(options: Tuning, dataset: "DataSet") -> None:
    """Choose the learning rate, train every seed, write the weights."""
    from lib.models.weights import export_weights
    from lib.own import finetuning
    from lib.runs.runner import run_all
    from lib.study import layers

    weight, sources = _weight(options, dataset), dict.fromkeys(options.seeds)
    if options.pretrain_on is not None:
        own = _is_own(options, dataset)
        there = dataset if own else _pool(options)
        sources = {
            seed: finetuning.pretrain_on(options.weights, there, seed, options.pretraining_rate)
            for seed in options.seeds
        }
    elif not options.from_scratch:
        sources = dict.fromkeys(options.seeds, layers.pretraining_of(options.weights))

    def config(rate: float, seed: int) -> object:
        return finetuning.fine_tune(options.weights, dataset, sources[seed], rate, seed, options.labels, weight)

    scanned = [config(rate, options.seeds[0]) for rate in options.learning_rates]
    rate = finetuning.choose_rate(scanned, options.workers)
    results = run_all([config(rate, seed) for seed in options.seeds], options.workers, weights=True)
    finetuning.refuse_diverged(results)
    for seed, result in zip(options.seeds, results, strict=True):
        metrics = ", ".join(f"{k} {v:.3g} {result.about['units'][k]}" for k, v in result.metrics.items())
        path = options.output / f"{dataset.stem}-{options.weights}-seed{seed}-{result.key}.safetensors"
        export_weights(result.weights(), result.about, result.key, path)
        sys.stdout.write(f"seed {seed}, learning rate {rate:g}: {metrics}\n{path}\n")
    sys.stdout.write("use them: lib.potentials.calculator.PotentialCalculator.from_weights([...])\n")
