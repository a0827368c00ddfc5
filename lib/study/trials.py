"""Trials: one question with several arms, each with its own learning rate, over the same seeds and test conformations.

Table 2 asks every question with two arms, scratch and pre-trained (`arms`); a `Trial` has as many as it needs, each a
function from learning rate and seed to a run. The first seed decides the rate of each arm, on validation data: the two
rates in the middle of the candidates are tried, then a neighbour for as long as the best one is at the edge of those
tried. The other seeds follow at the rate chosen.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from lib.runs.config import RunConfig
from lib.runs.results import Result, find_record
from lib.runs.runner import run_all, stored, trained
from lib.study.arms import MISSING, TRAIN
from lib.study.rates import choose_rate


@dataclass(frozen=True)
class Trial:
    """One question.

    Attributes:
        name: of the trial, for tables.
        question: in words.
        arms: by name; learning rate and seed to run.
        rates: candidate learning rates.
        seeds: the first decides the rates.
        reference: the arm that the others are compared with.
    """

    name: str
    question: str
    arms: Mapping[str, Callable[[float, int], RunConfig]]
    rates: tuple[float, ...]
    seeds: tuple[int, ...]
    reference: str

    def __post_init__(self) -> None:
        """Refuse a trial that cannot be run or compared."""
        if self.reference not in self.arms:
            raise ValueError(f"reference = {self.reference!r} of trial {self.name!r}: choose from {list(self.arms)}")
        if not self.rates or list(self.rates) != sorted(set(self.rates)):
            raise ValueError(f"rates = {self.rates} of trial {self.name!r}: give candidates, ascending, each once")
        if not self.seeds:
            raise ValueError(f"seeds = {self.seeds} of trial {self.name!r}: give at least one")


@dataclass(frozen=True)
class TrialArm:
    """What came of one arm: the learning rate chosen, whether it is at the edge of the candidates, results by seed."""

    name: str
    learning_rate: float
    at_edge: bool
    results: Mapping[int, Result]


def tried_rates(trial: Trial, arm: str) -> dict[float, Result | None]:
    """The learning rates that decide so far, ascending, with the result of each; None where it is still to be run."""
    middle = (len(trial.rates) - 1) // 2
    low, high = middle, min(middle + 1, len(trial.rates) - 1)
    while True:
        results = {rate: stored(trial.arms[arm](rate, trial.seeds[0])) for rate in trial.rates[low : high + 1]}
        if None in results.values():
            return results
        best = trial.rates.index(choose_rate(results))
        if best == low > 0:
            low -= 1
        elif best == high < len(trial.rates) - 1:
            high += 1
        else:
            return results


def chosen_rate(trial: Trial, arm: str) -> float | None:
    """The learning rate of ``arm`` that validates best at the first seed; None while a run that decides is missing.

    Raises:
        TrainingError: training diverged with every rate that was tried.
    """
    results = tried_rates(trial, arm)
    return None if None in results.values() else choose_rate(results)


def next_runs(trial: Trial) -> list[RunConfig]:
    """The missing runs that can be trained now, arm by arm: those that decide a rate, or the other seeds at that rate.

    Each run once; when they are done, more may follow. Empty when the trial is complete.
    """
    out: dict[str, RunConfig] = {}
    for name, arm in trial.arms.items():
        results = tried_rates(trial, name)
        if None in results.values():
            missing = [arm(rate, trial.seeds[0]) for rate, result in results.items() if result is None]
        else:
            runs = [arm(choose_rate(results), seed) for seed in trial.seeds]
            missing = [config for config in runs if stored(config) is None]
        out |= {config.key(): config for config in missing}
    return list(out.values())


def run_trial(trial: Trial, workers: int | None = None, device: str = "auto") -> None:
    """Train what ``trial`` lacks, pre-training first."""
    while configs := next_runs(trial):
        run_all(configs, workers, trial.name, device)


def arms_of(trial: Trial, missing: str, workers: int | None = None, device: str = "auto") -> dict[str, TrialArm]:
    """What came of the arms of ``trial``, by name.

    Args:
        trial: whose.
        missing: one of `arms.MISSING`: whether missing runs are trained, or left out; then an arm whose rate is not
            decided is left out whole, and an arm has those seeds that are recorded or stored.
        workers: processes; None takes every core.
        device: ``Execution.accelerator``.

    Raises:
        ValueError: ``missing`` is another word.
    """
    if missing not in MISSING:
        raise ValueError(f"missing = {missing!r}: choose from {MISSING}")
    if missing == TRAIN:
        run_trial(trial, workers, device)
    out = {}
    for name, arm in trial.arms.items():
        rate = chosen_rate(trial, name)
        if rate is None:
            continue
        results = {seed: stored(arm(rate, seed)) for seed in trial.seeds}
        edge = len(trial.rates) > 1 and rate in (trial.rates[0], trial.rates[-1])
        out[name] = TrialArm(name, rate, edge, {s: r for s, r in results.items() if r is not None})
    return out


def results_to_record(trial: Trial) -> list[Result]:
    """What was trained here for ``trial``, pre-training included, and is not recorded (`results.record`)."""
    runs = [arm(rate, seed) for arm in trial.arms.values() for rate in trial.rates for seed in trial.seeds]
    sources = [config.pretrained for config in runs if config.pretrained is not None]
    keys = dict.fromkeys(config.key() for config in (*sources, *runs))
    known = [trained(key) for key in keys if find_record(key) is None]
    return [result for result in known if result is not None]


def left_out(trial: Trial) -> list[str]:
    """The arms of ``trial`` with missing runs, and how many seeds they have."""
    complete = arms_of(trial, MISSING[1])
    counts = {name: len(complete[name].results) if name in complete else 0 for name in trial.arms}
    return [f"{name} ({n} of {len(trial.seeds)} seeds)" for name, n in counts.items() if n < len(trial.seeds)]


def find_trial(trials: Sequence[Trial], name: str) -> Trial:
    """The trial called ``name``.

    Raises:
        ValueError: there is none; the message lists the names.
    """
    by_name = {trial.name: trial for trial in trials}
    if name not in by_name:
        raise ValueError(f"trial {name!r} is unknown: choose from {list(by_name)}")
    return by_name[name]
