"""Trials of the title: pre-training on nonequilibrium or on relaxed conformations, on few molecules or many.

Every arm takes about the same number of optimiser steps of pre-training; what differs is what is noised. Few molecules
are the suite's, many are others (`lib.mini_suite.relaxed`). One pair of arms differs in equilibrium alone, one
conformation each of the same many molecules, and decides the ledger's claim. The other of `PAIRS` holds as many
conformations of few molecules, relaxed one of each, displaced drawn at random, so that the molecules differ too.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from lib.data.datasets import DataSet, find
from lib.models import MODELS
from lib.paths import DATA
from lib.runs.config import RunConfig
from lib.study.cells import SIGMA, Cell
from lib.study.scale import PRE_TRAINING_DATA, Scale
from lib.study.trials import Trial

SUITE = "mini"  # the only one with relaxed geometries
EQUILIBRIUM_MODELS = ("egnn", "torchmd_net")
RELAXED_END = 0.5  # of each molecule's conformations, by energy
TARGETS = {"ani1x": 1.0, "ani1": RELAXED_END}  # what is fine-tuned on, and `RunConfig.lowest`
SCRATCH, ALL = "scratch", "nonequilibrium, all"
FEW_RELAXED, FEW = "relaxed, few molecules", "nonequilibrium, few molecules"
MANY_RELAXED, MANY = "relaxed, many molecules", "nonequilibrium, many molecules"
REPEATED = "nonequilibrium, few molecules, more of each"  # as many conformations as of many molecules
PAIRS = ((FEW_RELAXED, FEW), (MANY_RELAXED, MANY))
POOL = 48_800  # conformations of mini ANI-1 and mini ANI-1x that `Scale.pretrain` trains on, about
QUESTION = "Is it nonequilibrium that helps, or number and variety of conformations?"


@dataclass(frozen=True)
class Amounts:
    """Conformations that are pre-trained on: of ``few`` molecules one each, and of ``many``."""

    few: int
    many: int


def amounts_of(scale: Scale) -> Amounts:
    """95 % of the suite's 611 molecules and of 3000 others; fewer where ``scale`` limits its pre-training."""
    limit = scale.pretraining.limits.train
    return Amounts(576, 2816) if limit is None else Amounts(limit // 5, limit // 2)


def relaxed(name: str) -> DataSet:
    """One of the files of ``data/mini/relaxed``: suite, more or more_shaken (`lib.mini_suite.relaxed`)."""
    return DataSet(f"{SUITE}/relaxed/{name}", "ani1x", str(DATA / SUITE / "relaxed" / f"{name}.h5"))


def _suite_parts() -> tuple[DataSet, ...]:
    return tuple(find(f"{SUITE}/{name}") for name in PRE_TRAINING_DATA)


def pretraining(scale: Scale, model: str, data: tuple[DataSet, ...], number: int, seed: int) -> RunConfig:
    """Denoising of ``number`` conformations of ``data``, the same of each, for about as many steps as all of them take.

    Validation is as often as there, and on all validation conformations of ``data``.
    """
    plan = scale.pretraining.training_of(model)
    limit = scale.pretraining.limits.train
    whole = POOL if limit is None else limit * len(PRE_TRAINING_DATA)
    times = round(-(-whole // plan.batch_size) / -(-number // plan.batch_size))
    limits = replace(scale.pretraining.limits, train=number // len(data))
    strict = {d.name for d in data} <= {d.name for d in _suite_parts()}  # of the others no energies are learnt
    return RunConfig("denoising", data, model, scale.settings(model), plan.stretched(times), seed, sigma=SIGMA,
                     limits=limits, strict_split=strict)  # fmt: skip


def sources(scale: Scale, model: str) -> dict[str, Callable[[int], RunConfig | None]]:
    """The pre-training of each arm as a function of the seed; None is from scratch."""
    amounts = amounts_of(scale)

    def made(data: tuple[DataSet, ...], number: int) -> Callable[[int], RunConfig]:
        """`pretraining` on ``number`` conformations of ``data``."""
        return partial(pretraining, scale, model, data, number)

    return {
        SCRATCH: lambda _: None,
        FEW_RELAXED: made((relaxed("suite"),), amounts.few),
        FEW: made(_suite_parts(), amounts.few),
        MANY_RELAXED: made((relaxed("more"),), amounts.many),
        MANY: made((relaxed("more_shaken"),), amounts.many),
        REPEATED: made(_suite_parts(), amounts.many),
        ALL: partial(scale.pretrain, model),
    }


def _run(
    scale: Scale, model: str, data: str, source: Callable[[int], RunConfig | None], rate: float, seed: int
) -> RunConfig:
    """``data`` from ``source``, with the conformations that `TARGETS` says."""
    config = scale.finetune(Cell(model, data, False), rate, seed)
    return replace(config, pretrained=source(seed), lowest=TARGETS[data])


def target_label(data: str) -> str:
    """What tables call a key of `TARGETS`, after the name of the data set: empty where all of it is taken."""
    return "" if TARGETS[data] == 1 else "relaxed end"


def equilibrium_trial(scale: Scale, model: str, data: str, seeds: Sequence[int] | None = None) -> Trial:
    """``model`` on ``data``, a key of `TARGETS`; ``seeds`` None takes the scale's own."""
    name = ", ".join(filter(None, ("equilibrium", MODELS[model].label, scale.data_label(data), target_label(data))))
    arms = {arm: partial(_run, scale, model, data, source) for arm, source in sources(scale, model).items()}
    return Trial(
        name,
        QUESTION,
        arms,
        tuple(sorted(scale.rates_of(data))),
        tuple(scale.seeds if seeds is None else seeds),
        SCRATCH,
    )


def equilibrium_trials(scale: Scale) -> list[Trial]:
    """Both models on both of `TARGETS`, the cheap model first."""
    return [equilibrium_trial(scale, model, data) for model in EQUILIBRIUM_MODELS for data in TARGETS]
