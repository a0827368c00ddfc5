"""The learning rate of an arm: the candidate with the lowest validation error, for each model and kind of data.

The rate is chosen on one data set of a kind (`SCANNED`) at the first seed, and serves the whole kind: what suits small
molecules of four elements does not suit SPICE. Test data decide nothing.
"""

from collections.abc import Sequence

from lib.runs.config import RunConfig
from lib.runs.runner import stored
from lib.study.matrix import Cell
from lib.study.scale import Scale

SCANNED = {"md22": "md22/Ac-Ala3-NHMe", "spice": "spice"}  # where learning rates are compared, by kind of data; else:
SCANNED_ELSE = "ani1x"


def _candidates(scale: Scale, cell: Cell) -> list[RunConfig]:
    """The runs that decide the learning rate of ``cell``, one a candidate; none where there is no choice."""
    rates = scale.rates_of(cell.data)
    if len(rates) == 1:
        return []
    data, seed, weight = _scanned(cell), scale.seeds[0], cell.force_weight or None  # not learnt: the same training
    return [scale.finetune(cell.model, data, cell.pretrained, rate, seed, force_weight=weight) for rate in rates]


def _scanned(cell: Cell) -> str:
    """The data set on which the learning rate of ``cell`` is chosen."""
    return SCANNED.get(cell.data.split("/")[0], SCANNED_ELSE)


def scan(scale: Scale, cells: Sequence[Cell]) -> list[RunConfig]:
    """The runs that decide the learning rates of ``cells``, some of them twice."""
    kinds = {(c.model, _scanned(c), c.pretrained, c.force_weight or None): c for c in cells}
    return [config for cell in kinds.values() for config in _candidates(scale, cell)]


def choose_rate(scale: Scale, cell: Cell) -> float:
    """The learning rate of ``cell``: the candidate with the lowest validation RMSE.

    The first one while not all candidates are stored, for a plan.
    """
    found = [stored(config) for config in _candidates(scale, cell)]
    if not found or any(result is None for result in found):
        return scale.rates_of(cell.data)[0]
    scores = [result.validation for result in found]
    return scale.rates_of(cell.data)[scores.index(min(scores))]
