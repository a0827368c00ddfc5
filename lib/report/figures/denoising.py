"""Figures of pre-training: noised molecules, Figure 1, and forces beside the predicted noise."""

from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lib.chemistry.bonds import bonds_of
from lib.report.examples import NoisedExample
from lib.report.figures.molecules import draw_molecule, element_legend, flat_view
from lib.report.figures.style import BLUE, COLUMN, GREY, MODEL_STYLES, ORANGE
from lib.report.pseudoforce import correlations

ARROW = 0.5  # Å, of the scale beside the arrows
LONGER = 3  # times than the geometry are the arrows of the noise
SIZE = 0.32  # of atoms, beside `draw_molecule`'s own


def noised_copies(
    numbers: NDArray[np.integer],
    clean: NDArray[np.floating],
    directions: NDArray[np.floating],
    sigmas: Sequence[float],
) -> Figure:
    """One conformation noised by each of ``sigmas`` (Å) times the same draw of unit variance, a panel a σ.

    Bonds are those of the clean conformation, so that one sees which of them the noise stretches.

    Args:
        numbers: (A,) atomic numbers.
        clean: (A, 3) Å.
        directions: (A, 3) noise of unit variance.
        sigmas: Å.
    """
    lines = -(-len(sigmas) // 2)
    shape = (lines, min(2, len(sigmas)))
    figure, axes = plt.subplots(*shape, figsize=(COLUMN, 1.15 * lines + 0.35), squeeze=False, sharex=True, sharey=True)
    view, bonds = flat_view(clean), bonds_of(numbers, clean)
    for ax, sigma in zip(axes.flat, sigmas, strict=False):
        draw_molecule(ax, numbers, (clean + sigma * directions) @ view, bonds, size=SIZE)
        ax.set_title(f"σ = {sigma:g} Å")
    for ax in axes.flat[len(sigmas) :]:
        ax.axis("off")
    element_legend(axes[-1, 0], numbers)
    return figure


def denoising_curve(curve: pd.Series, title: str) -> Figure:
    """The denoising error over σ² by training step, with the line that predicts no noise at all."""
    figure, ax = plt.subplots(figsize=(COLUMN, 1.9))
    ax.plot(curve.index, curve, color=BLUE, marker="o", markersize=3, linewidth=1.2)
    ax.axhline(1.0, color=GREY, linestyle="--", label="no noise predicted")
    ax.set(xlabel="step", ylabel="mean squared error / σ²", ylim=(0, 1.1), title=title)
    ax.legend(loc="lower left")
    return figure


def figure1(example: NoisedExample, model: str, curves: pd.DataFrame, sigma: float, label: str) -> Figure:
    """A conformation, its noised copy with true and predicted noise, and the denoising error by epoch, model and seed.

    Args:
        example: of panels (a) and (b).
        model: which network predicted the noise of panel (b).
        curves: of panel (c): columns model, seed, epoch (0 is before training), validation_denoising_error (over σ²)
            and rigid_part.
        sigma: Å.
        label: of the data.
    """
    numbers, clean, noise, predicted = example.numbers, example.clean, example.noise, example.predicted
    figure, axes = plt.subplot_mosaic([["a", "b"], ["c", "c"]], figsize=(COLUMN, 4.4), height_ratios=[1.15, 1.2])
    view, bonds = flat_view(clean), bonds_of(numbers, clean)
    draw_molecule(axes["a"], numbers, clean @ view, bonds, size=SIZE)
    axes["a"].set_title("(a) conformation")
    element_legend(axes["a"], numbers)
    noised = (clean + noise) @ view
    draw_molecule(axes["b"], numbers, noised, bonds, fade=0.35, size=SIZE)
    arrows: dict[str, Any] = {"angles": "xy", "scale_units": "xy", "scale": 1 / LONGER, "zorder": 4}
    axes["b"].quiver(*noised.T, *-(noise @ view).T, **arrows, facecolor="none", edgecolor=ORANGE, linewidth=0.8,
                     width=0.03, headwidth=2.2, headlength=2.5, headaxislength=2.5,
                     label=f"minus noise, × {LONGER}")  # fmt: skip
    axes["b"].quiver(
        *noised.T, *-(predicted @ view).T, **arrows, color=BLUE, width=0.012, label=f"the same, by {model}"
    )
    corner = noised.min(0) - [0.3, 0.9]
    axes["b"].plot([corner[0], corner[0] + ARROW], [corner[1]] * 2, color="black", linewidth=1.5)
    axes["b"].annotate(f"{ARROW:g} Å", (corner[0] + ARROW, corner[1]), (3, 0), textcoords="offset points", va="center")
    axes["b"].set_title(f"(b) noised, σ = {sigma:g} Å")
    axes["b"].legend(loc="upper center", bbox_to_anchor=(0.5, 0.02), handlelength=1.0, labelspacing=0.2)
    both = np.concatenate([clean @ view, noised])
    low, high = both.min(0) - [0.7, 1.3], both.max(0) + 0.7
    for panel in "ab":  # one scale in both
        axes[panel].set(xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    _denoising_curves(axes["c"], curves)
    axes["c"].set_title(f"(c) denoising error, {label}")
    return figure


def _denoising_curves(ax: Axes, curves: pd.DataFrame) -> None:
    for model, of_model in curves.groupby("model", sort=False):
        colour, marker = MODEL_STYLES[model]
        for k, (_, history) in enumerate(of_model.groupby("seed")):
            ax.plot(history["epoch"], history["validation_denoising_error"], color=colour, marker=marker, markersize=3,
                    linewidth=1.0, label=model if k == 0 else None)  # fmt: skip
    ax.axhline(1.0, color=GREY, linestyle="--", label="no noise predicted")
    ax.axhline(curves["rigid_part"].mean(), color="black", linestyle=":", label="rigid motion: a floor")
    ax.set(xlabel="epoch (0: before training)", ylabel="mean squared error / σ² (log)", yscale="log")
    ax.set_yticks([0.1, 0.2, 0.5, 1, 2], ["0.1", "0.2", "0.5", "1", "2"])
    ax.minorticks_off()
    ax.locator_params("x", integer=True)
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.26), ncols=2, columnspacing=1.0, labelspacing=0.3)


