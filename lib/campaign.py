"""All runs of a scale: their items and notebooks, cost, records, and how the batch deals them out."""

from collections.abc import Iterable
from math import isnan, nan

import pandas as pd

from lib.own import learning_curve
from lib.report import dynamics
from lib.runs.config import RunConfig
from lib.runs.results import RECORDS, Result, find_record
from lib.runs.runner import run_all, trained
from lib.study.arms import cell_runs, complete_pairs, pretrainings, run_cells, seeds_of, yardsticks
from lib.study.cells import Cell, members
from lib.study.cost import MINUTES, todo
from lib.study.matrix import MATRIX, all_pairs, pairs
from lib.study.rates import scan
from lib.study.scale import PRE_TRAINING_DATA, Scale
from lib.study.scales import get_scale
from lib.training.tasks import TASKS

YARDSTICK, YARDSTICK_RATE = "egnn", 3e-3  # the network beside the ridge, from scratch
PRETRAINING, RIDGE = "pre-training", "a network beside the ridge"
DYNAMICS, OWN = "dynamics", "own molecules"
NOTEBOOKS = {  # the items that each notebook shows; the other notebooks train nothing
    "00_data": (RIDGE,),
    "01_pretraining": (PRETRAINING,),
    "02_ani1_and_ani1x": ("Table 2", "control"),
    "03_iso17": ("Figure 2, ISO17",),
    "04_spice": ("Figure 2, SPICE",),
    "05_md22": ("Figure 3", "Figure 3, longer"),
    "06_data_efficiency": ("Figure 4",),
    "07_choice_of_sigma": ("Figure 5",),
    "10_forces": ("forces", DYNAMICS),
    "11_your_own_molecules": (OWN,),
}
DIVISIBLE = {book: NOTEBOOKS[book] for book in ("05_md22", "06_data_efficiency")}  # those with a parameter ``missing``


def items_of(name: str) -> dict[str, list[RunConfig]]:
    """All runs of the scale called ``name``, by item."""
    scale = get_scale(name)
    items = {PRETRAINING: pretrainings(scale, members(pairs(scale.models, PRE_TRAINING_DATA)))}
    for item, pairs_of in MATRIX.items():
        cells = members(pairs_of(scale))
        energies = [config for cell in cells for config in cell_runs(scale, cell)]
        items[item] = [*pretrainings(scale, cells), *scan(scale, cells), *energies]
    items[RIDGE] = yardsticks(scale, YARDSTICK, scale.systems, YARDSTICK_RATE, scale.seeds[0])
    items[DYNAMICS] = dynamics.default_runs(scale)
    items[OWN] = learning_curve.example_runs(name)
    return items


def scale_runs(name: str) -> dict[str, list[RunConfig]]:
    """`items_of`, each run once: a run that several items share is in the first of them."""
    items, seen = items_of(name), set()
    for item, configs in items.items():
        new = {c.key(): c for c in configs if c.key() not in seen}
        seen |= set(new)
        items[item] = list(new.values())
    return items


def stored_of(name: str) -> list[Result]:
    """The results of the scale called ``name`` that were trained here and lack a record, or lack `shipped` weights."""
    with_weights, out = shipped(name), []
    for key in [config.key() for configs in scale_runs(name).values() for config in configs]:
        result, record = trained(key), find_record(key)
        if result is not None and (record is None or (key in with_weights and not record.has_weights())):
            out.append(result)
    return out


def shipped(name: str) -> set[str]:
    """Keys of the runs whose weights come with the project: the first seed's pre-training, and the potentials that
    notebooks 10 and 11 run.
    """
    scale = get_scale(name)
    variants = (scale, scale.smooth())
    pretrained = {variant.pretrain(model, scale.seeds[0]).key() for variant in variants for model in scale.models}
    return pretrained | _potentials(name)


