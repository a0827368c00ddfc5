"""The table of equation 8: every measure of each network and their mean, with intervals and p-values."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from lib.errors import required
from lib.models import MODELS
from lib.report.pseudoforce.correlating import combine, correlations, measures
from lib.report.pseudoforce.probing import Array, Probe
from lib.report.statistics import REPLICATES, Estimate, mean_of
from lib.report.tables import COLUMNS
from lib.runs.config import RunConfig
from lib.study.scale import Scale

ITEM = "Equation 8"


def _estimate(of_networks: Sequence[tuple[Array, ...]]) -> Estimate:
    """The mean over networks, which are probed at the same conformations."""
    count = len(of_networks[0][0])
    drawn = np.random.default_rng(count).integers(count, size=(REPLICATES, count))
    values = np.array([combine(arrays) for arrays in of_networks])
    draws = np.array([combine([a[drawn] for a in arrays]) for arrays in of_networks])
    return mean_of(values, draws, count)


def equation8_table(
    scale: Scale, configs: Sequence[RunConfig], probed: Sequence[Probe], rows: Sequence[pd.DataFrame]
) -> pd.DataFrame:
    """Every measure of each network and their mean, with 95 % intervals over conformations and, of the mean, networks.

    Args:
        scale: of the runs.
        configs: of the networks, all of one seed.
        probed: the conformations.
        rows: `coordinates` of each network.

    Returns:
        Rows of `tables.COLUMNS` with ``subset``, the measure; ``p_above`` and ``p_below``, one-sided p-values for a
        number above and below zero; ``why``. ``n_seeds`` counts networks, or is 0 where no network is asked.
    """
    measured = [measures(own, required(c.sigma, "sigma")) for own, c in zip(rows, configs, strict=True)]
    out = []
    for name in measured[0]:
        for config, own in zip(configs, measured, strict=True):
            out.append(_row(scale, MODELS[config.model].label, f"{name}, by network", _estimate([own[name]]), 1))
        each = [f"{MODELS[c.model].label} {combine(m[name]):.3f}" for c, m in zip(configs, measured, strict=True)]
        mean = _estimate([m[name] for m in measured])
        out.append(_row(scale, "", name, mean, len(configs), f"mean over {', '.join(each)}"))
    for name, values, unit in _of_no_network(probed, rows[0]):
        why = f"{(values > 0).sum()} of {len(values)} conformations above 0"
        out.append(_row(scale, "", name, _estimate([(values,)]), 0, why, unit))
    return pd.DataFrame(out)


def _of_no_network(probed: Sequence[Probe], rows: pd.DataFrame) -> list[tuple[str, Array, str]]:
    """Measures that ask no network: name, number of each conformation, unit."""
    rises = np.array([(p.energies[1] - p.energies[0]) / len(p.numbers) for p in probed])
    return [
        ("true noise", correlations(rows, "true"), "1"),
        ("true noise, rank", correlations(rows, "true", ranks=True), "1"),
        ("bond lengths, rank", correlations(rows, "bonds", ranks=True), "1"),
        ("clean, bond lengths, rank", correlations(rows, "clean_bonds", "clean_force", True), "1"),
        ("energy of the noise", rises, "kcal/mol/atom"),
    ]


def _row(
    scale: Scale, model: str, measure: str, estimate: Estimate, networks: int, why: str = "", unit: str = "1"
) -> dict[str, object]:
    """One row of `equation8_table`."""
    ends = estimate.interval()
    return dict.fromkeys(COLUMNS, "") | {
        "item": ITEM, "dataset": scale.label, "model": model, "metric": "energy" if unit != "1" else "correlation",
        "unit": unit, "value": ends.value, "low": ends.low, "high": ends.high, "n_seeds": networks,
        "source": "computed", "paper_value": np.nan, "subset": measure, "p_above": estimate.p_above(),
        "p_below": estimate.p_below(), "why": why,
    }  # fmt: skip
