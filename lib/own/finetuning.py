"""Fine-tuning on a user's own conformations, from the checks of the file to the weights of a potential.

`FineTuning` is one task: the command line runs one, a learning curve runs several (`learning_curve`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from lib.data.datasets import DataSet, open_store
from lib.data.readers.own import FORCES, arrays_like_forces
from lib.errors import TrainingError
from lib.models.weights import SUFFIX, export_weights
from lib.own import checks
from lib.own.configs import VALIDATIONS, Length, Options, default_force_weight, fine_tune, labels_that_fit, pretrain_on
from lib.own.findings import ERROR, WARNING, Finding
from lib.own.inspection import inspect_store
from lib.own.plan import Plan, Speed, measure, part_sizes, seconds_of, steps_of, steps_within
from lib.potentials.calibration import evaluate_on, spread_factors
from lib.potentials.ensemble import ENSEMBLE, Potential
from lib.runs.config import RunConfig
from lib.runs.results import Result
from lib.runs.runner import is_available, log_of, run_all
from lib.study import rates
from lib.study.layers import named, pretraining_of

__all__ = ["FineTuning", "Plan", "default_force_weight", "fine_tune", "labels_that_fit", "pretrain_on",
           "refuse_diverged"]  # fmt: skip


@dataclass(frozen=True)
class FineTuning:
    """A potential for the molecules of one file, trained from pre-trained layers or from scratch.

    Attributes:
        data: labelled conformations (`datasets.own_dataset`).
        weights: a name of `layers.weights_names`, for the model and its settings.
        source: the pre-training to start from (`FineTuning.layers`); conformations to pre-train on first, with every
            seed, where they are ``data`` itself without those that test; or None, from scratch.
        labels: training conformations; None takes all that are not held out for validation and test: 80 %, or 90 or
            100 % where one or both have files of their own.
        rates: highest learning rates to choose from; None takes the scale's.
        seeds: of the runs; several make an ensemble.
        force_weight: of the loss; None takes `default_force_weight`.
        pretraining_rate: highest learning rate of pre-training on ``source``'s conformations; None takes the scale's.
        validation: labelled conformations to choose by, none of which trains; None takes 10 % of ``data``.
        test: the same, to test on.
        batch_size: conformations of a training step; None takes the scale's.
        steps: of a run, about; or ``epochs``, or ``minutes`` on one core; None of them leaves it at the scale's.
        patience: validations without a new best one after which a run stops; 0 never does.
        average: decay by step of the moving average of the weights, 0.99 to 0.999; 0 is none.
        start: weights file of a potential that training continues, instead of ``source``.
        extensive: whether energies are sums over atoms with a repulsion of nuclei at short range (`Scale.extensive`),
            as dynamics needs them; without, they are read out as in the paper.
        isolated_atoms: elements with the energies (kcal/mol) of isolated atoms (`datasets.isolated_atoms`), so that
            data of one composition say what other ones have.
    """

    data: DataSet
    weights: str
    source: RunConfig | DataSet | None = None
    labels: int | None = None
    rates: tuple[float, ...] | None = None
    seeds: tuple[int, ...] = (0,)
    force_weight: float | None = None
    pretraining_rate: float | None = None
    validation: DataSet | None = None
    test: DataSet | None = None
    batch_size: int | None = None
    steps: int | None = None
    epochs: int | None = None
    minutes: float | None = None
    patience: int = 0
    average: float = 0.0
    start: Path | None = None
    extensive: bool = True
    isolated_atoms: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be run, before anything is read.

        Raises:
            ValueError: unknown weights; no seeds or rates, or one twice; several lengths; a potential to continue
                beside a pre-training; or a rate of pre-training without conformations to pre-train on.
        """
        named(self.weights)
        for name, values in (("seeds", self.seeds), ("learning rates", self.rates)):
            if values is not None and not 0 < len(values) == len(set(values)):
                raise ValueError(f"{name} = {list(values)}: give at least one, each once")
        given = [name for name in ("steps", "epochs", "minutes") if getattr(self, name) is not None]
        if len(given) > 1:
            raise ValueError(f"{' and '.join(given)} are given: choose one of them")
        if self.minutes is not None and not self.minutes > 0:
            raise ValueError(f"minutes = {self.minutes} must be positive")
        if self.start is not None and self.source is not None:
            raise ValueError(f"start = {str(self.start)!r} beside a pre-training (source): choose one of them")
        if self.pretraining_rate is not None and not isinstance(self.source, DataSet):
            raise ValueError(
                f"pretraining_rate = {self.pretraining_rate:g} is for your own conformations: "
                "name them with --pretrain-on (source)"
            )

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
            text = f"no forces under {key!r}, but arrays {others}: name one with forces_key (--forces-key)"
            out.append(Finding(WARNING, "", text))
        out += [*inspect_store(store), *checks.inspect_held_out(self.data, self.held_out)]
        out += checks.inspect_isolated(self.data, dict(self.isolated_atoms))
        if isinstance(self.source, DataSet) and not self._pretrains_on_itself:
            out += checks.inspect_pool(self.source, dict(zip(self.seeds, self._shared(self.source), strict=True)))
            out += checks.inspect_types(self.data, pretrain_on(self.weights, self.source), str(self.source.path))
        elif isinstance(self.source, RunConfig):
            out += checks.inspect_types(self.data, self.source, self.weights)
        return sorted(out, key=lambda finding: finding.severity != ERROR)

    def _shared(self, pool: DataSet) -> list[tuple[int, int]]:
        """Test conformations that pre-training on ``pool`` sees, and all of them, by seed."""
        if self.test is not None:
            known = checks.are_in_pool(self.test, pool)
            return [(int(known.sum()), len(known))] * len(self.seeds)
        return checks.shared_conformations(self.data, pool, self.seeds)

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

    def _config(self, rate: float, seed: int, source: RunConfig | None, timed: bool = True) -> RunConfig:
        """The run of ``seed``; not ``timed``: of the scale's length, for measuring how long that takes."""
        weight = default_force_weight(self.data) if self.force_weight is None else self.force_weight
        length = self._length if timed else None
        options = Options(
            self.held_out, length, self.patience, self.average, self.batch_size, self.start, self.extensive,
            self.isolated_atoms,
        )  # fmt: skip
        return fine_tune(self.weights, self.data, source, rate, seed, self.labels, weight, options)

    @property
    def held_out(self) -> tuple[tuple[str, DataSet], ...]:
        """The parts that have data sets of their own (`RunConfig.held_out`)."""
        parts = {"validation": self.validation, "test": self.test}
        return tuple((part, dataset) for part, dataset in parts.items() if dataset is not None)

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
        """What is to be run, before anything is, without what is there already.

        Raises:
            DataError: a seed's split leaves nothing to learn from, to choose by, or to test.
            ValueError: validation or test have atom types that training lacks, or forces or levels differ.
        """
        candidates, first = self.candidates(), self.seeds[0]
        pairs = [*((rate, first) for rate in candidates), *((candidates[0], seed) for seed in self.seeds[1:])]
        configs = [self._config(rate, seed, self.pretraining(seed)) for rate, seed in pairs]
        sizes = part_sizes(configs[0])
        missing = sum(not is_available(config, weights=False) for config in configs)
        pretraining = self._pretraining_seconds() / 60
        minutes = missing * seconds_of(configs[0], self._speed) / 60 + pretraining
        return Plan(
            first,
            **sizes,
            runs=len(configs),
            steps=steps_of(configs[0], sizes["train"]),
            minutes=round(minutes, 1),
            pretraining=round(pretraining, 1),
        )

    def _pretraining_seconds(self) -> float:
        """Core-seconds of pre-training on one's own conformations, where that is still to be done."""
        if not isinstance(self.source, DataSet):
            return 0.0
        configs = {config.key(): config for seed in self.seeds if (config := self.pretraining(seed)) is not None}
        missing = [config for config in configs.values() if not is_available(config, weights=True)]
        return sum(seconds_of(config, measure(config)) for config in missing[:1]) * len(missing)

    @cached_property
    def _speed(self) -> Speed:
        """Of the runs on this machine."""
        return measure(self._config(self.candidates()[0], self.seeds[0], None, timed=False))

    @cached_property
    def _length(self) -> Length | None:
        """Of a run: epochs or steps as they are given, or the steps for which the minutes suffice."""
        if self.minutes is None:
            return None if self.epochs is None and self.steps is None else Length(self.epochs, self.steps)
        config = self._config(self.candidates()[0], self.seeds[0], None, timed=False)
        return Length(steps=steps_within(config, self.minutes, VALIDATIONS, lambda: self._speed))

    @staticmethod
    def logs(configs: Sequence[RunConfig], weights: bool = False) -> list[tuple[RunConfig, Path]]:
        """Those of ``configs`` that are still to be trained (for their ``weights``), each with the log to follow."""
        return [(config, log_of(config)) for config in configs if not is_available(config, weights)]

    def choose_rate(self, workers: int | None = None) -> float:
        """The one of `candidates` that validates best, trained in so many ``workers`` (processes; None: all cores).
        Test data decide nothing.

        Raises:
            TrainingError: training diverged with each.
        """
        configs = self.scan()
        results = run_all(configs, workers, "learning rates")
        return rates.choose_rate({c.training.learning_rate: r for c, r in zip(configs, results, strict=True)})

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
        """Write the weights of ``results`` (of `train`), one file a seed, for `lib.load_pretrained` and others.

        Of several seeds with a file of validation conformations the files also say by which factors their spread, as an
        ensemble, is to be multiplied to be calibrated on it (`calibration.spread_factors`).
        """
        paths, together = [], self._ensemble(results)
        for seed, result in zip(self.seeds, results, strict=True):
            paths.append(folder / f"{self.data.stem}-{self.weights}-seed{seed}-{result.key}{SUFFIX}")
            export_weights(result.weights(), result.about, result.key, paths[-1], **together)
        return paths

    def _ensemble(self, results: Sequence[Result]) -> dict[str, Any]:
        """What each member's header says of the ensemble of ``results``; nothing where no conformations calibrate it.

        Without a file of its own, validation of one seed is in training of another.
        """
        if self.validation is None or len(results) < 2:
            return {}
        store = open_store(self.validation)
        errors = evaluate_on(Potential([result.weights() for result in results]), store, np.arange(len(store)))
        members = sorted(result.key for result in results)
        return {ENSEMBLE: {"members": members, **spread_factors(errors, len(results))}}


def refuse_diverged(results: Sequence[Result]) -> None:
    """Stop where a run ended in NaN or infinity.

    Raises:
        TrainingError: naming the runs.
    """
    wrong = [result.key for result in results if not np.isfinite(result.validation)]
    if wrong:
        raise TrainingError(f"fine-tuning diverged in {', '.join(wrong)}: take a lower learning rate")
