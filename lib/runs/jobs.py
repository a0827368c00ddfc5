"""Jobs: what a run of each task does, from its config to weights, history, predictions and metrics in a folder."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader

from lib import models
from lib.data.loading import ConformationBatches, Selection, make_loader
from lib.data.splits import subsample
from lib.errors import TrainingError
from lib.models.weights import Weights, save_weights, transfer
from lib.noising import rigid_part
from lib.runs.config import RunConfig
from lib.runs.evaluation import _predict, _scores
from lib.runs.selection import Splits, select, splits
from lib.training.fit import Execution, fit, is_first_process
from lib.training.scaling import Scaling
from lib.training.tasks import DenoisingTask, EnergyTask

DIVERGED, COLLAPSED = 10.0, 1.5  # last denoising error: in σ², 1 is predicting no noise at all; over the lowest one
EVALUATED = 6000  # atoms of a batch of validation and test, about: without gradients more fit, but not any number
MEASURED = 512  # conformations, for `InputNorm`
Outcome = tuple[dict[str, float], dict[str, Any]]  # metrics, and what else is to be said


def diverged(by_epoch: Sequence[float]) -> bool:
    """Whether the denoising errors (σ²) of a pre-training end far off, or far above the lowest: it once knew better."""
    return not by_epoch[-1] < min(DIVERGED, COLLAPSED * min(by_epoch))


def _initial_model(config: RunConfig, execution: Execution) -> nn.Module:
    """The model with initial weights drawn from the seed alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = models.build(config.model, config.settings)
    if execution.compiled:
        models.compile_layers(config.model, model, noise=config.task == "denoising")
    return model


def _loader(config: RunConfig, data: ConformationBatches, pieces: int | None = None, alone: bool = False) -> DataLoader:
    """Of training, in ``pieces``, or without them of validation and test."""
    size = config.training.batch_size
    if pieces is None:
        atoms = np.concatenate([s.n_atoms for s in data.selections]).mean()
        size = max(1, min(4 * size, int(EVALUATED / atoms)))
    return make_loader(data, size, config.seed, shuffle=pieces is not None, pieces=pieces or 1, alone=alone)


def _facts(
    config: RunConfig, folder: Path, found: Splits, data: dict[str, ConformationBatches], steps: int
) -> dict[str, Any]:
    """What both tasks say about themselves; saves the splits."""
    hashes = {}
    for (_, split), dataset in zip(found, config.data, strict=True):
        split.save(folder / f"split-{dataset.stem}.npz")
        hashes[dataset.name] = split.hash
    return {"splits": hashes, "conformations": {k: len(v) for k, v in data.items()}, "steps": steps}


def denoise(config: RunConfig, folder: Path, execution: Execution, weights: Weights | None = None) -> Outcome:
    """Pre-train: metrics are the validation denoising error and the part of the noise that is rigid motion.

    Raises:
        TrainingError: training diverged; nothing is stored, so that nothing is fine-tuned from it.
    """
    model = _initial_model(config, execution)
    found = splits(config)
    data = {k: ConformationBatches(v, config.settings.cutoff, config.sigma) for k, v in select(config, found).items()}
    task = DenoisingTask(model, config.training, config.sigma)
    validation = _loader(config, data["validation"])
    fitted = fit(task, _loader(config, data["train"], execution.accumulate), validation, folder, execution)
    if not is_first_process():
        return {}, {}
    by_epoch = task.history[task.monitor]
    if diverged(by_epoch):
        errors, rate = ", ".join(f"{error:.3g}" for error in by_epoch), config.training.learning_rate
        raise TrainingError(f"pre-training of {config.model}, seed {config.seed}, diverged, denoising errors by epoch "
                            f"{errors}: lower learning_rate = {rate:g} (of your own conformations --pretraining-rate) "
                            "or set clip")  # fmt: skip
    (folder / "history.json").write_text(json.dumps(task.history), encoding="utf-8")
    save_weights(folder / "weights.safetensors", config.model, model, task="denoising", sigma=config.sigma)
    metrics = {
        "validation_denoising_error": fitted.best_metric,
        "validation_rigid_part": _rigid_share(_loader(config, data["validation"], alone=True), config),
    }
    return metrics, _facts(config, folder, found, data, fitted.steps)