LINEAR = 100  # kcal/mol/Å, up to where the axis of forces is linear; logarithmic beyond


def scatter(rows: pd.DataFrame, model: str, title: str) -> Figure:
    """Forces against minus the true and minus the predicted noise, a point a coordinate, from `pseudo_forces`."""
    figure, axes = plt.subplots(1, 2, figsize=(COLUMN, 2.2), sharex=True, sharey=True)
    figure.suptitle(title)
    for ax, column, text in ((axes[0], "true", "true noise"), (axes[1], "predicted", f"noise by {model}")):
        ax.plot(rows[column], rows["force"], ".", color=BLUE, markersize=2, alpha=0.6, rasterized=True)
        mean = correlations(rows, column).mean()
        ax.set_title(f"correlation {mean:.2f}")
        ax.set(xlabel=f"minus the\n{text} (Å)")
    axes[0].set_yscale("symlog", linthresh=LINEAR)
    ticks = [-10_000, -1000, -LINEAR, 0, LINEAR, 1000, 10_000]
    axes[0].set_yticks(ticks, [f"{tick:,}".replace("-", "−") for tick in ticks])
    axes[0].set_ylabel(f"GFN2-xTB force (kcal/mol/Å),\nlogarithmic beyond ±{LINEAR}")
    return figure


def bond_lengths(clean: NDArray[np.floating], noised: Mapping[float, NDArray[np.floating]], title: str) -> Figure:
    """How bond lengths (Å) are distributed before the noise and after it, a line a σ (Å).

    Args:
        clean: (K,) lengths.
        noised: by σ, the lengths (K,) of the same bonds.
        title: which bonds they are.
    """
    figure, ax = plt.subplots(figsize=(COLUMN, 1.9))
    edges = np.linspace(0, 3, 91).tolist()
    ax.hist(clean, edges, density=True, color=GREY, label="clean")
    for (sigma, lengths), colour in zip(noised.items(), (BLUE, ORANGE, "black"), strict=False):
        ax.hist(lengths, edges, density=True, histtype="step", color=colour, linewidth=1.2, label=f"σ = {sigma:g} Å")
    ax.set(xlabel="length (Å)", yticks=[], title=title, xlim=(0, 3))
    ax.spines["left"].set_visible(False)
    ax.legend(loc="upper right")
    return figure
