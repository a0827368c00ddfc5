"""Figures of data sets: how sizes, energies and forces are distributed."""

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure

from lib.report.figures.style import COLUMN, GREY


def distributions(sampled: pd.DataFrame) -> Figure:
    """Atoms, energy per atom and root-mean-square force of conformations by data set, from `data_overview.sampled`."""
    panels = {
        "atoms": "atoms per conformation (log)",
        "energy_per_atom": "energy per atom (kcal/mol)",
        "force": "root-mean-square force (kcal/mol/Å)",
    }
    names = list(sampled["dataset"].unique())
    figure, axes = plt.subplots(len(panels), 1, figsize=(COLUMN, len(panels) * (0.5 + 0.25 * len(names))))
    for ax, (column, text) in zip(axes, panels.items(), strict=True):
        shown = sampled.dropna(subset=[column])
        sns.violinplot(shown, x=column, y="dataset", order=names, color="#9ecae1", inner="quartile", cut=0, ax=ax,
                       density_norm="width", linewidth=0.8)  # fmt: skip
        for k, name in enumerate(names):
            if name not in set(shown["dataset"]):
                ax.text(0.5, k, "none", transform=ax.get_yaxis_transform(), ha="center", va="center", color=GREY)
        ax.set(xlabel=text, ylabel="")
    axes[0].set_xscale("log")
    axes[0].set_xticks([3, 10, 30, 100, 300], ["3", "10", "30", "100", "300"])
    axes[0].minorticks_off()
    return figure
