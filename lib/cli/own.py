"""The commands that train on a user's own molecules: ``pretrain``, and ``finetune`` (`own.finetuning.FineTuning`)."""

import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lib.cli.options import LengthUnit, PretrainingRate, Seed, Weights
from lib.cli.own_options import (
    FIRST_SEED,
    Average,
    Check,
    Continue,
    Data,
    EnergyKey,
    EnergyUnit,
    Epochs,
    ForcesKey,
    ForcesLengthUnit,
    ForceWeight,
    FromScratch,
    IsolatedAtoms,
    IsolatedEnergies,
    Labels,
    LearningRates,
    Level,
    Minutes,
    Output,
    Patience,
    PretrainLengthUnit,
    PretrainOn,
    Seeds,
    Steps,
    Test,
    Unlabelled,
    Validation,
    Workers,
    Yes,
)
from lib.cli.parsing import examples
from lib.cli.targets import check_folder

if TYPE_CHECKING:
    from lib.data.datasets import DataSet
    from lib.own.findings import Finding
    from lib.own.finetuning import FineTuning
    from lib.runs.config import RunConfig
WEIGHTS = "torchmd_net-laptop-dynamics"
LONG = 1.0  # core-minutes of a plan, from which on a user at a terminal is asked
PRETRAIN_EPILOG = examples(
    "pretrain --weights egnn-laptop --seed 1", "pretrain --data my-unlabelled.xyz --pretraining-rate 0.0005"
)
FINETUNE_EPILOG = examples(
    "finetune --data my.xyz --energy-unit eV --check",
    "finetune --data train.xyz --test test.xyz --energy-unit eV --minutes 10",
    "finetune --data my.xyz --energy-unit Hartree --forces-length-unit bohr --seeds 0 1 2",
    "finetune --data my.xyz --energy-unit eV --pretrain-on my-unlabelled.xyz",
    "finetune --data more.xyz --energy-unit eV --continue own-my.safetensors --steps 500",
)


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
    from dataclasses import replace

    from lib.data.datasets import open_store
    from lib.own.datasets import unlabelled_dataset
    from lib.own.finetuning import pretrain_on
    from lib.own.inspection import inspect_store
    from lib.runs.runner import run_all
    from lib.study.layers import named

    scale, model = named(weights)
    if data is None:
        if pretraining_rate is not None:
            raise ValueError(
                f"--pretraining-rate {pretraining_rate:g} is for your own conformations: name them with --data"
            )
        config = scale.pretrain(model, seed)
    else:
        dataset = unlabelled_dataset(data, length_unit)
        findings = inspect_store(open_store(dataset), labelled=False)
        _say([replace(finding, molecule=f"{data}: {finding.molecule}") for finding in findings])
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
    validation: Validation = None,
    test: Test = None,
    weights: Weights = WEIGHTS,
    from_scratch: FromScratch = False,
    pretrain_on: PretrainOn = None,
    pretrain_length_unit: PretrainLengthUnit = None,
    pretraining_rate: PretrainingRate = None,
    continued: Continue = None,
    labels: Labels = None,
    learning_rates: LearningRates = None,
    force_weight: ForceWeight = None,
    e0: IsolatedEnergies = None,
    isolated_atoms: IsolatedAtoms = None,
    steps: Steps = None,
    epochs: Epochs = None,
    minutes: Minutes = None,
    patience: Patience = 0,
    average: Average = 0.0,
    seeds: Seeds = FIRST_SEED,
    workers: Workers = None,
    output: Output = None,
    check: Check = False,
    yes: Yes = False,
) -> None:
    """Check your labelled conformations, and fine-tune a model.

    The data are checked first for wrong units, duplicates, overlapping atoms and forces that contradict the energies.
    Errors stop the command before anything is trained. Then the size of the job is printed; at a terminal you are asked
    whether to start where it takes more than a minute.
    """
    from lib.own import datasets
    from lib.own.datasets import own_dataset, unlabelled_dataset
    from lib.own.finetuning import FineTuning

    _refuse_several_starts(from_scratch, pretrain_on, continued)
    if output is not None and not check:
        check_folder("--output", output)
    read = partial(own_dataset, energy_unit=energy_unit, energy_key=energy_key, forces_key=forces_key,
                   length_unit=length_unit, forces_length_unit=forces_length_unit, level=level)  # fmt: skip
    source: DataSet | RunConfig | None = None
    if pretrain_on is not None:
        source = unlabelled_dataset(pretrain_on, pretrain_length_unit or length_unit)
    elif not from_scratch and continued is None:
        source = FineTuning.layers(weights)
    dataset = read(data)
    tuning = FineTuning(
        data=dataset,
        weights=weights,
        source=source,
        labels=labels,
        rates=tuple(learning_rates) if learning_rates else None,
        seeds=tuple(seeds),
        force_weight=force_weight,
        pretraining_rate=pretraining_rate,
        validation=None if validation is None else read(validation),
        test=None if test is None else read(test),
        steps=steps,
        epochs=epochs,
        minutes=minutes,
        patience=patience,
        average=average,
        start=None if continued is None else _potential_file(continued),
        isolated_atoms=datasets.isolated_atoms(dataset, e0 or (), isolated_atoms),
    )
    _look_at(tuning, (data, validation, test))
    plan = tuning.plan()
    sys.stdout.write(f"{plan}\n")
    if not check and (yes or plan.minutes <= LONG or _agreed()):
        _train(tuning, workers, output or Path())


