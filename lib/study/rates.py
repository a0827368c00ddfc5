"""The learning rate of an arm: the candidate with the lowest validation error, for each model and kind of data.

The rate is chosen on one data set of a kind (`SCANNED`) at the first seed, and serves the whole kind: a rate that suits
small molecules of four elements does not suit SPICE. Test data decide nothing.
"""

from collections.abc import Iterable, Mapping
from math import isfinite
from typing import Protocol

from lib.data.datasets import family_of
from lib.errors import TrainingError
from lib.runs.config import RunConfig
from lib.runs.runner import stored
from lib.study.cells import Cell
from lib.study.scale import Scale

SCANNED = {"md22": "md22/Ac-Ala3-NHMe", "spice": "spice"}  # where learning rates are compared, by kind of data
SCANNED_DEFAULT = "ani1x"  # where those of all other data are
REFUSE, FIRST = MISSING = ("refuse", "first")


class Validated(Protocol):
    """What learning rates are compared by: a `Result`, or several of one rate."""

    @property
    def validation(self) -> float:
        """Infinite where training diverged."""


def choose_rate(results: Mapping[float, Validated | None], missing: str = REFUSE) -> float:
    """The learning rate with the lowest validation metric (`Result.validation`), the first of equal ones.

    Diverged runs are left out.

    Args:
        results: by candidate, None where its run is neither recorded nor stored.
        missing: while a result is missing, ``refuse`` is an error, and ``first`` returns the first candidate, for
            a plan of what is to be run.

    Raises:
        ValueError: results are missing and ``missing`` is ``refuse``; no candidates; or another word.
        TrainingError: training diverged with every candidate.
    """
    if missing not in MISSING:
        raise ValueError(f"missing = {missing!r}: choose from {MISSING}")
    if not results:
        raise ValueError("no candidate learning rates: give at least one")
    scores = {rate: result.validation for rate, result in results.items() if result is not None}
    if len(scores) < len(results):
        if missing == FIRST:
            return next(iter(results))
        lacking = ", ".join(f"{rate:g}" for rate, result in results.items() if result is None)
        raise ValueError(f"no result yet with the learning rates {lacking}: run them before one is chosen")
    finite = {rate: score for rate, score in scores.items() if isfinite(score)}
    if not finite:
        rates = ", ".join(f"{rate:g}" for rate in results)
        raise TrainingError(f"fine-tuning diverged with each of the learning rates {rates}: try lower ones")
    return min(finite, key=finite.__getitem__)


def rate_of(scale: Scale, cell: Cell) -> float:
    """The learning rate of ``cell``: `choose_rate` among its candidates, the first of them until all have run."""
    results = {config.training.learning_rate: stored(config) for config in _candidates(scale, cell)}
    return choose_rate(results, FIRST) if results else scale.rates_of(cell.data)[0]


def _candidates(scale: Scale, cell: Cell) -> list[RunConfig]:
    """The runs that decide the learning rate of ``cell``, one per candidate; none where there is no choice."""
    rates = scale.rates_of(cell.data)
    if len(rates) == 1:
        return []
    scanned = Cell(cell.model, _scanned(cell), cell.pretrained, force_weight=cell.force_weight or None)
    return [scale.finetune(scanned, rate, scale.seeds[0]) for rate in rates]


def _scanned(cell: Cell) -> str:
    """The data set on which the learning rate of ``cell`` is chosen."""
    return SCANNED.get(family_of(cell.data), SCANNED_DEFAULT)


def scan(scale: Scale, cells: Iterable[Cell]) -> list[RunConfig]:
    """The runs that decide the learning rates of ``cells``, each once.

    With a force weight of 0 forces are not learnt: the training is the same as without.
    """
    kinds = {(c.model, _scanned(c), c.pretrained, c.force_weight or None): c for c in cells}
    return [config for cell in kinds.values() for config in _candidates(scale, cell)]
