"""Prediction: what every model returns."""

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class Prediction:
    """``energy`` (n_molecules,) in units of the scaled target, ``noise`` (n_atoms, 3) Å; None where not asked for."""

    energy: Tensor | None
    noise: Tensor | None
