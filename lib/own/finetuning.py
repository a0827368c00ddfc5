"""Fine-tuning on a user's own conformations, from the checks of the file to the weights of a potential.

`FineTuning` is one task: the command line runs one, a learning curve runs several (`learning_curve`).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil
from pathlib import Path

import numpy as np

from lib.data.datasets import DataSet, open_store
from lib.data.readers.own import FORCES, arrays_like_forces
from lib.errors import TrainingError
from lib.models.weights import SUFFIX, export_weights
from lib.own.checks import shared_conformations, unseen_types
from lib.own.configs import default_force_weight, fine_tune, labels_that_fit, pretrain_on
from lib.own.findings import ERROR, WARNING, Finding
from lib.own.inspection import inspect_store
from lib.runs.config import RunConfig
from lib.runs.results import Result
from lib.runs.runner import run_all
from lib.runs.selection import select, splits
from lib.study import rates
from lib.study.cost import MINUTES, in_words, todo
from lib.study.layers import named, pretraining_of

__all__ = ["FineTuning", "Plan", "choose_rate", "default_force_weight", "fine_tune", "labels_that_fit", "pretrain_on",
           "refuse_diverged"]  # fmt: skip


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
        return (f"seed {self.seed}: {self.train} to train, {self.validation} to validate, {self.test} to test; runs: "
                f"{self.runs} of some {self.steps} steps, {in_words(self.minutes)} (estimate), and pre-training where "
                "it is not there")  # fmt: skip


@dataclass(frozen=True)
class FineTuning:
    """A potential for the molecules of one file, trained from pre-trained layers or from scratch.

    Attributes:
        data: labelled conformations (`datasets.own_dataset`).
        weights: a name of `layers.weights_names`, for the model and its settings.
        source: the pre-training to start from (`FineTuning.layers`); conformations to pre-train on first, with every
            seed, where they are ``data`` itself without those that test; or None, from scratch.
        labels: training conformations; None takes all, 80 %.
        rates: highest learning rates to choose from; None takes the scale's.
        seeds: of the runs; several make an ensemble.
        force_weight: of the loss; None takes `default_force_weight`.
        pretraining_rate: highest learning rate of pre-training on ``source``'s conformations; None takes the scale's.
    """

    data: DataSet
    weights: str
    source: RunConfig | DataSet | None = None
    labels: int | None = None
    rates: tuple[float, ...] | None = None
    seeds: tuple[int, ...] = (0,)
    force_weight: float | None = None
    pretraining_rate: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be run, before anything is read.

        Raises:
            ValueError: unknown weights, no seeds or rates, or one twice, or a rate of pre-training without
                conformations to pre-train on.
        """
        named(self.weights)
        for name, values in (("seeds", self.seeds), ("learning rates", self.rates)):
            if values is not None and not 0 < len(values) == len(set(values)):
                raise ValueError(f"{name} = {list(values)}: give at least one, each once")
        if self.pretraining_rate is not None and not isinstance(self.source, DataSet):
            raise ValueError(f"pretraining_rate = {self.pretraining_rate:g} is for your own conformations: "
                             "name them with --pretrain-on (source)")  # fmt: skip

    @staticmethod
    def layers(weights: str, trained: bool = False) -> RunConfig:
        """The pre-training that gives the layers called ``weights``.

        Raises:
            ValueError: unknown name; or they are to be ``trained`` already and are not.
        """
        if trained:
            return pretraining_of(weights)
        scale, model = named(weights)
        return scale.pretrain(model, 0)

    def inspect(self) -> list[Finding]:
        """What is wrong or odd in the conformations and in what pre-trains, errors first (`findings.refuse_errors`)."""
        store, out = open_store(self.data), []
        key = dict(self.data.options).get("forces_key", FORCES)
        if not store.has_forces and (others := arrays_like_forces(self.data.path)):
            text = f"no forces under {key!r}, but arrays {others}: name one with --forces-key"
            out.append(Finding(WARNING, "", text))
        out += [*inspect_store(store), *self._inspect_source()]
        return sorted(out, key=lambda finding: finding.severity != ERROR)

    def _inspect_source(self) -> list[Finding]:
        """What is odd in the conformations that pre-train, and what of ``data`` pre-training will not have met."""
        if self.source is None or self._pretrains_on_itself:
            return []
        out, place, source = [], self.weights, self.source
        if isinstance(self.source, DataSet):
            place = self.source.path
            out += [replace(finding, molecule=f"{place}: {finding.molecule}")
                    for finding in inspect_store(open_store(self.source), labelled=False)]  # fmt: skip
            for seed, (known, tested) in zip(self.seeds, self._shared(), strict=True):
                text = (f"{known} of {tested} test conformations of seed {seed} are in {place}, so that pre-training "
                        "sees them, without labels: test errors will flatter")  # fmt: skip
                out += [Finding(WARNING, "", text)] if known else []
            source = pretrain_on(self.weights, self.source)
        if unseen := unseen_types(self.data, source):
            out.append(Finding(WARNING, "", f"the pre-training of {place} has not met {', '.join(unseen)}: the "
                                            "parameters of these atoms are random at first, and pre-training may help "
                                            "less; compare with --from-scratch"))  # fmt: skip
        return out

    def _shared(self) -> list[tuple[int, int]]:
        """Test conformations that pre-training sees, and all of them, by seed."""
        return shared_conformations(self.data, self.source, self.seeds)

    @property
    def _pretrains_on_itself(self) -> bool:
        """Whether ``source`` is the labelled file."""
        return isinstance(self.source, DataSet) and Path(self.source.path).resolve() == Path(self.data.path).resolve()

    def pretraining(self, seed: int) -> RunConfig | None:
        """The pre-training that the run of ``seed`` starts from; None from scratch."""
        if not isinstance(self.source, DataSet):
            return self.source
        pool = self.data if self._pretrains_on_itself else self.source
        return pretrain_on(self.weights, pool, seed, self.pretraining_rate)

    def _config(self, rate: float, seed: int, source: RunConfig | None) -> RunConfig:
        weight = default_force_weight(self.data) if self.force_weight is None else self.force_weight
        return fine_tune(self.weights, self.data, source, rate, seed, self.labels, weight)

    def candidates(self) -> tuple[float, ...]:
        """The learning rates to choose from."""
        scale, _ = named(self.weights)
        return self.rates or scale.rates_of(self.data.name)

    def scan(self) -> list[RunConfig]:
        """The runs that decide the learning rate, one a candidate, of the first seed."""
        source = self.pretraining(self.seeds[0])
        return [self._config(rate, self.seeds[0], source) for rate in self.candidates()]

    def configs(self, rate: float) -> list[RunConfig]:
        """The runs at the learning rate ``rate``, one a seed."""
        return [self._config(rate, seed, self.pretraining(seed)) for seed in self.seeds]

    def plan(self) -> Plan:
        """What is to be run, before anything is.

        Raises:
            DataError: a seed's split leaves nothing to learn from, to choose by, or to test.
            ValueError: validation or test have atom types that training lacks.
        """
        scale, _ = named(self.weights)
        candidates, first = self.candidates(), self.seeds[0]
        pairs = [*((rate, first) for rate in candidates), *((candidates[0], seed) for seed in self.seeds[1:])]
        configs = [self._config(rate, seed, None) for rate, seed in pairs]  # the cost without pre-training
        training, parts = configs[0].training, select(configs[0], splits(configs[0]))
        sizes = {part: sum(len(s.index) for s in parts[part]) for part in ("train", "validation", "test")}
        steps = training.epochs * ceil(sizes["train"] / training.batch_size)
        return Plan(first, **sizes, runs=len(configs), steps=steps, minutes=todo(scale, "", configs)[MINUTES])

    def choose_rate(self, workers: int | None = None) -> float:
        """The one of `candidates` that validates best, trained in so many ``workers`` (processes; None: all cores).

        Raises:
            TrainingError: training diverged with each.
        """
        return choose_rate(self.scan(), workers)

    def train(
        self, rate: float | None = None, workers: int | None = None, weights: bool = True, title: str = "fine-tuning"
    ) -> list[Result]:
        """Train every seed, or load what was trained.

        Args:
            rate: highest learning rate; None takes that of `choose_rate`.
            workers: processes; None takes all cores.
            weights: whether recorded runs without their weights are trained too.
            title: of the progress bar.

        Raises:
            TrainingError: training diverged.
        """
        rate = self.choose_rate(workers) if rate is None else rate
        results = run_all(self.configs(rate), workers, title, weights=weights)
        refuse_diverged(results)
        return results

    def export(self, results: Sequence[Result], folder: Path) -> list[Path]:
        """Write the weights of ``results`` (of `train`), one file a seed, for `lib.load_pretrained` and others."""
        paths = []
        for seed, result in zip(self.seeds, results, strict=True):
            paths.append(folder / f"{self.data.stem}-{self.weights}-seed{seed}-{result.key}{SUFFIX}")
            export_weights(result.weights(), result.about, result.key, paths[-1])
        return paths


def choose_rate(configs: Sequence[RunConfig], workers: int | None = None) -> float:
    """The learning rate of the one of ``configs`` that validates best; test data decide nothing.

    Raises:
        TrainingError: fine-tuning diverged with each of them.
    """
    results = run_all(configs, workers, "learning rates")
    return rates.choose_rate({c.training.learning_rate: r for c, r in zip(configs, results, strict=True)})


def refuse_diverged(results: Sequence[Result]) -> None:
    """Stop where a run ended in NaN or infinity.

    Raises:
        TrainingError: naming the runs.
    """
    wrong = [result.key for result in results if not np.isfinite(result.validation)]
    if wrong:
        raise TrainingError(f"fine-tuning diverged in {', '.join(wrong)}: take a lower learning rate")
