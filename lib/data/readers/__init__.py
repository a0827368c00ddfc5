"""Readers of the published file formats: each only yields `Molecule`; none splits, batches or shuffles.

A new format is one new file with ``read(path, **options)`` and one line in `READERS`.
"""

from collections.abc import Callable, Iterator

from lib.data.readers import ani1, ani1x, iso17, md22, own, spice
from lib.data.readers.molecule import Molecule

READERS: dict[str, Callable[..., Iterator[Molecule]]] = {
    "ani1": ani1.read,
    "ani1x": ani1x.read,
    "iso17": iso17.read,
    "spice": spice.read,
    "md22": md22.read,
    "own": own.read,
}

# split that comes with a data set, for `splits.split_by_rows`
PUBLISHED_PARTS: dict[str, Callable] = {"iso17": iso17.published_parts}

__all__ = ["PUBLISHED_PARTS", "READERS", "Molecule"]
