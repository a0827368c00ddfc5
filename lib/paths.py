"""Where things are: the one home of folders. `CACHE` holds what any run can make again."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DATA = ROOT / "data"
FIGURES = Path(os.environ.get("DENOISING_FIGURES", ROOT / "figures"))
CACHE = Path(os.environ.get("DENOISING_CACHE", ROOT / "cache"))
STORES = CACHE / "stores"
RUNS = CACHE / "runs"
