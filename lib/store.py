"""The conformation store under its short name; it lives in `lib.data.store`."""

from lib.data.store import ConformationStore

__all__ = ["ConformationStore"]
