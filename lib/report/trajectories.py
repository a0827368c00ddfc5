"""Trajectories at constant energy that were recorded, so that minutes of dynamics need not be run to be drawn.

A record is a csv file of `dynamics.nve`'s rows in ``data/results/trajectories``, called by the run whose potential it
is of, the conformation it starts from, and its settings. `repeat` runs the beginning of each again, which shows whether
the potentials here are those of the records.
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from ase import Atoms

from lib.data.store import ConformationStore
from lib.files import write_text
from lib.potentials import dynamics
from lib.potentials.calculator import PotentialCalculator
from lib.runs.results import IGNORE, RECORDS, Result
from lib.units import EV

ROWS = 500  # beside the first
REPEATED = 0.1  # ps


@dataclass(frozen=True)
class Trajectory:
    """One at constant energy: the potential of ``run`` from conformation ``first`` of ``store``, ``step`` in fs."""

    run: Result
    store: ConformationStore
    first: int
    picoseconds: float
    temperature: float
    step: float

    @property
    def start(self) -> Atoms:
        """Its first frame."""
        return dynamics.frame(self.store, self.first)

    @property
    def path(self) -> Path:
        """Where it is recorded, if it is."""
        settings = f"{self.first}-{self.picoseconds:g}ps-{self.temperature:g}K-{self.step:g}fs"
        return RECORDS / "trajectories" / f"{self.run.key}-{settings}.csv"

    def is_recorded(self) -> bool:
        """Whether there is a record, and records are not to be ignored."""
        return self.path.exists() and not os.environ.get(IGNORE)

    def rows(self) -> pd.DataFrame:
        """The rows of `dynamics.nve`, from the record or run here."""
        return pd.read_csv(self.path) if self.is_recorded() else self.run_for(self.picoseconds)

    def run_for(self, picoseconds: float) -> pd.DataFrame:
        """Its first ``picoseconds``, run here, with rows at the same times."""
        calculator = PotentialCalculator.from_weights(self.run.weights().path)
        rows = max(1, round(ROWS * picoseconds / self.picoseconds))
        rng = np.random.default_rng(0)
        return dynamics.nve(self.start, calculator, picoseconds, rng, self.temperature, self.step, rows)

    def record(self) -> None:
        """Run it and write its record."""
        rows = self.run_for(self.picoseconds)
        write_text(self.path, rows.to_csv(index=False, float_format="%.12g", lineterminator="\n"))


def repeat(plans: Mapping[str, Trajectory], picoseconds: float = REPEATED) -> pd.DataFrame:
    """The beginning of each recorded trajectory run again: the largest difference of the total energy, meV per atom."""
    out = []
    for name, plan in plans.items():
        if plan.is_recorded():
            here = plan.run_for(min(picoseconds, plan.picoseconds))
            difference = (here["total"] - plan.rows()["total"].iloc[: len(here)]).abs().max()
            out.append({"potential": name, "picoseconds": here["time"].iloc[-1],
                        "largest difference (meV/atom)": 1000 * difference / EV / len(plan.start)})  # fmt: skip
    return pd.DataFrame(out, columns=["potential", "picoseconds", "largest difference (meV/atom)"])
