"""On a GPU: what CUDA graphs bring to training steps, beside the goals. Ten minutes on an H100.

Each model takes turns with itself, recorded and not, at the paper's widths; pairs are on the GPU already, as the loader
brings them. The first row that fails says why and the others go on.
"""

from collections.abc import Callable, Sequence
from typing import Any

import pandas as pd
import torch

from lib import models
from lib.batches import Batch
from lib.bench.measuring import counted, matrix_rate, peak_memory, take_turns
from lib.bench.models import conformations
from lib.machine import hardware
from lib.models.base import Model
from lib.study.scales import get_scale

BATCHES = (64, 256)
FASTER = {64: 3.0, 256: 1.5}  # the goals: times as fast as without graphs
SHARE = 0.3  # of the float32 matrix rate, a goal for EGNN and TorchMD-Net
CLOSE = 1e-5  # of the largest answer or gradient, the goal for the difference


def bench_gpu(
    names: Sequence[str] = models.PAPER_MODELS, scale: str = "paper", seconds: float = 5.0, device: str = "cuda"
) -> dict[str, Any]:
    """``about`` the GPU, and ``graphs``: a row for each model, task and batch.

    Args:
        names: of `models.MODELS`.
        scale: whose widths.
        seconds: how long a row takes turns.
        device: ``cuda``; on ``cpu`` batches are padded and nothing is recorded, which tries this script.
    """
    rate = matrix_rate(device)
    rows = [
        {"model": models.MODELS[name].label, "task": "energy" if energy else "denoising", "molecules": molecules}
        | _row(name, scale, energy, molecules, seconds, device, rate)
        for name in names
        for energy in (False, True)
        for molecules in BATCHES
    ]
    about = {"hardware": hardware(device), "device": device, "torch": torch.__version__,
             "matrix rate (GFLOP/s)": rate / 1e9, "widths": scale}  # fmt: skip
    return {"about": about, "graphs": rows}


def tables(measured: dict[str, Any]) -> str:
    """The numbers of `bench_gpu` for reading."""
    about = "; ".join(f"{key}: {value}" for key, value in measured["about"].items())
    return f"{about}\n\n{pd.DataFrame(measured['graphs']).round(6).to_string(index=False)}"


def _row(
    name: str, scale: str, energy: bool, molecules: int, seconds: float, device: str, rate: float
) -> dict[str, Any]:
    """One row; where recording fails, the reason in place of numbers."""
    try:
        return _compared(name, scale, energy, molecules, seconds, device, rate)
    except RuntimeError as error:
        return {"failed": str(error).splitlines()[0]}


def _compared(
    name: str, scale: str, energy: bool, molecules: int, seconds: float, device: str, rate: float
) -> dict[str, Any]:
    torch.manual_seed(0)
    plain = models.build(name, get_scale(scale).settings(name)).to(device)
    graphed = models.build(name, plain.settings).to(device)
    graphed.load_state_dict(plain.state_dict())
    models.use_graphs(graphed)
    batch = Batch.from_arrays(*conformations(molecules), plain.settings.cutoff).to(device)
    difference = _difference(plain, graphed, batch, energy)
    works = [_step(model, batch, energy) for model in (plain, graphed)]
    flops = counted(works[0]).flops
    for work in works * 3:
        work()
    without, with_graphs = take_turns(works, seconds, device)
    return {
        "conformations/s": molecules / with_graphs,
        "without graphs": molecules / without,
        "ratio": without / with_graphs,
        "goal": FASTER[molecules],
        "share of matrix rate": flops / with_graphs / rate,
        "goal of the share": SHARE,
        "largest difference": difference,
        "goal of the difference": CLOSE,
        "peak memory (MiB)": peak_memory(works[1], device) / 2**20,
    }


def _loss(model: Model, batch: Batch, energy: bool) -> torch.Tensor:
    answer = model(batch, energy=energy, noise=not energy)
    value = answer.energy if energy else answer.noise
    if value is None:
        raise RuntimeError(f"{type(model).__name__} gave no answer")
    return value.square().sum() / batch.n_molecules


def _step(model: Model, batch: Batch, energy: bool) -> Callable[[], None]:
    """A training step on one batch whose pairs are known."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)

    def work() -> None:
        """Prediction, loss, gradients, new weights."""
        optimizer.zero_grad()
        _loss(model, batch, energy).backward()
        optimizer.step()

    return work


def _difference(plain: Model, graphed: Model, batch: Batch, energy: bool) -> float:
    """Largest difference of loss and gradients, relative to the largest gradient and the loss."""
    both = []
    for model in (plain, graphed):
        loss = _loss(model, batch, energy)
        used = [p for p in model.parameters() if p.requires_grad]
        gradients = torch.autograd.grad(loss, used, materialize_grads=True)
        both.append((loss.detach(), torch.cat([g.flatten() for g in gradients])))
    (loss, gradient), (other_loss, other) = both
    of_loss = float((loss - other_loss).abs() / loss.abs())
    return max(of_loss, float((gradient - other).abs().max() / gradient.abs().max()))
