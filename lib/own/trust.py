"""The potentials of notebook 14 and their examination, recorded, so that hours of dynamics need not be run to be drawn.

Each model learns the shipped example from scratch, the slowest with fewer steps (`Plan.few`): the paper's four with
the settings of the paper (MLP(Σ h), a cutoff at which the energy may jump, no repulsion), and every model with those
for dynamics. Records are csv files in ``data/results/soundness``, one a kind, called by the run, and those of the
reference by its name. What is not recorded yet is measured and written by::

    from lib.own import trust

    for path in trust.record_all("laptop"):
        print(path)
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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
from lib.runs.runner import run, run_all, stored
from lib.study.layers import DYNAMICS

FOLDER = "soundness"
PAPER, FIT = "the paper's", "for dynamics"  # settings
PRECISIONS = {"float32": torch.float32, "float64": torch.float64}
RATE, STEP = 3e-3, 1.0  # highest learning rate of all runs; fs
LAWS, PAIRS, STRETCHES, TRAJECTORIES, LONG = "laws", "pairs", "stretches", "trajectories", "long"  # kinds of records
KINDS = (LAWS, PAIRS, STRETCHES, TRAJECTORIES, LONG)
OF_REFERENCE = (STRETCHES, TRAJECTORIES)
DIGITS = "%.6g"


@dataclass(frozen=True)
class Plan:
    """What is examined at a scale.

    Attributes:
        models: those of the notebook; `PAPER_MODELS` among them with both settings.
        steps: of training.
        picoseconds: at constant energy, and in each heat bath.
        long: ps of the long trajectory at constant energy, with the settings for dynamics.
        few: the models that train slowest, with fewer steps: enough for laws and pairs of atoms, which are all that is
            asked of them, and too few for a potential.
        live: the model that the notebook trains and examines itself.
        shown: the model whose pictures it draws.
        recorded: whether the notebook draws from records; else it measures everything, as it does where records are to
            be ignored.
    """

    models: tuple[str, ...]
    steps: int
    picoseconds: float
    long: float
    few: Mapping[str, int] = field(default_factory=dict)
    live: str = "schnet"
    shown: str = "schnet"
    recorded: bool = True

    @property
    def measure(self) -> bool:
        """Whether what is not recorded is measured."""
        return not self.recorded or bool(os.environ.get(results.IGNORE))

    def steps_of(self, model: str) -> int:
        """How many steps ``model`` is trained for."""
        return self.few.get(model, self.steps)

    def kinds_of(self, model: str, settings: str) -> tuple[str, ...]:
        """What is asked of ``model`` with ``settings``."""
        if model in self.few:
            return KINDS[:2]
        return KINDS if settings == FIT else KINDS[:4]


PLANS = {
    "smoke": Plan(("schnet",), 60, 0.02, 0.05, recorded=False),
    "laptop": Plan(
        tuple(MODELS),
        800,
        10.0,
        50.0,
        dict.fromkeys(("se3_transformer", "tensornet", "visnet"), 100),
        shown="torchmd_net",
    ),
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
        example(), weights + DYNAMICS * fit, rates=(RATE,), steps=plan_of(scale).steps_of(model), extensive=fit
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
    potential, settings = potential_of(scale, name), name[1]
    calculator = PotentialCalculator(potential)
    if kind == LAWS:
        atoms = minimum()
        parts = [examination.laws(potential_of(scale, name, precision), atoms, precision) for precision in PRECISIONS]
        return pd.concat(parts, ignore_index=True)
    if kind == PAIRS:
        return soundness.pair_curves(potential, step=0.05)
    if kind == STRETCHES:
        return examination.stretches(minimum(), {settings: calculator})
    plan = plan_of(scale)
    if kind == LONG:
        replicas = examination.replicas_of(plan.long, 0.0)
    elif kind == TRAJECTORIES:
        replicas = examination.replicas_of(plan.picoseconds, plan.picoseconds)
    else:
        raise ValueError(f"kind = {kind!r}: choose from {KINDS}")
    return examination.trajectories(start(), lambda: calculator, replicas, STEP)


def examine_reference(scale: str, kind: str) -> pd.DataFrame:
    """The same of the reference, which has stretched bonds and heated trajectories."""
    if kind == STRETCHES:
        return examination.stretches(minimum(), dynamics.reference_calculators(EXAMPLE_LEVEL))
    replicas = examination.replicas_of(0.0, plan_of(scale).picoseconds)
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


def gather(scale: str, kind: str, measure: bool = False) -> pd.DataFrame:
    """The rows of one kind of record of all `names` and of the reference, with ``model``, ``settings`` and ``steps``.

    What is not recorded is measured here if ``measure``, else left out (`missing`).
    """
    tables = []
    for model, settings in names(scale):
        if kind in plan_of(scale).kinds_of(model, settings):
            who = {"model": MODELS[model].label, "settings": settings, "steps": plan_of(scale).steps_of(model)}
            tables.append((who, rows_of(scale, (model, settings), kind, measure)))
    if kind in OF_REFERENCE:
        tables.append(({"model": dynamics.LEVEL, "settings": "", "steps": 0}, rows_of(scale, None, kind, measure)))
    return pd.concat([rows.assign(**who) for who, rows in tables if rows is not None] or [pd.DataFrame()])


def errors(scale: str) -> pd.DataFrame:
    """Test errors of each of `names` whose run is recorded or stored: energies (kcal/mol) and forces (kcal/mol/Å).

    Returns:
        Columns ``model``, ``settings``, ``steps``, ``energy`` and ``force``, mean absolute errors.
    """
    rows = []
    for model, settings in names(scale):
        result = stored(config_of(scale, (model, settings)))
        if result is not None:
            who = {"model": MODELS[model].label, "settings": settings, "steps": plan_of(scale).steps_of(model)}
            rows.append(who | {"energy": result.metrics["test_mae"], "force": result.metrics["test_force_mae"]})
    return pd.DataFrame(rows)


def missing(scale: str) -> list[str]:
    """What is asked for and not recorded."""
    plan = plan_of(scale)
    asked = [(name, kind) for name in names(scale) for kind in plan.kinds_of(*name)]
    out = [f"{MODELS[model].label}, {settings}: {kind}" for (model, settings), kind in asked
           if not path_of(scale, (model, settings), kind).exists()]  # fmt: skip
    return out + [f"{dynamics.LEVEL}: {kind}" for kind in OF_REFERENCE if not path_of(scale, None, kind).exists()]


def record(scale: str, name: tuple[str, str] | None, kind: str) -> Path:
    """Measure and write a record, and that of the run that it is of."""
    path = path_of(scale, name, kind)
    rows = examine_reference(scale, kind) if name is None else examine(scale, name, kind)
    write_text(path, rows.to_csv(index=False, float_format=DIGITS, lineterminator="\n"))
    if name is not None and not (result := run(config_of(scale, name))).recorded:
        results.record(result, FOLDER)
    return path


def record_all(scale: str) -> Iterator[Path]:
    """Write whatever is `missing`, the reference's first; each as soon as it is measured."""
    everything: list[tuple[tuple[str, str] | None, str]] = [(None, kind) for kind in OF_REFERENCE]
    everything += [(name, kind) for name in names(scale) for kind in plan_of(scale).kinds_of(*name)]
    for name, kind in everything:
        if not path_of(scale, name, kind).exists():
            yield record(scale, name, kind)
