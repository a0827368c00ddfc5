"""The conformations that a run takes: its split of each data set, limited as its settings say."""

import numpy as np
from numpy.typing import NDArray

from lib.data.datasets import open_store
from lib.data.loading import Selection
from lib.data.readers import PUBLISHED_PARTS
from lib.data.splits import FINE_TUNING, PRE_TRAINING, PUBLISHED, Split, make_split, split_by_rows, subsample
from lib.data.store import ConformationStore
from lib.errors import DataError, look_up
from lib.runs.config import RunConfig

Splits = list[tuple[ConformationStore, Split]]


def splits(config: RunConfig) -> Splits:
    """Each data set's store and the split that ``config`` uses.

    Pre-training leaves out the test conformations of the fine-tuning split, unless ``strict_split`` is off. What
    validation and test have files of their own for, trains.
    """
    held_out, out = dict(config.held_out), []
    shares = {part: share for part, share in FINE_TUNING.items() if part not in held_out}
    shares["train"] += sum(FINE_TUNING.values()) - sum(shares.values())
    for dataset in config.data:
        store = open_store(dataset)
        if config.split_order == PUBLISHED:
            parts = look_up(PUBLISHED_PARTS, dataset.reader, "data set with a published split")
            split = split_by_rows(store, parts(dataset.path))
        else:
            split = make_split(store, config.seed, shares, order=config.split_order)
        if not config.labelled:
            test = split.parts["test"] if config.strict_split else None
            split = make_split(store, config.seed, PRE_TRAINING, without=test)
        out.append((store, split))
    return out


def _lowest(store: ConformationStore, share: float) -> NDArray[np.bool_]:
    """Whether each conformation is among the ``share`` of its molecule's with the lowest energies, one at least."""
    low = np.zeros(len(store), dtype=bool)
    for molecule in range(len(store.names)):
        members = store.conformations_of(molecule)
        order = np.argsort(store.energy(members), kind="stable")
        low[members[order[: max(1, round(share * len(members)))]]] = True
    return low


def select(config: RunConfig, whole_splits: Splits) -> dict[str, list[Selection]]:
    """The conformations of each part in every data set of ``whole_splits`` (from `splits`), limited by ``config``.

    Raises:
        DataError: a part is left without conformations.
    """
    out: dict[str, list[Selection]] = {}
    parts = [(store, part, index) for store, split in whole_splits for part, index in split.parts.items()]
    for part, dataset in config.held_out:
        store = open_store(dataset)
        parts.append((store, part, np.arange(len(store))))
    low = {id(store): _lowest(store, config.lowest) for store, _ in whole_splits} if config.lowest < 1 else {}
    for store, part, index in parts:
        index = index[low[id(store)][index]] if id(store) in low else index
        limit = getattr(config.limits, part.split("_")[0])
        index = index if limit is None or not len(index) else subsample(index, min(limit, len(index)), config.seed)
        if part == "train" and config.share < 1 and len(index):
            index = subsample(index, max(1, round(config.share * len(index))), config.seed)
        out.setdefault(part, []).append(Selection(store, index))
    for part, selections in out.items():
        if not any(len(s.index) for s in selections):
            raise DataError(
                selections[0].store.path, part, "the split leaves no conformation for it", "give more frames"
            )
    return out
