"""A store as a torch_geometric data set: `Data` by index, for PyG's own loaders, transforms and training loops."""

from collections.abc import Sequence

import numpy as np
import torch
from torch_geometric.data import Data, Dataset

from lib.data.store import ConformationStore


class StoreDataset(Dataset):
    """Conformations of a store as graphs without edges (a transform such as ``RadiusGraph`` or a model makes them).

    Each has ``z`` (N,) atomic numbers, ``charges`` (N,) formal charges in e, ``pos`` (N, 3) Å float32, ``y`` (1,) the
    energy relative to free atoms in kcal/mol, and ``force`` (N, 3) kcal/mol/Å where the store has forces.
    """

    def __init__(self, store: ConformationStore, index: Sequence[int] | None = None) -> None:
        """``index`` (n,) names conformations of the store, as a `Split` does; None takes all.

        Raises:
            ValueError: a number that the store does not have.
        """
        super().__init__()
        self.store = store
        self.index = np.arange(len(store)) if index is None else np.asarray(index, dtype=np.int64)
        outside = (self.index < 0) | (self.index >= len(store))
        if outside.any():
            raise ValueError(f"conformation {self.index[outside][0]}: {store.path} has 0 to {len(store) - 1}")

    def len(self) -> int:
        """Number of conformations."""
        return len(self.index)

    def get(self, idx: int) -> Data:
        """One conformation."""
        one = self.index[idx : idx + 1]
        molecule = int(self.store.molecule_of(one)[0])
        atoms = self.store.atoms_of(molecule)
        z, charges = (torch.tensor(self.store.arrays[key][atoms].astype(np.int64)) for key in ("z", "charges"))
        own = {"force": torch.tensor(self.store.gather_forces(one))} if self.store.has_forces else {}
        energy = torch.tensor(self.store.relative_energy(one), dtype=torch.float32)
        pos = torch.tensor(self.store.gather(one).positions)
        return Data(z=z, charges=charges, pos=pos, y=energy, name=self.store.names[molecule], **own)
