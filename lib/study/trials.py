"""Trials: one question with several arms, each with its own learning rate, over the same seeds and test conformations.

Table 2 asks every question with two arms, scratch and pre-trained (`arms`); a `Trial` has as many as it needs, each a
function from learning rate and seed to a run. The rate of each arm is chosen on validation data, at the first seed: the
two rates in the middle of the candidates are tried, then a neighbour for as long as the best one is at the edge of
those tried. The best one's other seeds follow. A rate may serve one seed and fail the next, whose error is then
`FAILED` times as large: such a rate gives way to the next best.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import inf

from lib.runs.config import RunConfig
from lib.runs.results import Result, find_record
from lib.runs.runner import run_all, stored, trained
from lib.study.arms import MISSING, TRAIN
from lib.study.cells import Cell
from lib.study.rates import choose_rate
from lib.study.scale import Scale

SCRATCH, PRETRAINED = "scratch", "pre-trained"
FAILED = 3.0  # times the first seed's validation metric; seeds that learn alike differ by tens of per cent


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


def both_arms(scale: Scale, model: str, data: str) -> dict[str, Callable[[float, int], RunConfig]]:
    """The arms of Table 2 for a `Trial`: ``model`` on ``data`` at ``scale``, from scratch and pre-trained."""
    pairs = ((SCRATCH, False), (PRETRAINED, True))
    return {arm: partial(scale.finetune, Cell(model, data, pretrained)) for arm, pretrained in pairs}


@dataclass(frozen=True)
class TrialArm:
    """What came of one arm: the learning rate chosen, whether it is at the edge of the candidates, results by seed."""

    name: str
    learning_rate: float
    at_edge: bool
    results: Mapping[int, Result]


@dataclass(frozen=True)
class Score:
    """What a learning rate is judged by so far: ``results`` by seed, the first of which decides.

    ``validation`` is that of the first seed, and infinite where training diverged or failed with any.
    """

    results: Mapping[int, Result]

    @property
    def validation(self) -> float:
        """As `Result.validation`."""
        first, *others = (result.validation for result in self.results.values())
        return first if all(other < FAILED * first for other in others) else inf


def tried_rates(trial: Trial, arm: str) -> dict[float, Score | None]:
    """The learning rates that decide so far, ascending, with their scores; None where the first seed is to be run.

    The edge is looked for by the first seed alone, then once more without the rates that failed another.
    """
    middle = (len(trial.rates) - 1) // 2
    low, high = middle, min(middle + 1, len(trial.rates) - 1)
    for failures_count in (False, True):
        while True:
            scores = {rate: _score(trial, arm, rate) for rate in trial.rates[low : high + 1]}
            if None in scores.values():
                return scores
            best = trial.rates.index(choose_rate(scores if failures_count else _of_first_seed(scores)))
            if best == low > 0:
                low -= 1
            elif best == high < len(trial.rates) - 1:
                high += 1
            else:
                break
    return scores


def _of_first_seed(scores: Mapping[float, Score | None]) -> dict[float, Result | None]:
    """The result of the first seed at each learning rate."""
    return {rate: None if s is None else next(iter(s.results.values())) for rate, s in scores.items()}


def _score(trial: Trial, arm: str, rate: float) -> Score | None:
    results = {seed: stored(trial.arms[arm](rate, seed)) for seed in trial.seeds}
    return None if results[trial.seeds[0]] is None else Score({s: r for s, r in results.items() if r is not None})


def chosen_rate(trial: Trial, arm: str) -> float | None:
    """The learning rate of ``arm`` that validates best so far; None while a first seed that decides is missing.

    Raises:
        TrainingError: training diverged with every rate that was tried.
    """
    scores = tried_rates(trial, arm)
    return None if None in scores.values() else choose_rate(scores)


def next_runs(trial: Trial) -> list[RunConfig]:
    """The missing runs that can be trained now, arm by arm: the first seed of rates that decide, or other seeds of the
    best.

    Each run once; when they are done, more may follow. Empty when the trial is complete.
    """
    out: dict[str, RunConfig] = {}
    for name, arm in trial.arms.items():
        scores = tried_rates(trial, name)
        if None in scores.values():
            missing = [arm(rate, trial.seeds[0]) for rate, score in scores.items() if score is None]
        else:
            best = choose_rate(scores)
            score = scores[best]
            missing = [arm(best, seed) for seed in trial.seeds if score is None or seed not in score.results]
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
    keys = dict.fromkeys(config.key() for last in runs for config in last.chain())
    known = [trained(key) for key in keys if find_record(key) is None]
    return [result for result in known if result is not None]


def left_out(trial: Trial) -> list[str]:
    """The arms of ``trial`` with missing runs, and how many seeds they have."""
    complete = arms_of(trial, MISSING[1])
    counts = {name: len(complete[name].results) if name in complete else 0 for name in trial.arms}
    return [f"{name} ({n} of {len(trial.seeds)} seeds)" for name, n in counts.items() if n < len(trial.seeds)]
