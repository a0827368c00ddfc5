"""Weights on disk as safetensors (nothing is executed on reading), with what is needed to build the model again.

The header holds the model's name and settings, the task, the level of theory and the mean and standard deviation of
the energy target, so that a file alone is a usable potential; and a checksum of the parameters, which reading checks.
"""

import hashlib
import json
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from lib import models
from lib.errors import DataError

LICENCE = "MIT"
SUFFIX = ".safetensors"
UNITS = {"positions": "angstrom", "energy": "kcal/mol, relative to free atoms", "noise": "angstrom"}


@dataclass(frozen=True)
class Weights:
    """A weights file: its parameters by name, and its header ``about`` (model, settings, task, level, target, …)."""

    path: Path
    state: dict[str, Tensor]
    about: dict[str, Any]

    def build(self) -> nn.Module:
        """The model with these weights.

        Raises:
            DataError: the parameters do not fit the model that the header names.
        """
        model = models.build(self.about["model"], self.about["settings"])
        _check(self, dict(model.state_dict()), "file and model differ: train again")
        model.load_state_dict(self.state)
        return model


def save_weights(path: Path, name: str, model: nn.Module, **about: Any) -> None:
    """Write ``model``, an entry of `models.MODELS` called ``name``, with ``about`` (JSON values) in the header."""
    _write(path, {"model": name, "settings": asdict(model.settings), **about}, model.state_dict())


def _write(path: Path, about: dict[str, Any], state: dict[str, Tensor]) -> None:
    state = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    save_file(state, path, metadata={"about": json.dumps(about | {"checksum": checksum(state)})})


def checksum(state: dict[str, Tensor]) -> str:
    """SHA-256 of the parameters: names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for key in sorted(state):
        value = state[key].contiguous()
        digest.update(f"{key}|{value.dtype}|{tuple(value.shape)}|".encode() + value.numpy().tobytes())
    return digest.hexdigest()


def export_weights(weights: Weights, run: dict[str, Any], key: str, path: Path) -> None:
    """Write ``weights`` for others to use, with units, licence and where they come from in the header.

    Args:
        weights: of a run.
        run: what the run says about itself (`results.Result.about`).
        key: of the run.
        path: ``.safetensors`` file to write.
    """
    about = {k: v for k, v in weights.about.items() if k != "checksum"}
    about |= {"units": UNITS, "licence": LICENCE, "run": key, "config": run["config"], "splits": run["splits"],
              "provenance": run["provenance"]}  # fmt: skip
    path.parent.mkdir(parents=True, exist_ok=True)
    _write(path, about, weights.state)


def load_weights(path: Path) -> Weights:
    """Read a weights file.

    Raises:
        DataError: it is missing, broken, or not written by `save_weights`.
    """
    remedy = "train that model first, or name another file"
    if not path.is_file():
        raise DataError(path, "", "there is no such weights file", remedy)
    try:
        with safe_open(path, framework="pt") as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
            about = json.loads((file.metadata() or {}).get("about", "null"))
    except (SafetensorError, ValueError) as error:
        raise DataError(path, "", f"not a whole safetensors file ({error})", remedy) from error
    if not isinstance(about, dict) or not {"model", "settings"} <= set(about):
        raise DataError(path, "metadata", "it does not say which model it holds", remedy)
    if about.get("checksum", found := checksum(state)) != found:
        raise DataError(path, "checksum", f"its parameters give {found}, not {about['checksum']}", remedy)
    return Weights(path, state, about)


def weights_of_run(folder: Path, key: str) -> Path | None:
    """The weights file of the run ``key`` in ``folder``: the one called by the key, or the one whose header names it.

    Files that are no weights files are passed over.
    """
    if (folder / f"{key}{SUFFIX}").exists():
        return folder / f"{key}{SUFFIX}"
    files = sorted(folder.glob(f"*{SUFFIX}"))
    return next((path for path in files if _run_in_header(path, path.stat().st_mtime_ns) == key), None)


@cache
def _run_in_header(path: Path, changed: int) -> str | None:
    """The key of the run that the header of ``path`` names; read again only where its time of change is another."""
    try:
        with safe_open(path, framework="pt") as file:
            about = json.loads((file.metadata() or {}).get("about", "null"))
    except (OSError, SafetensorError, ValueError):
        return None
    return about.get("run") if isinstance(about, dict) else None


def transfer(model: nn.Module, name: str, weights: Weights) -> list[str]:
    """Put pre-trained message-passing layers into ``model`` (called ``name``); its fresh head stays (section 3.2).

    Every parameter moves but those of ``model.not_pretrained``.

    Returns:
        The names of the parameters that moved.

    Raises:
        DataError: the file holds another model, other settings, another task than denoising, or parameters that do not
            fit.
    """
    wanted = {"model": name, "settings": json.loads(json.dumps(asdict(model.settings))), "task": "denoising"}
    for key, value in wanted.items():
        if weights.about.get(key) != value:
            found = weights.about.get(key)
            raise DataError(weights.path, key, f"it holds {found!r}, not {value!r}", "choose matching weights")
    state = dict(model.state_dict())
    _check(weights, state, "choose matching weights")
    moved = [key for key in state if not key.startswith(model.not_pretrained)]
    with torch.no_grad():
        for key in moved:
            state[key].copy_(weights.state[key])
    return moved


def _check(weights: Weights, state: dict[str, Tensor], remedy: str) -> None:
    """Compare names and shapes of all parameters."""
    missing, unknown = sorted(set(state) - set(weights.state)), sorted(set(weights.state) - set(state))
    shapes = [
        f"{key} {tuple(weights.state[key].shape)} not {tuple(state[key].shape)}"
        for key in sorted(set(state) & set(weights.state))
        if weights.state[key].shape != state[key].shape
    ]
    if missing or unknown or shapes:
        raise DataError(weights.path, "", f"missing {missing}, unknown {unknown}, misshapen {shapes}", remedy)
