"""With and without pre-training: the same schedule, steps, seeds and splits; each arm with its own learning rate.

The learning rate of an arm is the one of the scale's candidates with the lowest validation RMSE at the first seed; the
other seeds keep it. Test data decide nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from lib.config import RunConfig
from lib.jobs import select, splits
from lib.models import MODELS
from lib.runs import Result, run_all, stored
from lib.scales import PRE_TRAINING_DATA, Scale, get_scale

CONTROL = 3  # times the steps, the control for faster optimisation
CONTROL_DATA = ("ani1x",)  # where the control runs
MINUTES = "core-minutes left"


@dataclass(frozen=True)
class Arm:
    """One cell of the grid: a model on a data set, pre-trained or not, with its results by seed."""

    model: str
    data: str
    pretrained: bool
    longer: int
    learning_rate: float
    results: tuple[Result, ...]


def grid(models: Sequence[str], data: Sequence[str]) -> list[tuple[str, str, bool]]:
    """All (model, data set, pre-trained)."""
    return [(m, d, p) for m in models for d in data for p in (False, True)]


def candidates(scale: Scale, cells: Sequence[tuple[str, str, bool]], seed: int) -> list[RunConfig]:
    """The runs from which each cell's learning rate is chosen, cell by cell."""
    return [scale.finetune(m, d, seed, p, rate) for m, d, p in cells for rate in scale.learning_rates]


def compare_arms(
    scale: Scale,
    cells: Sequence[tuple[str, str, bool]],
    seeds: Sequence[int],
    longer: int = 1,
    workers: int | None = None,
) -> list[Arm]:
    """Run or load the grid; ``longer`` times the steps, at the learning rates chosen for the plain schedule."""
    run_all(_pretrainings(scale, cells, seeds), workers, "pre-training")
    scan = run_all(candidates(scale, cells, seeds[0]), workers, "learning rates")
    width = len(scale.learning_rates)
    rates = []
    for k in range(len(cells)):
        scores = [r.metrics["validation_rmse"] for r in scan[k * width : (k + 1) * width]]
        rates.append(scale.learning_rates[scores.index(min(scores))])
    configs = [
        scale.finetune(m, d, seed, p, rate, longer)
        for (m, d, p), rate in zip(cells, rates, strict=True)
        for seed in seeds
    ]
    results = run_all(configs, workers, "seeds")
    n = len(seeds)
    return [
        Arm(m, d, p, longer, rate, tuple(results[k * n : (k + 1) * n]))
        for k, ((m, d, p), rate) in enumerate(zip(cells, rates, strict=True))
    ]


def plan(
    scale: Scale,
    cells: Sequence[tuple[str, str, bool]],
    seeds: Sequence[int],
    control: Sequence[tuple[str, str, bool]] = (),
) -> pd.DataFrame:
    """What `compare_arms` has to run for ``cells``, and with `CONTROL` times the steps for ``control``.

    The cost in core-minutes of what is not stored is the number of conformations that training passes times the
    scale's measured seconds: an estimate.
    """
    rate = scale.learning_rates[0]
    rows = []
    for name, configs in {
        "pre-training": _pretrainings(scale, cells, seeds),
        "learning rates": candidates(scale, cells, seeds[0]),
        "further seeds": [scale.finetune(m, d, s, p, rate) for m, d, p in cells for s in seeds[1:]],
        f"{CONTROL} times the steps": [scale.finetune(m, d, s, p, rate, CONTROL) for m, d, p in control for s in seeds],
    }.items():
        todo = [c for c in configs if stored(c) is None]
        minutes = round(sum(_seconds(scale, c) for c in todo) / 60, 1)
        rows.append({"runs": name, "number": len(configs), "stored": len(configs) - len(todo), MINUTES: minutes})
    return pd.DataFrame(rows)


def plan_scale(name: str) -> pd.DataFrame:
    """`plan` of everything that the notebooks run at the scale called ``name``."""
    scale = get_scale(name)
    models = list(MODELS)
    return plan(scale, grid(models, PRE_TRAINING_DATA), scale.seeds, grid(models, CONTROL_DATA))


def _pretrainings(scale: Scale, cells: Sequence[tuple[str, str, bool]], seeds: Sequence[int]) -> list[RunConfig]:
    return [scale.pretrain(m, s) for m in dict.fromkeys(c[0] for c in cells) for s in seeds]


def _seconds(scale: Scale, config: RunConfig) -> float:
    per_conformation = scale.seconds.get(config.model, (float("nan"),) * 2)[config.task == "energy"]
    passed = sum(len(s.index) for s in select(config, splits(config))["train"]) * config.training.epochs
    return 5.0 + passed * per_conformation


def describe(arms: Sequence[Arm]) -> pd.DataFrame:
    """The chosen learning rate, steps and R² of each arm, for reading."""
    return pd.DataFrame(
        {
            "model": MODELS[a.model].label,
            "data set": a.data,
            "pre-trained": a.pretrained,
            "learning rate": a.learning_rate,
            "steps": a.results[0].about["steps"],
            "R²": round(sum(r.metrics["test_r2"] for r in a.results) / len(a.results), 4),
            "seconds a run": round(sum(r.about["wall_seconds"] for r in a.results) / len(a.results), 1),
        }
        for a in arms
    )
