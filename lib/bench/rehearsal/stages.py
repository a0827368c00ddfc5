"""The stages of a rehearsal, in order, each with its record; one that was interrupted goes on after the last one."""

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lib.bench.rehearsal.files import CONFORMATIONS
from lib.bench.rehearsal.training import begin, train
from lib.bench.rehearsal.watch import GIB, watch
from lib.data.datasets import MD22_SYSTEMS
from lib.files import write_text
from lib.models import PAPER_MODELS
from lib.runs.provenance import provenance

RECORD = "record.json"
SPLIT, PLAN, EPOCH = "split, strict", "plan", "start of an epoch"  # names of stages
INSIDE = ["-m", "lib.bench.rehearsal.inside"]
LARGEST = ("ani1", "ani1x")  # what energies are tried on: the first model on the first, which is the largest
SHORT, FIFTH = 2.0, 0.2  # energies take so many minutes, or a fifth of those for pre-training where that is less


@dataclass(frozen=True)
class Rehearsal:
    """What is rehearsed, and where.

    Attributes:
        folder: of the generated files, the stores, the runs and the record.
        share: of the published sizes.
        models: that are trained.
        steps: of pre-training for each of them.
        minutes: after which fewer steps are enough.
        checkpoint_minutes: between checkpoints, as `Execution` has it.
    """

    folder: Path
    share: float = 1.0
    models: Sequence[str] = PAPER_MODELS
    steps: int = 300
    minutes: float = 10.0
    checkpoint_minutes: float = 5.0

    def environment(self) -> dict[str, str]:
        """Of each stage: its data and its cache are the rehearsal's own; one thread."""
        places = {"DENOISING_OFFICIAL": self.folder / "official", "DENOISING_CACHE": self.folder / "cache"}
        return {**os.environ, **{key: str(path) for key, path in places.items()}, "OMP_NUM_THREADS": "1", "CI": "1"}

    def stages(self) -> dict[str, Callable[[], dict[str, Any]]]:
        """Every stage by name, in order."""
        out: dict[str, Callable[[], dict[str, Any]]] = {}
        for name in CONFORMATIONS:
            out[f"generate {name}"] = self._command([*INSIDE, "generate", name, str(self.share)])
            out[f"verify {name}"] = self._command([*INSIDE, "verify", name])
            out[f"convert {name}"] = self._command(["-m", "lib", "data", "convert", name], answers=False)
        out[f"convert {len(MD22_SYSTEMS)} systems of md22"] = self._command([*INSIDE, "systems"])
        out["open and verify the stores"] = self._command([*INSIDE, "open"])
        out[SPLIT] = self._command([*INSIDE, "split"])
        out[PLAN] = self._command(["-m", "lib", "runs", "plan", "--scale", "paper"], answers=False)
        out[EPOCH] = self._command([*INSIDE, "epoch"])
        for model in self.models:
            out[f"pre-train {model}"] = self._training(model)
        for k, model in enumerate(self.models):
            out[f"energies {model}"] = self._training(model, LARGEST[min(k, 1)])
        return out

    def _command(self, arguments: list[str], answers: bool = True) -> Callable[[], dict[str, Any]]:
        """A stage that is a command; ``answers``: which ends with a line of JSON."""

        def run() -> dict[str, Any]:
            """The stage."""
            log = self.folder / f"{'-'.join(arguments[-2:]).replace('/', '-')}.log"
            seen = watch(arguments, self.environment(), log)
            taken = {
                "seconds": seen.seconds,
                "processor seconds": seen.processor_seconds,
                "peak (GiB)": seen.peak,
            }
            return taken | (seen.answer() if answers else {})

        return run

    def _training(self, model: str, data: str | None = None) -> Callable[[], dict[str, Any]]:
        """The stage that pre-trains ``model`` and resumes it, or with ``data`` begins to learn its energies."""
        arguments = ["-m", "lib", "run", "--scale", "paper", "--model", model, "--accelerator", "cpu"]
        arguments += ["--checkpoint-minutes", str(self.checkpoint_minutes)]

        def run() -> dict[str, Any]:
            """The stage."""
            if data is None:
                return train(arguments, self.environment(), self.folder, self.steps, self.minutes, f"train-{model}")
            of_data = [*arguments, "--data", data]
            minutes = min(SHORT, FIFTH * self.minutes)
            return begin(of_data, self.environment(), self.folder, minutes, f"energies-{model}") | {"data": data}

        return run


