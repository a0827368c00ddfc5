"""Figures of potentials: parity, dynamics, torsions, vibrations, calibration, learning curves."""

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator
from numpy.typing import NDArray

from lib.data.store import ConformationStore
from lib.report.figures.comparisons import spread
from lib.report.figures.style import ARMS, BLUE, COLUMN, GREEN, GREY, ORANGE, SMALLEST
from lib.runs.results import Result
from lib.training.metrics import metric_label
from lib.units import EV

LINES = ((BLUE, "-"), (ORANGE, "--"), (GREEN, "-."), (GREY, ":"))
UNITS = {"energy": "kcal/mol", "force": "kcal/mol/Å"}
LITTLE = 0.2  # of the largest range: what moves less is drawn once more, larger


def by_labels(table: pd.DataFrame, title: str) -> Figure:
    """Errors of `learning_curve.learning_curve` against the number of labels, a panel a metric, log axes."""
    metrics = [m for m in ("mae", "force_mae") if m in set(table["metric"])]
    figure, axes = plt.subplots(len(metrics), 1, figsize=(COLUMN, 0.2 + 2.1 * len(metrics)), squeeze=False)
    figure.suptitle(title)
    for ax, metric in zip(axes[:, 0], metrics, strict=True):
        rows = table[table["metric"] == metric]
        for arm, (text, colour) in ARMS.items():
            own = rows[rows["pretrained"] == arm].sort_values("labels")
            mark, aside = "os"[arm == "yes"], 1.04 if arm == "yes" else 0.96  # so that intervals do not overlap
            places = aside * own["labels"]
            ax.errorbar(places, own["value"], yerr=spread(own), color=colour, marker=mark, capsize=2, label=text)
        ax.set(
            xscale="log",
            yscale="log",
            xlabel="labelled conformations (log)",
            ylabel=f"test {metric_label(metric)}\n({UNITS['force' if 'force' in metric else 'energy']}, log)",
        )
        ticks = sorted(rows["labels"].unique())
        ax.set_xticks(ticks, [str(n) for n in ticks], minor=False)
        ax.xaxis.set_minor_locator(NullLocator())
        _log_ticks(ax.yaxis)
    axes[0, 0].legend()
    return figure


