"""The trials of each scale beyond the paper's matrix, in the order in which they are best run."""

from collections.abc import Callable, Mapping

from lib.errors import look_up
from lib.study.head import head_trials
from lib.study.read_out import read_out_trials
from lib.study.scale import Scale
from lib.study.scales import get_scale
from lib.study.trials import Trial

TRIALS: Mapping[str, Callable[[], list[Trial]]] = {
    "smoke": lambda: _trials(get_scale("smoke")),
    "laptop": lambda: _trials(get_scale("laptop")),
}


def _trials(scale: Scale) -> list[Trial]:
    return [*head_trials(scale), *read_out_trials(scale)]


def trials_of(scale: str) -> list[Trial]:
    """The trials of the scale called ``scale``.

    Raises:
        ValueError: it has none; the message lists the scales that have.
    """
    return look_up(TRIALS, scale, "scale with trials")()
