"""Trials of MD22 with three seeds, for models of which the paper's matrix has one there.

Learning rates are compared on two systems; on the others an arm chooses among those that served one of these.
"""

from collections.abc import Sequence

from lib.models import MODELS
from lib.study.scale import Scale
from lib.study.trials import SCRATCH, Trial, both_arms, chosen_rate

SEVERAL_SEEDS = ("schnet", "torchmd_net")
SCANNED = ("Ac-Ala3-NHMe", "AT-AT")  # the smallest system, and one of two molecules
QUESTION = "Does pre-training lower the error on each large system, whatever the seed?"


def system_trial(scale: Scale, model: str, system: str, rates: Sequence[float]) -> Trial:
    """``model`` on a ``system`` of MD22 from scratch and pre-trained, with all seeds of ``scale``."""
    arms = both_arms(scale, model, f"md22/{system}")
    name = f"MD22, {MODELS[model].label}, {scale.title_of(f'md22/{system}')}"
    return Trial(name, QUESTION, arms, tuple(sorted(rates)), scale.seeds, SCRATCH)


def system_trials(scale: Scale) -> list[Trial]:
    """The trials of `SEVERAL_SEEDS`, those on `SCANNED` first; while these are not decided, all candidates remain."""
    out = []
    for model in SEVERAL_SEEDS:
        first = [system_trial(scale, model, system, scale.rates_of("md22")) for system in SCANNED]
        chosen = [chosen_rate(trial, arm) for trial in first for arm in trial.arms]
        rates = {rate for rate in chosen if rate is not None} if None not in chosen else set(scale.rates_of("md22"))
        others = [system for system in scale.systems if system not in SCANNED]
        out += [*first, *(system_trial(scale, model, system, tuple(rates)) for system in others)]
    return out
