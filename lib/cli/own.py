"""The commands for a user's own molecules: ``python -m lib pretrain`` and ``python -m lib finetune``."""

import argparse
import sys
from collections.abc import Sequence
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from lib.data.datasets import DataSet
WEIGHTS = "torchmd_net-laptop-dynamics"


def add_commands(commands: argparse._SubParsersAction) -> None:
    """Add both to the parser of the command line."""
    pretrain = commands.add_parser("pretrain", help="pre-train, on the scale's data or on your own conformations")
    pretrain.add_argument("--weights", default=WEIGHTS, help="MODEL-SCALE or MODEL-SCALE-dynamics (%(default)s)")
    pretrain.add_argument("--data", type=Path, help="your conformations, unlabelled or not; default: the scale's")
    pretrain.add_argument("--length-unit", default="angstrom", help="angstrom or bohr")
    pretrain.add_argument("--seed", type=int, default=0)
    _add_rate(pretrain)
    pretrain.set_defaults(function=_pretrain)

    tune = commands.add_parser("finetune", help="check your labelled conformations, and fine-tune on them")
    tune.add_argument("--data", type=Path, required=True, help=".xyz, .extxyz, .traj or .db")
    tune.add_argument(
        "--energy-unit", required=True, help="kcal/mol, eV, Hartree or kJ/mol; forces are in it per length"
    )
    tune.add_argument("--energy-key", default="energy", help="where a frame keeps its energy (%(default)s)")
    tune.add_argument("--forces-key", default="forces", help="the same for forces, which may be missing (%(default)s)")
    tune.add_argument("--length-unit", default="angstrom", help="angstrom or bohr")
    tune.add_argument("--forces-length-unit", help="of the length in the forces, where it is another one")
    tune.add_argument(
        "--level", default="own", help="level of theory, if lib.chemistry.reference_energies knows its free atoms"
    )
    tune.add_argument("--weights", default=WEIGHTS, help="pre-trained layers, MODEL-SCALE[-dynamics] (%(default)s)")
    start = tune.add_mutually_exclusive_group()
    start.add_argument("--from-scratch", action="store_true", help="the same model and settings from random weights")
    start.add_argument("--pretrain-on", type=Path, metavar="FILE", help="pre-train on these conformations instead")
    tune.add_argument("--pretrain-length-unit", help="of that file, where it is another one")
    _add_rate(tune)
    tune.add_argument("--labels", type=int, help="training conformations; default: 80 %% of all")
    tune.add_argument(
        "--learning-rates", type=float, nargs="+", help="the best by validation is taken; default: the scale's"
    )
    tune.add_argument(
        "--force-weight", type=float, help="of the loss; default: lib.study.scale.FORCE_WEIGHT, where there are forces"
    )
    tune.add_argument("--seeds", type=int, nargs="+", default=[0], help="several make an ensemble")
    tune.add_argument("--workers", type=int, help="processes; default: all cores")
    tune.add_argument("--output", type=Path, help="folder of the weights files; default: here")
    tune.add_argument("--check", action="store_true", help="check the data and stop")
    tune.set_defaults(function=_finetune)


def _add_rate(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--pretraining-rate", type=float, help="highest learning rate on your own conformations; default: the scale's"
    )


def _refuse_rate(options: argparse.Namespace, option: str) -> None:
    """Stop where a rate is given and ``option`` does not name the conformations that it is for."""
    if options.pretraining_rate is not None:
        raise ValueError(f"--pretraining-rate is for your own conformations: name them with {option}")


def _weight(options: argparse.Namespace, dataset: "DataSet") -> float | None:
    from lib.own.finetuning import default_force_weight

    return default_force_weight(dataset) if options.force_weight is None else options.force_weight


def _rates(options: argparse.Namespace, dataset: "DataSet") -> Sequence[float]:
    from lib.study.layers import named

    scale, _ = named(options.weights)
    return options.learning_rates or scale.rates_of(dataset.name)


def _pool(options: argparse.Namespace) -> "DataSet":
    """What ``--pretrain-on`` names."""
    from lib.own.datasets import unlabelled_dataset

    return unlabelled_dataset(options.pretrain_on, options.pretrain_length_unit or options.length_unit)


