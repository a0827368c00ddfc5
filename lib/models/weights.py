"""Weights on disk as safetensors (nothing is executed on reading), with what is needed to build the model again.

The header holds the model's name and settings, the task, the level of theory and the mean and standard deviation of
the energy target, so that a file alone is a usable potential; and checksums of the parameters and of the header itself,
which reading checks. Older files have no checksum of the header; what it says must make sense all the same.
"""

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from lib import models
from lib.chemistry.atom_types import ATOM_TYPES
from lib.chemistry.reference_energies import FORMATION, LARGEST_RESIDUAL, LEVELS
from lib.errors import DataError
from lib.files import whole_file
from lib.models.base import Model, Settings
from lib.models.rigidity import Rigidity

LICENCE = "MIT"
RIGIDITY = "rigidity."  # begins the names of tensors that are no parameters
TYPICAL = "typical_per_atom"
CHECKSUM, CHECKSUM_OF_HEADER = "checksum", "checksum_of_header"
REMEDY = "train that model first, or name another file"
CHANGED = "the file was changed: copy it again, or train again"
TOTALS = [level for level, file in LEVELS.items() if file is None and level != "own" and not level.endswith(FORMATION)]
SUFFIX = ".safetensors"
UNITS = {"positions": "angstrom", "energy": "kcal/mol, relative to free atoms", "noise": "angstrom"}


@dataclass(frozen=True)
class Weights:
    """A weights file: its parameters by name, its header ``about`` (model, settings, task, level, target, …), and what
    says how uncertain its energies are, where the file has that.
    """

    path: Path
    state: dict[str, Tensor]
    about: dict[str, Any]
    rigidity: Rigidity | None = None

    def settings(self) -> Settings:
        """The settings of the model; what its header leaves out has the paper's value.

        Raises:
            DataError: the model that the header names has no such settings.
        """
        try:
            return models.make_settings(self.about["model"], self.about["settings"])
        except (ValueError, TypeError) as error:
            raise DataError(self.path, "settings", f"{error}", CHANGED) from error

    def build(self) -> Model:
        """The model with these weights.

        Raises:
            DataError: settings or parameters do not fit the model that the header names.
        """
        try:
            model = models.build(self.about["model"], self.about["settings"])
        except (ValueError, TypeError, RuntimeError, ArithmeticError, MemoryError) as error:
            raise DataError(self.path, "settings", f"{error}", CHANGED) from error
        check_names(self.path, self.state, model.state_dict(), "file and model differ: train again")
        model.load_state_dict(self.state)
        return model


def check_names(path: Path, given: Mapping[str, Tensor], state: Mapping[str, Tensor], remedy: str) -> None:
    """Compare names and shapes of the parameters ``given`` by the file ``path`` with those of ``state``.

    Raises:
        DataError: with the ``remedy``; they differ.
    """
    missing, unknown = sorted(state.keys() - given.keys()), sorted(given.keys() - state.keys())
    shapes = [
        f"{key} {tuple(given[key].shape)} not {tuple(state[key].shape)}"
        for key in sorted(state.keys() & given.keys())
        if given[key].shape != state[key].shape
    ]
    if missing or unknown or shapes:
        raise DataError(path, "", f"missing {missing}, unknown {unknown}, misshapen {shapes}", remedy)


def save_weights(path: Path, name: str, model: Model, rigidity: Rigidity | None = None, **about: Any) -> None:
    """Write ``model``, an entry of `models.MODELS` called ``name``, with ``about`` (JSON values) in the header, and
    with its ``rigidity`` where there is one.
    """
    _write(path, {"model": name, "settings": asdict(model.settings), **about}, model.state_dict(), rigidity)


