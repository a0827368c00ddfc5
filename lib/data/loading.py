"""Loading: shuffled batches of conformations from one or several stores, with noise or with energies.

The order of training conformations comes from (seed, epoch) alone, a conformation's noise from (seed, epoch,
conformation): neither from batch nor process. Validation noise is the same in all epochs. Several processes, and the
micro-batches of an accumulated step, share the conformations of each step among them. Gathering is vectorised; one item
of the data loader is one whole batch.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import numpy as np
import torch.distributed as dist
from numpy.typing import NDArray
from torch.utils.data import DataLoader, Dataset, Sampler

from lib.batches import Batch
from lib.chemistry.reference_energies import WB97X, reference_energies
from lib.data.store import ConformationStore
from lib.errors import DataError
from lib.noising import conformation_noise

ORDER, TRAINING_NOISE, FIXED_NOISE = 10, 11, 12  # streams of random numbers, apart from one another


@dataclass(frozen=True)
class Request:
    """One batch to load: conformation numbers ``index`` (B,), the key of its noise, and `Batch.loss_weight`."""

    index: NDArray[np.int64]
    noise_key: tuple[int, int]
    loss_weight: float = 1.0


@dataclass(frozen=True)
class Selection:
    """Conformations ``index`` (n,) of one ``store``."""

    store: ConformationStore
    index: NDArray[np.int64]

    @property
    def n_atoms(self) -> NDArray[np.int64]:
        """Number of atoms (n,) of each conformation."""
        return self.store.n_atoms[self.store.molecule_of(self.index)]


def rounded_energy(store: ConformationStore, index: NDArray[np.int64]) -> NDArray[np.float64]:
    """Relative energies (B,) in kcal/mol from total energies that were rounded to float32, as in the released code.

    The totals are as large as those of the paper's level of theory, all electrons counted, whatever the store's own.

    Raises:
        ValueError: an atom type has no reference energy at that level.
    """
    free = np.add.reduceat(reference_energies(WB97X, store.types), store.first_atom)[store.molecule_of(index)]
    return (store.relative_energy(index) + free).astype(np.float32).astype(np.float64) - free


class ConformationBatches(Dataset):
    """Batches of the conformations of ``selections``, numbered through; noised, with relative energies, or both."""

    def __init__(
        self,
        selections: Sequence[Selection],
        cutoff: float,
        sigma: float | None = None,
        forces: bool = False,
        labelled: bool | None = None,
        single_precision: bool = False,
    ) -> None:
        """With ``sigma`` (Å) batches are noised and carry ``noise``. Where ``labelled``, which they are without noise
        unless said otherwise, they carry ``energy`` (kcal/mol) and, where asked for, ``forces`` (kcal/mol/Å), both of
        the conformation as it was before the noise. In ``single_precision`` energies are those of `rounded_energy`.

        Raises:
            DataError: forces are asked for and a store has none.
        """
        self.selections, self.cutoff, self.sigma, self.forces = list(selections), cutoff, sigma, forces
        self.labelled = sigma is None if labelled is None else labelled
        self.single_precision = single_precision
        for selection in selections if forces else []:
            if not selection.store.has_forces:
                raise DataError(selection.store.path, "", "it has no forces", "learn energies alone: force_weight None")
        self.ends = np.cumsum([len(s.index) for s in selections])

    def __len__(self) -> int:
        """Number of conformations."""
        return int(self.ends[-1])

    def noised(self, sigma: float | None) -> "ConformationBatches":
        """The same with noise of standard deviation ``sigma`` (Å) on the coordinates; None leaves them as they are."""
        return ConformationBatches(
            self.selections, self.cutoff, sigma, self.forces, self.labelled, self.single_precision
        )

    def energies(self) -> NDArray[np.float64]:
        """Relative energies (n,) in kcal/mol of all conformations, in order."""
        return np.concatenate([self._energy(s.store, s.index) for s in self.selections])

    def _energy(self, store: ConformationStore, index: NDArray[np.int64]) -> NDArray[np.float64]:
        return rounded_energy(store, index) if self.single_precision else store.relative_energy(index)

    def compositions(self) -> NDArray[np.int64]:
        """Number of atoms of each type (n, 28) in all conformations, in order."""
        return np.concatenate([s.store.compositions[s.store.molecule_of(s.index)] for s in self.selections])

    def different_compositions(self) -> NDArray[np.int64]:
        """The compositions (m, 28) of the molecules that have conformations here, each once."""
        tables = [s.store.compositions[np.unique(s.store.molecule_of(s.index))] for s in self.selections]
        return np.unique(np.concatenate(tables), axis=0)

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
        targets = {}
        if self.labelled:
            targets["energy"] = np.concatenate([self._energy(store, chosen) for store, chosen in picked])
            if self.forces:
                targets["forces"] = np.concatenate([store.gather_forces(chosen) for store, chosen in picked])
        if self.sigma is not None:
            owners = np.stack([np.sort(which), np.concatenate([chosen for _, chosen in picked])], 1)
            n_atoms = np.concatenate([p.n_atoms for p in parts])
            targets["noise"] = conformation_noise(n_atoms, self.sigma, request.noise_key, owners)
            positions = positions + targets["noise"]
        batch = Batch.from_arrays(types, positions, molecule, self.cutoff, **targets, index=index)
        return replace(batch, loss_weight=request.loss_weight)


class EpochSampler(Sampler[Request]):
    """The batches of an epoch; training order and noise change with `set_epoch`, which Lightning calls.

    Each step's conformations are dealt out to the processes of torch.distributed, where there are several and each is
    not ``alone``, and to ``micro_batches`` one after another. One that would be empty gets a conformation with loss
    weight 0 as padding, so that all processes take equally many steps.

    Lightning cannot do that: its sampler repeats conformations or drops them, so that an epoch is not the data, and it
    averages the parts of a step as if each had as many conformations, which those of the last step have not.
    """

    def __init__(
        self, size: int, batch_size: int, seed: int, shuffle: bool, micro_batches: int = 1, alone: bool = False
    ) -> None:
        """``shuffle`` is for training: order and noise new each epoch; else both stay."""
        self.size, self.batch_size, self.seed, self.shuffle = size, batch_size, seed, shuffle
        self.micro_batches, self.alone, self.epoch, self.first = micro_batches, alone, 0, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order and noise come next."""
        self.epoch = epoch

    def __len__(self) -> int:
        """Number of batches of a process; the last ones may be smaller, none is left out."""
        return -(-self.size // self.batch_size) * self.micro_batches

    def __iter__(self) -> Iterator[Request]:
        """The requests of one epoch, from number ``first`` on."""
        return islice(self._requests(), self.first, None)

    def _requests(self) -> Iterator[Request]:
        stream, epoch = (TRAINING_NOISE, self.epoch) if self.shuffle else (FIXED_NOISE, 0)
        order = np.arange(self.size)
        if self.shuffle:
            order = np.random.default_rng([self.seed, ORDER, epoch]).permutation(self.size)
        together = dist.is_initialized() and not self.alone
        rank, processes = (dist.get_rank(), dist.get_world_size()) if together else (0, 1)
        parts, key = processes * self.micro_batches, (self.seed, (stream << 32) + epoch)
        for start in range(0, self.size, self.batch_size):
            step = order[start : start + self.batch_size]
            for k in range(self.micro_batches):
                own = step[k * processes + rank :: parts]
                yield Request(own if len(own) else step[:1], key, len(own) * parts / len(step))


class BatchLoader(DataLoader):
    """A data loader whose items are whole batches; its state is how many of them an epoch has given so far.

    Lightning saves that state in checkpoints, so that a fit goes on within an epoch
    (https://lightning.ai/docs/pytorch/stable/common/checkpointing_advanced.html).
    """

    def __init__(self, data: ConformationBatches, sampler: EpochSampler, workers: int, pinned: bool) -> None:
        """``workers`` processes prepare batches ahead, in ``pinned`` memory where a GPU takes them."""
        super().__init__(
            data,
            batch_size=None,
            sampler=sampler,
            num_workers=workers,
            pin_memory=pinned,
            persistent_workers=workers > 0,
        )
        self.requests, self.given, self.resume_after = sampler, 0, 0

    def __iter__(self) -> Iterator[Batch]:  # type: ignore[override]
        """The batches of one epoch; of a resumed one, those that are left."""
        self.given = self.requests.first = self.resume_after
        self.resume_after = 0
        for batch in super().__iter__():
            self.given += 1
            yield batch

    def state_dict(self) -> dict[str, Any]:
        """How many batches of the running epoch were given; 0 after the last one."""
        return {"given": self.given % len(self)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The next epoch starts after as many batches as ``state`` says."""
        self.resume_after = state["given"]


def make_loader(
    data: ConformationBatches,
    batch_size: int,
    seed: int,
    shuffle: bool,
    micro_batches: int = 1,
    alone: bool = False,
    workers: int = 0,
    pinned: bool = False,
) -> BatchLoader:
    """A data loader whose items are whole batches; ``batch_size`` counts those of all processes and
    ``micro_batches``.

    Args:
        data: what is loaded.
        batch_size: conformations of a step.
        seed: of order and noise.
        shuffle: for training.
        micro_batches: in which each process takes its part of a step.
        alone: whether every process gets everything.
        workers: processes that prepare batches ahead; 0 prepares each when it is asked for. The batches are the same.
        pinned: whether batches are put in page-locked memory, from which a GPU copies faster.
    """
    sampler = EpochSampler(len(data), batch_size, seed, shuffle, micro_batches, alone)
    return BatchLoader(data, sampler, workers, pinned)
