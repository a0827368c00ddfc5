"""Settings and cost for reading: training settings (S2), models (S3), time by size (S4), and the paper's matrix."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np
import pandas as pd

from lib import models
from lib.data.datasets import FAMILIES
from lib.data.sources import load_sources
from lib.data.splits import FINE_TUNING, PRE_TRAINING
from lib.models import MODELS
from lib.paths import DATA
from lib.study.cost import relative_cost
from lib.study.scale import PRE_TRAINING_DATA, Scale
from lib.study.scales import get_scale

# mean atoms of a conformation of the published files, which we do not have: assumed, from the range in the paper
ASSUMED_ATOMS = {"ani1": 18, "ani1x": 18, "iso17": 19, "spice": 30}
GPU = "h100-batch256-float32"  # record of data/bench


def training_table(scale: Scale) -> pd.DataFrame:
    """S2: optimiser and schedule of pre-training and of each fine-tuning, one row each."""
    plan, pretraining = scale.finetuning, scale.pretraining
    rows = {"pre-training": pretraining.training} | {name: plan.training.of(name) for name in _trained_apart(scale)}
    table = pd.DataFrame([{"run": name, **asdict(settings)} for name, settings in rows.items()])
    others = [f"; {MODELS[model].label} {rate:g}" for model, rate in pretraining.rates.items()]
    first = f"{pretraining.training.learning_rate:g}{''.join(others)}"
    rates = [", ".join(f"{rate:g}" for rate in plan.rates.of(name)) for name in list(rows)[1:]]
    table["learning_rate"] = [first, *rates]
    return table.set_index("run")


def _trained_apart(scale: Scale) -> list[str]:
    """The families of data sets; of one whose systems have settings of their own, the systems."""
    names = []
    for name, family in FAMILIES.items():
        systems = [f"{name}/{system}" for system in family.systems]
        names += systems if set(systems) & set(scale.finetuning.training.exceptions) else [name]
    return names


def model_table(scale: Scale, names: Sequence[str]) -> pd.DataFrame:
    """S3: hyperparameters of the models and their numbers of parameters, one column per model."""
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
        second (``rates``), those that the recorded GPU trains, and its hours (NaN for a model that it did not train).
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

    Conformations are weighed by their number of neighbour pairs, relative to one of 18 atoms.
    """
    scale, sources = get_scale("paper"), load_sources()
    md22 = pd.read_csv(DATA / "paper" / "md22.csv")
    names = [*ASSUMED_ATOMS, *("md22/" + md22["system"])]
    counts = [*(sources[data].table1["conformations"] for data in ASSUMED_ATOMS), *md22["conformations"]]
    atoms = np.array([*ASSUMED_ATOMS.values(), *md22["atoms"]])
    weighed = dict(zip(names, np.array(counts) * relative_cost(atoms), strict=True))
    pretraining = scale.pretraining.training.epochs * sum(weighed[data] for data in PRE_TRAINING_DATA)
    finetuning = sum(weight * scale.finetuning.training.of(data).epochs for data, weight in weighed.items())
    return {
        "denoising": pretraining * PRE_TRAINING["train"] / 100,
        "energy": 2 * finetuning * FINE_TUNING["train"] / 100,
    }
