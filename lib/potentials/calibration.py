"""Whether an ensemble's spread says how wrong it is: calibration on conformations with known energies and forces.

Calibrated means here that the label could be one more member. Then, of M members with normal errors, the error over the
spread and over sqrt(1 + 1/M) has Student's t distribution with M - 1 degrees of freedom (what a prediction interval for
one more draw rests on), since a spread of few is itself uncertain: with three, 52 % of labels lie within one spread.
"""

from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.optimize import minimize_scalar
from scipy.stats import spearmanr, t

from lib.data.store import ConformationStore
from lib.potentials.ensemble import Potential


def evaluate_on(potential: Potential, store: ConformationStore, index: NDArray[np.int64]) -> pd.DataFrame:
    """Errors and spreads of an ensemble on conformations ``index`` (B,) of ``store``.

    Returns:
        A row a number: ``kind`` (energy, of a whole conformation in kcal/mol; or force, of a component in kcal/mol/Å),
        ``molecule``, ``error`` (prediction minus label) and ``spread`` (standard deviation over the members; NaN for a
        single one).
    """
    parts = [store.gather(np.array([k])) for k in index]
    evaluation = potential.evaluate([p.types for p in parts], [p.positions for p in parts])
    (energy, forces), (energy_spread, force_spread) = evaluation.mean(), evaluation.spread()
    molecule = store.molecule_of(index)
    rows = [
        pd.DataFrame(
            {"kind": "energy", "molecule": molecule, "error": energy - store.energy(index), "spread": energy_spread}
        )
    ]
    if store.has_forces:
        off = forces - store.gather_forces(index)
        owner = np.repeat(molecule, 3 * store.n_atoms[molecule])
        rows.append(
            pd.DataFrame({"kind": "force", "molecule": owner, "error": off.ravel(), "spread": force_spread.ravel()})
        )
    return pd.concat(rows, ignore_index=True)


def binned(errors: pd.DataFrame, bins: int = 10) -> pd.DataFrame:
    """Root mean square error and mean spread in ``bins`` of equal numbers by spread, for each kind.

    Of many calibrated members rmse = spread in every bin; of few, the bins of smallest spread lie above and those of
    largest below. A single member has no bins.
    """
    rows = []
    for kind, group in errors.dropna(subset="spread").groupby("kind"):
        ordered = group.sort_values("spread")
        for where in np.array_split(np.arange(len(group)), min(bins, len(group))):
            part = ordered.iloc[where]
            rows.append(
                {
                    "kind": kind,
                    "spread": np.sqrt((part["spread"] ** 2).mean()),
                    "rmse": np.sqrt((part["error"] ** 2).mean()),
                    "number": len(part),
                }
            )
    return pd.DataFrame(rows, columns=["kind", "spread", "rmse", "number"])


def calibrated_share(members: int, spreads: float = 1.0) -> float:
    """The share of labels within so many ``spreads`` of a calibrated ensemble's mean; NaN for a single member."""
    return float(2 * t.cdf(spreads / np.sqrt(1 + 1 / members), members - 1) - 1) if members > 1 else np.nan


def spread_factors(errors: pd.DataFrame, members: int) -> dict[str, float]:
    """For each kind, the factor that calibrates the spreads of an ensemble of so many ``members``.

    The maximum-likelihood scale f of the t distribution above: error / (f · spread · sqrt(1 + 1/M)) is Student's t with
    M - 1 degrees of freedom. It is to be fitted on validation conformations that no member was trained on, and used on
    others.

    Raises:
        ValueError: a single member, or no errors with a spread.
    """
    if members < 2 or errors.dropna(subset="spread").empty:
        raise ValueError(f"{members} members, {len(errors)} errors: give two members or more, with spreads")
    factors = {}
    for kind, group in errors.dropna(subset="spread").groupby("kind"):
        rows = group[group["spread"] > 0]
        ratio = np.abs(rows["error"] / rows["spread"]).to_numpy() / np.sqrt(1 + 1 / members)

        def cost(log_factor: float, ratio: NDArray[np.float64] = ratio) -> float:
            """Minus the mean log-likelihood of the errors with spreads times exp(``log_factor``)."""
            return float(log_factor - t.logpdf(ratio / np.exp(log_factor), members - 1).mean())

        middle = float(np.log(max(np.median(ratio), 1e-12)))
        factors[kind] = float(np.exp(minimize_scalar(cost, bounds=(middle - 5, middle + 5), method="bounded").x))
    return factors


def rescaled(errors: pd.DataFrame, factors: Mapping[str, float]) -> pd.DataFrame:
    """``errors`` with each kind's spreads times its factor (`spread_factors`); a kind without one stays."""
    return errors.assign(spread=errors["spread"] * errors["kind"].map(factors).fillna(1.0))


def summary(errors: pd.DataFrame, members: int) -> pd.DataFrame:
    """Of each kind: rmse, mean spread, share of errors within one and two spreads, beside what it would be in a
    calibrated ensemble of so many ``members``, and the rank correlation of error and spread.
    """
    rows = []
    for kind, group in errors.groupby("kind"):
        size, spread = group["error"].abs(), group["spread"]
        rows.append(
            {
                "kind": kind,
                "number": len(group),
                "rmse": np.sqrt((size**2).mean()),
                "spread": np.sqrt((spread**2).mean()),
                "within 1 spread": (size <= spread).mean() if members > 1 else np.nan,
                "calibrated: 1": calibrated_share(members),
                "within 2 spreads": (size <= 2 * spread).mean() if members > 1 else np.nan,
                "calibrated: 2": calibrated_share(members, 2),
                "rank correlation": spearmanr(size, spread).statistic,
            }
        )
    return pd.DataFrame(rows)


def before_and_after(errors: Mapping[str, pd.DataFrame], fitted_on: str, members: int) -> pd.DataFrame:
    """`summary` of each of ``errors`` (of `evaluate_on`, by the name of their conformations), with spreads as they are
    and with those times the factors (`spread_factors`) of the errors called ``fitted_on``.

    Returns:
        The columns of `summary` with ``conformations``, ``factor`` (before or after) and ``times``, the factor itself.
    """
    factors, rows = spread_factors(errors[fitted_on], members), []
    for name, own in errors.items():
        for when, times in (("before", dict.fromkeys(factors, 1.0)), ("after", factors)):
            of_kind = summary(rescaled(own, times), members)
            rows.append(of_kind.assign(conformations=name, factor=when, times=of_kind["kind"].map(times)))
    return pd.concat(rows, ignore_index=True)
