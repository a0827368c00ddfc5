"""With and without pre-training: the same schedule, steps, seeds and splits; each arm with its own learning rate.

The learning rate of an arm is the one of the scale's candidates with the lowest validation RMSE, mean over seeds. Test
data decide nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import pandas as pd

from lib.config import RunConfig
from lib.jobs import select, splits
from lib.models import MODELS
from lib.runs import Result, run_all, stored
from lib.scales import PRE_TRAINING_DATA, Scale, get_scale
from lib.splits import ORDERS

YARDSTICK, YARDSTICK_RATE = "egnn", 3e-3  # the network beside the ridge, from scratch
CONTROL = 3  # times the steps, the control for faster optimisation
CONTROL_DATA = ("ani1x",)  # where the control runs
Cell = tuple[str, str, bool]  # model, data set, pre-trained
MINUTES = "core-minutes left"


@dataclass(frozen=True)
class Arm:
    """One cell of the grid: a model on a data set, pre-trained or not, with its results by seed.

    ``at_edge`` says that the chosen learning rate is the smallest or largest of several candidates: a better one may
    lie outside.
    """

    model: str
    data: str
    pretrained: bool
    longer: int
    learning_rate: float
    at_edge: bool
    results: tuple[Result, ...]


def grid(models: Sequence[str], data: Sequence[str]) -> list[Cell]:
    """All (model, data set, pre-trained)."""
    return [(m, d, p) for m in models for d in data for p in (False, True)]


def compare_arms(
    scale: Scale,
    cells: Sequence[Cell],
    seeds: Sequence[int],
    longer: int = 1,
    workers: int | None = None,
) -> list[Arm]:
    """Run or load the grid; ``longer`` times the steps, at the learning rates chosen for the plain schedule."""
    run_all(pretrainings(scale, cells, seeds), workers, "pre-training")
    scans = _by_cell(run_all(candidates(scale, cells, seeds), workers, "learning rates"), len(cells))
    arms = []
    for cell, scan in zip(cells, scans, strict=True):
        by_rate = _by_cell(scan, len(scale.learning_rates))
        best = _best(by_rate)
        at_edge = len(by_rate) > 1 and scale.learning_rates[best] in (
            min(scale.learning_rates),
            max(scale.learning_rates),
        )
        arms.append(Arm(*cell, 1, scale.learning_rates[best], at_edge, tuple(by_rate[best])))
    if longer == 1:
        return arms
    chosen = [(*cell, arm.learning_rate) for cell, arm in zip(cells, arms, strict=True)]
    configs = [scale.finetune(*start, s, longer) for start in chosen for s in seeds]
    results = _by_cell(run_all(configs, workers, f"{longer} times the steps"), len(cells))
    return [replace(a, longer=longer, results=tuple(r)) for a, r in zip(arms, results, strict=True)]


def _best(by_rate: Sequence[Sequence[Result]]) -> int:
    """Which learning rate has the lowest validation RMSE, mean over seeds."""
    scores = [sum(r.metrics["validation_rmse"] for r in results) for results in by_rate]
    return scores.index(min(scores))


def pretrainings(scale: Scale, cells: Sequence[Cell], seeds: Sequence[int]) -> list[RunConfig]:
    """The pre-training of each model and seed."""
    return [scale.pretrain(model, s) for model in dict.fromkeys(cell[0] for cell in cells) for s in seeds]


def candidates(scale: Scale, cells: Sequence[Cell], seeds: Sequence[int]) -> list[RunConfig]:
    """Every cell with every candidate learning rate and seed, in that order."""
    return [scale.finetune(*cell, rate, s) for cell in cells for rate in scale.learning_rates for s in seeds]


def _by_cell(results: Sequence[Result], n: int) -> list[Sequence[Result]]:
    """``results`` in ``n`` equal pieces, in order."""
    size = len(results) // max(n, 1)
    return [results[k * size : (k + 1) * size] for k in range(n)]


def plan(scale: Scale, cells: Sequence[Cell], seeds: Sequence[int], control: Sequence[Cell] = ()) -> pd.DataFrame:
    """What `compare_arms` has to run for ``cells``, and with `CONTROL` times the steps for ``control``.

    The cost in core-minutes of what is not stored is the number of conformations that training passes times the
    scale's measured seconds: an estimate.
    """
    longer = [scale.finetune(*cell, _known_rate(scale, cell, seeds), s, CONTROL) for cell in control for s in seeds]
    parts = {
        "pre-training": pretrainings(scale, cells, seeds),
        "energy, each learning rate and seed": candidates(scale, cells, seeds),
        f"energy, {CONTROL} times the steps": longer,
    }
    return pd.DataFrame([_todo(scale, name, configs) for name, configs in parts.items()])


def _todo(scale: Scale, name: str, configs: Sequence[RunConfig]) -> dict[str, str | int | float]:
    """One row of `plan`."""
    todo = [c for c in configs if stored(c) is None]
    minutes = round(sum(_seconds(scale, c) for c in todo) / 60, 1)
    return {"runs": name, "number": len(configs), "stored": len(configs) - len(todo), MINUTES: minutes}


def yardsticks(scale: Scale, model: str, systems: Sequence[str], learning_rate: float, seed: int) -> list[RunConfig]:
    """``model`` from scratch on each of MD22's ``systems``, on a random split and on one in the file's order."""
    return [
        scale.finetune(model, f"md22/{system}", False, learning_rate, seed, split_order=order)
        for system in systems
        for order in ORDERS
    ]


def _known_rate(scale: Scale, cell: Cell, seeds: Sequence[int]) -> float:
    """The chosen learning rate where all candidates are stored, else the first (the cost is the same)."""
    found = [stored(c) for c in candidates(scale, [cell], seeds)]
    if any(result is None for result in found):
        return scale.learning_rates[0]
    return scale.learning_rates[_best(_by_cell(found, len(scale.learning_rates)))]


def plan_scale(name: str) -> pd.DataFrame:
    """`plan` of everything that the notebooks run at the scale called ``name``."""
    scale = get_scale(name)
    table = plan(scale, grid(scale.models, PRE_TRAINING_DATA), scale.seeds, grid(scale.models, CONTROL_DATA))
    alone = yardsticks(scale, YARDSTICK, scale.systems, YARDSTICK_RATE, scale.seeds[0])
    return pd.concat([table, pd.DataFrame([_todo(scale, "energy, systems of MD22 beside a ridge", alone)])])


def shards(name: str) -> list[tuple[str, int]]:
    """What the batch deals out at the scale called ``name``: every model with every seed."""
    scale = get_scale(name)
    return [(model, seed) for model in scale.models for seed in scale.seeds]


def shard(name: str, model: str, seed: int) -> list[RunConfig]:
    """The runs of `shards`' item that do not wait for another seed's: pre-training, candidates, and yardsticks."""
    scale = get_scale(name)
    cells = grid([model], PRE_TRAINING_DATA)
    alone = []
    if (model, seed) == (YARDSTICK, scale.seeds[0]):
        alone = yardsticks(scale, YARDSTICK, scale.systems, YARDSTICK_RATE, seed)
    return [*pretrainings(scale, cells, [seed]), *candidates(scale, cells, [seed]), *alone]


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
            "at the edge": a.at_edge,
            "steps": a.results[0].about["steps"],
            "R²": round(sum(r.metrics["test_r2"] for r in a.results) / len(a.results), 4),
            "seconds a run": round(sum(r.about["wall_seconds"] for r in a.results) / len(a.results), 1),
        }
        for a in arms
    )
