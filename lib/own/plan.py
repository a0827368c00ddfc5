"""What a fine-tuning will take: steps, and core-minutes from the speed that is measured on this machine first."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from math import ceil

import numpy as np
import torch

from lib import models
from lib.batches import Batch
from lib.data.loading import ConformationBatches, make_loader
from lib.errors import required
from lib.machine import one_thread
from lib.runs.config import RunConfig
from lib.runs.selection import select, splits
from lib.study.cost import in_words
from lib.training.scaling import Scaling
from lib.training.tasks import EnergyTask

STEPS = 6  # that are timed, after one that is not
STARTING = 1.0  # core-seconds: the model, checkpoints, the log; 0.6 in a run of 800 steps


@dataclass(frozen=True)
class Speed:
    """Core-seconds of a training ``step`` and of the ``evaluation`` of one conformation."""

    step: float
    evaluation: float

    def seconds(self, steps: int, validations: int, validation: int, test: int) -> float:
        """Core-seconds of a run with so many ``steps`` and ``validations`` of so many conformations, and a test."""
        return STARTING + steps * self.step + (validations * validation + test) * self.evaluation

    def steps(self, minutes: float, validations: int, validation: int, test: int) -> int:
        """The steps that a run of ``minutes`` has time for, at least one."""
        return max(1, int((60 * minutes - self.seconds(0, validations, validation, test)) / self.step))


@dataclass(frozen=True)
class Plan:
    """What a fine-tuning will do: conformations of each part, number of runs, steps of each, core-minutes of all."""

    seed: int
    train: int
    validation: int
    test: int
    runs: int
    steps: int
    minutes: float

    def __str__(self) -> str:
        """One line for a reader."""
        return (
            f"seed {self.seed}: {self.train} to train, {self.validation} to validate, {self.test} to test; runs: "
            f"{self.runs} of some {self.steps} steps, {in_words(self.minutes)} (estimate), and pre-training where "
            "it is not there"
        )


def part_sizes(config: RunConfig) -> dict[str, int]:
    """Conformations of train, validation and test."""
    parts = select(config, splits(config))
    return {part: sum(len(s.index) for s in parts[part]) for part in ("train", "validation", "test")}


def steps_of(config: RunConfig, train: int) -> int:
    """The steps of a run on ``train`` conformations that does not stop early."""
    return config.training.epochs * ceil(train / config.training.batch_size)


def measure(config: RunConfig) -> Speed:
    """The speed of ``config`` on one core of this machine, from some steps that train nothing that is kept."""
    selected = select(config, splits(config))
    cutoff, forces = config.settings.cutoff, config.training.force_weight is not None
    data = {part: ConformationBatches(selected[part], cutoff, forces=forces) for part in ("train", "validation")}
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model = models.build(config.model, config.settings)
        scaling = Scaling.fit(
            required(config.baseline, "baseline"), data["train"].energies(), data["train"].compositions()
        )
        loaders = {part: make_loader(d, config.training.batch_size, 0, part == "train") for part, d in data.items()}
        task = EnergyTask(model, config.training, scaling, loaders["validation"])
        if task.input_norm is not None:
            task.input_norm.measure(task.model, loaders["validation"])
        optimizer = torch.optim.AdamW(task.parameters(), lr=1e-9)

        def step(batch: Batch) -> None:
            optimizer.zero_grad()
            task.loss(batch).backward()
            optimizer.step()

        training = _timed(step, iter(cycle(loaders["train"])))
        with torch.no_grad():
            per_batch = _timed(task.errors, iter(cycle(loaders["validation"])))
    size = min(config.training.batch_size, len(data["validation"]))
    return Speed(training, per_batch / size)


def _timed(action: Callable[[Batch], object], batches: Iterator[Batch]) -> float:
    """Core-seconds of ``action`` on one of ``batches``, median of `STEPS` after the first, loading included."""
    out = []
    for _ in range(STEPS + 1):
        start = time.process_time()
        action(next(batches))
        out.append(time.process_time() - start)
    return float(np.median(out[1:]))
