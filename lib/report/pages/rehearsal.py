"""Tables of the rehearsal at the paper's size: its record in ``data/bench``, beside the recorded rates of a GPU."""

import json
from functools import cache
from typing import Any

from lib.data.datasets import FAMILIES
from lib.data.splits import FINE_TUNING
from lib.models import MODELS
from lib.paths import DATA
from lib.study.scale import PRE_TRAINING_DATA
from lib.study.scales import get_scale

RECORD = DATA / "bench" / "rehearsal.json"  # python -m lib bench rehearsal --json data/bench/rehearsal.json
GPU = DATA / "bench" / "h100-batch256-float32.json"
SPLIT, OPEN = "split, strict", "open and verify the stores"  # names of stages
Row = list[str]


@cache
def _record() -> dict[str, Any]:
    record: dict[str, Any] = json.loads(RECORD.read_text(encoding="utf-8"))
    return record


def _stages(kind: str) -> dict[str, dict[str, Any]]:
    """The stages whose names begin with ``kind``, by the rest of the name."""
    stages = _record()["stages"].items()
    return {name.removeprefix(kind): facts for name, facts in stages if name.startswith(kind)}


def stages() -> tuple[Row, list[Row]]:
    """Head and rows: every stage but training, with its processor time, its own memory and the disk after it."""
    rows = []
    for name, facts in _record()["stages"].items():
        if "processor seconds a step" not in facts:
            cells = (f"{facts['processor seconds']:.0f}", f"{facts['peak (GiB)']:.2f}", f"{facts['disk (GiB)']:.1f}")
            rows.append([name, *cells])
    return ["stage", "processor, s", "own memory, GiB", "files and stores, GiB"], rows


def training() -> tuple[Row, list[Row]]:
    """Head and rows: pre-training of each model, killed and resumed, and what all of it takes here and on the GPU."""
    batch = get_scale("paper").pretraining.training.batch_size
    epochs, split = get_scale("paper").pretraining.training.epochs, _record()["stages"][SPLIT]
    rows = []
    for model, facts in _stages("pre-train ").items():
        rate = batch / facts["processor seconds a step"]
        rows.append([
            MODELS[model].label,
            str(facts["steps"]),
            f"{facts['processor seconds a step']:.1f}",
            f"{facts['peak before the first step (GiB)']:.2f}",
            f"{facts['peak (GiB)']:.1f}",
            f"{facts['lost by the kill (s)']:.0f}",
            f"{facts['processor seconds to resume']:.0f}",
            f"{epochs * split['train'] / rate / 3600:,.0f}",
            f"{epochs * split['as many of 18 atoms'] / gpu_rate(model, 'denoising') / 3600:,.1f}",
        ])  # fmt: skip
    head = ["pre-training", "steps", "processor, s a step", "memory before the first step, GiB", "at most, GiB",
            "lost by the kill, s", "processor to resume, s", "all of it here, core-hours", "H100-hours"]  # fmt: skip
    return head, rows


def energies() -> tuple[Row, list[Row]]:
    """Head and rows: what one run on the energies of each data set takes on the GPU, by model, and its start here."""
    scale, held = get_scale("paper"), _record()["stages"][OPEN]
    names = [*PRE_TRAINING_DATA, "iso17", "spice"]
    passes = {name: scale.finetuning.training.of(name).epochs * FINE_TUNING["train"] / 100
              * held[name]["as many of 18 atoms"] for name in names}  # fmt: skip
    begun = _stages("energies ")
    rows = []
    for model in _stages("pre-train "):
        facts = begun.get(model)
        start = "" if facts is None else f"{facts['peak before the first step (GiB)']:.2f} ({facts['data']})"
        hours = [f"{passes[name] / gpu_rate(model, 'energy') / 3600:,.1f}" for name in names]
        rows.append([MODELS[model].label, start, *hours])
    return ["energies, H100-hours", "memory before the first step, GiB", *(FAMILIES[n].label for n in names)], rows


def gpu_rate(model: str, task: str) -> float:
    """Conformations of 18 atoms that the recorded GPU trains in a second, in batches of 256."""
    steps = json.loads(GPU.read_text(encoding="utf-8"))["steps"]
    (rate,) = [s["conformations/s"] for s in steps if (s["model"], s["task"]) == (MODELS[model].label, task)]
    return float(rate)


PARTS = {"stages": stages, "training": training, "energies": energies}
