"""Inference: energy and forces of one cluster, by the model alone and through the ASE calculator, on one thread.

A call of the calculator is a step of dynamics: the atoms have moved by a thousandth of an Å. The model alone takes the
same batch; the rest is ours and ASE's. Weights are random.
"""

import os
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from ase import Atoms

from lib import models
from lib.batches import Batch
from lib.bench.measuring import take_turns
from lib.chemistry.atom_types import ATOM_TYPES, atom_types
from lib.chemistry.reference_energies import GFN2_XTB
from lib.machine import flush_denormals, hardware, one_thread
from lib.models.forces import energy_and_forces
from lib.models.weights import save_weights
from lib.potentials.calculator import PotentialCalculator
from lib.study.scales import get_scale

SPACING = 2.2  # Å between the atoms of the growing clusters
ELEMENTS = (6, 1, 7, 8)
SIZES = (20, 60, 200, 600, 2000)
MOVED = 0.001  # Å
TARGET = {"mean": 0.0, "std": 1.0, "per_type": [0.0] * len(ATOM_TYPES), "level": GFN2_XTB}


def bench_inference(
    scales: Sequence[str] = ("paper", "laptop"),
    names: Sequence[str] = models.PAPER_MODELS,
    sizes: Sequence[int] = SIZES,
    seconds: float = 2.0,
    device: str = "cpu",
) -> dict[str, Any]:
    """Milliseconds of the models ``names`` at the widths of ``scales`` for clusters of ``sizes`` atoms.

    Args:
        scales: whose widths.
        names: of `models.MODELS`.
        sizes: numbers of atoms.
        seconds: how long each cluster is computed again.
        device: ``cpu`` or ``cuda``.
    """
    about = {"hardware": hardware(device), "device": device, "torch": torch.__version__,
             "load average": os.getloadavg()[0]}  # fmt: skip
    with one_thread():
        rows = [
            {"widths": scale, "model": models.MODELS[name].label, "atoms": n}
            | calculator_times(name, scale, n, seconds, device)
            for scale in scales
            for name in names
            for n in sizes
        ]
    return {"about": about, "inference with forces": rows}


def tables(measured: dict[str, Any]) -> str:
    """The numbers of `bench_inference` for reading."""
    rows = pd.DataFrame(measured["inference with forces"])
    about = "; ".join(f"{key}: {value}" for key, value in measured["about"].items())
    return f"{about}\n\n{rows.round(2).to_string(index=False)}"


def cluster(atoms: int) -> Atoms:
    """A part of a cubic grid with atoms of C, H, N and O, each a little off its place."""
    side = int(np.ceil(atoms ** (1 / 3)))
    grid = np.stack(np.meshgrid(*[np.arange(side)] * 3), -1).reshape(-1, 3)[:atoms]
    rng = np.random.default_rng(0)
    return Atoms(rng.choice(ELEMENTS, atoms), SPACING * grid + 0.2 * rng.normal(size=grid.shape))


def calculator_times(name: str, scale: str, atoms: int, seconds: float, device: str) -> dict[str, float]:
    """Milliseconds of one call of the calculator, of the model alone in it, and of a search for neighbours, which the
    calculator mostly saves.
    """
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        file = Path(folder) / "weights.safetensors"
        save_weights(file, name, models.build(name, get_scale(scale).settings(name)), task="energy", target=TARGET)
        calculator = PotentialCalculator.from_weights(file, device)
    structure, rng = cluster(atoms), np.random.default_rng(1)
    structure.calc = calculator
    model, _ = calculator.potential.members[0]
    z, pos = _tensors(structure, device)
    batch = Batch.from_arrays(z, pos, torch.zeros_like(z), model.settings.cutoff)

    def call() -> None:
        """A step of dynamics."""
        structure.positions += rng.uniform(-MOVED, MOVED, structure.positions.shape)
        structure.get_forces()

    def alone() -> None:
        """The same without ASE, neighbours, units and reference energies."""
        with flush_denormals():
            energy_and_forces(model, batch)

    def search() -> None:
        """The neighbours of all atoms."""
        Batch.from_arrays(z, pos, batch.molecule, model.settings.cutoff)

    works = [call, alone, search]
    for work in works:
        work()
    whole, inside, searched = (1e3 * t for t in take_turns(works, seconds, device))
    return {"pairs": batch.pairs.shape[1] // 2, "milliseconds": whole, "in the model": inside, "a search": searched}


def inference(name: str, scale: str, atoms: int, seconds: float, device: str) -> dict[str, float]:
    """Milliseconds for the energy of one cluster and its forces, neighbour search included, without a calculator."""
    torch.manual_seed(0)
    settings = get_scale(scale).settings(name)
    model = models.build(name, settings).to(device)
    z, pos = _tensors(cluster(atoms), device)

    def work() -> None:
        """Pairs, energy and its gradient with respect to the positions."""
        batch = Batch.from_arrays(z, pos, torch.zeros_like(z), settings.cutoff)
        batch = replace(batch, pos=pos.clone().requires_grad_())
        torch.autograd.grad(model(batch, noise=False).energy.sum(), batch.pos)

    work()
    with flush_denormals():
        return {"milliseconds": 1e3 * take_turns([work], seconds, device)[0]}


def _tensors(structure: Atoms, device: str) -> tuple[torch.Tensor, torch.Tensor]:
    """Atom types (A,) and positions (A, 3), float32."""
    types = atom_types(structure.numbers, np.zeros(len(structure), dtype=np.int64))
    return torch.as_tensor(types, device=device), torch.tensor(structure.positions, dtype=torch.float32, device=device)
