"""What runs cost: core-minutes of those that are neither recorded nor stored, estimated from measured speeds."""

from collections.abc import Collection, Sequence
from math import ceil, isnan
from typing import Final, TypedDict

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib.runs.config import RunConfig
from lib.runs.runner import is_available, sources_to_train
from lib.runs.selection import select, splits
from lib.study.arms import cell_runs, pretrainings
from lib.study.cells import Cell, Pair, members
from lib.study.rates import scan
from lib.study.scale import Scale

MINUTES: Final = "core-minutes left"
MARGIN, SHORTEST, UNMEASURED = 3, 30, 24 * 60  # of `job_minutes`: factor, and minutes
Row = TypedDict("Row", {"runs": str, "number": int, "stored": int, "core-minutes left": float})
FORCES_COST = 6.0  # times a run on energies alone: 5 to 7 in records of TorchMD-Net, with validation and small batches


def plan(scale: Scale, pairs: Sequence[Pair[Cell]], seeds: Sequence[int] | None = None) -> pd.DataFrame:
    """What `arms.compare_arms` has to run for ``pairs``.

    The cost of the missing runs in core-minutes is an estimate: the number of conformations that training passes,
    weighed by their size, times the scale's measured seconds.
    """
    cells, counted = members(pairs), set[str]()
    parts = {
        "pre-training": pretrainings(scale, cells, seeds),
        "energy, learning rates": scan(scale, cells),
        "energy": [config for cell in dict.fromkeys(cells) for config in cell_runs(scale, cell, seeds)],
    }
    return pd.DataFrame([todo(scale, name, configs, counted=counted) for name, configs in parts.items()])


def todo(
    scale: Scale,
    name: str,
    configs: Sequence[RunConfig],
    with_weights: Collection[str] = (),
    counted: set[str] | None = None,
) -> Row:
    """One row of `plan`; a run with its key in ``with_weights`` counts as missing where its weights are.

    The cost includes pre-trainings that are recorded without their weights, where a missing run starts from them; their
    keys are added to ``counted``, and those that are in it were counted in another row.
    """
    counted = set() if counted is None else counted
    missing = [c for c in configs if not is_available(c, c.key() in with_weights)]
    sources = {s.key(): s for c in missing for s in sources_to_train(c) if is_available(s, weights=False)}
    again = {key: source for key, source in sources.items() if key not in counted}
    counted |= set(again)
    minutes = round(sum(_seconds(scale, c) for c in [*missing, *again.values()]) / 60, 1)
    return {"runs": name, "number": len(configs), "stored": len(configs) - len(missing), MINUTES: minutes}


def in_words(minutes: float) -> str:
    """Core-minutes for a reader; unknown (NaN) where a model's speed was not measured."""
    if isnan(minutes):
        return "an unknown number of core-minutes"
    return f"about {minutes:.{1 if minutes < 10 else 0}f} core-minutes"


def job_minutes(core_minutes: float) -> int:
    """The time limit, in minutes, to give a job of a cluster that is estimated to take ``core_minutes`` on one core.

    Other processors are slower than the one whose speed was measured, so it is `MARGIN` times the estimate, and at
    least `SHORTEST`; a day where nothing was measured (NaN). A job that needs longer goes on where it was stopped.
    """
    return UNMEASURED if isnan(core_minutes) else max(SHORTEST, ceil(MARGIN * core_minutes))


def _seconds(scale: Scale, config: RunConfig) -> float:
    per_conformation = scale.cost.of(config.model, config.task)
    if isnan(per_conformation):  # so that nothing is split for it
        return per_conformation
    selections = select(config, splits(config))["train"]
    passed = config.training.epochs * sum(float(relative_cost(s.n_atoms).sum()) for s in selections)
    return 1.0 + passed * per_conformation * (FORCES_COST if config.training.learns_forces else 1)


def relative_cost(atoms: NDArray[np.number]) -> NDArray[np.float64]:
    """Cost of conformations relative to one of 18 atoms: pairs within the cutoff, at most about 45 per atom."""
    return atoms * (atoms - 1).clip(1, 45) / (18 * 17)
