"""Scaling of the energy target: what is taken off before a model learns, and the unit of what is left.

A relative energy E (total minus free atoms) becomes (E - baseline) / std. Two baselines:

``mean``         the mean of the training conformations, as in the released code;
``composition``  the sum over atoms of one energy a type, by least squares on the training conformations. It takes off
                 what follows from the formula, so that a thousand conformations suffice to learn what does not.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lib.chemistry.atom_types import ATOM_TYPES

BASELINES = ("mean", "composition")


def baseline_of(target: Mapping[str, Any], composition: NDArray[np.int64]) -> NDArray[np.float64]:
    """Baseline (n,) in kcal/mol of compositions (n, 28), from a run's ``target`` as weights and results keep it."""
    return target["mean"] + composition @ np.array(target["per_type"])


@dataclass(frozen=True)
class Scaling:
    """``mean`` and ``std`` in kcal/mol, ``per_type`` (28,) kcal/mol an atom: baseline = mean + Σ per_type."""

    mean: float
    std: float
    per_type: NDArray[np.float64]

    @staticmethod
    def fit(baseline: str, energy: NDArray[np.float64], composition: NDArray[np.int64]) -> "Scaling":
        """Fit to training conformations.

        Args:
            baseline: one of `BASELINES`.
            energy: (n,) relative energies, kcal/mol.
            composition: (n, 28) number of atoms of each type.

        Raises:
            ValueError: unknown baseline, or energies that do not vary.
        """
        if baseline not in BASELINES:
            raise ValueError(f"no baseline {baseline!r}: choose from {BASELINES}")
        per_type = np.zeros(len(ATOM_TYPES))
        if baseline == "composition":
            per_type = np.linalg.lstsq(composition.astype(float), energy, rcond=None)[0]
        rest = energy - composition @ per_type
        if not rest.std() > 0:
            raise ValueError(f"{len(energy)} training energies do not vary beyond their {baseline}: give more of them")
        return Scaling(float(rest.mean()), float(rest.std()), per_type)
