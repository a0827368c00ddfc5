"""Rules that compare models: which gains most, which reaches which."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from lib.report.evidence import Case, samples_of
from lib.report.rules.gains import all_of
from lib.report.rules.rule import Question, Rule, part_of, untested
from lib.report.statistics import Array, estimate, gain
from lib.report.verdicts import Outcome


def _by_data(cases: Sequence[Case]) -> dict[str, list[Case]]:
    """The cases of each data set."""
    out: dict[str, list[Case]] = {}
    for case in cases:
        out.setdefault(case.dataset, []).append(case)
    return out


def _in_common(cases: Sequence[Case]) -> dict[str, list[Case]]:
    """The cases of each model, on the systems and metrics that every model has, in the same order."""
    places: dict[str, dict[tuple, Case]] = {}
    for case in cases:
        places.setdefault(case.model, {})[case.system, case.subset, case.metric] = case
    common = [p for p in next(iter(places.values()), {}) if all(p in own for own in places.values())]
    return {model: [own[p] for p in common] for model, own in places.items() if common}


def _difference(split: int, errors: Array) -> Array:
    """By how many points the arms before ``split`` improve more than those after it."""
    return gain(errors[:split]) - gain(errors[split:])


def gains_most(question: Question, cases: Sequence[Case]) -> Outcome:
    """The model gains more than each other one on every data set: paired differences of improvements, in points.

    An improvement is the mean over the metrics and systems that all models have.
    """
    (model,), parts, means = question.models, [], []
    for dataset, group in _by_data(cases).items():
        models = _in_common(group)
        for other in (m for m in models if model in models and m != model):
            arms = samples_of(models[model] + models[other])
            half = len(arms) // 2
            more = estimate(partial(_difference, half), arms)
            parts.append(part_of(f"{model} over {other} on {dataset}", more, models[model] + models[other]))
        means += [(estimate(gain, samples_of(own)).value, name, dataset) for name, own in models.items()]
    if not parts:
        return untested("no case that several models have")
    outcome = all_of(parts)
    first = [max(m for m in means if m[2] == dataset) for dataset in dict.fromkeys(m[2] for m in means)]
    why = "gains most: " + ", ".join(f"{name} on {dataset} ({value:.0f} %)" for value, name, dataset in first)
    return replace(outcome, of_every=False, why=f"{why}; {outcome.why}")


def group_gains_more(question: Question, cases: Sequence[Case]) -> Outcome:
    """The models gain more than the others on every data set, by the difference of the groups' mean improvements."""
    parts, least = [], []
    for dataset, group in _by_data(cases).items():
        models = _in_common(group)
        inside = [case for m in models if m in question.models for case in models[m]]
        outside = [case for m in models if m not in question.models for case in models[m]]
        if not inside or not outside:
            continue
        split = 2 * len(inside)
        more = estimate(partial(_difference, split), samples_of(inside + outside))
        parts.append(part_of(dataset, more, inside + outside))
        values = {m: estimate(gain, samples_of(own)).value for m, own in models.items()}
        least.append(f"{min(values, key=values.__getitem__)} on {dataset}")
    if not parts:
        return untested("only one of the two groups of models was run")
    outcome = all_of(parts)
    each = ", ".join(f"{p.estimate.value:.1f} [{ends.low:.1f}, {ends.high:.1f}] on {p.name}"
                     for p in parts for ends in [p.estimate.interval()])  # fmt: skip
    why = f"points more: {each}; least of all gains {', '.join(least)}"
    return replace(outcome, of_every=False, why=why)


def cheap_reaches(question: Question, cases: Sequence[Case]) -> Outcome:
    """On every data set the best pre-trained model of the group errs less than the best other one from scratch."""
    return _lower(question, cases, lambda tuned, scratch: 100 * (1 - tuned / scratch), False)


def competitive(question: Question, cases: Sequence[Case]) -> Outcome:
    """Pre-trained, the model's error is at most the threshold (per cent) above that of the best other one, all
    pre-trained too, in the geometric mean over systems.
    """
    limit = question.threshold
    return _lower(question, cases, lambda own, other: limit - 100 * (own / other - 1), True)


def _lower(
    question: Question, cases: Sequence[Case], margin: Callable[[Array, Array], Array], of_tuned: bool
) -> Outcome:
    """By data set, the ``margin`` between the best pre-trained model of the group and the best other one.

    ``of_tuned``: the others are pre-trained too.
    """
    parts = []
    for dataset, group in _by_data(cases).items():
        models = _in_common(group)
        inside = [own for m, own in models.items() if m in question.models]
        outside = [own for m, own in models.items() if m not in question.models]
        if not inside or not outside:
            continue
        arms = [case.tuned for own in inside for case in own]
        arms += [case.tuned if of_tuned else case.scratch for own in outside for case in own]
        number = len(next(iter(models.values())))

        def best(errors: Array, number: int = number, count: int = len(inside)) -> Array:
            """Means over cases, the best of each group."""
            logarithms = np.log(errors).reshape(-1, number, *errors.shape[1:]).mean(1)
            return margin(np.exp(logarithms[:count].min(0)), np.exp(logarithms[count:].min(0)))

        parts.append(part_of(dataset, estimate(best, arms), [c for own in models.values() for c in own]))
    if not parts:
        return untested("only one of the two groups of models was run")
    return replace(all_of(parts), of_every=False)  # systems that are missing might change the mean


RULES = (
    Rule("gains_most", gains_most, between_models=True),
    Rule("group_gains_more", group_gains_more, between_models=True),
    Rule("cheap_reaches", cheap_reaches, between_models=True),
    Rule("competitive", competitive, between_models=True),
)
