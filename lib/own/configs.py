"""The runs of a user's own conformations: pre-training and fine-tuning as `RunConfig`s.

What is fine-tuned may start from layers that this project ships (`layers.pretraining_of`), from layers that were
pre-trained on the user's own unlabelled conformations (`pretrain_on`), or from scratch.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

from lib.chemistry.reference_energies import isolated_energies
from lib.data.datasets import DataSet, open_store
from lib.data.splits import FINE_TUNING, make_split
from lib.errors import required
from lib.models.weights import load_weights
from lib.own.checks import refuse_untaught
from lib.runs.config import RunConfig
from lib.runs.continuation import refuse_other, start_from
from lib.runs.selection import select, splits
from lib.study.cells import Cell
from lib.study.layers import named
from lib.study.scale import FORCE_WEIGHT, Scale

VALIDATIONS = 20  # of a run whose length is named, about


@dataclass(frozen=True)
class Length:
    """How long a run is: so many ``epochs``, or about so many ``steps``.

    Raises:
        ValueError: neither or both are given, or less than one.
    """

    epochs: int | None = None
    steps: int | None = None

    def __post_init__(self) -> None:
        """Refuse what is no length."""
        given = [value for value in (self.epochs, self.steps) if value is not None]
        if len(given) != 1 or not given[0] >= 1:
            raise ValueError(f"epochs = {self.epochs}, steps = {self.steps}: give one of them, at least 1")


@dataclass(frozen=True)
class Options:
    """What a user may want otherwise than the scale has it.

    Attributes:
        held_out: data sets of ``validation``, ``test`` or both (`RunConfig.held_out`).
        length: of a run, where it is not the scale's.
        patience: validations without a new best one after which training stops; 0 never does (`TrainingSettings`).
        average: decay of the moving average of the weights; 0 is none.
        batch_size: conformations of a step; None leaves it at the scale's.
        start: weights file of a potential that training continues; its read-out and baseline stay.
        extensive: whether energies are sums over atoms with a repulsion of nuclei (`Scale.extensive`), or are read out
            as in the paper.
        isolated_atoms: elements with the energies (kcal/mol) of isolated atoms.
    """

    held_out: tuple[tuple[str, DataSet], ...] = ()
    length: Length | None = None
    patience: int = 0
    average: float = 0.0
    batch_size: int | None = None
    start: Path | None = None
    extensive: bool = True
    isolated_atoms: tuple[tuple[str, float], ...] = ()


def _of_length(config: RunConfig, length: Length, train: int) -> RunConfig:
    """``config`` with its schedule stretched or shrunk to ``length``, and about `VALIDATIONS` validations.

    Epochs that are named are kept to the number, with as many validations or more, since these divide it. Where the
    steps are fewer than one pass over the ``train`` conformations takes, as many as they pass are drawn.
    """
    training, batch = config.training, config.training.batch_size
    if length.epochs:
        epochs = length.epochs
        every = max(n for n in range(1, max(1, epochs // VALIDATIONS) + 1) if epochs % n == 0)
    else:
        steps = required(length.steps, "steps")
        epochs = round(steps / ceil(train / batch))
        if not epochs:
            config, epochs = replace(config, limits=replace(config.limits, train=steps * batch)), 1
        every = max(1, epochs // VALIDATIONS)
        epochs = every * round(epochs / every)
    return replace(config, training=training.lasting(epochs, every))


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
    labelled = bool(dict(dataset.options).get("labelled", True))
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
    options: Options | None = None,
) -> RunConfig:
    """Fine-tuning on ``dataset``, or training from scratch.

    Args:
        weights: a name of `weights_names`, for the model and its settings.
        dataset: of labelled conformations (`own_dataset`).
        source: the pre-training that it starts from (`pretraining_of`, `pretrain_on`); None is from scratch.
        learning_rate: the highest one.
        seed: of the run.
        labels: how many training conformations; None takes all. Where the scale keeps steps constant, fewer than its
            own largest number of ``labels`` are passed more often, so that steps are about those of that number.
        force_weight: of the loss (`default_force_weight`); None leaves forces alone.
        options: other files for validation and test, another length, and how training ends.

    Raises:
        ValueError: unknown name, more labels than there are, a weight of forces that are not there, isolated atoms of
            some elements only, or atom types that no training conformation has, so that nothing could be said of the
            others.
        DataError: the split leaves a part without conformations.
    """
    options = options or Options()
    scale, model = named(weights)
    cell = Cell(model, dataset.name, False, force_weight=force_weight)
    config = _started(_read_out(scale, options).finetune(cell, learning_rate, seed, dataset), options.start)
    config = replace(config, held_out=options.held_out, isolated_atoms=options.isolated_atoms)
    _refuse_unlike(config, force_weight)
    isolated_energies(config.isolated_atoms, open_store(dataset).compositions, dataset.level or "own")
    available = len(splits(config)[0][1].parts["train"])
    if labels is not None and not 0 < labels <= available:
        raise ValueError(f"labels = {labels}: {dataset.path} has {available} training conformations; choose fewer")
    limits = replace(config.limits, train=labels or config.limits.train)
    config = replace(config, limits=limits, pretrained=source)
    config = _scheduled(config, options, labels or available, max(scale.own.n_train) * scale.finetuning.constant_steps)
    refuse_untaught(config)
    return config


def _read_out(scale: Scale, options: Options) -> Scale:
    """``scale`` with the read-out and the baseline that ``options`` say, or that the potential to continue has."""
    extensive = options.extensive
    if options.start is not None:
        extensive = load_weights(options.start).settings().atomwise
    return scale.extensive() if extensive else scale


def _started(config: RunConfig, start: Path | None) -> RunConfig:
    """``config`` as it goes on from the weights file ``start``, whose read-out it takes."""
    if start is None:
        return config
    weights = load_weights(start)
    settings = config.settings.read_out_of(weights.settings())
    refuse_other(weights, config.model, settings)
    return replace(config, start=start_from(start), settings=settings)


def _refuse_unlike(config: RunConfig, force_weight: float | None) -> None:
    """Stop where files lack forces that are asked for, or are of several levels of theory."""
    (data,) = config.data
    for dataset in (data, *(each for _, each in config.held_out)):
        if force_weight is not None and not open_store(dataset).has_forces:
            remedy = "leave the weight out" if dataset == data else "hold it against the potential with evaluate"
            raise ValueError(f"force weight {force_weight:g}: {dataset.path} has no forces; {remedy}")
        if dataset.level != data.level:
            raise ValueError(f"{dataset.path}: level {dataset.level!r} beside {data.level!r}; give files of one level")


def _scheduled(config: RunConfig, options: Options, train: int, usual: int) -> RunConfig:
    """``config`` with its length, for ``train`` conformations where the schedule is meant for ``usual`` ones (0: for
    any number), and with its end as ``options`` say.
    """
    training = replace(
        config.training,
        patience=options.patience,
        average=options.average,
        batch_size=options.batch_size or config.training.batch_size,
    )
    config = replace(config, training=training.stretched(max(1, round(usual / train))))
    return config if options.length is None else _of_length(config, options.length, train)


def default_force_weight(dataset: DataSet) -> float | None:
    """`FORCE_WEIGHT`, or None where ``dataset`` has no forces."""
    return FORCE_WEIGHT if open_store(dataset).has_forces else None
