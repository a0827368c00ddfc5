"""What models cost on this machine, for notebook 08: time by size of molecule, and training at the paper's widths."""

from collections.abc import Sequence

import pandas as pd

from lib.bench.inference import inference
from lib.bench.models import training_rate
from lib.machine import one_thread
from lib.models import MODELS


def cost_by_size(names: Sequence[str], scale: str, sizes: Sequence[int], seconds: float = 0.3) -> pd.DataFrame:
    """S4: milliseconds for the energy and forces of one cluster by model and number of atoms, one thread."""
    with one_thread():
        return pd.DataFrame(
            {"model": MODELS[name].label, "atoms": atoms, **inference(name, scale, atoms, seconds, "cpu")}
            for name in names
            for atoms in sizes
        )


def training_rates(names: Sequence[str]) -> dict[tuple[str, str], float]:
    """Conformations that one thread trains in a second at the paper's widths, by model and task."""
    return {
        (name, task): training_rate(name, "paper", task == "energy")
        for name in names
        for task in ("denoising", "energy")
    }
