"""One look for all figures: colours, marks, fonts; `save_figure` writes a figure by its stem.

Figures are one column wide (`COLUMN`) and their smallest letters are 7 points high, so that they can be read where a
column of a page is all they get. Colours are Okabe and Ito's (https://jfly.uni-koeln.de/color/), which colour-blind
readers can tell apart.
"""

from itertools import cycle
from pathlib import Path

import seaborn as sns
from matplotlib.figure import Figure

from lib.models import MODELS
from lib.paths import FIGURES

COLUMN = 3.4  # inches, one column of a page
SMALLEST = 7.0  # points
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#7F7F7F"
ARMS = {"no": ("from scratch", GREY), "yes": ("pre-trained", BLUE)}
MARKS = ((BLUE, "o"), ("#E69F00", "s"), (GREEN, "D"), ("#CC79A7", "^"))
MODEL_STYLES = dict(zip((model.label for model in MODELS.values()), cycle(MARKS), strict=False))  # in every figure
IMPROVEMENT = "MAE reduction by pre-training (%)"
FONTS = dict.fromkeys(
    ("font.size", "axes.labelsize", "xtick.labelsize", "ytick.labelsize", "legend.fontsize", "legend.title_fontsize"),
    SMALLEST,
)


def set_style() -> None:
    """One look for all figures."""
    sns.set_theme(style="ticks", context="paper", rc=FONTS | {
        "axes.titlesize": SMALLEST + 1, "figure.titlesize": SMALLEST + 1, "figure.dpi": 150, "savefig.dpi": 300,
        "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.8, "xtick.major.size": 3,
        "ytick.major.size": 3, "axes.labelpad": 2, "axes.titlepad": 4, "figure.constrained_layout.use": True,
        "legend.frameon": False, "svg.hashsalt": "figures", "svg.fonttype": "none",
    })  # fmt: skip


def save_figure(figure: Figure, stem: str, scale: str) -> Path:
    """Write ``figures/<scale>/<stem>.svg`` and ``.png``."""
    folder = FIGURES / scale
    folder.mkdir(parents=True, exist_ok=True)
    for kind, metadata in (("svg", {"Date": None}), ("png", {"Software": None})):
        figure.savefig(folder / f"{stem}.{kind}", metadata=metadata)
    return folder / f"{stem}.png"
