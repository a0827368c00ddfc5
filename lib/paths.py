"""Where things are: the one home of folders. `CACHE` holds what any run can make again."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"


def folder_from(variable: str, default: Path) -> Path:
    """The folder that the environment ``variable`` names, or ``default`` where it is not set.

    Raises:
        ValueError: the variable is set and empty, which would mean the working directory.
    """
    value = os.environ.get(variable)
    if value is not None and not value.strip():
        raise ValueError(f"{variable} is set and empty: name a folder, or unset it to use {default}")
    return default if value is None else Path(value)


FIGURES = folder_from("DENOISING_FIGURES", ROOT / "figures")
CACHE = folder_from("DENOISING_CACHE", ROOT / "cache")
STORES = CACHE / "stores"
RUNS = CACHE / "runs"
OFFICIAL = folder_from("DENOISING_OFFICIAL", DATA / "official")  # the published data sets, a folder each
