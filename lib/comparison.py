"""With and without pre-training: the same schedule, steps, seeds and splits; each arm with its own learning rate.

The learning rate of an arm is the one of the scale's candidates with the lowest validation RMSE (loss, where forces are
learnt), for each model on one data set of a kind (`SCANNED`) at the first seed, and serves the whole kind: what suits
small molecules of four elements does not suit SPICE. Test data decide nothing.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from math import isnan

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lib.config import RunConfig
from lib.datasets import find, open_store
from lib.jobs import select, splits
from lib.matrix import Cell
from lib.models import MODELS
from lib.runs import Result, is_there, run_all, stored
from lib.scales import Scale
from lib.scaling import baseline_of
from lib.splits import ORDERS

SCANNED = {"md22": "md22/Ac-Ala3-NHMe", "spice": "spice"}  # where learning rates are compared, by kind of data; else:
SCANNED_ELSE = "ani1x"
MINUTES = "core-minutes left"
TRAIN, LEAVE_OUT = MISSING = ("train", "leave out")
FORCES_COST = 6.0  # times a run on energies alone: 5 to 7 in records of TorchMD-Net, with validation and small batches


@dataclass(frozen=True)
class Arm:
    """One cell with its results by seed.

    ``at_edge`` says that the chosen learning rate is the smallest or largest of several candidates: a better one may
    lie outside.
    """

    cell: Cell
    learning_rate: float
    at_edge: bool
    results: tuple[Result, ...]


def compare_arms(
    scale: Scale,
    cells: Sequence[Cell],
    seeds: Sequence[int] | None = None,
    workers: int | None = None,
    device: str = "auto",
) -> list[Arm]:
    """Run or load ``cells``, an arm each; ``seeds`` None takes the scale's own."""
    run_all(pretrainings(scale, cells, seeds), workers, "pre-training", device)
    run_all(scan(scale, cells), workers, "learning rates", device)
    configs = {cell: chosen(scale, cell, seeds) for cell in dict.fromkeys(cells)}
    results = iter(run_all([c for group in configs.values() for c in group], workers, "energies", device))
    arms = {}
    for cell, group in configs.items():
        rate = group[0].training.learning_rate
        candidates = scale.rates_of(cell.data)
        at_edge = len(candidates) > 1 and rate in (min(candidates), max(candidates))
        arms[cell] = Arm(cell, rate, at_edge, tuple(next(results) for _ in group))
    return [arms[cell] for cell in cells]


def seeds_of(scale: Scale, cell: Cell, seeds: Sequence[int] | None) -> Sequence[int]:
    """``seeds``, or the scale's own for ``cell``."""
    return scale.seeds_of(cell.model, cell.data, cell.longer) if seeds is None else seeds


def pretrainings(scale: Scale, cells: Sequence[Cell], seeds: Sequence[int] | None = None) -> list[RunConfig]:
    """The pre-training runs that ``cells`` start from, each once."""
    wanted = {(c.model, seed, c.sigma) for c in cells if c.pretrained for seed in seeds_of(scale, c, seeds)}
    return [scale.pretrain(*each) for each in sorted(wanted)]


def _candidates(scale: Scale, cell: Cell) -> list[RunConfig]:
    """The runs that decide the learning rate of ``cell``, one a candidate; none where there is no choice."""
    rates = scale.rates_of(cell.data)
    if len(rates) == 1:
        return []
    data, seed, weight = _scanned(cell), scale.seeds[0], cell.force_weight or None  # not learnt: the same training
    return [scale.finetune(cell.model, data, cell.pretrained, rate, seed, force_weight=weight) for rate in rates]


def _scanned(cell: Cell) -> str:
    """The data set on which the learning rate of ``cell`` is chosen."""
    return SCANNED.get(cell.data.split("/")[0], SCANNED_ELSE)


def scan(scale: Scale, cells: Sequence[Cell]) -> list[RunConfig]:
    """The runs that decide the learning rates of ``cells``, some of them twice."""
    kinds = {(c.model, _scanned(c), c.pretrained, c.force_weight or None): c for c in cells}
    return [config for cell in kinds.values() for config in _candidates(scale, cell)]


def choose_rate(scale: Scale, cell: Cell) -> float:
    """The learning rate of ``cell``: the candidate with the lowest validation RMSE.

    The first one while not all candidates are stored, for a plan.
    """
    found = [stored(config) for config in _candidates(scale, cell)]
    if not found or any(result is None for result in found):
        return scale.rates_of(cell.data)[0]
    scores = [result.validation for result in found]
    return scale.rates_of(cell.data)[scores.index(min(scores))]