def _write(path: Path, about: dict[str, Any], state: dict[str, Tensor], rigidity: Rigidity | None) -> None:
    """The file; tensors of the rigidity are beside the parameters, under `RIGIDITY`."""
    if rigidity is not None:
        state = state | {f"{RIGIDITY}covariance": rigidity.covariance}
        state |= {f"{RIGIDITY}{TYPICAL}": torch.tensor(rigidity.typical, dtype=torch.float64)}
    state = {key: value.detach().cpu().contiguous() for key, value in state.items()}
    about = about | {CHECKSUM: checksum(state)}
    about |= {CHECKSUM_OF_HEADER: _checksum_of(about)}
    with whole_file(path) as part:  # safetensors' save_file would write one that its owner alone can read
        part.write_bytes(save(state, metadata={"about": json.dumps(about)}))


def _checksum_of(about: Mapping[str, Any]) -> str:
    """SHA-256 of a header."""
    return hashlib.sha256(json.dumps(about, sort_keys=True).encode()).hexdigest()


def checksum(state: dict[str, Tensor]) -> str:
    """SHA-256 of the parameters: names, types, shapes and bytes."""
    digest = hashlib.sha256()
    for key in sorted(state):
        value = state[key].contiguous()
        digest.update(f"{key}|{value.dtype}|{tuple(value.shape)}|".encode() + value.numpy().tobytes())
    return digest.hexdigest()


def export_weights(weights: Weights, run: dict[str, Any], key: str, path: Path, **more: Any) -> None:
    """Write ``weights`` for others to use, with units, licence and where they come from in the header.

    Args:
        weights: of a run.
        run: what the run says about itself (`results.Result.about`).
        key: of the run.
        path: ``.safetensors`` file to write.
        more: JSON values for the header.
    """
    about = {k: v for k, v in weights.about.items() if k not in (CHECKSUM, CHECKSUM_OF_HEADER)}
    about |= {
        "units": UNITS,
        "licence": LICENCE,
        "run": key,
        "config": run["config"],
        "splits": run["splits"],
        "provenance": run["provenance"],
        **more,
    }
    _write(path, about, weights.state, weights.rigidity)


def load_weights(path: Path) -> Weights:
    """Read a weights file.

    Raises:
        DataError: it is missing, broken, changed, or not written by `save_weights`; or a parameter or a number of its
            header is NaN or infinite.
    """
    if not path.is_file():
        raise DataError(path, "", "there is no such weights file", REMEDY)
    try:
        with safe_open(path, framework="pt") as file:
            state = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118 (no mapping)
            about = json.loads((file.metadata() or {}).get("about", "null"))
    except (SafetensorError, OSError, ValueError, RecursionError) as error:
        raise DataError(path, "", f"not a whole safetensors file ({error})", REMEDY) from error
    if not isinstance(about, dict) or not {"model", "settings"} <= set(about):
        raise DataError(path, "metadata", "it does not say which model it holds", REMEDY)
    parameters = checksum(state)
    if about.get(CHECKSUM) != parameters:
        raise DataError(path, CHECKSUM, f"its parameters give {parameters}, not {about.get(CHECKSUM)!r:.70}", REMEDY)
    header = _checksum_of({key: value for key, value in about.items() if key != CHECKSUM_OF_HEADER})
    if about.get(CHECKSUM_OF_HEADER, header) != header:
        stated = f"{about[CHECKSUM_OF_HEADER]!r:.70}"
        raise DataError(path, CHECKSUM_OF_HEADER, f"its header gives {header}, not {stated}", CHANGED)
    not_finite = [key for key, value in state.items() if not torch.isfinite(value).all()]
    if not_finite:
        raise DataError(path, not_finite[0], "parameters are NaN or infinite", "train again with a lower learning rate")
    _check_header(path, about)
    if about.get("task") == "energy":
        about["target"] = of_this_version(about["target"])
    beside = {key: state.pop(key) for key in sorted(state) if key.startswith(RIGIDITY)}
    if f"{RIGIDITY}{TYPICAL}" not in beside:  # older files have what is typical of molecules, whatever their size
        return Weights(path, state, about)
    rigidity = Rigidity(beside[f"{RIGIDITY}covariance"], float(beside[f"{RIGIDITY}{TYPICAL}"]))
    return Weights(path, state, about, rigidity)


