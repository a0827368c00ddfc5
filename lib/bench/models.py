"""Models: training steps of both tasks on one thread, beside the same functions as they are usually written.

Ours and the `textbook` version take turns within one run, on the same batch of conformations with 18 atoms from the
mini suite, denormal numbers flushed for both. A step is neighbour pairs, forward, backward and AdamW; its time is the
fastest of many. Floating-point operations are those of matrix products, forward and backward.
"""

import os
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn

from lib import models
from lib.batches import Batch
from lib.bench.measuring import (
    busy_cores,
    copy_rate,
    counted,
    matrix_rate,
    peak_memory,
    take_turns,
    timed,
)
from lib.bench.textbook import AS_LIBRARY, TEXTBOOK
from lib.data.datasets import find, open_store
from lib.machine import available_memory, denormals_flushed, flush_denormals, hardware, keep_freed_memory, one_thread
from lib.models import kernels
from lib.models.base import Model
from lib.study.scale import SIGMA
from lib.study.scales import get_scale

ATOMS = 18
SHARE_OF_MEMORY = 0.5  # of what the machine has to give, up to which a step may take
FEW = (2, 4)  # molecules in the steps from which the memory of larger ones is estimated
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]


@dataclass(frozen=True)
class Conditions:
    """How steps are measured.

    Attributes:
        batch_size: molecules in a batch, where they fit in ``memory``.
        seconds: how long each pair of models takes turns at each task.
        device: ``cpu`` (one thread) or ``cuda``.
        compiled: `models.compile_layers` for ours.
        precision: below float32, the one that torch.autocast takes where it can. The textbook versions know float32
            only.
        alone: ours beside nothing, as in other precisions.
        busy: other processes that multiply matrices meanwhile.
        memory: bytes that a step may take; None for half of what is there.
    """

    batch_size: int = 64
    seconds: float = 20.0
    device: str = "cpu"
    compiled: bool = False
    precision: torch.dtype = torch.float32
    alone: bool = False
    busy: int = 0
    memory: float | None = None

    def limit(self) -> float:
        """Bytes that a step may take."""
        if self.memory is not None:
            return self.memory
        return SHARE_OF_MEMORY * (available_memory() if self.device == "cpu" else torch.cuda.mem_get_info()[0])


def bench_models(
    scales: Sequence[str] = ("paper", "laptop"),
    names: Sequence[str] = models.PAPER_MODELS,
    conditions: Conditions = Conditions(),
) -> dict[str, Any]:
    """``about`` the machine, and ``steps`` of the models ``names`` of `models.MODELS` at the widths of ``scales``."""
    keep_freed_memory()  # as training does
    c = conditions
    with one_thread(), flush_denormals():
        rate = matrix_rate(c.device)
        about = {
            "hardware": hardware(c.device), "device": c.device, "torch": torch.__version__,
            "matrix rate (GFLOP/s)": rate / 1e9, "copy rate (GB/s)": copy_rate(c.device) / 1e9,
            "molecules in a batch": c.batch_size, "atoms": ATOMS, "compiled": c.compiled,
            "precision": str(c.precision).removeprefix("torch."), "denormals flushed": denormals_flushed(),
            "other busy processes": c.busy, "load average": os.getloadavg()[0],
        }  # fmt: skip
        with busy_cores(c.busy) if c.busy else nullcontext():
            steps = [
                _measured(name, scale, energy, c, rate)
                for scale in scales
                for name in names
                for energy in (False, True)
            ]
    return {"about": about, "steps": steps}


def tables(measured: dict[str, Any]) -> str:
    """The numbers of `bench_models` for reading."""
    steps = pd.DataFrame(measured["steps"])
    wanted = measured["about"]["molecules in a batch"]
    reduced = [
        f"{row['widths']} {row['model']}, {row['task']}: batches of {row['molecules']} instead of {wanted}, "
        f"which would take {row['memory of the whole batch (MiB)'] / 1024:.1f} GiB"
        for row in measured["steps"]
        if row["molecules"] < wanted
    ]
    about = "; ".join(f"{key}: {value}" for key, value in measured["about"].items())
    return "\n\n".join([about, steps.round(2).T.to_string(), *reduced])


def without_nan(measured: Any) -> Any:
    """The same for JSON, which knows no NaN: null instead."""
    if isinstance(measured, dict):
        return {key: without_nan(value) for key, value in measured.items()}
    if isinstance(measured, list):
        return [without_nan(value) for value in measured]
    return None if measured != measured else measured


def training_rate(name: str, scale: str, energy: bool, molecules: int = 8, steps: int = 3) -> float:
    """Conformations of `ATOMS` atoms that one CPU thread trains in a second."""
    torch.manual_seed(0)
    model = models.build(name, get_scale(scale).settings(name))
    with one_thread(), flush_denormals():
        work = step(model, conformations(molecules), energy)
        work()
        return molecules / min(timed(work) for _ in range(steps))


def conformations(count: int) -> Arrays:
    """Types, noised positions and molecule numbers of ``count`` conformations of `ATOMS` atoms of mini ANI-1x."""
    store = open_store(find("mini/ani1x"))
    fitting = np.flatnonzero(store.n_atoms[store.molecule_of(np.arange(len(store)))] == ATOMS)
    rng = np.random.default_rng(0)
    drawn = store.gather(np.sort(rng.choice(fitting, count, replace=count > len(fitting))))
    noise = SIGMA * rng.normal(size=drawn.positions.shape)
    return drawn.types, (drawn.positions + noise).astype(np.float32), drawn.molecule


