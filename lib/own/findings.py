"""Findings: what is wrong or odd in a user's conformations, each a warning or an error, and words that checks share."""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib.data.store import ConformationStore

FRAMES = 200  # of a molecule, in which distances and forces are looked at
SAME = 1e-12  # relative: energies that differ by less do not differ
ALIKE = 0.04  # relative difference to a factor at which it is suspected
ERROR, WARNING = "error", "warning"
ALL = "all"  # molecules: what a finding is about where it is no single one
Array = NDArray[np.float64]
Numbers = NDArray[np.integer]


@dataclass(frozen=True)
class Finding:
    """Something wrong or odd: ``severity`` is `ERROR` or `WARNING`; ``text`` says what, where, and what to do.

    ``molecule`` is its name, `ALL` where it is no single one, or empty where the text says it all.
    """

    severity: str
    molecule: str
    text: str

    def __str__(self) -> str:
        """One line for a reader."""
        return ": ".join(each for each in (self.severity, self.molecule, self.text) if each)


def by_frame(rows: NDArray[np.float32], frames: int) -> Array:
    """Positions or forces of one molecule's conformations, (M N, 3), as (M, N, 3)."""
    return rows.reshape(frames, -1, 3).astype(np.float64)


def frame_numbers(store: ConformationStore, index: Numbers) -> NDArray[np.int64]:
    """What users know conformations ``index`` by: their numbers among the frames of all files, or else from 0 on."""
    return np.asarray(store.arrays["rows"][index]) if "rows" in store.arrays else np.arange(len(index))


def as_table(findings: list[Finding]) -> pd.DataFrame:
    """For reading."""
    return pd.DataFrame([(f.severity, f.molecule, f.text) for f in findings], columns=["severity", "molecule", "found"])


def refuse_errors(findings: list[Finding]) -> None:
    """Stop where something must be mended first.

    Raises:
        ValueError: with every error.
    """
    errors = [f"{f.molecule}: {f.text}" for f in findings if f.severity == ERROR]
    if errors:
        raise ValueError("; ".join(errors))


Checks = list[tuple[str, str]]


def frame_list(frames: Numbers) -> str:
    """Numbers of frames in the file, the first few."""
    shown = ", ".join(str(int(k)) for k in frames[:5])
    return f"frame{'s' * (len(frames) > 1)} {shown}{' …' if len(frames) > 5 else ''}"
