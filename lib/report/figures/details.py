"""Where the errors of one model lie: by energy and by number of atoms."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from lib.report.figures.style import ARMS, COLUMN

REPLICATES = 500


def error_details(details: pd.DataFrame, dataset: str, bins: int = 6) -> Figure:
    """How errors lie: predicted against target energy (baseline subtracted), MAE by number of atoms and by energy.

    Args:
        details: `descriptions.details` of both arms: columns model, pretrained, molecule, atoms, and energy,
            baseline, error in kcal/mol.
        dataset: its name, for the title.
        bins: of atoms and of energy, with about as many conformations in each; they stand at their medians, with 95 %
            bootstrap intervals over molecules.
    """
    figure, axes = plt.subplot_mosaic(
        [["all", "all"], ["atoms", "energy"]], figsize=(COLUMN, 4.2), height_ratios=[1.15, 1]
    )
    figure.suptitle(f"{', '.join(details['model'].unique())}, {dataset}")
    rows = details.assign(target=details["energy"] - details["baseline"], size=details["error"].abs())
    mixed = rows.sample(frac=1, random_state=0)  # so that neither arm lies on top
    colours = mixed["pretrained"].map({arm: colour for arm, (_, colour) in ARMS.items()})
    axes["all"].scatter(
        mixed["target"], mixed["target"] + mixed["error"], s=3, c=colours, alpha=0.5, linewidths=0, rasterized=True
    )
    ends = [rows["target"].min(), rows["target"].max()]
    axes["all"].plot(ends, ends, color="black", linewidth=0.8)
    for arm, (text, colour) in ARMS.items():
        for name in ("atoms", "target"):
            ax = axes["atoms" if name == "atoms" else "energy"]
            _binned(ax, rows[rows["pretrained"] == arm], name, bins, colour, text)
    label = "energy − baseline\n(kcal/mol)"
    axes["all"].set(xlabel=f"target {label.replace(chr(10), ' ')}", ylabel=f"predicted {label}")
    axes["atoms"].set(xlabel="atoms", ylabel="test MAE (kcal/mol)")
    axes["atoms"].xaxis.set_major_locator(MaxNLocator(5, integer=True))
    axes["energy"].set(xlabel=f"target {label}")
    top = 1.05 * max(axes[name].dataLim.y1 for name in ("atoms", "energy"))
    for name in ("atoms", "energy"):
        axes[name].set_ylim(0, top)
    figure.legend(*axes["atoms"].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def _binned(ax: Axes, rows: pd.DataFrame, by: str, bins: int, colour: str, label: str) -> None:
    """The mean error of each bin of the column ``by`` with its interval."""
    groups = rows.groupby(pd.qcut(rows[by], bins, duplicates="drop"), observed=True)
    middles, means = groups[by].median(), groups["size"].mean()
    intervals = np.array([_bootstrap(group) for _, group in groups]).T
    ax.errorbar(middles, means, yerr=np.abs(intervals - means.to_numpy()), color=colour, marker="o", markersize=3,
                linewidth=1.2, elinewidth=0.9, capsize=1.5, label=label)  # fmt: skip


def _bootstrap(rows: pd.DataFrame) -> np.ndarray:
    """95 % percentile interval of the mean error, molecules drawn with replacement."""
    molecules = rows.groupby("molecule")["size"].agg(["sum", "count"]).to_numpy()
    drawn = np.random.default_rng(0).integers(len(molecules), size=(REPLICATES, len(molecules)))
    sums = molecules[drawn].sum(1)
    return np.percentile(sums[:, 0] / sums[:, 1], [2.5, 97.5])
