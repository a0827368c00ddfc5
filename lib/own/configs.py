"""The runs of a user's own conformations: pre-training and fine-tuning as `RunConfig`s.

What is fine-tuned may start from layers that this project ships (`layers.pretraining_of`), from layers that were
pre-trained on the user's own unlabelled conformations (`pretrain_on`), or from scratch.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import ceil

from lib.data.datasets import DataSet, open_store
from lib.data.splits import FINE_TUNING, make_split
from lib.own.checks import refuse_untaught_types
from lib.runs.config import RunConfig
from lib.runs.selection import select, splits
from lib.study.cells import Cell
from lib.study.layers import named
from lib.study.scale import FORCE_WEIGHT


def pretrain_on(weights: str, dataset: DataSet, seed: int = 0, learning_rate: float | None = None) -> RunConfig:
    """Pre-training with the model and settings that ``weights`` names, on the conformations of ``dataset`` alone.

    Of labelled ones those are left out that fine-tuning tests with the same seed. Few conformations are passed more
    often, so that there are about ``own.pretraining_steps`` of the scale. The highest ``learning_rate`` is the scale's
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
    training = config.training.stretched(max(1, round(scale.own.pretraining_steps / steps)))
    return replace(config, training=replace(training, learning_rate=learning_rate or training.learning_rate))


def labels_that_fit(labels: Sequence[int], dataset: DataSet, seeds: Sequence[int] = (0,)) -> list[int]:
    """Those of ``labels`` for which ``dataset`` has training conformations with each of ``seeds``, all where fewer."""
    store = open_store(dataset)
    available = min(len(make_split(store, seed, FINE_TUNING).parts["train"]) for seed in seeds)
    return [n for n in labels if n <= available] or [available]


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
    cell = Cell(model, dataset.name, False, force_weight=force_weight)
    config = scale.finetune(cell, learning_rate, seed, dataset)
    store = open_store(dataset)
    available = len(make_split(store, seed, FINE_TUNING).parts["train"])
    if labels is not None and not 0 < labels <= available:
        raise ValueError(f"labels = {labels}: {dataset.name} has {available} training conformations; choose fewer")
    if force_weight is not None and not store.has_forces:
        raise ValueError(f"force weight {force_weight:g}: {dataset.path} has no forces; leave the weight out")
    few = max(1, round(max(scale.own.n_train) / (labels or available))) if scale.finetuning.constant_steps else 1
    limits = replace(config.limits, train=labels or config.limits.train)
    config = replace(config, limits=limits, training=config.training.stretched(few), pretrained=source)
    refuse_untaught_types(config)
    return config


def default_force_weight(dataset: DataSet) -> float | None:
    """`FORCE_WEIGHT`, or None where ``dataset`` has no forces."""
    return FORCE_WEIGHT if open_store(dataset).has_forces else None
