"""The picture of an examination: copies far apart, a pair of atoms, a stretched bond, energy in time."""

from collections.abc import Mapping
from typing import Any

import matplotlib.pyplot as plt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from lib.potentials.examination import CONSTANT
from lib.report.figures.style import BLUE, COLUMN, GREY, ORANGE
from lib.units import EV

COLOURS = (ORANGE, BLUE)  # of the two settings


def soundness(
    parts: Mapping[str, pd.DataFrame], atoms: int, shown: tuple[str, str, str], reference: str, title: str = ""
) -> Figure:
    """Four panels of an examination (`report.soundness.table`), a colour for each settings.

    Args:
        parts: the rows of ``laws``, ``pairs``, ``stretches`` and ``trajectories`` of all models. The first panel has
            what the energy of copies is off by, in float32.
        atoms: of the molecule.
        shown: the model, the pair, and the bond of the other three: two atoms, a stretched bond, the total energy.
        reference: the model that is the reference.
        title: of the figure.
    """
    figure, axes = plt.subplots(4, 1, figsize=(COLUMN, 8.2))
    figure.suptitle(title)
    model, pair, bond = shown
    settings = dict(zip(dict.fromkeys(parts["pairs"]["settings"]), COLOURS, strict=False))
    _copies(axes[0], parts["laws"], settings)
    for name, colour in settings.items():
        own = {kind: rows[(rows["model"] == model) & (rows["settings"] == name)] for kind, rows in parts.items()
               if len(rows)}  # fmt: skip
        two, scan, path = (own[kind] for kind in ("pairs", "stretches", "trajectories"))
        two, scan, path = two[two["pair"] == pair], scan[scan["bond"] == bond], path[path["replica"] == CONSTANT]
        total = 1000 / EV / atoms * (path["potential"] + path["kinetic"]).to_numpy()
        axes[1].plot(two["distance"], two["energy"], color=colour, label=name)
        axes[2].plot(scan["length"], scan["energy"], color=colour, label=name)
        axes[3].plot(path["time"], total - total[:1], color=colour, linewidth=1, label=name)
    scan = parts["stretches"][(parts["stretches"]["model"] == reference) & (parts["stretches"]["bond"] == bond)]
    axes[2].plot(scan["length"], scan["energy"], color=GREY, linestyle="--", label=reference)
    _name(axes, model, pair, bond)
    return figure


def _name(axes: NDArray[Any], model: str, pair: str, bond: str) -> None:
    """What the last three panels show."""
    axes[1].set(xlabel=f"{pair}, two atoms alone (Å)", ylabel="energy (eV),\nlogarithmic beyond ±1", title=model)
    axes[1].set_yscale("symlog", linthresh=1)
    axes[1].axhline(0, color="black", linewidth=0.6)
    axes[2].set(xlabel=f"a stretched bond {bond} (Å)", ylabel="energy above\nthe lowest (eV)", title=model)
    axes[3].set(xlabel="time (ps)", ylabel="total energy from\nits start (meV/atom)", title=f"{model}, constant energy")
    for ax in axes[1:]:
        ax.legend()


def _copies(ax: Axes, laws: pd.DataFrame, settings: dict[str, str]) -> None:
    """A dot a model: what the energy of copies is off by."""
    rows = laws[(laws["law"] == "energy of copies") & (laws["precision"] == "float32")]
    models = list(dict.fromkeys(rows["model"]))[::-1]
    for name, colour in settings.items():
        own = rows[rows["settings"] == name]
        ax.plot(own["value"], [models.index(m) for m in own["model"]], "o", color=colour, label=name)
    ax.set(xscale="log", xlabel="copies far apart: energy off by (meV, log)", title="every model")
    ax.set_yticks(range(len(models)), models)
    ax.set_ylim(-0.6, len(models) - 0.4)
    ax.legend(loc="center", title="settings")
