"""Metrics: the one home of their keys, units and labels.

A run reports a metric of one part of its data, ``validation_rmse`` or ``test_known_force_mae``: the part, an
underscore, and a key of `METRICS`. Tables have the key alone.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from lib.errors import look_up

OF_FORCES = "force_"  # begins the key of a metric of forces
NO_UNIT = "1"
ERRORS = ("rmse", "mae")  # of energies, as the paper's tables print them


@dataclass(frozen=True)
class Metric:
    """One line of `METRICS`: the ``unit`` as records and tables write it, and what tables and figures call it."""

    unit: str
    label: str

    @property
    def shown_unit(self) -> str:
        """The unit in figures, with symbols."""
        return self.unit.replace("angstrom", "Å").replace("sigma^2", "σ²")


METRICS: dict[str, Metric] = {
    "denoising_error": Metric("sigma^2", "denoising error"),
    "rigid_part": Metric("sigma^2", "rigid part of the noise"),
    "loss": Metric(NO_UNIT, "loss"),
    "rmse": Metric("kcal/mol", "RMSE"),
    "mae": Metric("kcal/mol", "MAE"),
    "r2": Metric(NO_UNIT, "R²"),
    "force_rmse": Metric("kcal/mol/angstrom", "force RMSE"),
    "force_mae": Metric("kcal/mol/angstrom", "force MAE"),
    "force_r2": Metric(NO_UNIT, "force R²"),
    "correlation": Metric(NO_UNIT, "correlation"),
}


def metric_of(name: str) -> Metric:
    """The metric ``name``, a key of `METRICS` with or without a part before it.

    Raises:
        ValueError: it is not registered; the message lists the keys.
    """
    keys = [key for key in METRICS if name == key or name.endswith(f"_{key}")]
    return look_up(METRICS, max(keys, key=len, default=name), "metric")


def metric_label(name: str) -> str:
    """What tables and figures call the metric ``name``."""
    return metric_of(name).label


def in_words(metrics: Mapping[str, float], units: Mapping[str, str], digits: int = 4) -> str:
    """``metrics`` as one line for a terminal, each with its unit where it has one."""
    shown = {name: "" if units[name] == NO_UNIT else f" {units[name]}" for name in metrics}
    return ", ".join(f"{name} {value:.{digits}g}{shown[name]}" for name, value in metrics.items())
