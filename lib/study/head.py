"""Trials of the head: what pre-training hands over, the layers alone as the paper has it, or the trained head as well.

The released code loads the whole state. Where denoising trains the energy head, the noise being the gradient of its
scalar, fine-tuning then starts from that scalar, which is minus an energy (`lib.models.gradient`).
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial

from lib.models import MODELS
from lib.models.transfer import ALL, LAYERS, TRANSFERS, TURNED
from lib.runs.config import RunConfig
from lib.study.cells import Cell
from lib.study.scale import Scale
from lib.study.trials import Trial

SCRATCH, NORMALISED = "scratch", ", inputs normalised"
QUESTION = "Does the head that denoising trained help, and with which sign?"


def arm_name(transfer: str | None, normalise: bool) -> str:
    """What an arm is called: ``scratch`` (None) or one of `transfer.TRANSFERS`, and whether inputs are normalised."""
    return (transfer or SCRATCH) + (NORMALISED if normalise else "")


def _run(
    scale: Scale, model: str, data: str, transfer: str | None, normalise: bool, rate: float, seed: int
) -> RunConfig:
    """One run; with normalised inputs and without a transferred head it is the one of the paper's matrix."""
    config = scale.finetune(Cell(model, data, transfer is not None), rate, seed)
    return replace(config, training=replace(config.training, normalise=normalise), transfer=transfer or config.transfer)


def head_trial(
    scale: Scale,
    model: str,
    data: str,
    transfers: Sequence[str] = TRANSFERS,
    normalised: Sequence[bool] = (False, True),
    seeds: Sequence[int] | None = None,
) -> Trial:
    """``model`` on ``data`` from scratch and with each of ``transfers``, with and without normalised inputs.

    The arm that the others are compared with is the one from scratch without normalisation, or the only one.
    """
    arms = {
        arm_name(transfer, normalise): partial(_run, scale, model, data, transfer, normalise)
        for normalise in normalised
        for transfer in (None, *transfers)
    }
    return Trial(
        f"head, {MODELS[model].label}, {scale.title_of(data)}",
        QUESTION,
        arms,
        tuple(sorted(scale.rates_of(data))),
        tuple(scale.seeds if seeds is None else seeds),
        arm_name(None, normalised[0]),
    )


def head_trials(scale: Scale) -> list[Trial]:
    """The trials of the head at ``scale``: the cheap ones first."""
    return [
        head_trial(scale, "schnet", "ani1x"),
        head_trial(scale, "schnet", "spice"),
        head_trial(scale, "schnet", "md22/Ac-Ala3-NHMe"),
        head_trial(scale, "schnet", "ani1"),
        head_trial(scale, "schnet", "md22/double-walled_nanotube", seeds=scale.seeds[:1]),
        head_trial(scale, "se3_transformer", "ani1x", (LAYERS, ALL, TURNED), (False,), scale.seeds[:2]),
    ]
