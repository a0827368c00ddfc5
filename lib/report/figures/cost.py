"""The figure of table S4: time by number of atoms."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter

from lib.report.figures.style import COLUMN, MODEL_STYLES


def cost_by_size(table: pd.DataFrame, title: str) -> Figure:
    """Table S4: milliseconds for energy and forces by number of atoms, from `settings_tables.cost_by_size`."""
    figure, ax = plt.subplots(figsize=(COLUMN, 2.6))
    for model in table["model"].unique():
        own, (colour, marker) = table[table["model"] == model], MODEL_STYLES[model]
        ax.plot(own["atoms"], own["milliseconds"], color=colour, marker=marker, markersize=4, label=model)
    sizes = sorted(table["atoms"].unique())
    ax.set(xscale="log", yscale="log", xlabel="atoms (log)", ylabel="energy and forces (ms, log)")
    ax.set_xticks(sizes, [f"{n:,}" for n in sizes])
    ax.minorticks_off()
    ax.yaxis.set_major_locator(plt.LogLocator(subs=(1, 2, 5)))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda y, _: f"{y:g}"))
    figure.legend(loc="outside lower center", ncols=2)
    ax.set_title(title)
    return figure
