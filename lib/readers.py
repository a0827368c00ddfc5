"""The readers under their short name; they live in `lib.data.readers`."""

from lib.data.readers import PUBLISHED_PARTS, READERS, Molecule

__all__ = ["PUBLISHED_PARTS", "READERS", "Molecule"]
