"""Conversion and loading: a generated file in ANI-1's layout is converted, opened, and drawn from in random batches."""

import os
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import torch
from torch_geometric.data import Data
from torch_geometric.loader import DataLoader

from lib.data.loading import ConformationBatches, Request, Selection, make_loader
from lib.data.readers import READERS
from lib.data.readers.ani1 import PUBLISHED_LEVEL
from lib.data.store import ConformationStore
from lib.machine import hardware, one_thread, own_memory
from lib.study.scale import SIGMA

BATCH = 256
SYMBOLS = np.array([b"H", b"C", b"N", b"O"])
LOADERS = (("noised batches with pairs", 0), ("the same from a worker process", 1), ("from two workers", 2))
FREE = np.array([-0.5, -37.83, -54.57, -75.04])  # Hartree, near ANI-1's free atoms


def bench_data(conformations: int = 5_000_000, seconds: float = 10.0) -> dict[str, Any]:
    """Rates of conversion and loading at ``conformations`` conformations of 12 to 23 atoms; up to 3 GiB of disk.

    Args:
        conformations: how many the generated file holds.
        seconds: how long each kind of batch is drawn.
    """
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, one_thread():
        source = Path(folder) / "gdb.h5"
        _generate(source, conformations)
        started = time.perf_counter()
        ConformationStore.write(READERS["ani1"](source, level=PUBLISHED_LEVEL), Path(folder) / "store")
        convert = time.perf_counter() - started
        started = time.perf_counter()
        store = ConformationStore.open(Path(folder) / "store")
        opened = time.perf_counter() - started
        before = own_memory()
        plain = _rate(lambda index: store.gather(index), store, seconds)
        data = ConformationBatches([Selection(store, np.arange(len(store)))], cutoff=5.0)
        with_pairs = _rate(lambda index: data[Request(index, (0, 0))], store, seconds)
        growth = own_memory() - before
        noised = ConformationBatches(data.selections, cutoff=5.0, sigma=SIGMA)
        by_workers = {f"{name} (conformations/s)": _loader_rate(noised, workers, seconds) for name, workers in LOADERS}
        geometric = _geometric_rate(store, min(len(store), 20_000))
    return {
        "hardware": hardware("cpu"),
        "load average": os.getloadavg()[0],
        "conformations": len(store),
        "convert (conformations/s)": len(store) / convert,
        "open (s)": opened,
        "batches without pairs (conformations/s)": plain,
        "batches with pairs (conformations/s)": with_pairs,
        **by_workers,
        "growth of resident memory (MiB)": growth / 2**20,
        "torch_geometric DataLoader without pairs (conformations/s)": geometric,
    }


def _generate(path: Path, conformations: int, molecules: int = 2_000) -> None:
    """ANI-1's layout with random chains of atoms, energies near the free atoms."""
    rng = np.random.default_rng(0)
    counts = np.full(molecules, conformations // molecules)
    counts[: conformations % molecules] += 1
    with h5py.File(path, "w") as file:
        for k, count in enumerate(counts[counts > 0]):
            n = int(rng.integers(12, 24))
            kinds = rng.choice(4, size=n, p=[0.5, 0.35, 0.08, 0.07])
            frame = np.cumsum(rng.normal(size=(n, 3)) * 0.8, axis=0)
            group = file.create_group(f"gdb11_s08/gdb11_s08-{k}")
            noise = rng.normal(scale=0.1, size=(64, n, 3))
            group["coordinates"] = (frame + noise[np.arange(count) % 64]).astype("f4")
            group["energies"] = FREE[kinds].sum() - 0.05 * n + 0.01 * rng.normal(size=count)
            group["species"] = SYMBOLS[kinds]


def _shuffled(store: ConformationStore) -> Iterator[np.ndarray]:
    order = np.random.default_rng(0).permutation(len(store))
    for start in range(0, len(order), BATCH):
        yield order[start : start + BATCH]


def _rate(draw: Callable[[np.ndarray], object], store: ConformationStore, seconds: float) -> float:
    """Conformations per second over at most ``seconds`` of shuffled batches, the first ten not counted."""
    drawn, started = 0, 0.0
    for step, index in enumerate(_shuffled(store)):
        if step == min(10, len(store) // BATCH // 2):
            drawn, started = 0, time.perf_counter()
        draw(index)
        drawn += len(index)
        if started and time.perf_counter() - started > seconds:
            break
    return drawn / (time.perf_counter() - started)


def _loader_rate(data: ConformationBatches, workers: int, seconds: float) -> float:
    """Conformations per second that the loader of a pre-training gives, with nobody who takes time for them; pinned
    where there is a GPU. The time that worker processes take to start is not counted.
    """
    loader = make_loader(data, BATCH, seed=0, shuffle=True, workers=workers, pinned=torch.cuda.is_available())
    drawn, started = 0, 0.0
    for step, batch in enumerate(loader):
        if step == min(10, len(data) // BATCH // 2):
            drawn, started = 0, time.perf_counter()
        drawn += batch.n_molecules
        if started and time.perf_counter() - started > seconds:
            break
    return drawn / (time.perf_counter() - started)


def _geometric_rate(store: ConformationStore, conformations: int) -> float:
    """The same batches from one graph object per conformation, as torch_geometric's loader has it."""
    graphs = []
    for i in range(conformations):
        one = store.gather(np.array([i]))
        graphs.append(Data(z=torch.from_numpy(one.types), pos=torch.from_numpy(np.array(one.positions))))
    started = time.perf_counter()
    for _ in DataLoader(graphs, batch_size=BATCH, shuffle=True):
        pass
    return conformations / (time.perf_counter() - started)
