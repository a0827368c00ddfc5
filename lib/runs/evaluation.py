"""Predictions of a trained energy model beside the targets, and scores from them."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader

from lib.batches import Batch
from lib.training.tasks import EnergyTask


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