def _refuse_several_starts(from_scratch: bool, pretrain_on: Path | None, continued: str | None) -> None:
    """Stop where more than one of them says what training starts from."""
    if from_scratch + (pretrain_on is not None) + (continued is not None) > 1:
        raise typer.BadParameter("--from-scratch, --pretrain-on and --continue exclude each other: give one of them")


def _look_at(tuning: "FineTuning", paths: tuple[Path | None, ...]) -> None:
    """Say what the files of data, validation and test hold, print warnings, stop at errors."""
    for path, dataset in zip(paths, (tuning.data, tuning.validation, tuning.test), strict=True):
        if path is not None and dataset is not None:
            say_contents(path, dataset)
    _say(tuning.inspect())


def say_contents(path: Path, dataset: "DataSet") -> None:
    """Print what the file ``path`` holds."""
    from lib.data.datasets import open_store

    store = open_store(dataset)
    molecules, forces = len(store.names), "with" if store.has_forces else "without"
    sys.stdout.write(
        f"{path}: {molecules} molecule{'s' * (molecules != 1)}, {len(store)} conformations {forces} forces\n"
    )


def _say(findings: "list[Finding]") -> None:
    """Print the warnings, stop at errors."""
    from lib.own.findings import WARNING, refuse_errors

    sys.stdout.writelines(f"{finding}\n" for finding in findings if finding.severity == WARNING)
    refuse_errors(findings)


def _potential_file(name: str) -> Path:
    """The weights file that ``--continue`` names; of a shipped potential that of the first seed."""
    from lib.own.pretrained import load_pretrained

    return load_pretrained(name).weights[0].path


def _agreed() -> bool:
    """Whether the user wants to start; no question, and yes, where no terminal is attached."""
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        return True
    sys.stdout.write("start? [y/N] ")
    sys.stdout.flush()
    agreed = sys.stdin.readline().strip().lower() in ("y", "yes")
    sys.stdout.write("" if agreed else "nothing was trained\n")
    return agreed


def _train(tuning: "FineTuning", workers: int | None, folder: Path) -> None:
    """Choose the learning rate, train every seed, write the weights to ``folder``."""
    from lib.runs.config import RunConfig

    if isinstance(tuning.source, RunConfig):
        tuning.layers(tuning.weights, trained=True)
    rate = tuning.choose_rate(workers)
    results = tuning.train(rate, workers)
    for seed, result, path in zip(tuning.seeds, results, tuning.export(results, folder), strict=True):
        units = {name: "" if unit == "1" else f" {unit}" for name, unit in result.about["units"].items()}
        metrics = ", ".join(f"{name} {value:.3g}{units[name]}" for name, value in result.metrics.items())
        sys.stdout.write(f"seed {seed}, learning rate {rate:g}: {metrics}\n{path}\n")
    sys.stdout.write("use them: lib.load_pretrained([...]).calculator(), or python -m lib evaluate --weights ...\n")
