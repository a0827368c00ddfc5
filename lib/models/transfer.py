"""What fine-tuning takes from pre-training: the message-passing layers, as the paper has it, or the head as well."""

from collections.abc import Mapping

import torch
from torch import Tensor

from lib import models
from lib.errors import DataError
from lib.models.base import HEAD, TOLD, Model, linear_layer
from lib.models.weights import Weights, check_names

DENOISING = "denoising"
# what is transferred: all but the head, as in the paper; the head too, as in the released code; the head with the sign
# of its last layer turned, so that the scalar, a maximum at the clean geometry, becomes a minimum, as an energy's is
LAYERS, ALL, TURNED = TRANSFERS = ("layers", "all", "all, sign turned")


def check_transfer(what: str, name: str, learnt: str = DENOISING) -> None:
    """Check that ``what`` of a model called ``name``, pre-trained on the task ``learnt``, can be transferred.

    Raises:
        ValueError: it is none of `TRANSFERS`, or asks for a head that denoising does not train, or for the head of
            energies turned upside down.
    """
    if what not in TRANSFERS:
        raise ValueError(f"transfer = {what!r}: choose from {TRANSFERS}")
    if what == TURNED and learnt != DENOISING:
        raise ValueError(f"transfer = {what!r} of a network that learnt {learnt}: its head has the right sign, {ALL!r}")
    if what != LAYERS and learnt == DENOISING and not models.entry(name).module.denoises_with_head:
        raise ValueError(
            f"transfer = {what!r} of {name}: denoising does not train its energy head, so transfer {LAYERS!r}"
        )


def transfer(model: Model, name: str, weights: Weights, what: str = LAYERS, learnt: str = DENOISING) -> list[str]:
    """Put pre-trained message-passing layers into ``model`` (called ``name``); its fresh head stays (section 3.2).

    Every parameter moves but those of ``model.not_pretrained``. The released code loads the head as well: where
    denoising trains it (``model.denoises_with_head``), ``what`` can ask for that, as it is or with its sign turned.
    Energies train every parameter but those of the noise, so that only the head is left out, or nothing. Parameters for
    forces that a network is told (`base.Settings.told_forces`) stay where they are.

    Args:
        model: with fresh weights.
        name: of `models.MODELS`.
        weights: of a pre-training.
        what: one of `TRANSFERS`.
        learnt: the task of that pre-training.

    Returns:
        The names of the parameters that moved.

    Raises:
        ValueError: ``what`` is unknown, or the model's denoising does not train the head.
        DataError: the file holds another model, settings with which layers (`base.Settings.of_layers`) or a transferred
            head are others, another task than ``learnt``, or parameters that do not fit.
    """
    check_transfer(what, name, learnt)
    about, settings = weights.about, (model.settings, weights.settings())
    own, theirs = (each.of_layers() if what == LAYERS else each.untold() for each in settings)
    held = {"model": about["model"], "settings": theirs, "task": about.get("task")}
    expected = {"model": name, "settings": own, "task": learnt}
    for key, value in expected.items():
        if held[key] != value:
            raise DataError(weights.path, key, f"it holds {held[key]!r}, not {value!r}", "choose matching weights")
    state, given = _without_told(model.state_dict()), _without_told(weights.state)
    check_names(weights.path, given, state, "choose matching weights")
    untrained = model.not_pretrained if learnt == DENOISING else (HEAD,)
    fresh = tuple(prefix for prefix in untrained if what == LAYERS or prefix != HEAD)
    moved = [key for key in state if not key.startswith(fresh)]
    with torch.no_grad():
        for key in moved:
            state[key].copy_(weights.state[key])
        if what == TURNED:
            last = linear_layer(model.energy_head, len(model.energy_head) - 1)
            for parameter in last.parameters():
                parameter.neg_()
    return moved


def _without_told(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The parameters but those for forces that a network is told."""
    return {key: value for key, value in state.items() if not key.startswith(TOLD)}