def step(
    model: nn.Module,
    arrays: Arrays,
    energy: bool,
    device: str = "cpu",
    precision: torch.dtype = torch.float32,
    cutoff: float = 5.0,
) -> Callable[[], None]:
    """One training step, neighbour pairs included."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6)
    z, pos, molecule = (torch.as_tensor(a, device=device) for a in arrays)
    target = torch.randn_like(pos)

    def work() -> None:
        """The step: pairs, prediction, loss, gradients, new weights."""
        batch = Batch.from_arrays(z, pos, molecule, cutoff)
        with torch.autocast(device, precision, enabled=precision != torch.float32):
            prediction = model(batch, energy=energy, noise=not energy)
        loss = (
            prediction.energy.square().mean()
            if energy
            else (prediction.noise - target).square().sum() / batch.n_molecules
        )
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return work


def _pair(name: str, scale: str, alone: bool) -> tuple[Model, list[nn.Module], str]:
    """Ours, then the textbook version with the same weights and the same function, and what the latter is; ours alone
    where that is asked for or a library lacks.
    """
    torch.manual_seed(0)
    settings = replace(get_scale(scale).settings(name), **AS_LIBRARY.get(name, {}))
    ours = models.build(name, settings)
    if alone or name not in TEXTBOOK:
        return ours, [], "nothing"
    beside, textbook = TEXTBOOK[name]
    try:
        return ours, [textbook(ours)], beside
    except ImportError:
        return ours, [], f"nothing: {beside} is not installed"


def _measured(name: str, scale: str, energy: bool, c: Conditions, rate: float) -> dict[str, Any]:
    """One row: both models' steps on ``energy`` or on denoising, on a machine with that matrix ``rate``."""
    ours, others, beside = _pair(name, scale, c.alone or c.precision != torch.float32)
    both = [model.to(c.device) for model in (ours, *others)]
    difference = _difference(ours, others[0], energy, c.device) if others else float("nan")

    def works(molecules: int) -> list[Callable[[], None]]:
        """The steps of both models on that many molecules; the other's by torch's own operations alone."""
        arrays = conformations(molecules)
        steps = [step(model, arrays, energy, c.device, c.precision, ours.settings.cutoff) for model in both]
        return [steps[0], *(kernels.use("plain")(other) for other in steps[1:])]

    needed = [_estimated_memory(works, k, c) for k in range(len(both))]
    molecules = min(c.batch_size, *(_most_molecules(*each, c.limit()) for each in needed))
    mine, *theirs = works(molecules)
    per = min(FEW[1], molecules)  # few molecules suffice to count the operations for each
    counts = [counted(work) for work in works(per)]
    if c.compiled:
        models.compile_layers(name, ours, noise=not energy)
        mine()
    times = [*take_turns([mine, *theirs], c.seconds, c.device), float("nan")]
    flops = [count.flops / per for count in counts] + [float("nan")]
    moved = [count.moved / per for count in counts] + [float("nan")]
    return {
        "widths": scale,
        "model": models.MODELS[name].label,
        "beside": beside,
        "task": "energy" if energy else "denoising",
        "molecules": molecules,
        "conformations/s": molecules / times[0],
        "its conformations/s": molecules / times[1],
        "ratio": times[1] / times[0],
        "largest difference": difference,
        "MFLOP/conformation": flops[0] / 1e6,
        "its MFLOP/conformation": flops[1] / 1e6,
        "share of matrix rate": flops[0] * molecules / times[0] / rate,
        "its share of matrix rate": flops[1] * molecules / times[1] / rate,
        "MB/conformation": moved[0] / 1e6,
        "its MB/conformation": moved[1] / 1e6,
        "denormal numbers (per million)": 1e6 * counts[0].denormal / counts[0].numbers,
        "peak memory (MiB)": peak_memory(mine, c.device) / 2**20,
        "memory of the whole batch (MiB)": max(_at(c.batch_size, *each) for each in needed) / 2**20,
    }


def _estimated_memory(works: Callable[[int], list], k: int, c: Conditions) -> tuple[float, float]:
    """Bytes that the k-th model's step takes whatever the batch, and by molecule, from steps on `FEW` molecules."""
    few, more = (peak_memory(works(n)[k], c.device) for n in FEW)
    by_molecule = (more - few) / (FEW[1] - FEW[0])
    return few - FEW[0] * by_molecule, by_molecule


def _at(molecules: int, fixed: float, by_molecule: float) -> float:
    return fixed + molecules * by_molecule


def _most_molecules(fixed: float, by_molecule: float, limit: float) -> int:
    """How many molecules fit in ``limit`` bytes, at least one."""
    return max(1, int((limit - fixed) / max(by_molecule, 1.0)))


def _difference(ours: Model, other: nn.Module, energy: bool, device: str) -> float:
    """Largest difference of the two answers over the largest answer, before any step."""
    batch = Batch.from_arrays(*conformations(FEW[1]), ours.settings.cutoff).to(device)
    with torch.no_grad():
        first, second = (m(batch, energy=energy, noise=not energy) for m in (ours, other))
    a, b = (first.energy, second.energy) if energy else (first.noise, second.noise)
    return float((a - b).abs().max() / b.abs().max())
