"""One look for all figures: colours, marks, fonts; `save_figure` writes a figure by its stem.

Colours are Okabe and Ito's (https://jfly.uni-koeln.de/color/), which colour-blind readers can tell apart.
"""

import matplotlib.pyplot as plt
import seaborn as sns
from itertools import cycle
from matplotlib.figure import Figure
from pathlib import Path
from lib.models import MODELS
from lib.paths import FIGURES

BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#7F7F7F"
ARMS = {"no": ("from scratch", GREY), "yes": ("pre-trained", BLUE)}
MARKS = ((BLUE, "o"), ("#E69F00", "s"), (GREEN, "D"), ("#CC79A7", "^"))
MODEL_STYLES = dict(zip((model.label for model in MODELS.values()), cycle(MARKS), strict=False))  # in every figure


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
