"""Settings and cost for reading: training settings (S2), models (S3), time by size (S4), and the paper's matrix."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields

import numpy as np
import pandas as pd

from lib import models
from lib.data.datasets import LABELS, MD22_SYSTEMS
from lib.data.sources import load_sources
from lib.models import MODELS
from lib.paths import DATA
from lib.study.cost import relative_cost
from lib.study.scale import PRE_TRAINING_DATA, Scale
from lib.study.scales import get_scale
from lib.training.settings import TrainingSettings

# mean atoms of a conformation where we do not have the published files: assumed, from the range that the paper prints
ASSUMED_ATOMS = {"ani1": 18, "ani1x": 18, "iso17": 19, "spice": 30}
GPU = "h100-batch256-float32"  # record of data/bench
TRAINED_SHARE = {"denoising": 0.95, "energy": 0.8}


def training_table(scale: Scale) -> pd.DataFrame:
    """S2: optimiser and schedule of pre-training and of each fine-tuning, a row each."""
    names = (*LABELS, *(f"md22/{system}" for system in MD22_SYSTEMS))  # one row of MD22 where its systems share it
    kinds = {"pre-training": scale.pretraining} | {n: scale.finetuning[n] for n in names if n in scale.finetuning}
    shown = [f.name for f in fields(TrainingSettings)]
    table = pd.DataFrame([{"run": kind, **{n: asdict(s)[n] for n in shown}} for kind, s in kinds.items()])
    rates = [", ".join(f"{rate:g}" for rate in scale.rates_of(kind)) for kind in list(kinds)[1:]]
    others = [f"; {MODELS[model].label} {rate:g}" for model, rate in scale.pretraining_rates.items()]
    first = f"{scale.pretraining.learning_rate:g}{''.join(others)}"
    table["learning_rate"] = [first, *rates]
    return table.set_index("run")


def model_table(scale: Scale, names: Sequence[str]) -> pd.DataFrame:
    """S3: hyperparameters of the models and their numbers of parameters, a column a model."""
    columns = {}
    for name in names:
        settings = scale.settings(name)
        count = sum(p.numel() for p in models.build(name, settings).parameters())
        columns[MODELS[name].label] = {"parameters": f"{count:,}", **{k: str(v) for k, v in asdict(settings).items()}}
    return pd.DataFrame(columns).fillna("")


def paper_matrix(rates: Mapping[tuple[str, str], float], record: str = GPU) -> pd.DataFrame:
    """An estimate of what the paper's runs cost: one seed, Table 2 and Figures 2 and 3, by model.

    Args:
        rates: conformations that one thread trains in a second at the paper's widths, by model and task, as
            ``lib.bench.cost.training_rates`` measures them.
        record: of ``data/bench``: what ``python -m lib bench models --device cuda --scales paper --json`` measured.

    Returns:
        By model and task, conformations that pass through training (`paper_passes`), those that one thread trains in a
        second (``rates``), those that the recorded GPU trains, and its hours (NaN for a
        model that it did not).
    """
    steps = json.loads((DATA / "bench" / f"{record}.json").read_text(encoding="utf-8"))["steps"]
    on_gpu = {(s["model"], s["task"]): s["conformations/s"] for s in steps if s["widths"] == "paper"}
    rows = []
    passes = paper_passes()
    for (name, task), on_thread in rates.items():
        count = passes[task]
        label = MODELS[name].label
        rate = on_gpu.get((label, task), float("nan"))
        rows.append({"model": label, "task": task, "1e6 conformations": count / 1e6,
                     "conformations/s, one thread": on_thread,
                     "conformations/s, GPU": rate, "GPU-hours": count / rate / 3600})  # fmt: skip
    return pd.DataFrame(rows).set_index(["model", "task"])


def paper_passes() -> dict[str, float]:
    """Conformations that pass through training at the paper's settings: pre-training once, energies in both arms.

    A larger conformation counts as as many of 18 atoms as have its number of neighbour pairs.
    """
    scale, sources = get_scale("paper"), load_sources()
    md22 = pd.read_csv(DATA / "paper" / "md22.csv")
    names = [*ASSUMED_ATOMS, *("md22/" + md22["system"])]
    counts = [*(sources[data].table1["conformations"] for data in ASSUMED_ATOMS), *md22["conformations"]]
    atoms = np.array([*ASSUMED_ATOMS.values(), *md22["atoms"]])
    weighed = dict(zip(names, np.array(counts) * relative_cost(atoms), strict=True))
    pre = sum(weighed[data] for data in PRE_TRAINING_DATA) * scale.pretraining.epochs * TRAINED_SHARE["denoising"]
    fine = sum(w * scale.finetuning[data].epochs for data, w in weighed.items()) * TRAINED_SHARE["energy"]
    return {"denoising": pre, "energy": 2 * fine}
