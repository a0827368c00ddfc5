"""On a GPU: what CUDA graphs bring to training steps. Two minutes on an H100.

Each model takes turns with itself, recorded and not, at the paper's widths; pairs are on the GPU already, as the loader
brings them. The first row that fails says why and the others go on.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pandas as pd
import torch

from lib import models
from lib.batches import Batch
from lib.bench.measuring import Work, counted, matrix_rate, peak_memory, take_turns
from lib.bench.models import conformations
from lib.machine import hardware
from lib.models.base import Model
from lib.study.scales import get_scale

BATCHES = (64, 256)
CLOSE = 1e-5  # of the largest answer or gradient: differences below are rounding
PLAIN = "plain"
MODES = (PLAIN, "graphs")  # how training steps are computed


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
    first = models.build(name, get_scale(scale).settings(name)).to(device)
    batch = Batch.from_arrays(*conformations(molecules), first.settings.cutoff).to(device)
    expected = _answers(first, batch, energy)
    out: dict[str, Any] = {}
    works: dict[str, Work] = {}
    differences: dict[str, float] = {}

    def prepare(mode: str) -> None:
        """The model, its answers and its first steps, in which graphs are recorded."""
        model = models.build(name, first.settings).to(device)
        model.load_state_dict(first.state_dict())
        if mode != PLAIN:
            models.use_graphs(model)
        differences[mode] = _difference(_answers(model, batch, energy), expected)
        works[mode] = _step(model, batch, energy)
        for _ in range(3):
            works[mode]()

    memory = {mode: peak_memory(partial(prepare, mode), device) for mode in MODES}
    flops = counted(works[PLAIN]).flops
    times = dict(zip(works, take_turns(list(works.values()), seconds, device), strict=True))
    for mode, time in times.items():
        out |= {
            f"{mode}: conformations/s": molecules / time,
            f"{mode}: share of matrix rate": flops / time / rate,
            f"{mode}: largest difference": differences[mode],
            f"{mode}: peak memory (MiB)": memory[mode] / 2**20,
        }
    return out | {f"{mode}: ratio": times[PLAIN] / times[mode] for mode in works if mode != PLAIN}


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


def _answers(model: Model, batch: Batch, energy: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """Loss and all gradients."""
    loss = _loss(model, batch, energy)
    used = [p for p in model.parameters() if p.requires_grad]
    gradients = torch.autograd.grad(loss, used, materialize_grads=True)
    return loss.detach(), torch.cat([g.flatten() for g in gradients])


def _difference(answers: tuple[torch.Tensor, torch.Tensor], expected: tuple[torch.Tensor, torch.Tensor]) -> float:
    """Largest difference of loss and gradients, relative to the loss and to the largest gradient."""
    (loss, gradient), (other_loss, other) = expected, answers
    of_loss = float((loss - other_loss).abs() / loss.abs())
    return max(of_loss, float((gradient - other).abs().max() / gradient.abs().max()))
