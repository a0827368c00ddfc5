"""The paper's matrix: scales, cells and their pairs, arms with and without pre-training, learning rates and cost."""

from lib.study.arms import (
    Arm,
    available_arms,
    compare_arms,
    complete_pairs,
    pairs_to_show,
    pretrainings,
    results_of,
    yardsticks,
)
from lib.study.cells import SIGMA, Cell, Pair, members
from lib.study.cost import plan
from lib.study.matrix import (
    controls,
    longer_on_md22,
    noise_levels,
    pairs,
    shares,
    systems_of_md22,
    with_forces,
)
from lib.study.scale import Scale
from lib.study.scales import get_scale

__all__ = [
    "SIGMA",
    "Arm",
    "Cell",
    "Pair",
    "Scale",
    "available_arms",
    "compare_arms",
    "complete_pairs",
    "controls",
    "get_scale",
    "longer_on_md22",
    "members",
    "noise_levels",
    "pairs",
    "pairs_to_show",
    "plan",
    "pretrainings",
    "results_of",
    "shares",
    "systems_of_md22",
    "with_forces",
    "yardsticks",
]