def _inspect(dataset: "DataSet", labelled: bool = True) -> None:
    """Print the warnings, stop at errors."""
    from lib.data.datasets import open_store
    from lib.own.findings import WARNING, refuse_errors
    from lib.own.inspection import inspect_store

    findings = inspect_store(open_store(dataset), labelled)
    where = "" if labelled else f"{dataset.path}: "
    sys.stdout.writelines(f"{f.severity}: {where}{f.molecule}: {f.text}\n" for f in findings if f.severity == WARNING)
    refuse_errors(findings)


def _pretrain(options: argparse.Namespace) -> None:
    from lib.own.datasets import unlabelled_dataset
    from lib.own.finetuning import pretrain_on
    from lib.runs.runner import run_all
    from lib.study.layers import named

    if options.data is None:
        _refuse_rate(options, "--data")
        scale, model = named(options.weights)
        config = scale.pretrain(model, options.seed)
    else:
        there = unlabelled_dataset(options.data, options.length_unit)
        _inspect(there, labelled=False)
        config = pretrain_on(options.weights, there, options.seed, options.pretraining_rate)
    (result,) = run_all([config], 1, "pre-training", weights=True)
    error = result.metrics["validation_denoising_error"]
    sys.stdout.write(f"{result.key} {options.weights}: validation denoising error {error:.3f} sigma^2\n")


def _finetune(options: argparse.Namespace) -> None:
    from lib.data.datasets import open_store
    from lib.data.readers.own import arrays_like_forces
    from lib.own.datasets import own_dataset

    dataset = own_dataset(options.data, options.energy_unit, options.energy_key, options.forces_key,
                          options.length_unit, options.forces_length_unit, options.level)  # fmt: skip
    store = open_store(dataset)
    has = "with" if store.has_forces else "without"
    sys.stdout.write(f"{options.data}: {len(store.names)} molecules, {len(store)} conformations {has} forces\n")
    if not store.has_forces and (others := arrays_like_forces(options.data)):
        sys.stdout.write(
            f"warning: no forces under {options.forces_key!r}, but arrays {others}: name one with --forces-key\n"
        )
    _inspect(dataset)
    if not options.from_scratch:
        _warn_about_pretraining(options, dataset)
    _say_cost(options, dataset)
    if not options.check:
        _train(options, dataset)


def _say_cost(options: argparse.Namespace, dataset: "DataSet") -> None:
    """Say what is to be run, and stop where a seed's split leaves nothing to learn, to choose by, or to test."""
    from lib.own.finetuning import fine_tune
    from lib.runs.selection import select, splits
    from lib.study.cost import MINUTES, in_words, todo
    from lib.study.layers import named

    scale, _ = named(options.weights)
    rates = _rates(options, dataset)
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


def _is_own(options: argparse.Namespace, dataset: "DataSet") -> bool:
    """Whether pre-training is on the labelled file itself: then test conformations are left out."""
    return options.pretrain_on is not None and options.pretrain_on.resolve() == Path(dataset.path)


def _warn_about_pretraining(options: argparse.Namespace, dataset: "DataSet") -> None:
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


def _train(options: argparse.Namespace, dataset: "DataSet") -> None:
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
    else:
        _refuse_rate(options, "--pretrain-on")
        if not options.from_scratch:
            sources = dict.fromkeys(options.seeds, layers.pretraining_of(options.weights))

    def config(rate: float, seed: int) -> object:
        return finetuning.fine_tune(options.weights, dataset, sources[seed], rate, seed, options.labels, weight)

    scanned = [config(rate, options.seeds[0]) for rate in _rates(options, dataset)]
    rate = finetuning.choose_rate(scanned, options.workers)
    folder = options.output or Path.cwd()
    results = run_all([config(rate, seed) for seed in options.seeds], options.workers, weights=True)
    finetuning.refuse_diverged(results)
    for seed, result in zip(options.seeds, results, strict=True):
        metrics = ", ".join(f"{k} {v:.3g} {result.about['units'][k]}" for k, v in result.metrics.items())
        path = folder / f"{dataset.stem}-{options.weights}-seed{seed}-{result.key}.safetensors"
        export_weights(result.weights(), result.about, result.key, path)
        sys.stdout.write(f"seed {seed}, learning rate {rate:g}: {metrics}\n{path}\n")
    sys.stdout.write("use them: lib.potentials.calculator.PotentialCalculator.from_weights([...])\n")
