"""Two levels of theory beside each other."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure

from lib.report.figures.style import BLUE, COLUMN
from lib.report.published import DFT, XTB


def two_levels(table: pd.DataFrame, agreement: pd.DataFrame) -> Figure:
    """GFN2-xTB against DFT energies, a panel a data set, with the diagonal.

    Args:
        table: `levels.energies_at_both_levels`.
        agreement: of it, `levels.agreement`; its correlation and RMSE stand in the panels.
    """
    names = list(table["dataset"].unique())
    figure, axes = plt.subplots(1, len(names), figsize=(COLUMN, 1.9), squeeze=False)
    for ax, name in zip(axes[0], names, strict=True):
        rows = table[table["dataset"] == name]
        whole = agreement[(agreement["dataset"] == name) & (agreement["within"] == "no")].iloc[0]
        ax.plot(rows["dft"], rows["xtb"], "o", markersize=2, alpha=0.3, color=BLUE, markeredgewidth=0, rasterized=True)
        ends = [min(*ax.get_xlim(), *ax.get_ylim()), max(*ax.get_xlim(), *ax.get_ylim())]
        ax.plot(ends, ends, color="black", linewidth=0.8)
        ax.set(title=name, xlabel=f"{DFT} (kcal/mol)", aspect="equal", xlim=ends, ylim=ends)
        text = f"r = {whole['correlation']:.3f}\nRMSE {whole['rmse']:.1f} kcal/mol"
        ax.text(0.04, 0.96, text, transform=ax.transAxes, va="top")
    axes[0, 0].set_ylabel(f"{XTB} (kcal/mol)")
    return figure
