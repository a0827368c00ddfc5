"""The commands that train on a user's own molecules: ``pretrain``, and ``finetune`` (`own.finetuning.FineTuning`)."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from lib.cli.groups import grouped
from lib.cli.options import LengthUnit, PretrainingRate, Seed, Weights
from lib.cli.own_groups import WEIGHTS, Beginning, HeldOut, Reading, Training
from lib.cli.own_options import Check, Data, IgnoreCell, Output, Unlabelled, Workers, Yes
from lib.cli.parsing import examples
from lib.cli.targets import check_folder

if TYPE_CHECKING:
    from lib.data.datasets import DataSet
    from lib.own.findings import Finding
    from lib.own.finetuning import FineTuning
    from lib.runs.config import RunConfig
SHOWN = 20  # warnings
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
    ignore_cell: IgnoreCell = False,
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
        dataset = unlabelled_dataset(data, length_unit, ignore_cell)
        findings = inspect_store(open_store(dataset), labelled=False)
        say([replace(finding, molecule=f"{data}: {finding.molecule}") for finding in findings])
        config = pretrain_on(weights, dataset, seed, pretraining_rate)
    (result,) = run_all([config], 1, "pre-training", weights=True)
    error = result.metrics["validation_denoising_error"]
    sys.stdout.write(f"{result.key} {weights}: validation denoising error {error:.3f} sigma^2\n")


@grouped
def finetune(
    data: Data,
    reading: Reading,
    held_out: HeldOut,
    beginning: Beginning,
    training: Training,
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
    _refuse_contradictions(beginning, training)
    if not check:
        check_folder("--output", output or Path())
    tuning = _task(data, reading, held_out, beginning, training)
    references = not (training.e0 or training.isolated_atoms or beginning.continued)
    _look_at(tuning, (data, held_out.validation, held_out.test), references)
    plan = tuning.plan()
    sys.stdout.write(f"{plan}\n")
    if not check and (yes or plan.minutes <= LONG or _agreed()):
        _train(tuning, workers, output or Path())


def _refuse_contradictions(start: Beginning, training: Training) -> None:
    """Stop where more than one option says what training starts from, or one is of something that is not there."""
    if start.from_scratch + (start.pretrain_on is not None) + (start.continued is not None) > 1:
        raise typer.BadParameter("--from-scratch, --pretrain-on and --continue exclude each other: give one of them")
    if start.pretrain_length_unit is not None and start.pretrain_on is None:
        raise typer.BadParameter("--pretrain-length-unit is of the file of --pretrain-on: give that too")
    if start.continued is not None and (training.e0 or training.isolated_atoms):
        raise typer.BadParameter(
            "--e0 and --isolated-atoms make a baseline, and the potential of --continue has one: leave them out"
        )


def _task(data: Path, reading: Reading, held_out: HeldOut, start: Beginning, training: Training) -> "FineTuning":
    """What is to be trained."""
    from lib.own.datasets import isolated_atoms
    from lib.own.finetuning import FineTuning

    dataset = reading.dataset(data)
    return FineTuning(
        data=dataset,
        weights=start.weights,
        source=_source(start, reading),
        labels=training.labels,
        rates=tuple(training.learning_rates) if training.learning_rates else None,
        seeds=tuple(training.seeds),
        force_weight=training.force_weight,
        pretraining_rate=start.pretraining_rate,
        validation=None if held_out.validation is None else reading.dataset(held_out.validation),
        test=None if held_out.test is None else reading.dataset(held_out.test),
        batch_size=training.batch_size,
        steps=training.steps,
        epochs=training.epochs,
        minutes=training.minutes,
        patience=training.patience,
        average=training.average,
        start=None if start.continued is None else _potential_file(start.continued),
        isolated_atoms=(() if start.continued else isolated_atoms(dataset, training.e0 or (), training.isolated_atoms)),
    )


def _source(start: Beginning, reading: Reading) -> "DataSet | RunConfig | None":
    """What pre-trains: conformations of the user's, layers by name, or nothing."""
    from lib.own.datasets import unlabelled_dataset
    from lib.own.finetuning import FineTuning

    if start.pretrain_on is not None:
        unit = start.pretrain_length_unit or reading.length_unit
        return unlabelled_dataset(start.pretrain_on, unit, reading.ignore_cell)
    return None if start.from_scratch or start.continued is not None else FineTuning.layers(start.weights)


def _look_at(tuning: "FineTuning", paths: Sequence[Path | None], references: bool) -> None:
    """Say what the files of data, validation and test hold, and whether free atoms of the first are ``references``;
    print warnings, stop at errors.
    """
    for path, dataset in zip(paths, (tuning.data, tuning.validation, tuning.test), strict=True):
        if path is not None and dataset is not None:
            say_contents(path, dataset, references and dataset == tuning.data)
    say(tuning.inspect())


def say_contents(path: Path, dataset: "DataSet", references: bool = False) -> None:
    """Print what the file ``path`` holds, and whether its free atoms are ``references``."""
    from lib.data.datasets import STORE, open_store
    from lib.data.readers.frames import FORMATS, files_with
    from lib.data.readers.layouts import ENDINGS
    from lib.own.datasets import free_atoms_of, lacking

    store, free = open_store(dataset), free_atoms_of(dataset)
    molecules, forces = len(store.names), "with" if store.has_forces else "without"
    use = "references, and nothing to learn" if references else "left out"
    if references and (missing := lacking(free, dataset)):
        use = f"left out; without {', '.join(missing)} they are no references"
    apart = f"; free atoms {', '.join(free)} are {use}" if free else ""
    files = (
        f"{len(files_with(path, [*FORMATS, *ENDINGS]))} files, " if path.is_dir() and dataset.reader != STORE else ""
    )
    counted = f"{molecules} molecule{'s' * (molecules != 1)}, {len(store)} conformations"
    sys.stdout.write(f"{path}: {files}{counted} {forces} forces{apart}\n")


def say(findings: "list[Finding]") -> None:
    """Print the warnings, up to `SHOWN` of them, and stop at errors."""
    from lib.own.findings import WARNING, refuse_errors

    warnings = [finding for finding in findings if finding.severity == WARNING]
    sys.stdout.writelines(f"{finding}\n" for finding in warnings[:SHOWN])
    if len(warnings) > SHOWN:
        sys.stdout.write(f"… and {len(warnings) - SHOWN} warnings more, of other molecules\n")
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


def _say_logs(logs: "Sequence[tuple[RunConfig, Path]]") -> None:
    """Print where runs can be followed."""
    for config, path in logs:
        run = f"seed {config.seed}, learning rate {config.training.learning_rate:g}"
        sys.stdout.write(f"{run} can be followed: tail -F {path}\n")


def _train(tuning: "FineTuning", workers: int | None, folder: Path) -> None:
    """Choose the learning rate, train every seed, write the weights to ``folder``."""
    from lib.runs.config import RunConfig
    from lib.training.metrics import in_words

    if isinstance(tuning.source, RunConfig):
        tuning.layers(tuning.weights, trained=True)
    _say_logs(tuning.logs(tuning.scan()))
    rate = tuning.choose_rate(workers)
    _say_logs(tuning.logs(tuning.configs(rate), weights=True))
    results = tuning.train(rate, workers)
    for seed, result, path in zip(tuning.seeds, results, tuning.export(results, folder), strict=True):
        metrics = in_words(result.metrics, result.about["units"], digits=3)
        sys.stdout.write(f"seed {seed}, learning rate {rate:g}: {metrics}\n{path}\n")
    sys.stdout.write("use them: lib.load_pretrained([...]).calculator(), or python -m lib evaluate --weights ...\n")
