"""Trials of the audit: what the released code does beside what the paper says, one departure at a time.

Each trial has four arms on one data set: from scratch and pre-trained, as the paper says and as the released code does
(three where the departure is one of pre-training alone). The arms that follow the paper are runs of its matrix. Whether
a conclusion changes is whether the gain of pre-training has another sign. What the code does with the energy head is
asked in `study.head`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

from lib.models import MODELS
from lib.runs.config import RunConfig
from lib.study.cells import Cell
from lib.study.scale import Scale
from lib.study.trials import Trial

CAP = 32  # neighbours of an atom in the released code
AUDIT_MODELS = ("egnn", "torchmd_net")
SCRATCH, PRETRAINED = "scratch", "pre-trained"
RELEASED = ", as released"
QUESTION = "Does the departure of the released code change what pre-training does?"


def _seen(config: RunConfig) -> RunConfig:
    source = config.pretrained
    return config if source is None else replace(config, pretrained=replace(source, strict_split=False))


def _capped(config: RunConfig) -> RunConfig:
    return replace(config, settings=replace(config.settings, max_neighbors=CAP))


def _rounded(config: RunConfig) -> RunConfig:
    return replace(config, single_precision=True)


def _misplaced(config: RunConfig) -> RunConfig:
    (dataset,) = config.data
    return replace(config, data=(replace(dataset, options=(*dataset.options, ("misplaced", True))),))


def _without_tanh(config: RunConfig) -> RunConfig:
    return replace(config, settings=replace(config.settings, energy_tanh=False))


@dataclass(frozen=True)
class Departure:
    """One line of `DEPARTURES`.

    Attributes:
        words: what the released code does.
        data: where it is measured, a name without its suite.
        change: a run of the paper's matrix as the released code has it.
        of_pretraining: whether runs from scratch stay as they are.
        models: those that can depart so.
        n_seeds: how many of the scale's seeds it takes; large systems one.
    """

    words: str
    data: str
    change: Callable[[RunConfig], RunConfig]
    of_pretraining: bool = False
    models: tuple[str, ...] = AUDIT_MODELS
    n_seeds: int | None = None


DEPARTURES: Mapping[str, Departure] = {
    "test geometries": Departure("pre-training sees the geometries that are tested", "ani1x", _seen, True),
    "tanh": Departure("tanh on coordinate weights in pre-training alone", "ani1x", _without_tanh, models=("egnn",)),
    "SPICE order": Departure("atom types of SPICE in the order of its SMILES", "spice", _misplaced),
    "float32 labels": Departure("total energies in float32", "md22/buckyball-catcher", _rounded, n_seeds=1),
    "neighbour cap": Departure(f"at most {CAP} neighbours", "md22/buckyball-catcher", _capped, n_seeds=1),
}


def _run(
    scale: Scale, cell: Cell, change: Callable[[RunConfig], RunConfig] | None, rate: float, seed: int
) -> RunConfig:
    config = scale.finetune(cell, rate, seed)
    return config if change is None else change(config)


def compared_arms(departure: Departure) -> tuple[tuple[str, str], ...]:
    """The pairs of arms of a trial: the gain here and as the code does it, and what the code changes."""
    scratch = SCRATCH if departure.of_pretraining else SCRATCH + RELEASED
    return (SCRATCH, PRETRAINED), (scratch, PRETRAINED + RELEASED), (PRETRAINED + RELEASED, PRETRAINED)


def audit_trial(scale: Scale, name: str, model: str, seeds: Sequence[int] | None = None) -> Trial:
    """``model`` with and without the departure ``name`` of `DEPARTURES`."""
    departure = DEPARTURES[name]
    arms = {
        words + ending: partial(_run, scale, Cell(model, departure.data, pretrained), change)
        for ending, change in (("", None), (RELEASED, departure.change))
        for words, pretrained in ((SCRATCH, False), (PRETRAINED, True))
        if pretrained or change is None or not departure.of_pretraining
    }
    return Trial(
        f"audit, {name}, {MODELS[model].label}, {scale.title_of(departure.data)}",
        QUESTION,
        arms,
        tuple(sorted(scale.rates_of(departure.data))),
        tuple(scale.seeds[: departure.n_seeds] if seeds is None else seeds),
        SCRATCH,
    )


def audit_trials(scale: Scale) -> dict[tuple[str, str], Trial]:
    """Every trial of the audit at ``scale``, by departure and model, the cheap ones first."""
    pairs = [(name, model) for name, departure in DEPARTURES.items() for model in departure.models]
    return {pair: audit_trial(scale, *pair) for pair in pairs}