def scan_table(scale: Scale, cells: Sequence[Cell]) -> pd.DataFrame:
    """Validation RMSE (kcal/mol) of each stored candidate learning rate, and which one was chosen; no test data.

    Empty where the scale has one candidate only.
    """
    rows = {}
    for config in scan(scale, cells):
        result = stored(config)
        if result is not None:
            data = config.data[0].name.removeprefix(f"{scale.suite}/")
            cell = Cell(config.model, data, config.pretrained is not None, force_weight=config.training.force_weight)
            rate = config.training.learning_rate
            rows[config.key()] = {
                "model": MODELS[cell.model].label, "data": cell.data, "forces": config.training.learns_forces,
                "pretrained": cell.pretrained, "learning_rate": rate,
                "validation_rmse": result.metrics["validation_rmse"], "chosen": rate == choose_rate(scale, cell),
                "seed": config.seed,
            }  # fmt: skip
    names = ["model", "data", "forces", "pretrained", "learning_rate", "validation_rmse", "chosen", "seed"]
    return pd.DataFrame(rows.values(), columns=names)


def chosen(scale: Scale, cell: Cell, seeds: Sequence[int] | None = None) -> list[RunConfig]:
    """The runs of ``cell``, one a seed, at its chosen learning rate."""
    rate = choose_rate(scale, cell)
    return [
        scale.finetune(
            cell.model,
            cell.data,
            cell.pretrained,
            rate,
            seed,
            cell.longer,
            cell.share,
            cell.sigma,
            force_weight=cell.force_weight,
        )
        for seed in seeds_of(scale, cell, seeds)
    ]


def there(scale: Scale, cells: Sequence[Cell], seeds: Sequence[int] | None = None) -> list[Cell]:
    """Those of ``cells``, pairs of arms, whose runs are all recorded or stored, the scan of rates too."""
    out = []
    for pair in zip(cells[::2], cells[1::2], strict=True):
        runs = [*pretrainings(scale, pair, seeds), *scan(scale, pair)]
        runs += [config for cell in pair for config in chosen(scale, cell, seeds)]
        if all(is_there(config, weights=False) for config in runs):
            out += pair
    return out


def arms_there(scale: Scale, cells: Sequence[Cell]) -> list[Arm]:
    """Those of ``cells``, pairs of arms, of which a seed has all its runs recorded or stored, with all such seeds."""
    arms = []
    for pair in zip(cells[::2], cells[1::2], strict=True):
        found = [seed for seed in seeds_of(scale, pair[0], None) if there(scale, pair, [seed])]
        arms += compare_arms(scale, pair, found) if found else []
    return arms


def wanted(scale: Scale, cells: Sequence[Cell], seeds: Sequence[int] | None, missing: str) -> list[Cell]:
    """``cells``, pairs of arms, all of them or those whose runs are recorded or stored.

    Args:
        scale: theirs.
        cells: from scratch and pre-trained, in turns.
        seeds: None takes the scale's own.
        missing: one of `MISSING`: what is to be done about cells that lack a run.

    Raises:
        ValueError: ``missing`` is another word, or no pair has all its runs.
    """
    if missing not in MISSING:
        raise ValueError(f"missing = {missing!r}: choose from {MISSING}")
    if missing == TRAIN:
        return list(cells)
    out = there(scale, cells, seeds)
    if not out:
        raise ValueError(f"none of {len(cells)} cells has all its runs recorded or stored: set missing = {TRAIN!r}")
    return out


def plan(scale: Scale, cells: Sequence[Cell], seeds: Sequence[int] | None = None) -> pd.DataFrame:
    """What `compare_arms` has to run for ``cells``.

    The cost in core-minutes of what is not stored is the number of conformations that training passes, weighed by
    their size, times the scale's measured seconds: an estimate.
    """
    parts = {
        "pre-training": pretrainings(scale, cells, seeds),
        "energy, learning rates": scan(scale, cells),
        "energy": [config for cell in dict.fromkeys(cells) for config in chosen(scale, cell, seeds)],
    }
    return pd.DataFrame([todo(scale, name, configs) for name, configs in parts.items()])


def todo(
    scale: Scale, name: str, configs: Sequence[RunConfig], with_weights: Collection[str] = ()
) -> dict[str, str | int | float]:
    """One row of `plan`; a run with its key in ``with_weights`` is still to be done where they are not recorded."""
    missing = [c for c in configs if not is_there(c, c.key() in with_weights)]
    minutes = round(sum(_seconds(scale, c) for c in missing) / 60, 1)
    return {"runs": name, "number": len(configs), "stored": len(configs) - len(missing), MINUTES: minutes}


