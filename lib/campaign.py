"""Everything that the notebooks run at a scale: what it costs, what is stored of it, how the batch deals it out."""

from collections.abc import Iterable

import pandas as pd

from lib.own import learning_curve
from lib.report import dynamics
from lib.runs.config import RunConfig
from lib.runs.results import RECORDS, Result, find_record
from lib.runs.runner import run_all, trained
from lib.study.arms import chosen, compare_arms, pretrainings, seeds_of, there, yardsticks
from lib.study.cost import MINUTES, todo
from lib.study.matrix import MATRIX, all_cells, pairs
from lib.study.rates import scan
from lib.study.scale import PRE_TRAINING_DATA
from lib.study.scales import get_scale

YARDSTICK, YARDSTICK_RATE = "egnn", 3e-3  # the network beside the ridge, from scratch
PRETRAINING, RIDGE = "pre-training", "a network beside the ridge"
DYNAMICS, OWN = "dynamics", "own molecules"
NOTEBOOKS = {  # the items that a notebook shows; those left out here train nothing
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
DIVISIBLE = {book: NOTEBOOKS[book] for book in ("05_md22", "06_data_efficiency")}  # they have a parameter ``missing``


def items_of(name: str) -> dict[str, list[RunConfig]]:
    """All runs of the scale called ``name``, by item."""
    scale = get_scale(name)
    items = {PRETRAINING: pretrainings(scale, pairs(scale.models, PRE_TRAINING_DATA))}
    for item, cells_of in MATRIX.items():
        cells = cells_of(scale)
        energies = [config for cell in cells for config in chosen(scale, cell)]
        items[item] = [*pretrainings(scale, cells), *scan(scale, cells), *energies]
    items[RIDGE] = yardsticks(scale, YARDSTICK, scale.systems, YARDSTICK_RATE, scale.seeds[0])
    items[DYNAMICS] = dynamics.default_runs(scale)
    items[OWN] = learning_curve.example_runs(name)
    return items


def scale_runs(name: str) -> dict[str, list[RunConfig]]:
    """The same, each run once: one that several items share is in the first."""
    items, seen = items_of(name), set()
    for item, configs in items.items():
        new = {c.key(): c for c in configs if c.key() not in seen}
        seen |= set(new)
        items[item] = list(new.values())
    return items


def stored_of(name: str) -> list[Result]:
    """The results of the scale called ``name`` that were trained here and are not recorded, or whose weights are to be
    `shipped` and are not.
    """
    own, out = shipped(name), []
    for key in [config.key() for configs in scale_runs(name).values() for config in configs]:
        result, before = trained(key), find_record(key)
        if result is not None and (before is None or (key in own and not before.has_weights())):
            out.append(result)
    return out


def shipped(name: str) -> set[str]:
    """Keys of the runs whose weights come with the project: the first seed's pre-training, and those of dynamics."""
    scale = get_scale(name)
    both = (scale, scale.for_dynamics())
    pretrained = {variant.pretrain(model, scale.seeds[0]).key() for variant in both for model in scale.models}
    return pretrained | _potentials(name)


def _potentials(name: str) -> set[str]:
    """Keys of the energy runs of dynamics, which takes their weights and not only their numbers."""
    return {config.key() for config in dynamics.default_runs(get_scale(name)) if config.task == "energy"}


def plan_scale(name: str) -> pd.DataFrame:
    """`cost.plan` of all runs of the scale called ``name``, by item; shared runs count once."""
    scale, items, potentials = get_scale(name), scale_runs(name), _potentials(name)
    return pd.DataFrame([todo(scale, item, configs, potentials) for item, configs in items.items()])


def left_out(name: str, notebooks: Iterable[str] = NOTEBOOKS) -> dict[str, float]:
    """Those of ``notebooks`` for which what is recorded and stored does not suffice, with the core-minutes missing.

    None where the scale called ``name`` has no records at all: there everything is to be trained.
    """
    books = {book: NOTEBOOKS[book] for book in notebooks if book in NOTEBOOKS}
    if not books or not (RECORDS / name).is_dir():
        return {}
    scale, items, potentials, out = get_scale(name), items_of(name), _potentials(name), {}
    for book, own in books.items():
        configs = {config.key(): config for item in own for config in items[item]}
        row = todo(scale, book, list(configs.values()), potentials)
        if row["stored"] < row["number"]:
            out[book] = row[MINUTES]
    return out


def in_part(name: str, notebooks: Iterable[str]) -> list[str]:
    """Those of ``notebooks`` that can show a part of their cells, of which some pairs have all their runs."""
    scale = get_scale(name)
    cells = {book: [cell for item in DIVISIBLE.get(book, ()) for cell in MATRIX[item](scale)] for book in notebooks}
    return [book for book, own in cells.items() if there(scale, own)]


def shards(name: str) -> list[tuple[str, int]]:
    """What the batch deals out at the scale called ``name``: every model with every seed."""
    scale = get_scale(name)
    return sorted({(c.model, seed) for c in all_cells(scale) for seed in seeds_of(scale, c, None)})


def train_shard(name: str, model: str, seed: int, workers: int = 1) -> list[Result]:
    """The runs of `shards`' item at the scale called ``name``, and of the learning rates that they need.

    Dynamics and a user's own molecules are not among them: their notebooks train what they need.
    """
    scale = get_scale(name)
    cells = [c for c in all_cells(scale) if c.model == model and seed in seeds_of(scale, c, None)]
    results = [result for arm in compare_arms(scale, cells, [seed], workers) for result in arm.results]
    if (model, seed) == (YARDSTICK, scale.seeds[0]):
        results += run_all(yardsticks(scale, YARDSTICK, scale.systems, YARDSTICK_RATE, seed), workers, "yardsticks")
    return results