def of_this_version(target: Mapping[str, Any]) -> dict[str, Any]:
    """``target`` of an energy run as `runs.jobs` writes it now.

    Weights files and results of earlier versions, and most records in ``data/results``, name a single composition in
    training as ``composition``; since then it is a list of one, ``compositions``, as several are.
    """
    only = {"compositions": [target["composition"]]} if "composition" in target else {}
    return {key: value for key, value in target.items() if key != "composition"} | only


def _check_header(path: Path, about: Mapping[str, Any]) -> None:
    """A header whose values can be those of a model and of a target.

    Raises:
        DataError: naming the key.
    """
    if not isinstance(about["model"], str) or about["model"] not in models.MODELS:
        raise DataError(path, "model", f"{about['model']!r:.40} is none of {sorted(models.MODELS)}", CHANGED)
    if not isinstance(about["settings"], dict):
        raise DataError(path, "settings", f"{about['settings']!r:.40} is no table of settings", CHANGED)
    for key, value in about["settings"].items():
        if isinstance(value, float) and not math.isfinite(value):
            raise DataError(path, f"settings, {key}", f"it is {value}", CHANGED)
    cutoff = about["settings"].get("cutoff", 1.0)
    if not _is_distance(cutoff):
        raise DataError(path, "settings, cutoff", f"{cutoff!r:.40} is no distance above 0 Å", CHANGED)
    if not isinstance(about.get("task", ""), str):
        raise DataError(path, "task", f"{about['task']!r:.40} is no name of a task", CHANGED)
    if about.get("task") == "energy":
        _check_target(path, about.get("target"))


def _is_distance(value: Any) -> bool:
    """Whether ``value`` is a finite number above 0."""
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < math.inf


def _check_target(path: Path, target: Any) -> None:
    """The scaling of energies: finite numbers, a level with the right references, atom types that exist."""
    if not isinstance(target, dict) or not {"mean", "std", "per_type", "level"} <= set(target):
        raise DataError(path, "target", "it lacks mean, std, per_type or level of the energies", CHANGED)
    per_type, level = target["per_type"], target["level"]
    if not isinstance(per_type, list) or len(per_type) != len(ATOM_TYPES):
        raise DataError(path, "target, per_type", f"no list of {len(ATOM_TYPES)} numbers", CHANGED)
    for key, value in (("mean", target["mean"]), ("std", target["std"]), *(("per_type", v) for v in per_type)):
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise DataError(path, f"target, {key}", f"{value!r:.40} is no finite number", CHANGED)
    if not target["std"] > 0:
        raise DataError(path, "target, std", f"{target['std']} is not above 0", CHANGED)
    if not isinstance(level, str) or level not in LEVELS:
        raise DataError(path, "target, level", f"{level!r:.40} is none of {sorted(LEVELS)}", CHANGED)
    types = target.get("types", [])
    if not isinstance(types, list) or not all(type(t) is int and 0 <= t < len(ATOM_TYPES) for t in types):
        raise DataError(path, "target, types", f"{types!r:.40} are no atom types 0 to {len(ATOM_TYPES) - 1}", CHANGED)
    reach = target.get("reach", [[1.0] * len(types)] * len(types))
    rows = reach if isinstance(reach, list) and len(reach) == len(types) else [None]
    if not all(isinstance(row, list) and len(row) == len(types) and all(map(_is_distance, row)) for row in rows):
        raise DataError(path, "target, reach", f"{reach!r:.40} is no table of distances above 0 Å", CHANGED)
    largest = max(map(abs, (target["mean"], *per_type)))
    if level in TOTALS and largest < LARGEST_RESIDUAL:
        raise DataError(
            path,
            "target, level",
            f"energies of {level!r} are totals, but those of the target are within {largest:.0f} kcal/mol",
            CHANGED,
        )


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