def _log_ticks(axis: Axis) -> None:
    """Few labelled ticks on a logarithmic ``axis``, whether it spans less than a decade or several."""
    low, high = axis.get_view_interval()
    axis.set_major_locator(LogLocator(subs=(1, 1.5, 2, 3, 5, 7) if high < 10 * low else (1, 3)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_locator(NullLocator())


def parity(results: Mapping[str, Result], store: ConformationStore, title: str) -> Figure:
    """Predicted against labelled energies of each run's test conformations in ``store``, a panel a run, less the run's
    baseline (`Result.baselines`), so that molecules of different formulas lie side by side.
    """
    figure, axes = plt.subplots(1, len(results), figsize=(COLUMN, 2.1), squeeze=False, sharex=True, sharey=True)
    figure.suptitle(title)
    for ax, (name, result) in zip(axes[0], results.items(), strict=True):
        rows = result.test_errors()
        x = store.relative_energy(rows["index"])
        x = x - result.baselines(store)[rows["molecule"]]
        y = x + rows["error"]
        ax.plot(x, y, "o", markersize=3, alpha=0.6, color=BLUE, markeredgewidth=0)
        ends = [min(x.min(), y.min()), max(x.max(), y.max())]
        ax.plot(ends, ends, color="black", linewidth=0.8)
        ax.set(title=name, box_aspect=1)
        ax.text(0.04, 0.95, f"MAE {result.metrics['test_mae']:.2f} kcal/mol", transform=ax.transAxes, va="top")
    figure.supxlabel("label − baseline (kcal/mol)", fontsize=SMALLEST)
    axes[0, 0].set_ylabel("prediction − baseline\n(kcal/mol)")
    return figure


def energies_in_time(trajectories: Mapping[str, pd.DataFrame], atoms: int, title: str) -> Figure:
    """Total energy of `dynamics.nve` from its start, meV per atom, a line a trajectory: all, and those that move little
    beside the others once more.
    """
    energies = {
        name: 1000 * (rows["total"] - rows["total"].iloc[0]) / EV / atoms for name, rows in trajectories.items()
    }
    reach = {name: np.ptp(energy) for name, energy in energies.items()}
    quiet = [name for name in energies if reach[name] < LITTLE * max(reach.values())]
    panels = [list(energies), quiet] if quiet else [list(energies)]
    figure, axes = plt.subplots(len(panels), 1, figsize=(COLUMN, 0.7 + 1.8 * len(panels)), sharex=True, squeeze=False)
    figure.suptitle(title)
    for ax, names in zip(axes[:, 0], panels, strict=True):
        for name, (colour, style) in zip(energies, LINES, strict=False):
            if name in names:
                time = trajectories[name]["time"]
                ax.plot(time, energies[name], color=colour, linestyle=style, linewidth=1, label=name)
        ax.locator_params(axis="x", nbins=5)
        ax.set_ylabel("total energy from its start\n(meV/atom)")
    axes[-1, 0].set_xlabel("time (ps)")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, columnspacing=1.0)
    return figure


def torsion(scan: pd.DataFrame, title: str) -> Figure:
    """`dynamics.torsion_scan`: energy against angle, a line a calculator."""
    figure, ax = plt.subplots(figsize=(COLUMN, 2.2))
    for name, (colour, style) in zip([c for c in scan if c != "angle"], LINES, strict=False):
        ax.plot(scan["angle"], scan[name], color=colour, linestyle=style, marker=".", label=name)
    ax.set(xlabel="dihedral angle (°)", ylabel="energy above the lowest\n(kcal/mol)", title=title)
    ax.set_xticks(range(-180, 181, 60))
    ax.legend()
    return figure


def vibrations(
    reference: NDArray[np.float64], others: Mapping[str, NDArray[np.float64]], name: str, title: str
) -> Figure:
    """Wavenumbers beside those of the reference called ``name``, mode by mode in ascending order, and differences."""
    figure, (ax, below) = plt.subplots(2, 1, figsize=(COLUMN, 3.4), sharex=True, height_ratios=(3, 2))
    for (label, values), (colour, _), mark in zip(others.items(), LINES, "os^v", strict=False):
        ax.plot(reference, values, mark, color=colour, markersize=4, label=label, alpha=0.8)
        below.plot(reference, values - reference, mark, color=colour, markersize=4, alpha=0.8)
    ax.axline((0, 0), slope=1, color="black", linewidth=0.8)
    below.axhline(0, color="black", linewidth=0.8)
    ax.set(ylabel="potential (cm⁻¹)", title=title)
    below.set(xlabel=f"{name} (cm⁻¹)", ylabel="difference (cm⁻¹)")
    if len(others) > 1:
        ax.legend()
    return figure


def calibration(bins: pd.DataFrame, title: str, kinds: Sequence[str] = ("energy", "force")) -> Figure:
    """`calibration.binned`: root mean square error against spread, a panel a kind."""
    if bins.empty:
        figure, ax = plt.subplots(figsize=(COLUMN, 1.0))
        ax.text(0.5, 0.5, "a single seed has no spread", ha="center", va="center")
        ax.axis("off")
        return figure
    kinds = [kind for kind in kinds if kind in set(bins["kind"])]
    figure, axes = plt.subplots(len(kinds), 1, figsize=(COLUMN, 0.2 + 2.1 * len(kinds)), squeeze=False)
    figure.suptitle(title)
    for ax, kind in zip(axes[:, 0], kinds, strict=True):
        rows = bins[bins["kind"] == kind]
        ax.plot(rows["spread"], rows["rmse"], "o-", color=BLUE, label="bins of equal numbers")
        ends = [rows[["spread", "rmse"]].to_numpy().min(), rows[["spread", "rmse"]].to_numpy().max()]
        ax.plot(ends, ends, color="black", linewidth=0.8, label="error = spread")
        ax.set(
            xscale="log",
            yscale="log",
            xlabel=f"spread of the ensemble ({UNITS[kind]}, log)",
            ylabel=f"root mean square error\n({UNITS[kind]}, log)",
            title=kind,
        )
        _log_ticks(ax.xaxis)
        _log_ticks(ax.yaxis)
    axes[0, 0].legend()
    return figure
