"""Figures of pre-training: Figure 1, and forces beside the predicted noise."""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from collections.abc import Sequence
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from lib.chemistry.bonds import bonds_of
from lib.models import MODELS
from lib.report.examples import NoisedExample
from lib.report.figures.molecules import draw_molecule, element_legend, flat_view
from lib.report.figures.style import BLUE, GREY, MODEL_STYLES, ORANGE
from lib.report.pseudoforce import correlations
from lib.runs.results import Result


def figure1(example: NoisedExample, curves: Sequence[Result], sigma: float, label: str) -> Figure:
    """A conformation, its noised copy with true and predicted noise, and the denoising error by epoch, model and seed.

    Args:
        example: of panels (a) and (b).
        curves: pre-training runs of panel (c).
        sigma: Å.
        label: of the data.
    """
    numbers, clean, noise, predicted = example.numbers, example.clean, example.noise, example.predicted
    figure, axes = plt.subplots(1, 3, figsize=(11.0, 3.2), width_ratios=[1, 1.15, 1.15])
    view, bonds = flat_view(clean), bonds_of(numbers, clean)
    draw_molecule(axes[0], numbers, clean @ view, bonds)
    axes[0].set_title("(a) conformation")
    element_legend(axes[0], numbers)
    noised = (clean + noise) @ view
    draw_molecule(axes[1], numbers, noised, bonds, fade=0.35)
    for vectors, colour, name in ((noise, ORANGE, "noise"), (predicted, BLUE, "predicted noise")):
        flat = vectors @ view
        axes[1].quiver(*noised.T, *-flat.T, angles="xy", scale_units="xy", scale=1, color=colour, width=0.008,
                       zorder=4, label=f"minus {name}")  # fmt: skip
    axes[1].set_title(f"(b) noised, σ = {sigma} Å")
    axes[1].legend(loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=2, frameon=False, columnspacing=1.0)
    _denoising_curves(axes[2], curves)
    axes[2].set_title(f"(c) denoising error, {label}")
    return figure


def _denoising_curves(ax: Axes, curves: Sequence[Result]) -> None:
    by_model: dict[str, list[Result]] = {}
    for result in curves:
        by_model.setdefault(MODELS[result.config.model].label, []).append(result)
    for model, results in by_model.items():
        colour, marker = MODEL_STYLES[model]
        for k, result in enumerate(results):
            history = result.history()
            ax.plot(history["epoch"], history["validation_denoising_error"], color=colour, marker=marker, markersize=3,
                    linewidth=1.2, label=model if k == 0 else None)  # fmt: skip
    rigid = np.mean([r.metrics["validation_rigid_part"] for r in curves])
    ax.axhline(1.0, color=GREY, linestyle="--", label="no noise predicted")
    ax.axhline(rigid, color="black", linestyle=":", label="rigid motion")
    ax.set(xlabel="epoch", ylabel="mean squared error / σ²", ylim=(0, 1.15))
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    sns.despine(ax=ax)


LINEAR = 100  # kcal/mol/Å, up to where the axis of forces is linear; logarithmic beyond


def scatter(found: pd.DataFrame, model: str) -> Figure:
    """Forces against minus the true and minus the predicted noise, a point a coordinate, from `pseudo_forces`."""
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 2.9), sharex=True, sharey=True)
    for ax, column, text in ((axes[0], "true", "true noise"), (axes[1], "predicted", f"noise predicted by {model}")):
        ax.plot(found[column], found["force"], ".", color=BLUE, markersize=3, alpha=0.6, rasterized=True)
        mean = correlations(found, column).mean()
        ax.set_title(f"mean correlation {mean:.2f}", fontsize="medium")
        ax.set(xlabel=f"minus the {text} (Å)")
        sns.despine(ax=ax)
    axes[0].set_yscale("symlog", linthresh=LINEAR)
    axes[0].set_yticks([-1000, -LINEAR, 0, LINEAR, 1000], ["-1000", f"-{LINEAR}", "0", f"{LINEAR}", "1000"])
    axes[0].set_ylabel(f"GFN2-xTB force (kcal/mol/Å),\nlogarithmic beyond ±{LINEAR}")
    return figure
