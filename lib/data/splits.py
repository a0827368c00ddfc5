"""Splits: which conformations train, validate and test, molecule by molecule.

Each molecule's conformations are permuted by a generator seeded from (seed, name of the molecule) and cut by shares in
per cent, rounded down, the rest to the last part; where a molecule has fewer than `FEW` of them, each is drawn by lot,
since rounding would leave parts empty. (Cut in the order of the file instead, the test part is the end of a
trajectory, and no training frame is next to it in time.) So a molecule's parts do not depend on the order of files or
on what else is in the store. Shares of the paper (section 3.1): 95/5 for pre-training, 80/10/10 for fine-tuning.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.data.store import ConformationStore
from lib.errors import DataError

FINE_TUNING = {"train": 80, "validation": 10, "test": 10}
PRE_TRAINING = {"train": 95, "validation": 5}
FEW = 10  # conformations of a molecule that can be cut into tenths
ORDERS = ("random", "file")
PUBLISHED = "published"  # the split that comes with a data set


@dataclass(frozen=True)
class Split:
    """Conformation numbers of each part, ascending, and a hash that does not depend on the order of molecules."""

    parts: dict[str, NDArray[np.int64]]
    hash: str

    def save(self, path: Path) -> None:
        """Write the parts and the hash as ``.npz``."""
        arrays: dict[str, Any] = {"hash": np.array(self.hash), **self.parts}
        np.savez_compressed(path, **arrays)

    @staticmethod
    def load(path: Path, store: ConformationStore) -> "Split":
        """Read a saved split of ``store``.

        Raises:
            DataError: its hash does not fit the store: another data set, or a changed file.
        """
        with np.load(path) as file:
            saved = str(file["hash"])
            parts = {key: file[key] for key in file.files if key != "hash"}
        outside = any(len(index) and index[-1] >= len(store) for index in parts.values())
        if outside or _hash(store, parts) != saved:
            raise DataError(path, "hash", f"{saved} does not fit the store {store.path}", "make the split again")
        return Split(parts, saved)


def make_split(
    store: ConformationStore,
    seed: int,
    shares: dict[str, int],
    without: NDArray[np.int64] | None = None,
    order: str = "random",
) -> Split:
    """Split ``store`` into parts of ``shares`` per cent of each molecule, leaving out the conformations ``without``.

    Args:
        store: what is split.
        seed: of the permutation.
        shares: per cent of each part.
        without: conformations that belong to no part.
        order: one of `ORDERS`: ``random``, or ``file``, which permutes nothing.

    Raises:
        ValueError: the shares do not add up to 100, or an order that is not one.
    """
    if order not in ORDERS:
        raise ValueError(f"no order {order!r} of a split: choose from {ORDERS}")
    if sum(shares.values()) != 100 or min(shares.values()) < 0:
        raise ValueError(f"shares {shares} must be per cent that add up to 100")
    free = np.ones(len(store), dtype=bool)
    free[without if without is not None else []] = False
    cuts = np.cumsum(list(shares.values()))[:-1]
    chosen: dict[str, list[NDArray[np.int64]]] = {name: [] for name in shares}
    for molecule, name in enumerate(store.names):
        first = store.first_conformation[molecule]
        members = first + np.flatnonzero(free[first : first + store.n_conformations[molecule]])
        if len(members) < FEW and order == "random":
            lots = np.searchsorted(cuts, 100 * _generator(seed, name).random(len(members)), side="right")
            for k, part in enumerate(shares):
                chosen[part].append(members[lots == k])
            continue
        if order == "random":
            members = members[_generator(seed, name).permutation(len(members))]
        for part, piece in zip(chosen, np.split(members, cuts * len(members) // 100), strict=True):
            chosen[part].append(piece)
    parts = {part: np.sort(np.concatenate(pieces)) for part, pieces in chosen.items()}
    return Split(parts, _hash(store, parts))


def split_by_rows(store: ConformationStore, chosen: Mapping[str, tuple[str, NDArray[np.int64] | None]]) -> Split:
    """A published split, told by the rows of the official files (ISO17: ``readers.iso17.published_ids``).

    Args:
        store: of a data set whose reader keeps row numbers.
        chosen: for each part the beginning of its molecules' names, and its rows, or None for all of them.

    Raises:
        ValueError: the store keeps no row numbers, or a row is not there.
    """
    if "rows" not in store.arrays:
        raise ValueError(f"{store.path} keeps no row numbers: its data set has no published split by rows")
    rows, everything = np.asarray(store.arrays["rows"]), np.arange(len(store))
    named = {prefix: np.array([name.startswith(prefix) for name in store.names]) for prefix, _ in chosen.values()}
    parts = {}
    for part, (prefix, wanted) in chosen.items():
        index = everything[named[prefix][store.molecule_of(everything)]]
        if wanted is not None:
            missing = np.setdiff1d(wanted, rows[index])
            if len(missing):
                raise ValueError(f"{part}: row {missing[0]} of {prefix!r} is not in {store.path}")
            index = index[np.isin(rows[index], wanted)]
        parts[part] = index
    return Split(parts, _hash(store, parts))


def subsample(index: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """``count`` conformations of ``index`` (B,), each as likely as another, ascending; smaller ones are nested.

    Raises:
        ValueError: more are wanted than there are, or none.
    """
    if not 0 < count <= len(index):
        raise ValueError(f"cannot take {count} of {len(index)} conformations: choose 1 to {len(index)}")
    return np.sort(np.random.default_rng([seed, 1]).permutation(index)[:count])


def _generator(seed: int, name: str) -> np.random.Generator:
    return np.random.default_rng([seed, int.from_bytes(hashlib.sha256(name.encode()).digest()[:8])])


def _hash(store: ConformationStore, parts: dict[str, NDArray[np.int64]]) -> str:
    """SHA-256 of (part, molecule, conformation numbers within it), molecules by name."""
    digest = hashlib.sha256()
    for part, index in sorted(parts.items()):
        starts = np.searchsorted(index, store.first_conformation)
        ends = np.append(starts[1:], len(index))
        for m in sorted(np.flatnonzero(ends > starts), key=lambda k: store.names[k]):
            local = index[starts[m] : ends[m]] - store.first_conformation[m]
            digest.update(f"{part}|{store.names[m]}|".encode() + local.astype("<i8").tobytes())
    return digest.hexdigest()
