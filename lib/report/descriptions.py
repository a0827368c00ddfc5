"""Arms described for reading: learning rates, steps, times, errors by seed and by conformation."""

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from lib.data.datasets import find, open_store
from lib.models import MODELS
from lib.runs.results import Result
from lib.runs.runner import run_all, stored
from lib.study.arms import Arm, pretrainings
from lib.study.cells import Cell, Pair, members
from lib.study.rates import rate_of, scan
from lib.study.scale import Scale


def scan_table(scale: Scale, pairs: Sequence[Pair[Cell]]) -> pd.DataFrame:
    """Validation RMSE (kcal/mol) of each stored candidate learning rate, and which one was chosen; no test data.

    Empty where the scale has one candidate only.
    """
    rows = {}
    for config in scan(scale, members(pairs)):
        result = stored(config)
        if result is not None:
            data = config.data[0].name.removeprefix(f"{scale.suite}/")
            cell = Cell(config.model, data, config.pretrained is not None, force_weight=config.training.force_weight)
            rate = config.training.learning_rate
            rows[config.key()] = {
                "model": MODELS[cell.model].label,
                "data": cell.data,
                "forces": config.training.learns_forces,
                "pretrained": cell.pretrained,
                "learning_rate": rate,
                "validation_rmse": result.metrics["validation_rmse"],
                "chosen": rate == rate_of(scale, cell),
                "seed": config.seed,
            }
    names = ["model", "data", "forces", "pretrained", "learning_rate", "validation_rmse", "chosen", "seed"]
    return pd.DataFrame(rows.values(), columns=names)


def describe(pairs: Sequence[Pair[Arm]]) -> pd.DataFrame:
    """The chosen learning rate, steps and R² of each arm, for reading.

    An arm that several pairs share has one row. *Rate at the edge*: it is the smallest or largest candidate.
    *Median seconds*: see `median_seconds`.
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
        for a in {id(arm): arm for arm in members(pairs)}.values()
    )


def median_seconds(results: Sequence[Result]) -> float:
    """Median wall time of the runs that were not interrupted; NaN for none. Other load on the machine is included."""
    times = [r.about["wall_seconds"] for r in results if not r.about.get("resumed")]
    return float(np.median(times)) if times else float("nan")


def cost_of_pretraining(scale: Scale, pairs: Sequence[Pair[Arm]]) -> pd.DataFrame:
    """`median_seconds` of a pre-training and of a run of each pre-trained arm, and their ratio."""
    rows = []
    for arm in (pair.pretrained for pair in pairs):
        seeds = [result.config.seed for result in arm.results]
        before = median_seconds(run_all(pretrainings(scale, [arm.cell], seeds)))
        after = median_seconds(arm.results)
        rows.append({"model": MODELS[arm.cell.model].label, "data set": arm.cell.data, "pre-training (s)": before,
                     "fine-tuning (s)": after, "ratio": before / after})  # fmt: skip
    return pd.DataFrame(rows).set_index(["model", "data set"])


def by_seed(pairs: Sequence[Pair[Arm]]) -> pd.DataFrame:
    """Test errors of every run: columns pretrained (a bool), sigma (Å, of the pre-training), seed, rmse and mae
    (kcal/mol).
    """
    return pd.DataFrame(
        {
            "pretrained": arm.cell.pretrained,
            "sigma": arm.cell.sigma,
            "seed": result.config.seed,
            "rmse": result.metrics["test_rmse"],
            "mae": result.metrics["test_mae"],
        }
        for arm in members(pairs)
        for result in arm.results
    )


def details(scale: Scale, arms: Iterable[Arm], part: str = "test") -> pd.DataFrame:
    """Every test conformation of every arm and seed.

    Returns:
        Columns model, pretrained (yes or no), seed, molecule, atoms, and in kcal/mol energy, baseline and error.
    """
    parts = []
    for arm in arms:
        store = open_store(find(f"{scale.suite}/{arm.cell.data}"))
        for result in arm.results:
            rows = result.test_errors(part)
            molecule = rows["molecule"]
            parts.append(pd.DataFrame({
                "model": MODELS[arm.cell.model].label, "pretrained": "yes" if arm.cell.pretrained else "no",
                "seed": result.config.seed, "molecule": molecule, "atoms": store.n_atoms[molecule],
                "energy": store.relative_energy(rows["index"]), "baseline": result.baselines(store)[molecule],
                "error": rows["error"],
            }))  # fmt: skip
    return pd.concat(parts, ignore_index=True)
