"""Drawings of molecules."""

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from ase.data import chemical_symbols, covalent_radii
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from lib.chemistry.bonds import bonds_of
from lib.report.figures.style import COLUMN

ELEMENT_COLOURS = {1: "#FFFFFF", 6: "#4D4D4D", 7: "#56B4E9", 8: "#D55E00", 9: "#B2DF8A", 15: "#E69F00", 16: "#F0E442",
                   17: "#009E73", 35: "#CC79A7", 53: "#882255"}  # fmt: skip
OTHER = "#BBBBBB"  # metals


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
    x, y = flat.T
    ax.scatter(x, y, s=420 * size * covalent_radii[numbers], c=colours, edgecolors="black", linewidths=0.8,
               alpha=fade, zorder=2, clip_on=False)  # fmt: skip
    ax.margins(0.12)
    ax.set_aspect("equal")
    ax.axis("off")


def element_marker(number: int) -> Line2D:
    """An element's disc for a legend."""
    return Line2D([], [], linestyle="", marker="o", markersize=5, markeredgecolor="black",
                  markerfacecolor=ELEMENT_COLOURS.get(int(number), OTHER), label=chemical_symbols[number])  # fmt: skip


def element_legend(ax: Axes, numbers: NDArray[np.integer]) -> None:
    """The colours of the elements, under the drawing."""
    handles = [element_marker(z) for z in np.unique(numbers)]
    ax.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, 0.02), ncols=4, handletextpad=0.1, columnspacing=0.8
    )


def gallery(shown: Sequence[tuple[str, NDArray[np.integer], NDArray[np.floating]]]) -> Figure:
    """Drawings of conformations, a panel each: title, atomic numbers (N,) and positions (N, 3) Å."""
    lines = -(-len(shown) // 2)
    figure, axes = plt.subplots(lines, 2, figsize=(COLUMN, 1.6 * lines + 0.3), squeeze=False)
    for ax in axes.flat[len(shown) :]:
        ax.axis("off")
    for ax, (title, numbers, positions) in zip(axes.flat, shown, strict=False):
        draw_molecule(
            ax,
            numbers,
            positions @ flat_view(positions),
            bonds_of(numbers, positions),
            size=0.5 * min(1.0, 15 / len(numbers)),
        )
        ax.set_aspect("equal", adjustable="datalim")
        ax.set_title(title)
    numbers = np.unique(np.concatenate([z for _, z, _ in shown]))
    handles = [element_marker(z) for z in numbers]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), handletextpad=0.1)
    return figure
