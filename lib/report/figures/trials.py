"""Figures of trials: the error of every arm, a panel a trial."""

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

from lib.report.figures.comparisons import LINE, SINGLE_SEED, marks
from lib.report.figures.style import COLUMN, GREY, MARKS
from lib.report.trials import short_name
from lib.training.metrics import metric_label, metric_of

METRIC = "mae"
WIDE = 10.0  # from this ratio of the largest to the smallest error on, an axis is logarithmic


def trial_errors(table: pd.DataFrame, reference: str, title: str) -> Figure:
    """MAE of each arm with its 95 % interval, a panel for each trial of ``table`` (`lib.report.trials.trial_table`).

    A vertical line is the error of the arm ``reference``; pale arms explain less than 30 % of the variance.
    """
    rows = table[(table["metric"] == METRIC) & (table["compared_with"] == "")]
    trials = list(rows["trial"].unique())
    heights = [len(rows[rows["trial"] == trial]) for trial in trials] or [1]
    size = (COLUMN, 0.7 + LINE * sum(heights) + 0.35 * len(heights))
    figure, axes = plt.subplots(len(heights), 1, figsize=size, height_ratios=heights, squeeze=False)
    label = f"{metric_label(METRIC)} ({metric_of(METRIC).unit}"
    axes.flat[-1].set_xlabel(f"{label})")
    for ax, trial in zip(axes.flat, trials, strict=False):
        own = rows[rows["trial"] == trial].reset_index(drop=True)
        colour, marker = MARKS[0]
        marks(ax, own, own.index.to_numpy(), "x", None, color=colour, marker=marker)
        for end in own[own["n_seeds"] == 1].itertuples():
            ax.annotate("*", (end.high, end.Index), (3, -1), textcoords="offset points", va="center", color=colour)
        for value in own.loc[own["arm"] == reference, "value"]:
            ax.axvline(value, color=GREY, linewidth=0.8, zorder=0)
        ax.set_yticks(own.index, own["arm"])
        ax.set_ylim(len(own) - 0.5, -0.5)
        ax.set_title(short_name(trial), loc="right")
        if own["high"].max() > WIDE * own["low"].min():
            ax.set_xscale("log")
            ax.set_xlabel(f"{label}, log)")
            ax.xaxis.set_major_locator(LogLocator(subs=(1, 3)))
            ax.xaxis.set_major_formatter(FuncFormatter(lambda x, _: f"{x:g}"))
            ax.xaxis.set_minor_locator(NullLocator())
    note = f"\n{SINGLE_SEED}" if (rows["n_seeds"] == 1).any() else ""
    figure.suptitle(title + note)
    return figure
