"""One conformation as an example: clean, noised, and with the noise that a pre-trained model predicts; and epoch 0."""

from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from numpy.typing import NDArray

from lib.batches import Batch
from lib.chemistry.atom_types import NUMBERS
from lib.data.loading import ConformationBatches, make_loader
from lib.data.store import Conformations
from lib.errors import required
from lib.models import build
from lib.models.base import Model
from lib.noising import gaussian_noise
from lib.runs.config import RunConfig
from lib.runs.results import Result
from lib.runs.selection import select, splits

EVALUATED = 50  # conformations of a batch


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
    return denoised(
        result.weights().build(), conformation, required(config.sigma, "sigma"), np.random.default_rng(seed)
    )


def denoised(model: Model, conformation: Conformations, sigma: float, generator: np.random.Generator) -> NoisedExample:
    """One ``conformation``, noised with ``sigma`` (Å), and the noise that ``model`` predicts."""
    clean = conformation.positions
    noise = gaussian_noise(len(conformation.types), sigma, generator)
    batch = Batch.from_arrays(conformation.types, clean + noise, conformation.molecule, model.settings.cutoff)
    with torch.no_grad():
        predicted = model(batch, energy=False).noise.numpy()
    return NoisedExample(NUMBERS[conformation.types], clean, noise, predicted)


def untrained_error(config: RunConfig, count: int = 200) -> float:
    """The denoising error (mean squared, over σ²) of the initial weights of the pre-training ``config``: its epoch 0.

    On the first ``count`` validation conformations, with their noise of validation.
    """
    data = ConformationBatches(select(config, splits(config))["validation"], config.settings.cutoff, config.sigma)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = build(config.model, config.settings)
    squared, coordinates = 0.0, 0
    loader = make_loader(data, EVALUATED, config.seed, shuffle=False)
    for batch in islice(loader, -(-count // EVALUATED)):
        with torch.no_grad():
            noise = model(batch, energy=False).noise
        squared, coordinates = squared + float((noise - batch.noise).square().sum()), coordinates + noise.numel()
    return squared / coordinates / required(config.sigma, "sigma") ** 2
