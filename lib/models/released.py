"""Weights of the released code: its configuration and parameter names, turned into this project's models.

What the released code ignores is accepted: ``max_num_neighbors`` (no neighbour is dropped here), and parameters that no
output depends on. Everything else must fit, name by name and shape by shape.
"""

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lib.chemistry.atom_types import ATOM_TYPES
from lib.errors import DataError, look_up
from lib.models.base import Model

State = dict[str, Tensor]
IGNORED = {"max_num_neighbors", "max_atom_type", "num_atoms", "bond_feat_dim", "num_targets", "auto_grad"}


@dataclass(frozen=True)
class Released:
    """How one model of the released code becomes ours.

    Attributes:
        renamed: its settings that have another name here.
        fixed: settings of ours that the released code does not have, with the value it corresponds to.
        values: names of values that differ.
        convert: changes a copy of the state to our parameter names; it may drop what is dead, and says so.
    """

    renamed: Mapping[str, str] = field(default_factory=dict)
    fixed: Mapping[str, Any] = field(default_factory=dict)
    values: Mapping[str, Mapping[Any, Any]] = field(default_factory=dict)
    convert: Callable[[State], State] = dict


def _drop(state: State, prefixes: tuple[str, ...], why: str) -> State:
    dead = [name for name in state if name.startswith(prefixes)]
    if dead:
        warnings.warn(f"{len(dead)} parameters dropped, {why}: {sorted(dead)}", stacklevel=4)
    return {name: value for name, value in state.items() if name not in dead}


def _convert_schnet(state: State) -> State:
    """torch_geometric keeps each filter network twice and has 100 rows of embedding, of which 28 can be asked for."""
    out = {}
    for name, value in state.items():
        twin = name.replace(".mlp.", ".conv.nn.")
        if ".mlp." in name:
            if twin not in state or not torch.equal(state[twin], value):
                raise ValueError(f"{name} must equal {twin}, they are one network in the released code")
            continue
        if name == "embedding.weight":
            value = value[: len(ATOM_TYPES)]
        for theirs, ours in (
            (".conv.nn.", ".filter."),
            (".conv.", "."),
            ("lin1.", "energy_head.0."),
            ("lin2.", "energy_head.2."),
        ):
            if theirs.startswith(".") or name.startswith(theirs):
                name = name.replace(theirs, ours)
        out[name] = value
    spacing = out.get("distance_expansion.offset")
    if spacing is not None and len(spacing) > 1:
        out["distance_expansion.coeff"] = -0.5 / (spacing[1] - spacing[0]) ** 2
    return out


def _convert_torchmd_net(state: State) -> State:
    return _drop(state, ("x_t_layers.", "vec_t_layers."), "no output of the released code depends on them")


RELEASED: dict[str, Released] = {
    "egnn": Released(),
    "schnet": Released(
        renamed={"readout": "pooling"},
        fixed={"atomwise": True},
        values={"readout": {"add": "sum", "sum": "sum", "mean": "mean", "max": "max"}},
        convert=_convert_schnet,
    ),
    "torchmd_net": Released(renamed={"cutoff_upper": "cutoff"}, convert=_convert_torchmd_net),
}


def settings_of(name: str, config: Mapping[str, Any], kind: type) -> Any:
    """The settings ``kind`` of model ``name`` for a configuration of the released code.

    Raises:
        ValueError: a key or a value that the released code does not have, or another number of atom types or targets.
    """
    rule = look_up(RELEASED, name, "model with released weights")
    for key, only in (("max_atom_type", len(ATOM_TYPES)), ("num_atoms", len(ATOM_TYPES)), ("num_targets", 1)):
        if config.get(key, only) != only:
            raise ValueError(f"{key} = {config[key]!r}: this project has {only}")
    ours: dict[str, Any] = dict(rule.fixed)
    for key, value in config.items():
        if key in IGNORED:
            continue
        if key in rule.values:
            value = look_up(rule.values[key], value, f"value of {key}")
        ours[rule.renamed.get(key, key)] = value
    unknown = sorted(set(ours) - {f.name for f in fields(kind)})
    if unknown:
        raise ValueError(f"the configuration of the released {name} has no {unknown}")
    return kind(**ours)


def fill(name: str, model: Model, state: Mapping[str, Any]) -> Model:
    """``model`` with the weights ``state`` of the released code, arrays or tensors by its names.

    Raises:
        ValueError: unknown, missing or misshapen parameters; all are listed.
    """
    given = RELEASED[name].convert({key: torch.as_tensor(np.asarray(value)) for key, value in state.items()})
    own = model.state_dict()
    problems = {
        "unknown": sorted(set(given) - set(own)),
        "missing": sorted(set(own) - set(given)),
        "misshapen": [
            f"{k} {tuple(given[k].shape)} for {tuple(own[k].shape)}"
            for k in sorted(set(given) & set(own))
            if given[k].shape != own[k].shape
        ],
    }
    if any(problems.values()):
        raise ValueError(f"the state does not fit {name}: " + "; ".join(f"{k} {v}" for k, v in problems.items() if v))
    model.load_state_dict(given)
    return model


def read_state(path: Path) -> dict[str, Any]:
    """The arrays of a ``.safetensors``, ``.npz`` or torch file, read without executing anything.

    Raises:
        DataError: another file, or one that cannot be read so.
    """
    readers: dict[str, Callable[[Path], dict[str, Any]]] = {
        ".safetensors": _read_safetensors,
        ".npz": _read_npz,
        ".pth": _read_torch,
        ".pt": _read_torch,
    }
    reader = readers.get(path.suffix)
    if reader is None:
        raise DataError(path, "", f"weights in a {path.suffix} file", f"give one of {sorted(readers)}")
    try:
        return reader(path)
    except Exception as error:
        raise DataError(path, "", f"it cannot be read as weights ({error})", "give a file of arrays by name") from error


def _read_safetensors(path: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(path)


def _read_npz(path: Path) -> dict[str, Any]:
    with np.load(path, allow_pickle=False) as file:
        return {key.removeprefix("state/"): file[key] for key in file.files}


def _read_torch(path: Path) -> dict[str, Any]:
    return torch.load(path, map_location="cpu", weights_only=True)
