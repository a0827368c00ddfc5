"""Trials of published data, at the paper's level of theory: Table 2 with three ways to start, on three sets of labels.

The data are the parts of ANI-1 and ANI-1x that `data.selections` names. A network starts from random weights, from
layers pre-trained on these published geometries (without those that are tested), or from layers pre-trained on the mini
suite's.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

from lib.models import MODELS, PAPER_MODELS
from lib.runs.config import RunConfig
from lib.study.cells import Cell
from lib.study.scale import Scale
from lib.study.scales import ALL_LABELS, LAPTOP, PUBLISHED
from lib.study.trials import Trial

SCRATCH, PUBLISHED_START, MINI_START = STARTS = ("scratch", "published geometries", "mini suite's geometries")
QUESTION = "Does pre-training lower the error on published DFT data, whichever geometries it saw?"
RATES = (3e-4, 1e-3, 3e-3, 1e-2)
COSTLY_RATES, COSTLY = (1e-3, 3e-3), ("se3_transformer",)  # models with fewer rates, and one seed
ALL_PUBLISHED_LABELS = replace(
    PUBLISHED,
    finetuning=replace(
        PUBLISHED.finetuning,
        training=PUBLISHED.finetuning.training.but(("ani1",), ALL_LABELS.finetuning.training.of("ani1")),
        limits=PUBLISHED.finetuning.limits.but(("ani1",), ALL_LABELS.finetuning.limits.of("ani1")),
    ),
)


@dataclass(frozen=True)
class Labels:
    """A data set and how many of its labels train.

    Attributes:
        data: ``ani1`` or ``ani1x``.
        words: how many, for tables.
        scale: with its limits and its schedule.
        seeds: each has a split of its own. A split of the part of ANI-1x tests 100 conformations, so there are five.
        rates: candidate learning rates.
    """

    data: str
    words: str
    scale: Scale
    seeds: tuple[int, ...]
    rates: tuple[float, ...] = RATES


LABELS: dict[str, Labels] = {
    "ani1x": Labels("ani1x", "800 labels", PUBLISHED, (0, 1, 2, 3, 4)),
    "ani1": Labels("ani1", "1,000 labels", PUBLISHED, (0, 1, 2)),
    "ani1_all": Labels("ani1", "all labels", ALL_PUBLISHED_LABELS, (0, 1, 2), COSTLY_RATES),
}
WHOLE = "ani1_all"  # as many labels as in the paper, which takes longest


def published_run(labels: Labels, model: str, start: str, learning_rate: float, seed: int) -> RunConfig:
    """The run that trains energies of ``labels``.

    The mini suite was pre-trained on with its own seeds, of which there are fewer: they are taken in turns.

    Raises:
        ValueError: unknown model or ``start``.
    """
    if start not in STARTS:
        raise ValueError(f"start = {start!r}: choose from {STARTS}")
    config = labels.scale.finetune(Cell(model, labels.data, start == PUBLISHED_START), learning_rate, seed)
    if start == MINI_START:
        config = replace(config, pretrained=LAPTOP.pretrain(model, LAPTOP.seeds[seed % len(LAPTOP.seeds)]))
    return config


def published_trial(model: str, labels: Labels) -> Trial:
    """``model`` on ``labels`` with each of `STARTS`."""
    costly = model in COSTLY
    return Trial(
        f"published, {MODELS[model].label}, {labels.scale.data_label(labels.data)}, {labels.words}",
        QUESTION,
        {start: partial(published_run, labels, model, start) for start in STARTS},
        COSTLY_RATES if costly else labels.rates,
        labels.seeds[:1] if costly else labels.seeds,
        SCRATCH,
    )


def published_trials(models: Sequence[str] = PAPER_MODELS, sets: Sequence[str] = tuple(LABELS)) -> list[Trial]:
    """The trials of ``models`` on ``sets`` of `LABELS`: the cheap models first, and each with all labels last."""
    cheap = [model for model in models if model not in COSTLY]
    costly = [model for model in models if model in COSTLY]
    few, whole = [name for name in sets if name != WHOLE], [name for name in sets if name == WHOLE]
    order = [(few, cheap), (whole, cheap), (few, costly), (whole, costly)]
    return [published_trial(model, LABELS[name]) for names, group in order for name in names for model in group]


def trials_beside(scale: Scale, sets: Sequence[str]) -> list[Trial]:
    """`published_trials` on ``sets`` where their networks are those of ``scale``; else none."""
    return published_trials(sets=sets) if scale.widths == PUBLISHED.widths else []
