"""Intervals hold the truth in simulations where it is known: pairs, few seeds, arms without seeds, other models."""

import numpy as np
import pytest

from lib.report.statistics import (
    REPLICATES,
    Comparison,
    Errors,
    Sample,
    average,
    compare,
    estimate,
    gain,
    mean_of,
    spread_of,
)

TRUTH = 30.0  # per cent


def pair(rng, seeds, molecules, each=10, of_seed=0.05, of_pair=0.2, truth=TRUTH):
    """Errors of both arms by seed: what molecules are like is common to both, more or less; seeds differ in training
    and test other conformations of the same molecules.
    """
    common, arms = rng.normal(0, 0.3, molecules), []
    for factor in (1.0, 1 - truth / 100):
        own = common + rng.normal(0, of_pair, molecules)
        runs = []
        for _ in range(seeds):
            size = factor * np.exp(own + rng.normal(0, of_seed))
            error = np.repeat(size, each) * rng.standard_normal(molecules * each)
            runs.append(Errors.of(np.repeat(np.arange(molecules), each), error))
        arms.append(runs)
    return arms


def coverage(ends, truth=TRUTH):
    return np.mean([end.low <= truth <= end.high for end in ends])


@pytest.mark.parametrize(
    ("seeds", "molecules", "of_seed"), [(3, 40, 0.05), (2, 40, 0.1), (5, 20, 0.0), (3, 8, 0.05), (1, 40, 0.0)]
)
def test_improvements_of_pairs(seeds, molecules, of_seed):
    rng, ends = np.random.default_rng(seeds), []
    for _ in range(120):
        arms = pair(rng, seeds, molecules, of_seed=of_seed)
        ends.append(estimate(gain, compare(*arms, "mae").samples).interval())
    assert 0.91 <= coverage(ends) <= 1
    if seeds == 1:
        assert coverage(ends) <= 0.99


def test_differences_between_models_are_paired():
    """Two models that gain the same: the difference has its interval, narrower than what either gain's would make."""
    rng, ends, widths = np.random.default_rng(7), [], []
    for _ in range(100):
        arms = [s for k in range(2) for s in compare(*pair(rng, 3, 40), "mae", seed=1).samples]
        ends.append(estimate(lambda e: gain(e[:2]) - gain(e[2:]), arms).interval())
        widths.append(ends[-1].high - ends[-1].low)
    assert coverage(ends, 0.0) >= 0.92


def of_seeds(rng, gains, seeds, of_seed=0.1):
    """Comparisons of models whose seeds alone differ; the first has ``seeds``, the others one."""
    out = []
    for k, value in enumerate(gains):
        arms = [f * np.exp(rng.normal(0, of_seed, seeds if k == 0 else 1)) for f in (1.0, 1 - value / 100)]
        out.append(Comparison(*(Sample.of_seeds(arm) for arm in arms)))
    return out


def test_averages_carry_the_spread_of_models_that_have_one_seed():
    """One of four models has three seeds, on seven systems; the others borrow its spread. Without, half hold."""
    rng, borrowed, alone = np.random.default_rng(3), [], []
    for _ in range(150):
        systems = [of_seeds(rng, (50, 30, 20, 20), 3) for _ in range(7)]
        spread = spread_of([c for system in systems for c in system])
        assert spread.freedom == 14
        borrowed.append(average(systems[0], spread))
        alone.append(estimate(gain, [s for c in systems[0] for s in c.samples]).interval())
    assert coverage(borrowed) >= 0.91
    assert coverage(alone) < 0.7


def test_means_over_networks():
    """A correlation of four networks, probed at the same forty conformations."""
    rng, ends = np.random.default_rng(5), []
    for _ in range(120):
        of_conformation = 0.4 + rng.normal(0, 0.2, 40)
        values = of_conformation + rng.normal(0, 0.05, (4, 1)) + rng.normal(0, 0.1, (4, 40))
        drawn = rng.integers(40, size=(REPLICATES, 40))
        ends.append(mean_of(values.mean(1), values[:, drawn].mean(-1), 40).interval())
    assert 0.92 <= coverage(ends, 0.4) <= 1


def test_null_effects_are_seldom_certain():
    """Of pairs that do not differ, at most 5 % have an interval on one side of zero (8 % in so few trials)."""
    rng, certain = np.random.default_rng(11), 0
    for _ in range(150):
        whole = estimate(gain, compare(*pair(rng, 3, 20, truth=0.0), "rmse").samples)
        certain += 2 * min(whole.p_above(), whole.p_below()) <= 0.05
    assert certain / 150 <= 0.08
