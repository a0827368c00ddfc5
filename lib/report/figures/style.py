"""One look for all figures: colours, marks, fonts; `save_figure` writes a figure by its stem.

Figures are one column wide (`COLUMN`) and their smallest letters are 7 points high, so that they can be read where a
column of a page is all they get. Colours are Okabe and Ito's (https://jfly.uni-koeln.de/color/), which colour-blind
readers can tell apart.
"""

from itertools import cycle
from pathlib import Path
from typing import Any

import seaborn as sns
from matplotlib.figure import Figure
from PIL import Image

from lib.files import whole_file
from lib.models import MODELS
from lib.paths import FIGURES

COLUMN = 3.4  # inches, one column of a page
SMALLEST = 7.0  # points
PAGE = 12.0  # inches; a longer figure is read on a screen
BLUE, ORANGE, GREEN, GREY = "#0072B2", "#D55E00", "#009E73", "#7F7F7F"
ARMS = {"no": ("from scratch", GREY), "yes": ("pre-trained", BLUE)}
MARKS = ((BLUE, "o"), ("#E69F00", "s"), (GREEN, "D"), ("#CC79A7", "^"))
MODEL_STYLES = dict(zip((model.label for model in MODELS.values()), cycle(MARKS), strict=False))  # in every figure
METADATA: dict[str, dict[str, Any]] = {".svg": {"Date": None}, ".png": {"Software": None}}  # no time, no version
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
    for kind in ("svg", "png"):
        write_figure(figure, folder / f"{stem}.{kind}")
    return folder / f"{stem}.png"


def write_figure(figure: Figure, path: Path) -> None:
    """Write ``figure`` in the format that the suffix of ``path`` names, the same bytes for the same figure.

    A PNG has a palette of 256 colours, which makes it a third of the size and looks the same; that of a figure longer
    than a `PAGE` has the resolution of a screen.
    """
    resolution = "figure" if figure.get_figheight() > PAGE else None
    with whole_file(path) as part:
        figure.savefig(part, dpi=resolution, metadata=METADATA.get(path.suffix))
        if path.suffix == ".png":
            with Image.open(part) as image:
                written = image.info["dpi"]
                few = image.convert("RGB").quantize(256, dither=Image.Dither.NONE)
            few.save(part, "PNG", optimize=True, dpi=written)