def _rigid_share(loader: DataLoader, config: RunConfig) -> float:
    """Share of the validation noise's variance that is rigid motion of molecules."""
    squared, coordinates = 0.0, 0
    for batch in loader:
        part = rigid_part(batch.pos.numpy(), batch.noise.numpy(), batch.molecule.numpy())
        squared, coordinates = squared + float((part**2).sum()), coordinates + part.size
    return squared / coordinates / config.sigma**2


def energy(config: RunConfig, folder: Path, execution: Execution, weights: Weights | None = None) -> Outcome:
    """Train the energy, from ``weights`` where given: metrics are RMSE, MAE, R² of each test part and the validation
    RMSE of the best epoch; where settings ask for forces, theirs too.

    R² is the share of the variance about the baseline (`scaling`) that the model explains: 0 for the baseline alone.
    """
    model = _initial_model(config, execution)
    if weights is not None:
        transfer(model, config.model, weights)
    found = splits(config)
    forces = config.training.force_weight is not None
    data = {k: ConformationBatches(v, config.settings.cutoff, forces=forces) for k, v in select(config, found).items()}
    scaling = Scaling.fit(config.baseline, data["train"].energies(), data["train"].compositions())
    task = EnergyTask(model, config.training, scaling, _measured(config, data["train"], execution))
    loaders = {k: _loader(config, v, execution.accumulate if k == "train" else None) for k, v in data.items()}
    fitted = fit(task, loaders["train"], loaders["validation"], folder, execution)
    task.finish()
    if not is_first_process():
        return {}, {}
    (folder / "history.json").write_text(json.dumps(task.history), encoding="utf-8")
    store = found[0][0]
    target = {"mean": scaling.mean, "std": scaling.std, "per_type": scaling.per_type.tolist(), "level": store.level}
    target["types"] = np.flatnonzero(data["train"].compositions().any(0)).tolist()  # what training has met
    save_weights(folder / "weights.safetensors", config.model, model, task="energy", target=target)
    tests = {part: batches for part, batches in data.items() if part.startswith("test")}
    best = int(np.argmin(np.nan_to_num(task.history[task.monitor], nan=np.inf)))
    shown = {task.monitor, "validation_rmse", *(["validation_force_rmse"] if forces else [])}
    metrics, predictions = {name: task.history[name][best] for name in sorted(shown)}, []
    for part, batches in tests.items():
        rows = _predict(task, _loader(config, batches, alone=True), execution.device())
        rows["index"] = batches.selections[0].index[rows["index"]]
        predictions.append(rows | {"part": np.full(len(rows["index"]), part)})
        metrics |= _scores(part, rows)
    together = {key: np.concatenate([p[key] for p in predictions]) for key in predictions[0]}
    together["molecule"] = store.molecule_of(together["index"])
    np.savez_compressed(folder / "predictions.npz", **together)
    return metrics, _facts(config, folder, found, data, fitted.steps) | {"target": target}


def _measured(config: RunConfig, train: ConformationBatches, execution: Execution) -> DataLoader | None:
    """Training conformations on which `InputNorm` measures, where the settings ask for it.

    Raises:
        ValueError: a step's batch is to be divided, so that it would be normalised in parts.
    """
    if not config.training.normalise:
        return None
    if execution.accumulate * execution.devices * execution.nodes > 1:
        raise ValueError(f"normalise = True wants whole batches: accumulate = {execution.accumulate}, devices = "
                         f"{execution.devices}, nodes = {execution.nodes} must be 1")  # fmt: skip
    (selection,) = train.selections
    index = subsample(selection.index, min(MEASURED, len(selection.index)), config.seed)
    return _loader(config, ConformationBatches([Selection(selection.store, index)], config.settings.cutoff))


JOBS: dict[str, Callable[..., Outcome]] = {"denoising": denoise, "energy": energy}
