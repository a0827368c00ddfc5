"""Going on with a trained potential: its weights, energy head included, and its scaling fitted anew to other labels."""

from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from lib.data.loading import ConformationBatches
from lib.errors import DataError, required
from lib.models.base import Model, Settings
from lib.models.weights import Weights, load_weights
from lib.runs.config import RunConfig, Start
from lib.training.scaling import Scaling


def start_from(path: Path | str) -> Start:
    """What `RunConfig.start` says of the weights file ``path``.

    Raises:
        DataError: the file is missing or broken, or holds no energy model.
    """
    weights = _energies(load_weights(Path(path)))
    return Start(str(Path(path).resolve()), weights.about["checksum"])


def continue_from(config: RunConfig, model: Model, train: ConformationBatches, loader: DataLoader) -> Scaling:
    """Put the weights of ``config.start`` into ``model``; the scaling with which it goes on.

    The standard deviation stays, so that what the network has learnt stays. The mean error of its energies on the
    training conformations (``train``, of which ``loader`` has batches in order), fitted as ``config.baseline`` says, is
    added to its baseline: labels of another level of theory differ by a constant for each type.

    Raises:
        DataError: the file was changed, or holds another model or other settings.
    """
    start = required(config.start, "start")
    weights = _energies(load_weights(Path(start.path)))
    if weights.about["checksum"] != start.checksum:
        raise DataError(weights.path, "checksum", "the file is another one than before", "name the weights again")
    refuse_other(weights, config.model, config.settings)
    model.load_state_dict(weights.build().state_dict())
    target = weights.about["target"]
    old = Scaling(target["mean"], target["std"], np.array(target["per_type"], dtype=np.float64))
    compositions = train.compositions()
    known = old.std * _predictions(model, loader) + old.mean + compositions @ old.per_type
    rest = Scaling.fit(required(config.baseline, "baseline"), train.energies() - known, compositions)
    return Scaling(old.mean + rest.mean, old.std, old.per_type + rest.per_type)


def refuse_other(weights: Weights, model: str, settings: Settings) -> None:
    """Stop where ``weights`` are of another model or have other settings than the run that is to go on with them.

    Raises:
        DataError: naming the model, or the settings that differ.
    """
    held, remedy = weights.about["model"], "let --weights (weights) name layers of the model that goes on"
    if held != model:
        raise DataError(weights.path, "model", f"it holds {held}, not {model}", remedy)
    asked = asdict(settings)
    different = {name: value for name, value in asdict(weights.settings()).items() if value != asked[name]}
    if different:
        words = ", ".join(f"{name} = {value!r}, not {asked[name]!r}" for name, value in different.items())
        raise DataError(weights.path, "settings", f"it has {words}", remedy)


def _energies(weights: Weights) -> Weights:
    """The same ``weights``, where they are those of an energy model."""
    if weights.about.get("task") != "energy":
        raise DataError(
            weights.path,
            "task",
            f"it holds {weights.about.get('task')!r} weights, which give no energy",
            "pre-trained layers are named by --weights, a potential by --continue",
        )
    return weights


def _predictions(model: Model, loader: DataLoader) -> np.ndarray:
    """Energies (n,) in units of the scaled target, in the order of ``loader``."""
    model.eval()
    with torch.no_grad():
        out = np.concatenate([model(batch, noise=False).energy.double().numpy() for batch in loader])
    model.train()
    return out
