"""Trials of two newer networks that other libraries have: Table 2's rows, beyond the paper.

TensorNet (torchmd-net) and ViSNet (torch_geometric), from scratch and pre-trained, with few labels and with as many as
the paper has.
"""

from dataclasses import replace

from lib.models import MODELS
from lib.study.scale import PRE_TRAINING_DATA, Scale
from lib.study.scales import ALL_LABELS, LAPTOP
from lib.study.trials import SCRATCH, Trial, both_arms

LIBRARY_MODELS = ("tensornet", "visnet")
PRETRAINING_RATE = 2e-3  # as TorchMD-Net's and SchNet's, which diverge at the scale's own; no other was tried
FEW, WHOLE = "few labels", "80 % of all labels"
QUESTION = "Does pre-training lower the error of newer networks too?"


def library_trial(scale: Scale, model: str, data: str, words: str, seeds: tuple[int, ...] | None = None) -> Trial:
    """``model`` on ``data`` at ``scale``, from scratch and pre-trained; ``words`` say how many labels these are."""
    rates = {**scale.pretraining.rates, model: PRETRAINING_RATE}
    scale = replace(scale, pretraining=replace(scale.pretraining, rates=rates))
    arms = both_arms(scale, model, data)
    name = f"library, {MODELS[model].label}, {scale.data_label(data)}, {words}"
    return Trial(name, QUESTION, arms, tuple(sorted(scale.rates_of(data))), seeds or scale.seeds, SCRATCH)


def library_trials() -> list[Trial]:
    """Both networks on both data sets, few labels first."""
    return [
        library_trial(scale, model, data, words)
        for scale, words in ((LAPTOP, FEW), (ALL_LABELS, WHOLE))
        for model in LIBRARY_MODELS
        for data in reversed(PRE_TRAINING_DATA)
    ]
