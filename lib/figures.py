"""Figures: short functions of saved results; each returns a matplotlib figure, `save_figure` writes it by its stem.

Colours are Okabe and Ito's (https://jfly.uni-koeln.de/color/), which colour-blind readers can tell apart.
"""

from collections.abc import Sequence
from itertools import cycle
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import seaborn as sns
from ase.data import chemical_symbols, covalent_radii
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from lib.examples import NoisedExample
from lib.models import MODELS
from lib.paths import FIGURES
from lib.runs import Result

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#7F7F7F"
ARMS = {"no": ("from scratch", GREY), "yes": ("pre-trained", BLUE)}
MARKS = ((BLUE, "o"), ("#E69F00", "s"), (GREEN, "D"), ("#CC79A7", "^"))
MODEL_STYLES = dict(zip((model.label for model in MODELS.values()), cycle(MARKS), strict=False))  # in every figure
ELEMENT_COLOURS = {1: "#FFFFFF", 6: "#4D4D4D", 7: "#56B4E9", 8: "#D55E00", 9: "#B2DF8A", 15: "#E69F00", 16: "#F0E442",
                   17: "#009E73", 35: "#CC79A7", 53: "#882255"}  # fmt: skip
OTHER = "#BBBBBB"  # metals


def set_style() -> None:
    """One look for all figures."""
    sns.set_theme(style="ticks", context="paper", font_scale=1.0)
    plt.rcParams.update({"svg.hashsalt": "figures", "svg.fonttype": "none", "savefig.dpi": 200,
                         "figure.constrained_layout.use": True})  # fmt: skip


def save_figure(figure: Figure, stem: str, scale: str) -> Path:
    """Write ``figures/<scale>/<stem>.svg`` and ``.png``."""
    folder = FIGURES / scale
    folder.mkdir(parents=True, exist_ok=True)
    for kind, metadata in (("svg", {"Date": None}), ("png", {"Software": None})):
        figure.savefig(folder / f"{stem}.{kind}", metadata=metadata)
    return folder / f"{stem}.png"


def flat_view(positions: NDArray[np.floating]) -> NDArray[np.float64]:
    """A matrix (3, 2) that projects positions (N, 3) on their two longest principal axes."""
    centred = positions - positions.mean(0)
    axes = np.linalg.svd(centred, full_matrices=False)[2][:2]
    signs = np.sign(axes[np.arange(2), np.abs(axes).argmax(1)])
    return (axes * signs[:, None]).T


def draw_molecule(
    ax: Axes,
    numbers: NDArray[np.integer],
    flat: NDArray[np.floating],
    bonds: NDArray[np.integer],
    fade: float = 1.0,
    size: float = 1.0,
) -> None:
    """Atoms as discs coloured by element and sized by covalent radius; ``flat`` (N, 2) Å, ``bonds`` (K, 2)."""
    for i, j in bonds:
        ax.plot(*flat[[i, j]].T, color="black", linewidth=1.2, alpha=0.6 * fade, zorder=1)
    colours = [ELEMENT_COLOURS.get(int(z), OTHER) for z in numbers]
    ax.scatter(*flat.T, s=420 * size * covalent_radii[numbers], c=colours, edgecolors="black", linewidths=0.8,
               alpha=fade, zorder=2, clip_on=False)  # fmt: skip
    ax.margins(0.12)
    ax.set_aspect("equal")
    ax.axis("off")


def element_marker(number: int) -> Line2D:
    """An element's disc for a legend."""
    return Line2D([], [], linestyle="", marker="o", markersize=7, markeredgecolor="black",
                  markerfacecolor=ELEMENT_COLOURS.get(int(number), OTHER), label=chemical_symbols[number])  # fmt: skip


def element_legend(ax: Axes, numbers: NDArray[np.integer]) -> None:
    """The colours of the elements, under the drawing."""
    handles = [element_marker(z) for z in np.unique(numbers)]
    ax.legend(handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=4, frameon=False,
              handletextpad=0.1, columnspacing=0.8)  # fmt: skip


def bonds_of(numbers: NDArray[np.integer], positions: NDArray[np.floating]) -> NDArray[np.int64]:
    """Pairs (K, 2) of atoms closer than 1.45 times the sum of their covalent radii."""
    reach = 1.45 * (covalent_radii[numbers][:, None] + covalent_radii[numbers][None, :])
    distance = np.linalg.norm(positions[:, None] - positions[None], axis=-1)
    return np.argwhere(np.triu(distance < reach, 1))


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
        by_model.setdefault(MODELS[result.about["config"]["model"]].label, []).append(result)
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


def distributions(sampled: pd.DataFrame) -> Figure:
    """Atoms, energy per atom and root-mean-square force of conformations by data set, from `overview.sampled`."""
    panels = {
        "atoms": "atoms per conformation",
        "energy_per_atom": "energy per atom (kcal/mol)",
        "force": "root-mean-square force (kcal/mol/Å)",
    }
    names = list(sampled["dataset"].unique())
    figure, axes = plt.subplots(1, len(panels), figsize=(9.5, 0.8 + 0.5 * len(names)), sharey=True)
    for ax, (column, text) in zip(axes, panels.items(), strict=True):
        shown = sampled.dropna(subset=[column])
        sns.violinplot(shown, x=column, y="dataset", order=names, color="#9ecae1", inner="quartile", cut=0, ax=ax,
                       density_norm="width", linewidth=0.8)  # fmt: skip
        for k, name in enumerate(names):
            if name not in set(shown["dataset"]):
                ax.text(0.5, k, "none", transform=ax.get_yaxis_transform(), ha="center", va="center", color=GREY)
        ax.set(xlabel=text, ylabel="")
        sns.despine(ax=ax)
    axes[0].set_xscale("log")
    axes[0].set_xticks([3, 10, 30, 100, 300], ["3", "10", "30", "100", "300"])
    axes[0].minorticks_off()
    return figure


def gallery(shown: Sequence[tuple[str, NDArray[np.integer], NDArray[np.floating]]]) -> Figure:
    """Drawings of conformations, a panel each: title, atomic numbers (N,) and positions (N, 3) Å."""
    figure, axes = plt.subplots(1, len(shown), figsize=(2.1 * len(shown), 2.8), squeeze=False)
    for ax, (title, numbers, positions) in zip(axes[0], shown, strict=True):
        draw_molecule(
            ax,
            numbers,
            positions @ flat_view(positions),
            bonds_of(numbers, positions),
            size=min(1.0, 15 / len(numbers)),
        )
        ax.set_aspect("equal", adjustable="datalim")
        ax.set_title(title, fontsize="small")
    numbers = np.unique(np.concatenate([z for _, z, _ in shown]))
    handles = [element_marker(z) for z in numbers]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), frameon=False, handletextpad=0.1)
    return figure