def rehearse(rehearsal: Rehearsal, say: Callable[[str], None]) -> dict[str, Any]:
    """Run every stage that has no record yet; ``say`` is told of each. Returns the record.

    Raises:
        TrainingError: a stage ended with an error.
        ValueError: that folder holds something else, or a rehearsal of another share.
    """
    rehearsal.folder.mkdir(parents=True, exist_ok=True)
    path = rehearsal.folder / RECORD
    record = _record_of(rehearsal.folder)
    if record is None and any(rehearsal.folder.iterdir()):
        raise ValueError(f"--folder {rehearsal.folder}: it is not empty and holds no rehearsal, and what a rehearsal "
                         "makes is removed at its end: name a new folder")  # fmt: skip
    if record is None:
        record = {"stages": {}}
        write_text(path, json.dumps(record) + "\n")  # from now on the folder is known as a rehearsal's
    share = record.get("about", {}).get("share", rehearsal.share)
    if share != rehearsal.share:
        raise ValueError(f"{rehearsal.folder} has a rehearsal of size {share:g}, not {rehearsal.share:g}: name another "
                         "folder, or remove it")  # fmt: skip
    for name, stage in rehearsal.stages().items():
        if name not in record["stages"]:
            record["stages"][name] = stage() | {"disk (GiB)": disk(rehearsal.folder)}
            record["about"] = {"share": rehearsal.share, "steps": rehearsal.steps, "minutes": rehearsal.minutes,
                               "checkpoint_minutes": rehearsal.checkpoint_minutes,
                               "provenance": provenance("cpu")}  # fmt: skip
            write_text(path, json.dumps(record, indent=1) + "\n")
        said = {key: value for key, value in record["stages"][name].items() if isinstance(value, (int, float))}
        say(f"{name}: {', '.join(f'{key} {value:.4g}' for key, value in said.items())}")
    for bound, (value, limit) in bounds(record["stages"]).items():
        say(f"{'holds' if value <= limit else 'BROKEN'}: {bound}: {value:.3g}, at most {limit:g}")
    return record


def bounds(stages: dict[str, dict[str, Any]]) -> dict[str, tuple[float, float]]:
    """What was measured and what it may be, by bound: the largest of all stages that it is for."""
    before, training = (
        "peak before the first step (GiB)",
        [s for s in stages.values() if "peak when resumed (GiB)" in s],
    )
    own = [s.get(before, s["peak (GiB)"]) for s in stages.values()]
    return {
        "own memory of a stage, of training before its first step, GiB": (max(own), 2.0),
        "split and plan, processor seconds": (stages[SPLIT]["split (s)"] + stages[PLAN]["processor seconds"], 60.0),
        "start of an epoch, or in its middle, processor seconds": (
            max(stages[EPOCH]["first batch (s)"], stages[EPOCH]["first batch, from the middle (s)"]), 10.0
        ),
        "lost by a kill, seconds": (max((facts["lost by the kill (s)"] for facts in training), default=0.0), 300.0),
    }  # fmt: skip


def disk(folder: Path) -> float:
    """GiB of all files in ``folder``."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / GIB


def _record_of(folder: Path) -> dict[str, Any] | None:
    """The record of the rehearsal in ``folder``, if there is one."""
    try:
        record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None
    return record if isinstance(record, dict) and "stages" in record else None


def remove(folder: Path) -> None:
    """Remove what a rehearsal made in ``folder``, and nothing else; nothing at all where no rehearsal was."""
    if _record_of(folder) is None:
        return
    for name in ("official", "cache"):
        shutil.rmtree(folder / name, ignore_errors=True)
    for path in [*folder.glob("*.log"), folder / RECORD]:
        path.unlink(missing_ok=True)
    if not any(folder.iterdir()):
        folder.rmdir()
