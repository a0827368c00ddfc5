"""The potentials of notebook 14 and their examination, recorded, so that hours of dynamics need not be run to be drawn.

Each model learns the shipped example from scratch, with equal steps: the paper's four with the settings of the paper
(MLP(Σ h), a cutoff at which the energy may jump, no repulsion), and every model with those for dynamics. Records are
csv files in ``data/results/soundness``, four a potential, called by its run; those of the reference by its name. What
records lack is measured here::

    from lib.own import trust

    for name in trust.names("laptop"):
        trust.record("laptop", name)
"""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
from ase import Atoms

from lib.data.datasets import open_store
from lib.errors import look_up
from lib.files import write_text
from lib.models import MODELS, PAPER_MODELS
from lib.own.datasets import EXAMPLE_LEVEL, example
from lib.own.finetuning import FineTuning
from lib.potentials import dynamics, examination, soundness
from lib.potentials.calculator import PotentialCalculator
from lib.potentials.ensemble import Potential
from lib.runs import results
from lib.runs.config import RunConfig
from lib.runs.runner import is_available, run_all
from lib.study.layers import DYNAMICS

FOLDER = "soundness"
PAPER, FIT = "the paper's", "for dynamics"  # settings
PRECISIONS = {"float32": torch.float32, "float64": torch.float64}
RATE, STEP = 3e-3, 1.0  # highest learning rate of all runs; fs
LAWS, PAIRS, STRETCHES, TRAJECTORIES = "laws", "pairs", "stretches", "trajectories"  # kinds of records
DIGITS = "%.6g"


@dataclass(frozen=True)
class Plan:
    """What is examined at a scale.

    Attributes:
        models: those of the notebook; `PAPER_MODELS` among them with both settings.
        steps: of training.
        constant: ps at constant energy, by model; others take ``heated``.
        heated: ps in a heat bath.
        live: the model that the notebook trains and examines itself.
    """

    models: tuple[str, ...]
    steps: int
    heated: float
    constant: Mapping[str, float]
    live: str = "schnet"


PLANS = {
    "smoke": Plan(("schnet",), 60, 0.02, {}),
    "laptop": Plan(tuple(MODELS), 800, 10.0, {"schnet": 50.0, "torchmd_net": 50.0}),
}


def plan_of(scale: str) -> Plan:
    """The plan of the scale called ``scale``.

    Raises:
        ValueError: it has none; the message lists the scales that have.
    """
    return look_up(PLANS, scale, "scale with potentials to examine")


def names(scale: str) -> list[tuple[str, str]]:
    """Model and settings of each potential of ``scale``."""
    settings = {model: (PAPER, FIT) if model in PAPER_MODELS else (FIT,) for model in plan_of(scale).models}
    return [(model, each) for model in plan_of(scale).models for each in settings[model]]


def config_of(scale: str, name: tuple[str, str]) -> RunConfig:
    """The run of one of `names`."""
    model, settings = name
    weights, fit = f"{model}-{scale}", settings == FIT
    tuning = FineTuning(
        example(), weights + DYNAMICS * fit, rates=(RATE,), steps=plan_of(scale).steps, extensive=fit
    )  # fmt: skip
    return tuning.configs(RATE)[0]


def potential_of(scale: str, name: tuple[str, str], precision: str = "float32", workers: int | None = 1) -> Potential:
    """One of `names`, trained where its weights are not stored."""
    (result,) = run_all([config_of(scale, name)], workers, " ".join(name), weights=True)
    return Potential([result.weights()], "cpu", PRECISIONS[precision])


def start() -> Atoms:
    """Where trajectories start: a conformation of the example."""
    return dynamics.frame(open_store(example()), 0)


def minimum() -> Atoms:
    """The nearest minimum of the reference, where laws are tried and bonds are stretched."""
    return dynamics.relax(start(), dynamics.reference_calculators(EXAMPLE_LEVEL)[dynamics.LEVEL], largest=0.01)


def examine(scale: str, name: tuple[str, str], kind: str) -> pd.DataFrame:
    """The rows of one kind of record of one of `names`, measured here."""
    model, settings = name
    potential = potential_of(scale, name)
    calculator = PotentialCalculator(potential)
    if kind == LAWS:
        atoms = minimum()
        parts = [examination.laws(potential_of(scale, name, precision), atoms, precision) for precision in PRECISIONS]
        return pd.concat(parts, ignore_index=True)
    if kind == PAIRS:
        return soundness.pair_curves(potential, step=0.05)
    if kind == STRETCHES:
        return examination.stretches(minimum(), {settings: calculator})
    if kind == TRAJECTORIES:
        plan = plan_of(scale)
        constant = plan.constant.get(model, plan.heated) if settings == FIT else plan.heated
        return examination.trajectories(
            start(), lambda: calculator, examination.replicas_of(constant, plan.heated), STEP
        )  # fmt: skip
    raise ValueError(f"kind = {kind!r}: choose from {(LAWS, PAIRS, STRETCHES, TRAJECTORIES)}")


def examine_reference(scale: str, kind: str) -> pd.DataFrame:
    """The same of the reference, which has stretched bonds and heated trajectories."""
    if kind == STRETCHES:
        return examination.stretches(minimum(), dynamics.reference_calculators(EXAMPLE_LEVEL))
    replicas = examination.replicas_of(0.0, plan_of(scale).heated)
    return examination.trajectories(
        start(), lambda: dynamics.reference_calculators(EXAMPLE_LEVEL)[dynamics.LEVEL], replicas, STEP
    )


def path_of(scale: str, name: tuple[str, str] | None, kind: str) -> Path:
    """Where the ``kind`` of one of `names` is recorded, if it is; None is the reference."""
    key = f"{EXAMPLE_LEVEL}-{scale}" if name is None else config_of(scale, name).key()
    return results.RECORDS / FOLDER / f"{key}-{kind}.csv"


def rows_of(scale: str, name: tuple[str, str] | None, kind: str, measure: bool) -> pd.DataFrame | None:
    """The rows of a record; where there is none, or none is to be used, measured here if ``measure``, else None."""
    path = path_of(scale, name, kind)
    if path.exists() and not os.environ.get(results.IGNORE):
        return pd.read_csv(path)
    if not measure:
        return None
    return examine_reference(scale, kind) if name is None else examine(scale, name, kind)


def record(scale: str, name: tuple[str, str] | None, kind: str) -> Path:
    """Measure and write a record, and the run that it is of."""
    path = path_of(scale, name, kind)
    rows = examine_reference(scale, kind) if name is None else examine(scale, name, kind)
    write_text(path, rows.to_csv(index=False, float_format=DIGITS, lineterminator="\n"))
    return path


def is_trained(scale: str, name: tuple[str, str]) -> bool:
    """Whether the run of one of `names` is stored with its weights."""
    return is_available(config_of(scale, name), weights=True)
