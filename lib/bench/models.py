"""Models: training steps of both tasks, inference with forces, and how cost grows with size, on one thread.

Ours and the `textbook` version take turns within one run, on the same batch of conformations with 18 atoms from the
mini suite. A step is neighbour pairs, forward, backward and AdamW. Floating-point operations are those of matrix
products, forward and backward; the machine's rate is that of a square product of 2048.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lib import models
from lib.batches import Batch
from lib.bench.textbook import AS_LIBRARY, TEXTBOOK
from lib.data.datasets import find, open_store
from lib.machine import hardware, keep_freed_memory, one_thread
from lib.models.base import Model
from lib.study.scale import SIGMA
from lib.study.scales import get_scale

ATOMS = 18
SPACING = 2.2  # Å between the atoms of the growing clusters
SIZES = (20, 60, 200, 600, 2000)
Arrays = tuple[np.ndarray, np.ndarray, np.ndarray]


def bench_models(
    scales: Sequence[str] = ("paper", "laptop"),
    names: Sequence[str] = models.PAPER_MODELS,
    batch_size: int = 64,
    seconds: float = 20.0,
    device: str = "cpu",
    sizes: Sequence[int] = SIZES,
    compiled: bool = False,
    precision: torch.dtype = torch.float32,
    alone: bool = False,
) -> dict[str, Any]:
    """Rates of all models at the widths of ``scales``.

    Args:
        scales: whose widths.
        names: of `models.MODELS`.
        batch_size: molecules in a batch.
        seconds: how long each pair of models takes turns at each task.
        device: ``cpu`` (one thread) or ``cuda``.
        sizes: atoms of the clusters on which inference with forces is timed.
        compiled: `models.compile_layers` for ours in training steps.
        precision: of training steps; below float32, the one that torch.autocast takes where it can. The textbook
            versions know float32 only.
        alone: ours beside nothing, as in other precisions.
    """
    keep_freed_memory()  # as training does
    with one_thread():
        arrays = _conformations(batch_size)
        steps, growth = [], []
        rate = matrix_rate(device)
        for scale in scales:
            for name in names:
                for energy in (False, True):
                    ours, others, beside = _pair(name, scale, alone or precision != torch.float32)
                    measured = _steps(name, ours, others, arrays, energy, seconds, device, rate, compiled, precision)
                    steps.append({"widths": scale, "model": models.MODELS[name].label, "beside": beside} | measured)
                growth += [
                    {"widths": scale, "model": models.MODELS[name].label, "atoms": n}
                    | inference(name, scale, n, seconds / 10, device)
                    for n in sizes
                ]
    about = {"hardware": hardware(device), "device": device, "torch": torch.__version__,
             "matrix rate (GFLOP/s)": rate / 1e9, "molecules in a batch": batch_size, "atoms": ATOMS,
             "compiled": compiled, "precision": str(precision).removeprefix("torch.")}  # fmt: skip
    return {"about": about, "steps": steps, "inference with forces": growth}


def tables(measured: dict[str, Any]) -> str:
    """The numbers of `bench_models` for reading."""
    steps = pd.DataFrame(measured["steps"])
    growth = pd.DataFrame(measured["inference with forces"])
    parts = ["; ".join(f"{key}: {value}" for key, value in measured["about"].items()), steps.round(2).to_string()]
    if len(growth):
        wide = growth.pivot(index=["widths", "model"], columns="atoms", values="milliseconds")
        parts.append("inference with forces, milliseconds by number of atoms\n" + wide.round(1).to_string())
    return "\n\n".join(parts)


def without_nan(measured: Any) -> Any:
    """The same for JSON, which knows no NaN: null instead."""
    if isinstance(measured, dict):
        return {key: without_nan(value) for key, value in measured.items()}
    if isinstance(measured, list):
        return [without_nan(value) for value in measured]
    return None if measured != measured else measured


def matrix_rate(device: str) -> float:
    """Floating-point operations per second of a float32 product of two 2048 x 2048 matrices."""
    a = torch.randn(2048, 2048, device=device)
    return 2 * 2048**3 / min(_timed(lambda: a @ a, device) for _ in range(5))


def _timed(work: Callable[[], Any], device: str) -> float:
    if device != "cpu":
        torch.cuda.synchronize()
    started = time.perf_counter()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return time.perf_counter() - started


def _conformations(count: int) -> Arrays:
    """Types, noised positions and molecule numbers of ``count`` conformations of `ATOMS` atoms of mini ANI-1x."""
    store = open_store(find("mini/ani1x"))
    fitting = np.flatnonzero(store.n_atoms[store.molecule_of(np.arange(len(store)))] == ATOMS)
    rng = np.random.default_rng(0)
    measured = store.gather(np.sort(rng.choice(fitting, count, replace=count > len(fitting))))
    noise = SIGMA * rng.normal(size=measured.positions.shape)
    return measured.types, (measured.positions + noise).astype(np.float32), measured.molecule


def _pair(name: str, scale: str, alone: bool) -> tuple[Model, list[nn.Module], str]:
    """Ours, the textbook version with the same weights and the same function, and what the latter is; ours alone where
    that is asked for or a library lacks.
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


