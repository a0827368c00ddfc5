"""What a fine-tuning will take: steps, and core-minutes from the speed that is measured on this machine first."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import cycle
from math import ceil
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.utils.data import DataLoader

from lib import models
from lib.batches import Batch
from lib.data.loading import ConformationBatches, make_loader
from lib.errors import required
from lib.files import write_text
from lib.machine import one_thread
from lib.paths import RUNS
from lib.runs.config import RunConfig
from lib.runs.runner import STEPS_OF_MINUTES
from lib.runs.selection import select, splits
from lib.study.cost import in_words
from lib.training.scaling import Scaling

if TYPE_CHECKING:
    from lib.training.task import Task

STEPS = 6  # that are timed, after one that is not
STARTING = 1.0  # core-seconds: the model, the first checkpoint; 0.6 in a run of 800 steps
EPOCH = 0.01  # core-seconds of an epoch's checkpoint and logs; 0.008 without and 0.018 with averaged weights


@dataclass(frozen=True)
class Speed:
    """Core-seconds of a training ``step`` and of the ``evaluation`` of one conformation."""

    step: float
    evaluation: float

    def seconds(self, steps: int, epochs: int, validations: int, validation: int, test: int) -> float:
        """Core-seconds of a run with so many ``steps``, ``epochs`` and ``validations`` of so many conformations, and a
        test.
        """
        evaluated = validations * validation + test
        return STARTING + steps * self.step + epochs * EPOCH + evaluated * self.evaluation

    def steps(self, minutes: float, per_epoch: int, validations: int, validation: int, test: int) -> int:
        """The steps that a run of ``minutes`` has time for, at least one, with so many ``per_epoch``."""
        left = 60 * minutes - self.seconds(0, 0, validations, validation, test)
        return max(1, int(left / (self.step + EPOCH / per_epoch)))


@dataclass(frozen=True)
class Plan:
    """What a fine-tuning will do: conformations of each part, number of runs, steps of each, core-minutes of all, and
    those of them that go to pre-training.
    """

    seed: int
    train: int
    validation: int
    test: int
    runs: int
    steps: int
    minutes: float
    pretraining: float = 0.0

    def __str__(self) -> str:
        """One line for a reader."""
        first = f", {self.pretraining:.1f} of them for pre-training" if self.pretraining else ""
        return (
            f"seed {self.seed}: {self.train} to train, {self.validation} to validate, {self.test} to test; runs: "
            f"{self.runs} of some {self.steps} steps, {in_words(self.minutes)} (estimate){first}"
        )


def part_sizes(config: RunConfig) -> dict[str, int]:
    """Conformations of each part of a run; of one without labels test is empty."""
    parts = select(config, splits(config))
    return {part: sum(len(s.index) for s in parts.get(part, ())) for part in ("train", "validation", "test")}


def steps_of(config: RunConfig, train: int) -> int:
    """The steps of a run on ``train`` conformations that does not stop early."""
    return config.training.epochs * ceil(train / config.training.batch_size)


def seconds_of(config: RunConfig, speed: Speed) -> float:
    """Core-seconds of the run ``config`` at ``speed``."""
    sizes, training = part_sizes(config), config.training
    validations = training.epochs // training.validate_every
    steps = steps_of(config, sizes.pop("train"))
    return speed.seconds(steps, training.epochs, validations, **sizes)


def steps_within(config: RunConfig, minutes: float, validations: int, speed: Callable[[], Speed]) -> int:
    """The steps of ``config`` that take ``minutes`` on one core, with so many ``validations``.

    They are reckoned once and kept in the run store: at the ``speed`` of another moment they would be others, and the
    command that is given again would begin other runs instead of going on with its own.
    """
    kept = RUNS / f".{config.key()}-{minutes:g}{STEPS_OF_MINUTES}"
    if not kept.exists():
        sizes = part_sizes(config)
        per_epoch = ceil(sizes["train"] / config.training.batch_size)
        steps = speed().steps(minutes, per_epoch, validations, sizes["validation"], sizes["test"])
        write_text(kept, str(steps))
    return int(kept.read_text(encoding="utf-8"))


def measure(config: RunConfig) -> Speed:
    """The speed of ``config`` on one core of this machine, from some steps that train nothing that is kept."""
    selected = select(config, splits(config))
    cutoff, forces = config.settings.cutoff, config.training.force_weight is not None
    data = {
        part: ConformationBatches(selected[part], cutoff, config.sigma, forces=forces)
        for part in ("train", "validation")
    }
    loaders = {part: make_loader(d, config.training.batch_size, 0, part == "train") for part, d in data.items()}
    with one_thread(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        task = _task(config, data["train"], loaders["validation"])
        optimizer = torch.optim.AdamW(task.parameters(), lr=1e-9)

        def step(batch: Batch) -> None:
            """One step of training."""
            optimizer.zero_grad()
            task.loss(batch).backward()
            optimizer.step()

        training = _timed(step, iter(cycle(loaders["train"])))
        with torch.no_grad():
            per_batch = _timed(task.errors, iter(cycle(loaders["validation"])))
    size = min(config.training.batch_size, len(data["validation"]))
    return Speed(training, per_batch / size)


def _task(config: RunConfig, train: ConformationBatches, measured: DataLoader) -> Task:
    """What ``config`` trains, with initial weights."""
    from lib.training.denoising import DenoisingTask  # these import Lightning, as `runs.runner` says
    from lib.training.energy import EnergyTask

    model = models.build(config.model, config.settings)
    if not config.labelled:
        return DenoisingTask(model, config.training, required(config.sigma, "sigma"))
    scaling = Scaling.fit(required(config.baseline, "baseline"), train.energies(), train.compositions())
    task = EnergyTask(model, config.training, scaling, measured)
    if task.input_norm is not None:
        task.input_norm.measure(task.model, measured)
    return task


def _timed(action: Callable[[Batch], object], batches: Iterator[Batch]) -> float:
    """Core-seconds of ``action`` on one of ``batches``, median of `STEPS` after the first, loading included."""
    out = []
    for _ in range(STEPS + 1):
        start = time.process_time()
        action(next(batches))
        out.append(time.process_time() - start)
    return float(np.median(out[1:]))
