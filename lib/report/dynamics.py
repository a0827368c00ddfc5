"""Potentials with forces in notebook 10: energy conservation in dynamics, and the calibration of an ensemble's spread.

They start from pre-trained layers and learn energies and forces; with the paper's cutoff, where energies may jump, and
with the smooth one (`Scale.smooth`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from lib.data.datasets import find, open_store
from lib.potentials import dynamics
from lib.potentials.calibration import evaluate_on
from lib.potentials.ensemble import Potential
from lib.report.trajectories import Trajectory
from lib.runs.config import RunConfig
from lib.runs.results import Result
from lib.runs.runner import run_all
from lib.study.arms import cell_runs
from lib.study.cells import Cell
from lib.study.matrix import FORCE_DATA, FORCE_WEIGHTS
from lib.study.scale import Scale

SHARP, SMOOTH = "sharp cutoff", "smooth cutoff"
WITH_UNITS = {  # the columns of `energy_conservation` for reading
    "drift": "drift (meV/atom/ps)",
    "fluctuation": "fluctuation (meV/atom)",
    "fluctuation_at_first": "over the first tenth (meV/atom)",
}


def configs(
    scale: Scale, model: str, data: str, force_weight: float, seeds: Sequence[int] | None = None
) -> dict[str, list[RunConfig]]:
    """Runs of ``model`` on ``data`` with forces, pre-trained: of the first seed with the paper's cutoff, of all
    ``seeds`` with the smooth one. Both have the learning rate that was chosen for the paper's.
    """
    cell, smooth = Cell(model, data, True, force_weight=force_weight), scale.smooth()
    sharp = cell_runs(scale, cell, seeds)
    rate = sharp[0].training.learning_rate
    return {SHARP: sharp[:1], SMOOTH: [smooth.finetune(cell, rate, config.seed) for config in sharp]}


def default_runs(scale: Scale) -> list[RunConfig]:
    """`configs` of notebook 10 at its defaults, with the pre-trainings that they start from."""
    groups = configs(scale, scale.exceptions.force_models[-1], FORCE_DATA, max(FORCE_WEIGHTS))
    runs = [config for group in groups.values() for config in group]
    return [*(config.pretrained for config in runs if config.pretrained is not None), *runs]


def sharp_and_smooth(
    scale: Scale,
    model: str,
    data: str,
    force_weight: float,
    seeds: Sequence[int] | None = None,
    workers: int | None = None,
    device: str = "auto",
) -> dict[str, list[Result]]:
    """The results of `configs`, with their weights."""
    groups = configs(scale, model, data, force_weight, seeds)
    return {name: run_all(group, workers, name, device, weights=True) for name, group in groups.items()}


def plan_nve(
    scale: Scale,
    runs: Mapping[str, Sequence[Result]],
    data: str,
    picoseconds: float | None = None,
    temperature: float = 300.0,
    step: float = 0.5,
) -> dict[str, Trajectory]:
    """A trajectory of the first run of each name; of the last, for a tenth of the time, one with half the ``step``.

    All start from the first test conformation with the same velocities; they last ``picoseconds`` (None: the scale's),
    and one step is ``step`` fs.
    """
    last = list(runs)[-1]
    first = int(runs[last][0].test_errors()["index"][0])
    store = open_store(find(f"{scale.suite}/{data}"))
    time = scale.picoseconds if picoseconds is None else picoseconds
    plans = {name: Trajectory(group[0], store, first, time, temperature, step) for name, group in runs.items()}
    return plans | {
        f"{last}, half the step": replace(plans[last], picoseconds=time / 10, step=step / 2),
    }


def energy_conservation(trajectories: Mapping[str, pd.DataFrame], atoms: int) -> pd.DataFrame:
    """Drift (meV/atom/ps) and fluctuation (meV/atom) of the total energy of each trajectory, how long it lasts, and the
    fluctuation over the time of the shortest one (``fluctuation_at_first``): it grows with time, so only those of equal
    times can be compared.
    """
    shortest = min(rows["time"].iloc[-1] for rows in trajectories.values())
    first = {name: rows[rows["time"] <= shortest * (1 + 1e-9)] for name, rows in trajectories.items()}
    return pd.DataFrame(
        {
            "potential": name,
            "picoseconds": rows["time"].iloc[-1],
            **dynamics.drift(rows, atoms),
            "fluctuation_at_first": dynamics.drift(first[name], atoms)["fluctuation"],
        }
        for name, rows in trajectories.items()
    )


def ensemble_errors(scale: Scale, results: Sequence[Result], data: str) -> pd.DataFrame:
    """`calibration.evaluate_on` of the ensemble of ``results`` on the test conformations of the first.

    On ISO17 these are of molecules that no seed has seen in fine-tuning.
    """
    potential = Potential.load([result.weights().path for result in results])
    return evaluate_on(potential, open_store(find(f"{scale.suite}/{data}")), results[0].test_errors()["index"])
