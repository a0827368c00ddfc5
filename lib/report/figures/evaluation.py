"""Pictures of a potential held against labels (`own.evaluation`)."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lib.report.figures.style import BLUE, GREEN, GREY, ORANGE

POINTS = 20_000  # of forces, drawn at random where there are more
COLOURS = (BLUE, ORANGE, GREEN, GREY)


def parity_of_frames(frames: pd.DataFrame, forces: pd.DataFrame) -> Figure:
    """Predicted against labelled energies by group, each molecule's about the mean of its labels, and force components.

    Args:
        frames: `evaluation.Comparison.frames`.
        forces: `evaluation.Comparison.forces`; empty leaves that panel out.
    """
    panels = 1 + (len(forces) > 0)
    figure, axes = plt.subplots(1, panels, figsize=(3.4 * panels, 3.2), squeeze=False, layout="constrained")
    middle = frames.groupby("molecule")["label"].transform("mean")
    groups = sorted(frames["group"].unique())
    for group, colour in zip(groups, (COLOURS * len(groups))[: len(groups)], strict=True):
        own = frames["group"] == group
        axes[0, 0].plot((frames["label"] - middle)[own], (frames["prediction"] - middle)[own], "o", markersize=3,
                        alpha=0.6, color=colour, markeredgewidth=0, label=group)  # fmt: skip
    _finish(axes[0, 0], "energy about its molecule's mean label (kcal/mol)")
    if len(groups) > 1:
        axes[0, 0].legend(frameon=False, fontsize="small")
    if len(forces):
        rng = np.random.default_rng(0)
        rows = forces if len(forces) <= POINTS else forces.iloc[rng.choice(len(forces), POINTS, replace=False)]
        axes[0, 1].plot(rows["label"], rows["prediction"], "o", markersize=2, alpha=0.3, color=BLUE, markeredgewidth=0)
        _finish(axes[0, 1], "force component (kcal/mol/Å)")
    return figure


def _finish(ax: Axes, quantity: str) -> None:
    """The diagonal, one aspect, names."""
    ends = [*ax.get_xlim(), *ax.get_ylim()]
    ax.plot([min(ends), max(ends)], [min(ends), max(ends)], color="black", linewidth=0.8)
    ax.set(xlabel="label", ylabel="prediction", aspect="equal", title=quantity)
    ax.title.set_fontsize("small")
    sns.despine(ax=ax)
