"""The models, by name. ``model(batch)`` returns a `Prediction`.

One file a model, in the order of its paper's formulas: `schnet`, `egnn`, `torchmd_net` and `se3_transformer` are the
paper's four, `tensornet` and `visnet` wrap those of two libraries. The formulas are written plainly; `kernels` has
hand-written forms of some, which run instead on a CPU. `registry` lists the models and says what a new one takes.
"""

from lib.models.graphs import use_graphs
from lib.models.prediction import Prediction
from lib.models.registry import MODELS, PAPER_MODELS, Entry, build, compile_layers, entry, load_released, make_settings
from lib.models.released import RELEASED

__all__ = [
    "MODELS",
    "PAPER_MODELS",
    "RELEASED",
    "Entry",
    "Prediction",
    "build",
    "compile_layers",
    "entry",
    "load_released",
    "make_settings",
    "use_graphs",
]
