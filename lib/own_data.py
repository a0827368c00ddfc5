"""A user's own molecules: data sets from files, pre-training on them, fine-tuning with few labels, the learning curve.

What is fine-tuned may start from layers that this project ships (`pretraining_of`), from layers that were pre-trained
on the user's own unlabelled conformations (`pretrain_on`), or from scratch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from math import ceil
from pathlib import Path

import numpy as np
import pandas as pd

from lib.config import RunConfig
from lib.datasets import DataSet, open_store
from lib.errors import TrainingError, look_up
from lib.jobs import select, splits
from lib.models import MODELS
from lib.own_checks import refuse_untaught_types
from lib.paths import DATA
from lib.runs import Result, run_all, stored, stored_with_weights
from lib.scales import FORCE_WEIGHT, SCALES, Scale
from lib.splits import FINE_TUNING, make_split
from lib.statistics import OF_FORCES, compare
from lib.tables import COLUMNS, source_of, three_rows

EXAMPLE_LEVEL, EXAMPLE_DIHEDRAL = "GFN2-xTB", (5, 4, 2, 1)  # of theory; the bond from the ring to the ester is turned
DYNAMICS = "-dynamics"  # ends the name of weights of `Scale.for_dynamics`


def own_dataset(
    path: Path | str,
    energy_unit: str,
    energy_key: str = "energy",
    forces_key: str = "forces",
    length_unit: str = "angstrom",
    forces_length_unit: str | None = None,
    level: str = "own",
) -> DataSet:
    """The labelled conformations in ``path``; the arguments are those of `readers.own.read`."""
    path = Path(path).resolve()
    options = {"energy_unit": energy_unit, "energy_key": energy_key, "forces_key": forces_key,
               "length_unit": length_unit, "forces_length_unit": forces_length_unit or length_unit}  # fmt: skip
    return DataSet(f"own/{path.stem}", "own", str(path), level, tuple(options.items()))


def unlabelled_dataset(path: Path | str, length_unit: str = "angstrom") -> DataSet:
    """The conformations in ``path`` without their energies, if there are any."""
    path = Path(path).resolve()
    options = {"energy_unit": "eV", "length_unit": length_unit, "labelled": False}
    return DataSet(f"own/{path.stem}-unlabelled", "own", str(path), None, tuple(options.items()))


def weights_names() -> dict[str, tuple[Scale, str]]:
    """Scale and model by the names that users give pre-trained layers, MODEL-SCALE and MODEL-SCALE-dynamics."""
    return {
        f"{model}-{name}{ending}": (variant, model)
        for name, scale in SCALES.items()
        for ending, variant in (("", scale), (DYNAMICS, scale.for_dynamics()))
        for model in scale.models
    }


def named(weights: str) -> tuple[Scale, str]:
    """The scale and the model of the layers called ``weights``.

    Raises:
        ValueError: there are none; the message lists the names.
    """
    return look_up(weights_names(), weights, "pre-trained weights")


def pretraining_of(weights: str, seed: int = 0) -> RunConfig:
    """The pre-training whose layers are called ``weights``.

    Raises:
        ValueError: unknown name, or the layers are neither shipped nor trained on this machine.
    """
    scale, model = named(weights)
    config = scale.pretrain(model, seed)
    if stored_with_weights(config) is None:
        raise ValueError(f"the layers {weights!r} of seed {seed} are neither shipped nor trained here: train them with "
                         f"python -m lib pretrain --weights {weights} --seed {seed}")  # fmt: skip
    return config


def pretrain_on(weights: str, dataset: DataSet, seed: int = 0, learning_rate: float | None = None) -> RunConfig:
    """Pre-training with the model and settings that ``weights`` names, on the conformations of ``dataset`` alone.

    Of labelled ones those are left out that fine-tuning tests with the same seed. Few conformations are passed more
    often, so that there are about ``own_pretraining_steps`` of the scale. The highest ``learning_rate`` is the scale's
    where it is None.

    Raises:
        ValueError: unknown name.
        DataError: the file cannot be read, or has too few conformations.
    """
    scale, model = named(weights)
    labelled = dict(dataset.options).get("labelled", True)
    config = replace(scale.pretrain(model, seed, strict_split=labelled), data=(dataset,))
    count = len(select(config, splits(config))["train"][0].index)
    steps = config.training.epochs * ceil(count / config.training.batch_size)
    training = config.training.stretched(max(1, round(scale.own_pretraining_steps / steps)))
    return replace(config, training=replace(training, learning_rate=learning_rate or training.learning_rate))


def labels_that_fit(labels: Sequence[int], dataset: DataSet, seeds: Sequence[int] = (0,)) -> list[int]:
    """Those of ``labels`` for which ``dataset`` has training conformations with each of ``seeds``, all where fewer."""
    store = open_store(dataset)
    there = min(len(make_split(store, seed, FINE_TUNING).parts["train"]) for seed in seeds)
    return [n for n in labels if n <= there] or [there]


def fine_tune(
    weights: str,
    dataset: DataSet,
    source: RunConfig | None,
    learning_rate: float,
    seed: int = 0,
    labels: int | None = None,
    force_weight: float | None = None,
) -> RunConfig:
    """Fine-tuning on ``dataset``, or training from scratch.

    Args:
        weights: a name of `weights_names`, for the model and its settings.
        dataset: of labelled conformations (`own_dataset`).
        source: the pre-training that it starts from (`pretraining_of`, `pretrain_on`); None is from scratch.
        learning_rate: the highest one.
        seed: of the run.
        labels: how many training conformations; None takes all, 80 %. Where the scale keeps steps constant, fewer than
            its own largest number of ``labels`` are passed more often, so that steps are about those of that number.
        force_weight: of the loss (`default_force_weight`); None leaves forces alone.

    Raises:
        ValueError: unknown name, more labels than there are, a weight of forces that are not there, or atom types that
            no training conformation has, so that nothing could be said of the others.
        DataError: the split leaves a part without conformations.
    """
    scale, model = named(weights)
    config = scale.finetune(model, dataset, False, learning_rate, seed, force_weight=force_weight)
    store = open_store(dataset)
    there = len(make_split(store, seed, FINE_TUNING).parts["train"])
    if labels is not None and not 0 < labels <= there:
        raise ValueError(f"labels = {labels}: {dataset.name} has {there} training conformations (80 %); choose fewer")
    if force_weight is not None and not store.has_forces:
        raise ValueError(f"force weight {force_weight:g}: {dataset.path} has no forces; leave the weight out")
    few = max(1, round(max(scale.labels) / max(1, labels or there))) if scale.constant_steps else 1
    limits = replace(config.limits, train=labels or config.limits.train)
    config = replace(config, limits=limits, training=config.training.stretched(few), pretrained=source)
    refuse_untaught_types(config)
    return config


def default_force_weight(dataset: DataSet) -> float | None:
    """`FORCE_WEIGHT`, or None where ``dataset`` has no forces."""
    return FORCE_WEIGHT if open_store(dataset).has_forces else None


def choose_rate(configs: Sequence[RunConfig], workers: int | None = None) -> float:
    """The learning rate of the one of ``configs`` that validates best; test data decide nothing.

    Raises:
        TrainingError: fine-tuning diverged with each of them.
    """
    scores = np.array([result.validation for result in run_all(configs, workers, "learning rates")], dtype=float)
    if not np.isfinite(scores).any():
        rates = ", ".join(f"{config.training.learning_rate:g}" for config in configs)
        raise TrainingError(f"fine-tuning diverged with each of the learning rates {rates}: try lower ones")
    return configs[int(np.nanargmin(scores))].training.learning_rate


def refuse_diverged(results: Sequence[Result]) -> None:
    """Stop where a run ended in numbers that are none.

    Raises:
        TrainingError: naming the runs.
    """
    wrong = [result.key for result in results if not np.isfinite(result.validation)]
    if wrong:
        raise TrainingError(f"fine-tuning diverged in {', '.join(wrong)}: take a lower learning rate")


def best_arm(results: Mapping[tuple[int, bool], Sequence[Result]]) -> list[Result]:
    """The runs with most labels of the arm that validates better, mean over seeds."""
    most = max(labels for labels, _ in results)
    arms = [results[most, pretrained] for pretrained in (False, True)]
    return min(arms, key=lambda runs: sum(r.validation for r in runs))


def train_best(
    weights: str,
    dataset: DataSet,
    source: RunConfig,
    results: Mapping[tuple[int, bool], Sequence[Result]],
    workers: int | None = None,
) -> list[Result]:
    """`best_arm` with its weights: runs of `run_curve` that are recorded only are trained here."""
    abouts = [result.about["config"] for result in best_arm(results)]
    begin = source if abouts[0]["pretrained"] else None
    rate, most = abouts[0]["training"]["learning_rate"], max(labels for labels, _ in results)
    configs = _arm(weights, dataset, begin, rate, [most], [about["seed"] for about in abouts])[most]
    return run_all(configs, workers, "weights", weights=True)


def example() -> DataSet:
    """The shipped example: methyl salicylate."""
    return own_dataset(DATA / "mini" / "example" / "methyl-salicylate.xyz", "eV", level=EXAMPLE_LEVEL)


def example_runs(scale: str) -> list[RunConfig]:
    """What notebook 11 runs at its defaults at the scale called ``scale``."""
    weights, dataset = f"torchmd_net-{scale}{DYNAMICS}", example()
    settings, model = named(weights)
    source, weight, labels = settings.pretrain(model, 0), default_force_weight(dataset), settings.labels
    own = [pretrain_on(weights, dataset, seed) for seed in settings.seeds]
    out = [source, *own]
    for begin in (None, source):
        scan = _scan(weights, dataset, begin, settings.rates_of(dataset.name), settings.seeds[0], max(labels))
        scores = [found.validation if (found := stored(config)) else np.inf for config in scan]
        rate = scan[int(np.argmin(scores))].training.learning_rate
        arm = _arm(weights, dataset, begin, rate, labels, settings.seeds)
        out += scan + [config for configs in arm.values() for config in configs]
    return out + [fine_tune(weights, dataset, s, rate, s.seed, min(labels), weight) for s in own]


def _scan(
    weights: str, dataset: DataSet, source: RunConfig | None, rates: Sequence[float], seed: int, labels: int
) -> list[RunConfig]:
    """The runs that decide the learning rate of one arm of a learning curve."""
    weight = default_force_weight(dataset)
    return [fine_tune(weights, dataset, source, rate, seed, labels, weight) for rate in rates]


def _arm(
    weights: str,
    dataset: DataSet,
    source: RunConfig | None,
    rate: float,
    labels: Sequence[int],
    seeds: Sequence[int],
) -> dict[int, list[RunConfig]]:
    """The runs of one arm of a learning curve by number of ``labels``, one a seed."""
    weight = default_force_weight(dataset)
    return {n: [fine_tune(weights, dataset, source, rate, seed, n, weight) for seed in seeds] for n in labels}


def run_curve(
    weights: str,
    dataset: DataSet,
    source: RunConfig,
    labels: Sequence[int],
    seeds: Sequence[int],
    rates: Sequence[float],
    workers: int | None = None,
) -> dict[tuple[int, bool], list[Result]]:
    """Results by number of ``labels`` and arm (pre-trained from ``source`` or not), one a seed.

    Each arm has the one of ``rates`` that validates best with most labels at the first seed.
    """
    out = {}
    for pretrained in (False, True):
        begin = source if pretrained else None
        rate = choose_rate(_scan(weights, dataset, begin, rates, seeds[0], max(labels)), workers)
        for n, configs in _arm(weights, dataset, begin, rate, labels, seeds).items():
            out[n, pretrained] = run_all(configs, workers, f"{n} labels, {'pre-trained' if pretrained else 'scratch'}")
            refuse_diverged(out[n, pretrained])
    return out


def learning_curve(results: Mapping[tuple[int, bool], Sequence[Result]], dataset: str) -> pd.DataFrame:
    """Errors by number of labels, from scratch and pre-trained, with improvements and 95 % intervals.

    Args:
        results: of each number of labels and arm (pre-trained or not), one a seed.
        dataset: its name in the table.

    Returns:
        Rows of `tables.COLUMNS` with ``labels``.
    """
    rows = []
    metrics = [m for m in ("rmse", "mae", "force_rmse", "force_mae")
               if all(f"test_{m}" in r.metrics for runs in results.values() for r in runs)]  # fmt: skip
    for labels in sorted({n for n, _ in results}):
        scratch, tuned = results[labels, False], results[labels, True]
        for metric in metrics:
            errors = [[r.errors(of_forces=metric.startswith(OF_FORCES)) for r in arm] for arm in (scratch, tuned)]
            facts = {
                "item": "own molecules", "dataset": dataset, "system": "",
                "model": MODELS[scratch[0].about["config"]["model"]].label, "metric": metric,
                "n_seeds": len(scratch), "source": source_of([*scratch, *tuned]), "paper_value": float("nan"),
                "labels": labels,
            }  # fmt: skip
            rows += three_rows(facts, compare(*errors, metric), 1.0)
    return pd.DataFrame(rows, columns=[*COLUMNS, "labels"])
