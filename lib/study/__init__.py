"""The paper's matrix: scales, cells, arms with and without pre-training, learning rates and cost."""

from lib.study.arms import Arm, arms_there, chosen, compare_arms, pretrainings, wanted, yardsticks
from lib.study.cost import plan
from lib.study.matrix import (
    Cell,
    controls,
    longer_on_md22,
    noise_levels,
    pairs,
    shares,
    systems_of_md22,
    with_forces,
)
from lib.study.scale import SIGMA, Scale
from lib.study.scales import get_scale

__all__ = [
    "SIGMA",
    "Arm",
    "Cell",
    "Scale",
    "arms_there",
    "chosen",
    "compare_arms",
    "controls",
    "get_scale",
    "longer_on_md22",
    "noise_levels",
    "pairs",
    "plan",
    "pretrainings",
    "shares",
    "systems_of_md22",
    "wanted",
    "with_forces",
    "yardsticks",
]
