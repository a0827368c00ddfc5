"""Runs trained again on this machine and compared with their records.

On the machine that made the record they are equal to the bit. Elsewhere rounding differs, and training amplifies the
difference: `TOLERANCE` allows for that. Measured with EGNN on mini ANI-1x at laptop scale, seed 0, where the record
has a test MAE of 13.92 from scratch: 16.39 on another machine, whenever it is trained there, and 13.61 and 13.71 there
with every initial weight changed by a millionth of itself. Pre-trained, the other machine is off by 0.0003 %.
"""

from collections.abc import Iterable

import pandas as pd

from lib.data.datasets import family_of
from lib.models import MODELS
from lib.runs.results import find_record
from lib.runs.runner import run_here
from lib.study.arms import cell_runs
from lib.study.cells import Cell
from lib.study.scale import Scale
from lib.training.execution import SHOWN, Execution
from lib.training.metrics import ERRORS

TOLERANCE = 20.0  # per cent of a recorded error


def repeat(scale: Scale, cells: Iterable[Cell], seed: int, execution: Execution = SHOWN) -> pd.DataFrame:
    """Train ``cells`` of ``seed`` on this machine, unless that was done before; records are compared, not loaded.

    Returns:
        One row per metric and cell: ``recorded`` and ``here`` (kcal/mol), ``difference (%)`` of the record and
        ``within tolerance``: yes, no, or no record.
    """
    rows = []
    for cell in cells:
        (config,) = cell_runs(scale, cell, [seed])
        record, here = find_record(config.key()), run_here(config, execution)
        for metric in (f"test_{key}" for key in ERRORS):
            before, now = record.metrics[metric] if record else float("nan"), here.metrics[metric]
            difference = 100 * (now / before - 1)
            rows.append(
                {
                    "model": MODELS[cell.model].label,
                    "dataset": scale.data_label(family_of(cell.data)),
                    "pretrained": "yes" if cell.pretrained else "no",
                    "metric": metric,
                    "recorded": before,
                    "here": now,
                    "difference (%)": difference,
                    "within tolerance": verdict(difference) if record else "no record",
                    "seed": seed,
                }
            )
    return pd.DataFrame(rows)


def verdict(difference: float) -> str:
    """Whether a ``difference`` (per cent) is within `TOLERANCE`."""
    return "yes" if abs(difference) <= TOLERANCE else "no"
