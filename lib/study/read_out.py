"""Trials of the read-out: the paper's MLP(Σ h) beside a sum over atoms, Σ MLP(h).

The paper's read-out learns from few labels only where its inputs are normalised (`training.input_norm`): sums over
atoms vary by a few per cent about a large constant. Whether a sum over atoms needs that too is asked with and without.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from lib.models import MODELS
from lib.runs.config import RunConfig
from lib.study.cells import Cell
from lib.study.matrix import FORCE_DATA, FORCE_WEIGHTS
from lib.study.rates import rate_of
from lib.study.scale import Scale
from lib.study.trials import Trial

POOLED, ATOMS, BARE = "pooled", "atoms", ", inputs as they are"
ARMS = {POOLED: (False, True), ATOMS: (True, True), ATOMS + BARE: (True, False)}  # sum over atoms, normalised inputs
QUESTION = "What does a sum over atoms do to the gain of pre-training, and does it need normalised inputs?"
DYNAMICS_QUESTION = "What do the settings for dynamics (sum over atoms, its baseline, repulsion) do to a potential?"


def arm_name(arm: str, pretrained: bool) -> str:
    """What an arm of `read_out_trial` is called; ``arm`` is a key of `ARMS`."""
    return f"{arm}, {'pre-trained' if pretrained else 'scratch'}"


def _run(scale: Scale, cell: Cell, arm: str, rate: float, seed: int) -> RunConfig:
    """One run; with the paper's read-out it is the one of the paper's matrix."""
    config = scale.finetune(cell, rate, seed)
    atomwise, normalise = ARMS[arm]
    settings, training = replace(config.settings, atomwise=atomwise), replace(config.training, normalise=normalise)
    return replace(config, settings=settings, training=training)


def read_out_trial(scale: Scale, model: str, data: str, seeds: Sequence[int] | None = None) -> Trial:
    """``model`` on ``data`` with each of `ARMS`, from scratch and pre-trained; the paper's from scratch is compared."""
    arms = {
        arm_name(arm, pretrained): partial(_run, scale, Cell(model, data, pretrained), arm)
        for arm in ARMS
        for pretrained in (False, True)
    }
    name = f"read-out, {MODELS[model].label}, {scale.title_of(data)}"
    rates, seeds = tuple(sorted(scale.rates_of(data))), tuple(scale.seeds if seeds is None else seeds)
    return Trial(name, QUESTION, arms, rates, seeds, arm_name(POOLED, False))


def dynamics_trial(scale: Scale) -> Trial:
    """The pre-trained potential of notebook 10 with the paper's read-out and with the settings for dynamics (a sum over
    atoms, its baseline, a repulsion), at the learning rate that was chosen for it.
    """
    cell = Cell(scale.exceptions.force_models[-1], FORCE_DATA, True, force_weight=max(FORCE_WEIGHTS))
    variants = {POOLED: scale.smooth(), ATOMS: scale.for_dynamics()}
    arms = {name: partial(variant.finetune, cell) for name, variant in variants.items()}
    name = f"read-out, dynamics, {MODELS[cell.model].label}, {scale.title_of(cell.data)}"
    return Trial(name, DYNAMICS_QUESTION, arms, (rate_of(scale, cell),), tuple(scale.seeds), POOLED)


def read_out_trials(scale: Scale) -> list[Trial]:
    """The trials of the read-out at ``scale``: the cheap ones first."""
    cells = [(model, data) for data in ("ani1x", "md22/Ac-Ala3-NHMe") for model in ("schnet", "egnn", "torchmd_net")]
    return [*(read_out_trial(scale, model, data) for model, data in cells), dynamics_trial(scale)]