def _steps(
    name: str,
    ours: Model,
    others: Sequence[nn.Module],
    arrays: Arrays,
    energy: bool,
    seconds: float,
    device: str,
    rate: float,
    compiled: bool,
    precision: torch.dtype,
) -> dict[str, Any]:
    pair = [model.to(device) for model in (ours, *others)]
    works = [_step(model, ours.settings.cutoff, arrays, energy, device, precision) for model in pair]
    difference = _difference(ours, others[0], arrays, energy, device) if others else float("nan")
    flops = count_flops(works[0])
    if compiled:
        models.compile_layers(name, ours, noise=not energy)
        works[0]()
    times: list[list[float]] = [[] for _ in pair]
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(times[0]) < 3:
        for work, taken in zip(works, times, strict=True):
            taken.append(_timed(work, device))
    mine, *rest = (statistics.median(taken) for taken in times)
    theirs = rest[0] if others else float("nan")
    molecules = int(arrays[2][-1]) + 1
    return {
        "task": "energy" if energy else "denoising",
        "conformations/s": molecules / mine,
        "its conformations/s": molecules / theirs,
        "ratio": theirs / mine,
        "largest difference": difference,
        "MFLOP/conformation": flops / molecules / 1e6,
        "share of matrix rate": flops / mine / rate,
        "peak memory (MiB)": _peak_memory(works[0], device),
    }


def _step(
    model: nn.Module,
    cutoff: float,
    arrays: Arrays,
    energy: bool,
    device: str,
    precision: torch.dtype = torch.float32,
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


def count_flops(work: Callable[[], None]) -> int:
    """Floating-point operations of the matrix products in ``work``."""
    with FlopCounterMode(display=False, custom_mapping={torch.ops.aten.addmm_: _product_in_place}) as counter:
        work()
    return counter.get_total_flops()


def training_rate(name: str, scale: str, energy: bool, molecules: int = 8, steps: int = 3) -> float:
    """Conformations of `ATOMS` atoms that one CPU thread trains in a second."""
    torch.manual_seed(0)
    model = models.build(name, get_scale(scale).settings(name))
    with one_thread():
        work = _step(model, model.settings.cutoff, _conformations(molecules), energy, "cpu")
        work()
        return molecules / min(_timed(work, "cpu") for _ in range(steps))


def _product_in_place(_: Any, first: torch.Size, second: torch.Size, **__: Any) -> int:
    """Operations of ``addmm_`` on matrices of these shapes, which torch's counter leaves out."""
    return 2 * first[0] * first[1] * second[1]


def _difference(ours: Model, other: nn.Module, arrays: Arrays, energy: bool, device: str) -> float:
    """Largest difference of the two answers over the largest answer, before any step."""
    batch = Batch.from_arrays(*arrays, ours.settings.cutoff).to(device)
    with torch.no_grad():
        first, second = (m(batch, energy=energy, noise=not energy) for m in (ours, other))
    a, b = (first.energy, second.energy) if energy else (first.noise, second.noise)
    return float((a - b).abs().max() / b.abs().max())


def _peak_memory(work: Callable[[], None], device: str) -> float:
    """MiB allocated for tensors at once during one step, beyond what was there before."""
    if device != "cpu":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        work()
        return (torch.cuda.max_memory_allocated() - before) / 2**20
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profile:
        work()
    held, peak = 0, 0
    for event in sorted(profile.profiler.kineto_results.events(), key=lambda e: e.start_ns()):
        if event.name() == "[memory]":
            held += event.nbytes()
            peak = max(peak, held)
    return peak / 2**20


def inference(name: str, scale: str, atoms: int, seconds: float, device: str) -> dict[str, float]:
    """Milliseconds for the energy of one cluster and its forces, minus the gradient."""
    torch.manual_seed(0)
    settings = get_scale(scale).settings(name)
    model = models.build(name, settings).to(device)
    side = int(np.ceil(atoms ** (1 / 3)))
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3), -1).reshape(-1, 3)[:atoms]
    rng = np.random.default_rng(0)
    pos = torch.tensor(SPACING * grid + 0.2 * rng.normal(size=grid.shape), dtype=torch.float32, device=device)
    z = torch.as_tensor(rng.choice([3, 10, 17, 21], atoms), device=device)

    def work() -> None:
        """Pairs, energy and its gradient with respect to the positions."""
        batch = Batch.from_arrays(z, pos, torch.zeros_like(z), settings.cutoff)
        batch = replace(batch, pos=pos.clone().requires_grad_())
        torch.autograd.grad(model(batch, noise=False).energy.sum(), batch.pos)

    taken = [_timed(work, device)]
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(taken) < 3:
        taken.append(_timed(work, device))
    return {"milliseconds": 1e3 * statistics.median(taken[1:])}
