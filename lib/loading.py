"""Loading: shuffled batches of conformations from one or several stores, with noise or with energies.

What is drawn depends on (seed, epoch) alone: the order of training conformations and their noise are new each epoch,
validation noise is the same in all. Gathering is vectorised; one item of the data loader is one whole batch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from lib.batches import Batch
from lib.noising import gaussian_noise
from lib.store import ConformationStore

ORDER, TRAINING_NOISE, FIXED_NOISE = 10, 11, 12  # streams of random numbers, apart from one another


@dataclass(frozen=True)
class Request:
    """One batch to load: conformation numbers ``index`` (B,) and the seeds of its noise."""

    index: NDArray[np.int64]
    noise_seed: tuple[int, ...]


@dataclass(frozen=True)
class Selection:
    """Conformations ``index`` (n,) of one ``store``."""

    store: ConformationStore
    index: NDArray[np.int64]


class ConformationBatches(Dataset):
    """Batches of the conformations of ``selections``, numbered through; noised, or with relative energies."""

    def __init__(self, selections: Sequence[Selection], cutoff: float, sigma: float | None = None) -> None:
        """With ``sigma`` (Å) batches are noised and carry ``noise``; without, they carry ``energy`` (kcal/mol)."""
        self.selections, self.cutoff, self.sigma = list(selections), cutoff, sigma
        self.ends = np.cumsum([len(s.index) for s in selections])

    def __len__(self) -> int:
        """Number of conformations."""
        return int(self.ends[-1])

    def energies(self) -> NDArray[np.float64]:
        """Relative energies (n,) in kcal/mol of all conformations, in order."""
        return np.concatenate([s.store.relative_energy(s.index) for s in self.selections])

    def compositions(self) -> NDArray[np.int64]:
        """Number of atoms of each type (n, 28) in all conformations, in order."""
        return np.concatenate([s.store.compositions[s.store.molecule_of(s.index)] for s in self.selections])

    def __getitem__(self, request: Request) -> Batch:
        """The batch of ``request``; conformations of several stores are laid store after store."""
        which = np.searchsorted(self.ends, request.index, side="right")
        order = np.argsort(which, kind="stable")
        index, which = request.index[order], which[order]
        picked = []
        for k in np.unique(which):
            offset = self.ends[k] - len(self.selections[k].index)
            picked.append((self.selections[k].store, self.selections[k].index[index[which == k] - offset]))
        parts = [store.gather(chosen) for store, chosen in picked]
        types = np.concatenate([p.types for p in parts])
        positions = np.concatenate([p.positions for p in parts])
        molecule = np.repeat(np.arange(len(index)), np.concatenate([p.n_atoms for p in parts]))
        if self.sigma is None:
            energy = np.concatenate([store.relative_energy(chosen) for store, chosen in picked])
            return Batch.from_arrays(types, positions, molecule, self.cutoff, energy=energy, index=index)
        noise = gaussian_noise(len(types), self.sigma, np.random.default_rng(request.noise_seed))
        return Batch.from_arrays(types, positions + noise, molecule, self.cutoff, noise=noise, index=index)


class EpochSampler(Sampler[Request]):
    """The batches of an epoch; training order and noise change with `set_epoch`, which Lightning calls."""

    def __init__(self, size: int, batch_size: int, seed: int, shuffle: bool) -> None:
        """``shuffle`` is for training: order and noise new each epoch; else both stay."""
        self.size, self.batch_size, self.seed, self.shuffle, self.epoch = size, batch_size, seed, shuffle, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order and noise come next."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Number of batches; the last one may be smaller, none is left out."""
        return -(-self.size // self.batch_size)

    def __iter__(self) -> Iterator[Request]:
        """The requests of one epoch."""
        stream, epoch = (TRAINING_NOISE, self.epoch) if self.shuffle else (FIXED_NOISE, 0)
        order = np.arange(self.size)
        if self.shuffle:
            order = np.random.default_rng([self.seed, ORDER, epoch]).permutation(self.size)
        for step, start in enumerate(range(0, self.size, self.batch_size)):
            yield Request(order[start : start + self.batch_size], (self.seed, stream, epoch, step))


def make_loader(data: ConformationBatches, batch_size: int, seed: int, shuffle: bool, workers: int = 0) -> DataLoader:
    """A data loader whose items are whole batches."""
    sampler = EpochSampler(len(data), batch_size, seed, shuffle)
    return DataLoader(data, batch_size=None, sampler=sampler, num_workers=workers, persistent_workers=workers > 0)
