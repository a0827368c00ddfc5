"""The registry of models: what each is called, and how it is built, compiled and filled with released weights.

A new model is one new file with a frozen settings class and a `base.Model` that takes it, and one line in `MODELS`.
Beside ``forward(batch, energy=True, noise=True)`` a model has ``settings`` (with ``cutoff``, Å), an ``energy_head`` and
``not_pretrained``, the prefixes of the parameters that denoising does not train and fine-tuning draws anew.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lib.batches import capped
from lib.errors import look_up
from lib.models.base import Model
from lib.models.egnn import EGNN, EGNNSettings
from lib.models.gradient import GradientModel
from lib.models.released import fill, read_state, settings_of
from lib.models.schnet import SchNet, SchNetSettings
from lib.models.se3_transformer import SE3Transformer, SE3TransformerSettings
from lib.models.tensornet import TensorNet, TensorNetSettings
from lib.models.torchmd_net import TorchMDNet, TorchMDNetSettings
from lib.models.visnet import ViSNet, ViSNetSettings


@dataclass(frozen=True)
class Entry:
    """One line of `MODELS`: the module, its settings, the name that tables print, and what its function is like.

    Attributes:
        symmetry: the group under which the energy is invariant and the noise equivariant: E(3), or SE(3), which has no
            reflections.
        continuous: whether the energy is continuous where an atom crosses the cutoff with ``smooth_cutoff`` off; with
            it on, every model's is.
        layers: its modules, or lists of them, that `compile_layers` compiles.
    """

    module: type[Model]
    settings: type
    label: str
    symmetry: str = "E(3)"
    continuous: bool = False
    layers: tuple[str, ...] = ()


MODELS: dict[str, Entry] = {
    "schnet": Entry(SchNet, SchNetSettings, "SchNet", continuous=True, layers=("interactions",)),
    "se3_transformer": Entry(
        SE3Transformer,
        SE3TransformerSettings,
        "SE(3)-Transformer",
        symmetry="SE(3)",
        layers=("attention", "convolution"),
    ),
    "egnn": Entry(EGNN, EGNNSettings, "EGNN"),
    "torchmd_net": Entry(TorchMDNet, TorchMDNetSettings, "TorchMD-Net", layers=("attention_layers",)),
    "tensornet": Entry(TensorNet, TensorNetSettings, "TensorNet", continuous=True),
    "visnet": Entry(ViSNet, ViSNetSettings, "ViSNet"),
}
PAPER_MODELS = ("schnet", "se3_transformer", "egnn", "torchmd_net")  # what the paper's matrix and claims are about


def entry(name: str) -> Entry:
    """The line of `MODELS` called ``name``.

    Raises:
        ValueError: there is none; the message lists the names.
    """
    return look_up(MODELS, name, "model")


def make_settings(name: str, values: Mapping[str, Any]) -> Any:
    """The settings of model ``name`` from a mapping; what it leaves out has the paper's value.

    Raises:
        ValueError: unknown model, or a key that the model's settings do not have.
    """
    kind = entry(name).settings
    known = [f.name for f in fields(kind)]
    unknown = sorted(set(values) - set(known))
    if unknown:
        raise ValueError(f"{name} has no setting {unknown}: choose from {known}")
    return kind(**values)


def build(name: str, settings: Any) -> Model:
    """Model ``name`` with ``settings`` (its settings class, or a mapping); seed torch before for its weights.

    Raises:
        ValueError: unknown model, unknown setting, or the settings of another model.
    """
    if isinstance(settings, Mapping):
        settings = make_settings(name, settings)
    if not isinstance(settings, entry(name).settings):
        raise ValueError(f"{name} takes {entry(name).settings.__name__}, not {type(settings).__name__}")
    model = entry(name).module(settings)
    most = model.settings.max_neighbors
    if most is not None and most < 1:
        raise ValueError(f"max_neighbors = {most!r} of {name}: give a whole number from 1 on, or None for all of them")
    if most is not None:
        model.register_forward_pre_hook(lambda _, given: (capped(given[0], most), *given[1:]))
    return model


def compile_layers(name: str, model: Model, noise: bool) -> None:
    """Fuse the operations of ``model``'s layers with torch.compile, in place; needs a C++ compiler on a CPU.

    Nothing is compiled where the ``noise`` is a gradient: torch.compile has no second derivatives.
    """
    if noise and isinstance(model, GradientModel):
        return
    torch._dynamo.config.recompile_limit = 64  # counted over all layers of a class, with and without gradients
    for prefix in entry(name).layers:
        part = model.get_submodule(prefix)
        for layer in part if isinstance(part, nn.ModuleList) else [part]:
            layer.compile(dynamic=True)


def load_released(name: str, config: Mapping[str, Any], state: Mapping[str, Any] | Path | str) -> Model:
    """Model ``name`` with weights of the released code, in the precision of those weights.

    Args:
        name: of `RELEASED`.
        config: the released code's configuration of the model.
        state: its parameters by name, or a file of them (``.safetensors``, ``.npz``, or torch's, read as weights only).

    Raises:
        ValueError: unknown model, configuration or values; unknown, missing or misshapen parameters, all listed.
        DataError: the file cannot be read as weights.
    """
    settings = settings_of(name, config, entry(name).settings)
    if isinstance(state, (Path, str)):
        state = read_state(Path(state))
    kinds = {torch.as_tensor(value).dtype for value in state.values()}
    double = torch.float64 in kinds
    model = entry(name).module(settings).to(torch.float64 if double else torch.float32)
    return fill(name, model, state)