def in_words(minutes: float) -> str:
    """Core-minutes for a reader; unknown (NaN) where a model's speed was not measured."""
    if isnan(minutes):
        return "an unknown number of core-minutes"
    return f"about {minutes:.{1 if minutes < 10 else 0}f} core-minutes"


def yardsticks(scale: Scale, model: str, systems: Sequence[str], learning_rate: float, seed: int) -> list[RunConfig]:
    """``model`` from scratch on each of MD22's ``systems``, on a random split and on one in the file's order."""
    return [
        scale.finetune(model, f"md22/{system}", False, learning_rate, seed, split_order=order)
        for system in systems
        for order in ORDERS
    ]


def _seconds(scale: Scale, config: RunConfig) -> float:
    per_conformation = scale.seconds.get(config.model, (float("nan"),) * 2)[config.task == "energy"]
    selections = select(config, splits(config))["train"]
    passed = config.training.epochs * sum(float(relative_cost(s.n_atoms).sum()) for s in selections)
    return 1.0 + passed * per_conformation * (FORCES_COST if config.training.learns_forces else 1)


def relative_cost(atoms: NDArray[np.number]) -> NDArray[np.float64]:
    """Cost of conformations beside one of 18 atoms: pairs within the cutoff, at most some 45 an atom."""
    return atoms * (atoms - 1).clip(1, 45) / (18 * 17)


def describe(arms: Sequence[Arm]) -> pd.DataFrame:
    """The chosen learning rate, steps and R² of each arm, for reading.

    *Rate at the edge*: it is the smallest or largest candidate. *Median seconds*: see `median_seconds`.
    """
    return pd.DataFrame(
        {
            "model": MODELS[a.cell.model].label,
            "data set": a.cell.data,
            "pre-trained": a.cell.pretrained,
            "times the steps": a.cell.longer,
            "share of data": a.cell.share,
            "σ (Å)": a.cell.sigma if a.cell.pretrained else 0.0,
            "learning rate": a.learning_rate,
            "rate at the edge": a.at_edge,
            "seeds": len(a.results),
            "steps": a.results[0].about["steps"],
            "R²": round(sum(r.metrics["test_r2"] for r in a.results) / len(a.results), 4),
            "median seconds": round(median_seconds(a.results), 1),
        }
        for a in arms
    )


def median_seconds(results: Sequence[Result]) -> float:
    """Median wall time of those runs that were not interrupted, beside whatever else the machine did; NaN for none."""
    times = [r.about["wall_seconds"] for r in results if not r.about.get("resumed")]
    return float(np.median(times)) if times else float("nan")


def cost_of_pretraining(scale: Scale, arms: Sequence[Arm]) -> pd.DataFrame:
    """`median_seconds` of a pre-training and of a run of each of the pre-trained ``arms``, and their ratio."""
    rows = []
    for arm in (a for a in arms if a.cell.pretrained):
        seeds = [result.about["config"]["seed"] for result in arm.results]
        before = median_seconds(run_all(pretrainings(scale, [arm.cell], seeds)))
        after = median_seconds(arm.results)
        rows.append({"model": MODELS[arm.cell.model].label, "data set": arm.cell.data, "pre-training (s)": before,
                     "fine-tuning (s)": after, "ratio": before / after})  # fmt: skip
    return pd.DataFrame(rows).set_index(["model", "data set"])


def by_seed(arms: Sequence[Arm]) -> pd.DataFrame:
    """Test errors of every run: columns pretrained (a bool), sigma (Å, of the pre-training), seed, rmse and mae
    (kcal/mol).
    """
    return pd.DataFrame(
        {"pretrained": arm.cell.pretrained, "sigma": arm.cell.sigma, "seed": result.about["config"]["seed"],
         "rmse": result.metrics["test_rmse"], "mae": result.metrics["test_mae"]}
        for arm in arms
        for result in arm.results
    )  # fmt: skip


def details(scale: Scale, arms: Sequence[Arm], part: str = "test") -> pd.DataFrame:
    """Every test conformation of every arm and seed.

    Returns:
        Columns model, pretrained (yes or no), seed, molecule, atoms, and in kcal/mol energy, baseline and error.
    """
    parts = []
    for arm in arms:
        store = open_store(find(f"{scale.suite}/{arm.cell.data}"))
        for result in arm.results:
            found = result.test_errors(part)
            molecule = found["molecule"]
            baseline = baseline_of(result.about["target"], store.compositions[molecule])
            parts.append(pd.DataFrame({
                "model": MODELS[arm.cell.model].label, "pretrained": "yes" if arm.cell.pretrained else "no",
                "seed": result.about["config"]["seed"], "molecule": molecule, "atoms": store.n_atoms[molecule],
                "energy": store.relative_energy(found["index"]), "baseline": baseline, "error": found["error"],
            }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)
