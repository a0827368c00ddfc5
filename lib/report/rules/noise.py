"""Rules about the noise of the pre-training: which σ is best, which helps, which harms."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from lib.report.evidence import Case, gain_of
from lib.report.rules.gains import all_of
from lib.report.rules.rule import Part, Question, Rule, part_of, untested
from lib.report.statistics import estimate
from lib.report.verdicts import Outcome


def best_sigma(question: Question, cases: Sequence[Case]) -> Outcome:
    """The error at σ = threshold is below that at every other σ, in the geometric mean over metrics.

    What decides against it is the σ whose error is certainly lower, if any.
    """
    by_sigma: dict[float, list[Case]] = {}
    for case in sorted(cases, key=lambda case: case.metric):
        by_sigma.setdefault(case.sigma, []).append(case)
    own = by_sigma.pop(question.threshold, [])
    if not own or not by_sigma:
        return untested(f"σ = {question.threshold:g} Å and another one were not both run")
    parts = []
    for sigma, others in by_sigma.items():
        arms = [case.tuned for case in own + others]

        def lower(errors: np.ndarray, half: int = len(own)) -> np.ndarray:
            """How much lower the error is at the claimed σ, in per cent."""
            return 100 * (1 - np.exp((np.log(errors[:half]) - np.log(errors[half:])).mean(0)))

        parts.append(Part(f"σ = {sigma:g} Å", estimate(lower, arms), min(case.n_seeds for case in own + others)))
    outcome = all_of(parts)
    errors = {s: [c.tuned.centre for c in group] for s, group in (by_sigma | {question.threshold: own}).items()}
    best = [f"{case.metric}: {min(errors, key=lambda s: errors[s][k]):g} Å" for k, case in enumerate(own)]
    why = f"best by the mean: {', '.join(best)}; error lower at {question.threshold:g} Å: {outcome.why}"
    return replace(outcome, why=why)


def sigma_gain(question: Question, cases: Sequence[Case]) -> Outcome:
    """At each σ up to the threshold there is a gain, in the mean over metrics."""
    below = sorted({case.sigma for case in cases if case.sigma <= question.threshold})
    if not below:
        return untested(f"no σ up to {question.threshold:g} Å was run")
    groups = [[case for case in cases if case.sigma == sigma] for sigma in below]
    return all_of([part_of(f"σ = {g[0].sigma:g} Å", gain_of(g), g) for g in groups])


def sigma_harm(question: Question, cases: Sequence[Case]) -> Outcome:
    """At σ = threshold the error is higher than from scratch in every metric."""
    own = [case for case in cases if case.sigma == question.threshold]
    if not own:
        return untested(f"σ = {question.threshold:g} Å was not run")

    def harm(errors: np.ndarray) -> np.ndarray:
        """How much higher the error is than from scratch, in per cent."""
        return 100 * (errors[1] / errors[0] - 1)

    parts = [Part(case.metric.upper(), estimate(harm, case.comparison.samples), case.n_seeds) for case in own]
    outcome = all_of(parts)
    why = "higher than from scratch by " + ", ".join(f"{p.estimate.value:.1f} % ({p.name})" for p in parts)
    return replace(outcome, why=why)


RULES = (
    Rule("best_sigma", best_sigma),
    Rule("sigma_gain", sigma_gain),
    Rule("sigma_harm", sigma_harm),
)
