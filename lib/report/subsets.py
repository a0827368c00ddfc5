"""Subsets of a data set's molecules, by name: SPICE's own, and by elements and charges."""

import numpy as np
from numpy.typing import NDArray

from lib.data.datasets import find, open_store
from lib.data.readers.spice import subsets_of
from lib.data.store import ConformationStore

PRE_TRAINED_ELEMENTS = (1, 6, 7, 8)  # those of ANI-1 and ANI-1x
Subsets = dict[str, NDArray[np.int64]]  # numbers of molecules by the subset's name


def spice_subsets(suite: str) -> Subsets:
    """SPICE's own subsets, by their names in the file without ``SPICE`` and the text before it."""
    dataset = find(f"{suite}/spice")
    names = subsets_of(dataset.path)
    subset = np.array([names[name].partition("SPICE ")[2] or names[name] for name in open_store(dataset).names])
    return {name: np.flatnonzero(subset == name) for name in sorted(set(subset))}


def kinds_of_atoms(store: ConformationStore) -> Subsets:
    """Molecules by elements and charges, compared with pre-training, which has `PRE_TRAINED_ELEMENTS` without charges.

    A charged atom counts even where the molecule as a whole is neutral.
    """
    charged, foreign = np.zeros(len(store.names), dtype=bool), np.zeros(len(store.names), dtype=bool)
    owner = np.repeat(np.arange(len(store.names)), store.n_atoms)
    np.logical_or.at(charged, owner, store.arrays["charges"] != 0)
    np.logical_or.at(foreign, owner, ~np.isin(store.arrays["z"], PRE_TRAINED_ELEMENTS))
    classes = {
        "H, C, N, O without charges": ~charged & ~foreign,
        "other elements, no charges": ~charged & foreign,
        "charged atoms": charged,
    }
    return {name: np.flatnonzero(members) for name, members in classes.items()}
