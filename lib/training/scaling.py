"""Scaling of the energy target: the baseline that is taken off before a model learns, and the unit of the rest.

A relative energy E (total minus free atoms) becomes (E - baseline) / std. Three baselines:

``mean``         the mean of the training conformations, as in the released code;
``composition``  the sum over atoms of one energy per atom type, by least squares on the training conformations, and
                 the mean of the rest. It takes off what follows from the formula, so that a thousand conformations
                 suffice to learn the rest;
``atoms``        the sum over atoms alone, so that the baseline of two molecules together is the sum of theirs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import qr

from lib.chemistry.atom_types import ATOM_TYPES

BASELINES = ("mean", "composition", "atoms")
BY_ATOM = BASELINES[1:]
ROUNDING = 1e-10  # of energies: below it, what is left of them once a baseline is taken off is none


def needs_compositions(baseline: str, isolated: NDArray[np.float64] | None) -> bool:
    """Whether `Scaling.fit` looks at the composition of each conformation."""
    return baseline in BY_ATOM or isolated is not None


def determined(taught: NDArray[np.int64], asked: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether energies of the compositions ``taught`` (m, 28) determine the baseline of each of ``asked`` (n, 28).

    They do where a composition is a linear combination of theirs: from those of C2H6O and C2H6 alone nothing follows
    for CH4O, whatever is fitted.
    """
    known, wanted = taught.astype(np.float64).T, asked.astype(np.float64).T
    combination = np.linalg.lstsq(known, wanted, rcond=None)[0]
    return np.abs(known @ combination - wanted).max(axis=0) < 1e-6 * max(1.0, wanted.max(initial=0.0))


def independent(compositions: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows (r, 28) of ``compositions`` (m, 28) of which all others are linear combinations, as few as possible."""
    rank = np.linalg.matrix_rank(compositions)
    pivots = qr(compositions.T.astype(np.float64), mode="r", pivoting=True)[1]
    return compositions[np.sort(pivots[:rank])]


@dataclass(frozen=True)
class Scaling:
    """``mean`` and ``std`` in kcal/mol, ``per_type`` (28,) in kcal/mol per atom; `models.baseline` has the formula."""

    mean: float
    std: float
    per_type: NDArray[np.float64]

    @staticmethod
    def fit(
        baseline: str,
        energy: NDArray[np.float64],
        composition: NDArray[np.int64] | None,
        isolated: NDArray[np.float64] | None = None,
    ) -> "Scaling":
        """Fit to training conformations.

        Args:
            baseline: one of `BASELINES`.
            energy: (n,) relative energies, kcal/mol.
            composition: (n, 28) number of atoms of each type; None where they are not needed (`needs_compositions`),
                since of the paper's conformations they have gigabytes.
            isolated: (28,) energies of isolated atoms, from which the baseline is fitted; what data of one composition
                say nothing about, how energies divide among elements, is then known but for the energies of bonds.

        Raises:
            ValueError: unknown baseline, compositions that are needed and missing, or energies that do not vary.
        """
        if baseline not in BASELINES:
            raise ValueError(f"no baseline {baseline!r}: choose from {BASELINES}")
        per_type, rest = np.zeros(len(ATOM_TYPES)), energy
        if needs_compositions(baseline, isolated):
            if composition is None:
                raise ValueError(f"the baseline {baseline!r} is fitted to compositions: give them")
            per_type = per_type if isolated is None else isolated
            if baseline in BY_ATOM:
                bonds = energy - composition @ per_type
                per_type = per_type + np.linalg.lstsq(composition.astype(float), bonds, rcond=None)[0]
            rest = energy - composition @ per_type
        if not rest.std() > ROUNDING * np.abs(energy).max(initial=1.0):
            raise ValueError(
                f"{len(energy)} training energies do not vary once their {baseline} is taken off: give more of them"
            )
        return Scaling(0.0 if baseline == "atoms" else float(rest.mean()), float(rest.std()), per_type)
