"""One conformation as an example: clean, noised, and with the noise that a pre-trained model predicts."""

from dataclasses import dataclass

import numpy as np
import torch
from ase.data import atomic_numbers
from numpy.typing import NDArray
from torch import nn

from lib.batches import Batch
from lib.chemistry.atom_types import ATOM_TYPES
from lib.data.store import Conformations
from lib.noising import gaussian_noise
from lib.runs.config import RunConfig
from lib.runs.results import Result
from lib.runs.selection import select, splits


@dataclass(frozen=True)
class NoisedExample:
    """``numbers`` (N,), and in Å ``clean``, ``noise`` and ``predicted`` noise, (N, 3) each."""

    numbers: NDArray[np.int64]
    clean: NDArray[np.float32]
    noise: NDArray[np.float32]
    predicted: NDArray[np.float32]


def noised_example(config: RunConfig, result: Result, n_atoms: int, seed: int) -> NoisedExample:
    """The first validation conformation with ``n_atoms`` atoms, noised from ``seed``, with the predicted noise.

    Raises:
        ValueError: no validation conformation has that many atoms.
    """
    for selection in select(config, splits(config))["validation"]:
        store, index = selection.store, selection.index
        fitting = index[store.n_atoms[store.molecule_of(index)] == n_atoms]
        if len(fitting):
            conformation = store.gather(fitting[:1])
            break
    else:
        raise ValueError(f"no validation conformation has {n_atoms} atoms: choose another number")
    return denoised(result.weights().build(), conformation, config.sigma, np.random.default_rng(seed))


def denoised(
    model: nn.Module, conformation: Conformations, sigma: float, generator: np.random.Generator
) -> NoisedExample:
    """One ``conformation``, noised with ``sigma`` (Å), and the noise that ``model`` predicts."""
    clean = conformation.positions
    noise = gaussian_noise(len(conformation.types), sigma, generator)
    batch = Batch.from_arrays(conformation.types, clean + noise, conformation.molecule, model.settings.cutoff)
    with torch.no_grad():
        predicted = model(batch, energy=False).noise.numpy()
    numbers = np.array([atomic_numbers[ATOM_TYPES[t][0]] for t in conformation.types])
    return NoisedExample(numbers, clean, noise, predicted)
