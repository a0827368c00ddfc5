"""Jobs: what a run of each task does, from its config to weights, history, predictions and metrics in a folder."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader

from lib import models
from lib.batches import Batch
from lib.config import RunConfig
from lib.datasets import open_store
from lib.errors import DataError, TrainingError, look_up
from lib.loading import ConformationBatches, Selection, make_loader
from lib.noising import rigid_part
from lib.readers import PUBLISHED_PARTS
from lib.scaling import Scaling
from lib.splits import FINE_TUNING, PRE_TRAINING, PUBLISHED, Split, make_split, split_by_rows, subsample
from lib.store import ConformationStore
from lib.tasks import DenoisingTask, EnergyTask
from lib.training import Execution, fit, is_first_process
from lib.weights import Weights, save_weights, transfer

UNITS = {
    "validation_denoising_error": "sigma^2",
    "validation_rigid_part": "sigma^2",
    "validation_rmse": "kcal/mol",
    "test_rmse": "kcal/mol",
    "test_mae": "kcal/mol",
    "test_r2": "1",
    "test_known_rmse": "kcal/mol",
    "test_known_mae": "kcal/mol",
    "test_known_r2": "1",
    "validation_loss": "1",
    "validation_force_rmse": "kcal/mol/angstrom",
    "test_force_rmse": "kcal/mol/angstrom",
    "test_force_mae": "kcal/mol/angstrom",
    "test_force_r2": "1",
    "test_known_force_rmse": "kcal/mol/angstrom",
    "test_known_force_mae": "kcal/mol/angstrom",
    "test_known_force_r2": "1",
}
DIVERGED, COLLAPSED = 10.0, 1.5  # last denoising error: in σ², 1 is predicting no noise at all; over the lowest one
EVALUATED = 6000  # atoms of a batch of validation and test, about: without gradients more fit, but not any number
MEASURED = 512  # conformations, for `InputNorm`
Outcome = tuple[dict[str, float], dict[str, Any]]  # metrics, and what else is to be said


Splits = list[tuple[ConformationStore, Split]]


def diverged(by_epoch: Sequence[float]) -> bool:
    """Whether the denoising errors (σ²) of a pre-training end far off, or far above the lowest: it once knew better."""
    return not by_epoch[-1] < min(DIVERGED, COLLAPSED * min(by_epoch))


def splits(config: RunConfig) -> Splits:
    """Each data set's store and the split that ``config`` uses."""
    out = []
    for dataset in config.data:
        store = open_store(dataset)
        if config.split_order == PUBLISHED:
            parts = look_up(PUBLISHED_PARTS, dataset.reader, "data set with a published split")
            split = split_by_rows(store, parts(dataset.path))
        else:
            split = make_split(store, config.seed, FINE_TUNING, order=config.split_order)
        if config.task == "denoising":
            test = split.parts["test"] if config.strict_split else None
            split = make_split(store, config.seed, PRE_TRAINING, without=test)
        out.append((store, split))
    return out


def select(config: RunConfig, found: Splits) -> dict[str, list[Selection]]:
    """The conformations of each part in every data set of ``found`` (from `splits`), limited as the config says."""
    out: dict[str, list[Selection]] = {}
    for store, split in found:
        for part, index in split.parts.items():
            limit = getattr(config.limits, part.split("_")[0])
            index = index if limit is None or not len(index) else subsample(index, min(limit, len(index)), config.seed)
            if part == "train" and config.share < 1 and len(index):
                index = subsample(index, max(1, round(config.share * len(index))), config.seed)
            out.setdefault(part, []).append(Selection(store, index))
    for part, selections in out.items():
        if not any(len(s.index) for s in selections):
            raise DataError(
                selections[0].store.path, part, "the split leaves no conformation for it", "give more frames"
            )
    return out


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


def _scores(part: str, found: dict[str, NDArray]) -> dict[str, float]:
    """RMSE, MAE (kcal/mol) and R² of the predictions for one part, and of its forces (kcal/mol/Å; R² about zero)."""
    error = found["prediction"] - found["energy"]
    scores = {
        f"{part}_rmse": float(np.sqrt((error**2).mean())),
        f"{part}_mae": float(np.abs(error).mean()),
        f"{part}_r2": float(1 - (error**2).mean() / ((found["energy"] - found["baseline"]) ** 2).mean()),
    }
    if "components" in found:
        components = found["components"].sum()
        scores[f"{part}_force_rmse"] = float(np.sqrt(found["force_squared"].sum() / components))
        scores[f"{part}_force_mae"] = float(found["force_absolute"].sum() / components)
        scores[f"{part}_force_r2"] = float(1 - found["force_squared"].sum() / found["force_label_squared"].sum())
    return scores


def _predict(task: EnergyTask, loader: DataLoader, device: str) -> dict[str, NDArray]:
    """Predictions beside targets for every conformation of ``loader``; of forces, sums over a conformation's errors."""
    task = task.to(device).eval()
    with torch.no_grad():
        rows = [_predicted(task, batch.to(device)) for batch in loader]
    return {name: torch.cat([row[name] for row in rows]).cpu().numpy() for name in rows[0]}


def _predicted(task: EnergyTask, batch: Batch) -> dict[str, Tensor]:
    """One batch of `_predict`."""
    found = {"index": batch.index, "energy": batch.energy, "baseline": task.baseline(batch)}
    if batch.forces is None:
        return found | {"prediction": task.predict(batch)}
    energy, forces = task.predict_with_forces(batch)
    off, zero = forces - batch.forces, energy.new_zeros(batch.n_molecules)
    sums = {"force_squared": off.square(), "force_absolute": off.abs(), "components": torch.ones_like(off),
            "force_label_squared": batch.forces.double().square()}  # fmt: skip
    sums = {name: zero.index_add(0, batch.molecule, rows.sum(1)) for name, rows in sums.items()}
    return found | {"prediction": energy} | sums


JOBS: dict[str, Callable[..., Outcome]] = {"denoising": denoise, "energy": energy}
