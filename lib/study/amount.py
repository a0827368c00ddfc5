"""Trials of how much is pre-trained: the share of the pool, the number of steps, and a pool with other elements."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from lib.data.datasets import find
from lib.models import MODELS
from lib.runs.config import RunConfig
from lib.study.cells import Cell
from lib.study.equilibrium import POOL, pretraining
from lib.study.scale import PRE_TRAINING_DATA, Scale
from lib.study.trials import Trial

SCRATCH, ALL, WITH_SPICE = "scratch", "all of the pool", "all of the pool and mini SPICE"
PARTS = {"1/16 of the pool": 16, "1/4 of the pool": 4}  # for as many steps as all of it, half from each data set
LONGER = {f"{ALL}, 3 times the steps": 3, f"{ALL}, 9 times the steps": 9}
QUESTION = "How much pre-training is enough, and of which molecules?"
Source = Callable[[int], RunConfig | None]


def _longer(scale: Scale, model: str, times: int, seed: int) -> RunConfig:
    """All of the pool for ``times`` as many epochs, with warm-up and plateau in proportion."""
    config = scale.pretrain(model, seed)
    return replace(config, training=config.training.stretched(times))


def _with_spice(scale: Scale, model: str, seed: int) -> RunConfig:
    """The pool and mini SPICE, for as many epochs; test conformations of each are left out."""
    config = scale.pretrain(model, seed)
    return replace(config, data=(*config.data, find(f"{scale.suite}/spice")))


def sources(scale: Scale, model: str) -> dict[str, Source]:
    """The pre-training of each arm as a function of the seed; None is from scratch."""
    limit = scale.pretraining.limits.train
    pool = POOL if limit is None else limit * len(PRE_TRAINING_DATA)
    data = tuple(find(f"{scale.suite}/{name}") for name in PRE_TRAINING_DATA)
    out: dict[str, Source] = {SCRATCH: lambda _: None}
    out |= {arm: partial(pretraining, scale, model, data, pool // part) for arm, part in PARTS.items()}
    out[ALL] = partial(scale.pretrain, model)
    out |= {arm: partial(_longer, scale, model, times) for arm, times in LONGER.items()}
    return out | {WITH_SPICE: partial(_with_spice, scale, model)}


def _run(scale: Scale, model: str, data: str, source: Source, rate: float, seed: int) -> RunConfig:
    return replace(scale.finetune(Cell(model, data, False), rate, seed), pretrained=source(seed))


def amount_trial(scale: Scale, model: str, data: str, arms: Sequence[str], seeds: Sequence[int] | None = None) -> Trial:
    """``model`` on ``data`` from scratch and from those of `sources` that ``arms`` names.

    Raises:
        ValueError: an arm that is none of them.
    """
    known: Mapping[str, Source] = sources(scale, model)
    if unknown := sorted(set(arms) - set(known)):
        raise ValueError(f"arms {unknown} are unknown: choose from {list(known)}")
    return Trial(
        f"amount, {MODELS[model].label}, {scale.data_label(data)}",
        QUESTION,
        {arm: partial(_run, scale, model, data, known[arm]) for arm in (SCRATCH, *arms)},
        tuple(sorted(scale.rates_of(data))),
        tuple(scale.seeds if seeds is None else seeds),
        SCRATCH,
    )


def amount_trials(scale: Scale) -> list[Trial]:
    """EGNN with every arm, TorchMD-Net without the longest, on mini ANI-1x and, with its own geometries, mini SPICE."""
    every = [*PARTS, ALL, *LONGER, WITH_SPICE]
    return [
        amount_trial(scale, "egnn", "spice", [ALL, WITH_SPICE]),
        amount_trial(scale, "egnn", "ani1x", every),
        amount_trial(scale, "torchmd_net", "spice", [ALL, WITH_SPICE], scale.seeds[:2]),
        amount_trial(scale, "torchmd_net", "ani1x", every[:-2] + every[-1:], scale.seeds[:2]),
    ]
