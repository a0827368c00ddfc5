"""Predictions of a trained energy model beside the targets, and scores from them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from lib.batches import Batch
from lib.errors import required

if TYPE_CHECKING:
    from lib.training.energy import EnergyTask


def scores(part: str, rows: dict[str, NDArray]) -> dict[str, float]:
    """Metrics of the test part ``part`` from its ``rows``, as `predict` gives them.

    RMSE and MAE in kcal/mol and R² about the baseline; where forces were measured, theirs in kcal/mol/Å, R² about zero.
    """
    squared, labels = (rows["prediction"] - rows["energy"]) ** 2, (rows["energy"] - rows["baseline"]) ** 2
    metrics = {
        f"{part}_rmse": float(np.sqrt(squared.mean())),
        f"{part}_mae": float(np.abs(rows["prediction"] - rows["energy"]).mean()),
        f"{part}_r2": float(1 - squared.mean() / labels.mean()),
    }
    if "components" in rows:
        components = rows["components"].sum()
        metrics[f"{part}_force_rmse"] = float(np.sqrt(rows["force_squared"].sum() / components))
        metrics[f"{part}_force_mae"] = float(rows["force_absolute"].sum() / components)
        metrics[f"{part}_force_r2"] = float(1 - rows["force_squared"].sum() / rows["force_label_squared"].sum())
    return metrics


def predict(task: EnergyTask, loader: DataLoader, device: str) -> dict[str, NDArray]:
    """Predictions beside targets for every conformation of ``loader``, (n,) each.

    Returns:
        ``index``, and in kcal/mol ``energy``, ``baseline`` and ``prediction``; where batches have forces, sums over
        each conformation's components of squared and absolute errors and of squared labels, and their number.
    """
    task = task.to(device).eval()
    with torch.no_grad():
        rows = [_predict_batch(task, batch.to(device)) for batch in loader]
    return {name: torch.cat([row[name] for row in rows]).cpu().numpy() for name in rows[0]}


def _predict_batch(task: EnergyTask, batch: Batch) -> dict[str, Tensor]:
    """One batch of `predict`."""
    targets = {
        "index": required(batch.index, "index"),
        "energy": required(batch.energy, "energy"),
        "baseline": task.baseline(batch),
    }
    if batch.forces is None:
        return targets | {"prediction": task.predict(batch)}
    energy, forces = task.predict_with_forces(batch)
    error, zero = forces - batch.forces, energy.new_zeros(batch.n_molecules)
    by_atom = {
        "force_squared": error.square(),
        "force_absolute": error.abs(),
        "components": torch.ones_like(error),
        "force_label_squared": batch.forces.double().square(),
    }
    sums = {name: zero.index_add(0, batch.molecule, rows.sum(1)) for name, rows in by_atom.items()}
    return targets | {"prediction": energy} | sums