def _potentials(name: str) -> set[str]:
    """Keys of the energy runs of dynamics and of one's own molecules, which need their weights beside their numbers."""
    of_dynamics = {config.key() for config in dynamics.default_runs(get_scale(name)) if config.labelled}
    return of_dynamics | set(learning_curve.example_potentials(name))


def plan_scale(name: str) -> pd.DataFrame:
    """`cost.plan` of all runs of the scale called ``name``, by item; shared runs count once."""
    scale, items, potentials, counted = get_scale(name), scale_runs(name), _potentials(name), set[str]()
    return pd.DataFrame([todo(scale, item, configs, potentials, counted) for item, configs in items.items()])


def left_out(name: str, notebooks: Iterable[str] = NOTEBOOKS) -> dict[str, float]:
    """Those of ``notebooks`` with missing runs, and the core-minutes that these take.

    Empty where the scale called ``name`` has no records at all: there everything is to be trained.
    """
    books = {book: NOTEBOOKS[book] for book in notebooks if book in NOTEBOOKS}
    if not books or not (RECORDS / name).is_dir():
        return {}
    scale, items, potentials = get_scale(name), items_of(name), _potentials(name)
    out: dict[str, float] = {}
    for book, shown in books.items():
        configs = {config.key(): config for item in shown for config in items[item]}
        row = todo(scale, book, list(configs.values()), potentials)
        if row["stored"] < row["number"]:
            out[book] = row[MINUTES]
    return out


def in_part(name: str, notebooks: Iterable[str]) -> list[str]:
    """Those of ``notebooks`` that can leave pairs out, and have a pair whose runs are all recorded or stored."""
    scale = get_scale(name)
    pairs_of = {book: [pair for item in DIVISIBLE.get(book, ()) for pair in MATRIX[item](scale)] for book in notebooks}
    return [book for book, shown in pairs_of.items() if complete_pairs(scale, shown)]


def shards(name: str) -> list[tuple[str, int]]:
    """The jobs of the batch at the scale called ``name``: every model with every seed."""
    scale = get_scale(name)
    return sorted({(c.model, seed) for c in _all_cells(scale) for seed in seeds_of(scale, c, None)})


def _all_cells(scale: Scale) -> list[Cell]:
    return list(dict.fromkeys(members(all_pairs(scale))))


def _shard_cells(scale: Scale, model: str, seed: int) -> list[Cell]:
    return [c for c in _all_cells(scale) if c.model == model and seed in seeds_of(scale, c, None)]


def shard_minutes(name: str, model: str, seed: int) -> float:
    """Core-minutes of those runs of a job of `shards` that are neither recorded nor stored, an estimate.

    NaN where the speed of ``model`` was not measured at the scale called ``name``; the data are not opened then.
    """
    scale = get_scale(name)
    if any(isnan(scale.cost.of(model, task)) for task in TASKS):
        return nan
    cells = _shard_cells(scale, model, seed)
    runs = [*pretrainings(scale, cells, [seed]), *scan(scale, cells), *_shard_yardsticks(scale, model, seed)]
    runs += [config for cell in cells for config in cell_runs(scale, cell, [seed])]
    return todo(scale, model, list({config.key(): config for config in runs}.values()))[MINUTES]


def train_shard(name: str, model: str, seed: int, workers: int = 1) -> list[Result]:
    """Train one of `shards` at the scale called ``name``, with the scans of learning rates that it needs.

    Dynamics and a user's own molecules are not among them: their notebooks train their own runs.
    """
    scale = get_scale(name)
    cells = _shard_cells(scale, model, seed)
    results = [result for arm in run_cells(scale, cells, [seed], workers).values() for result in arm.results]
    return results + run_all(_shard_yardsticks(scale, model, seed), workers, "yardsticks")


def _shard_yardsticks(scale: Scale, model: str, seed: int) -> list[RunConfig]:
    """The yardsticks that this one of `shards` trains too."""
    if (model, seed) != (YARDSTICK, scale.seeds[0]):
        return []
    return yardsticks(scale, model, scale.systems, YARDSTICK_RATE, seed)
