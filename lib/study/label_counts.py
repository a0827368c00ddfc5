"""Trials of the gain by number of labels, of mini ANI-1x: with as many steps whatever the number, and as many epochs.

The paper labels 80 % of what it pre-trains on, `laptop` scale one conformation in fifty. With as many steps only the
labels differ, with as many epochs, as in the paper, few labels are also few steps.
"""

from collections.abc import Sequence

from lib.models import MODELS
from lib.study.scale import Scale
from lib.study.scales import ALL_LABELS, SAME_STEPS, with_labels
from lib.study.trials import SCRATCH, Trial, both_arms

DATA = "ani1x"
COUNTED_MODELS = ("egnn", "schnet", "torchmd_net")  # the SE(3)-Transformer takes four times as long as the slowest
COUNTS = (*SAME_STEPS, None)  # None is all of them
STEPS, EPOCHS = SCHEDULES = ("as many steps", "as many epochs")
QUESTION = "Does the gain of pre-training shrink as labels become many, or as steps do?"


def counted_scale(count: int | None, schedule: str) -> Scale:
    """``all_labels`` with ``count`` labels, None all of them, on one of `SCHEDULES`.

    Raises:
        ValueError: another word, or a count that is not among `COUNTS`.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule = {schedule!r}: choose from {SCHEDULES}")
    return ALL_LABELS if count is None else with_labels(count, same_steps=schedule == STEPS)


def count_trial(model: str, count: int | None, schedule: str, seeds: Sequence[int] | None = None) -> Trial:
    """``model`` from scratch and pre-trained with ``count`` labels; ``seeds`` None takes the scale's own."""
    scale = counted_scale(count, schedule)
    arms = both_arms(scale, model, DATA)
    words = "all labels" if count is None else f"{count:,} labels, {schedule}"
    return Trial(
        f"number of labels, {MODELS[model].label}, {scale.data_label(DATA)}, {words}",
        QUESTION,
        arms,
        tuple(sorted(scale.rates_of(DATA))),
        tuple(scale.seeds if seeds is None else seeds),
        SCRATCH,
    )


def count_trials(models: Sequence[str] = COUNTED_MODELS, seeds: Sequence[int] | None = None) -> list[Trial]:
    """Every number of labels on both schedules, which are one where all labels are taken; the cheap models first."""
    pairs = [(count, schedule) for schedule in SCHEDULES for count in COUNTS if schedule == STEPS or count is not None]
    return [count_trial(model, count, schedule, seeds) for model in models for count, schedule in pairs]
