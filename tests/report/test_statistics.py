"""Estimates: paired draws, the common part of molecules, seeds that are borrowed, p-values that fit the intervals."""

import numpy as np
import pytest

from lib.report import statistics
from lib.report.statistics import (
    REPLICATES,
    Comparison,
    Errors,
    Estimate,
    Sample,
    average,
    borrow,
    compare,
    estimate,
    gain,
    mean_of,
    sample,
    seed_of,
    spread_of,
    widening,
)


def errors(seed, scale=1.0, molecules=40, each=10):
    rng = np.random.default_rng(seed)
    return Errors.of(np.repeat(np.arange(molecules), each), scale * rng.normal(size=molecules * each))


def test_p_values_fit_the_interval():
    """An interval that touches the threshold has a one-sided p-value of 2.5 %; never zero; NaN are no draws."""
    replicates = np.arange(REPLICATES, dtype=float)
    whole = Estimate(1000.0, replicates)
    ends = whole.interval()
    assert whole.p_above(ends.low) == pytest.approx(0.025, abs=0.001)
    assert whole.p_below(ends.high) == pytest.approx(0.025, abs=0.001)
    assert whole.p_above(-1) == pytest.approx(1 / (REPLICATES + 1))
    assert whole.p_below(-1) == 1
    assert whole.p_above(0) == pytest.approx(2 / (REPLICATES + 1))  # not above: up to the threshold
    assert whole.p_below(REPLICATES - 1) == pytest.approx(2 / (REPLICATES + 1))
    holes = Estimate(1.0, np.array([np.nan, -1.0, 1.0, 2.0]))
    assert holes.p_above() == pytest.approx(2 / 4)
    assert holes.p_below() == pytest.approx(3 / 4)
    assert holes.interval().high == pytest.approx(1.95)
    small = Estimate(0.4, np.array([-0.5, 0.5, 0.6]))  # the threshold is zero where none is named
    assert small.p_above() == pytest.approx(2 / 4)
    assert small.p_below() == pytest.approx(3 / 4)
    assert np.isnan(Estimate(1.0, np.full(5, np.nan)).interval().low)


def test_gain_is_the_mean_over_pairs():
    assert gain(np.array([10.0, 5.0, 10.0, 8.0])) == pytest.approx(35)
    assert gain(np.ones((2, 7))).tolist() == [0] * 7


def test_arms_on_the_same_molecules_share_their_draws():
    a, b = (sample([errors(k) for k in range(3)], "mae", 5) for _ in range(2))
    np.testing.assert_array_equal(a.draws, b.draws)
    other = sample([errors(k) for k in range(3)], "mae", 6)
    assert not np.array_equal(a.draws, other.draws)
    assert a.molecules == 40
    assert estimate(lambda e: e[0] / e[1], [a, b]).interval().high == pytest.approx(1)
    assert seed_of("ani1") != seed_of("ani1x")
    assert seed_of("ani1") == seed_of("ani1")


def test_what_seeds_have_to_themselves_counts_once():
    """Errors of 20 molecules that each seed gets by itself: the spread of seeds holds them, draws add nothing; errors
    of molecules that all seeds get alike: the draws hold them.
    """
    rng = np.random.default_rng(0)
    runs, alike = [], np.exp(0.5 * rng.standard_normal(20))
    for _ in range(4):
        own = np.exp(0.5 * rng.standard_normal(20))
        runs.append(Errors(np.arange(20), own**2, own, np.ones(20)))
    apart = sample(runs, "mae")
    assert statistics._common(apart.draws, apart.by_seed) < 0.75
    same = sample([Errors(np.arange(20), alike**2, alike, np.ones(20))] * 4, "mae")
    assert statistics._common(same.draws, same.by_seed) == pytest.approx(1)


def test_of_the_seeds_own_part_only_what_their_spread_has_is_taken_off():
    """Four seeds with independent draws of variance 1; the mean has 1/4, all of it their own."""
    draws = np.random.default_rng(0).standard_normal((4, 100_000))
    level = np.zeros(4)
    assert statistics._common(draws, level) == 1  # the spread has nothing of it
    half = np.sqrt(1.5) * np.array([1, 1, -1, -1]) / 2  # variance 1/2 with n - 1
    assert statistics._common(draws, half) == pytest.approx(np.sqrt(0.5), abs=0.01)
    assert statistics._common(draws, 10 * half) == pytest.approx(0, abs=0.1)
    both = draws + np.random.default_rng(1).standard_normal(100_000)  # 1 in common, 1/4 of their own in the mean
    assert statistics._common(both, 10 * half) == pytest.approx(np.sqrt(1 / 1.25), abs=0.01)
    shared = draws[:1] + np.zeros((4, 1))
    assert statistics._common(shared, 10 * half) == pytest.approx(1)
    assert statistics._common(np.ones((4, 10)), half) == 1
    assert statistics._common(np.full((4, 10), np.nan), half) == 1
    mixed = np.sqrt(0.5) * (draws + draws[:1] * np.sqrt(0.5))  # NaN draws are left out
    with_holes = np.concatenate([mixed, np.full((4, 5), np.nan)], axis=1)
    assert statistics._common(with_holes, half) == pytest.approx(statistics._common(mixed, half))


def test_estimates_of_one_seed_take_all_of_the_draws():
    one = [sample([errors(k)], "mae") for k in (0, 1)]
    whole = estimate(lambda e: e[0], one[:1])
    expected = one[0].centre * (one[0].draws[0] / one[0].centre) ** widening(40)
    assert whole.replicates == pytest.approx(expected)
    several = sample([errors(k) for k in range(3)], "mae")
    mixed = estimate(lambda e: e[0] - e[1], [several, one[1]])
    centre = several.centre * (several.draws.mean(0) / several.centre) ** widening(40) * np.exp(several.moves)
    assert mixed.replicates == pytest.approx(centre - one[1].replicates(1.0))
    assert mixed.value == pytest.approx(several.centre - one[1].centre)


def pair(scratch, tuned):
    return Comparison(Sample.of_seeds(np.array(scratch)), Sample.of_seeds(np.array(tuned)))


def test_the_spread_is_pooled_over_pairs_with_several_seeds():
    """By hand: logarithms ± a and ± b, in step in one pair and against each other in the other."""
    up, down = np.exp(0.1), np.exp(-0.1)
    in_step, against = pair([up, down], [up, down]), pair([up, down], [down, up])
    spread = spread_of([in_step, against, pair([1.0], [1.0])])
    assert spread.freedom == 2
    assert spread.covariance == pytest.approx(np.diag([0.02, 0.02]))
    alone = spread_of([in_step])
    assert alone.covariance == pytest.approx(np.full((2, 2), 0.02))
    assert alone.freedom == 1
    assert spread_of([pair([1.0], [1.0])]) is None
    assert spread_of([]) is None


def test_a_single_seed_borrows_the_spread():
    seeds = [pair([np.exp(0.1 * k), 1, np.exp(-0.1 * k)], [1.0, 1.0, 1.0]) for k in (1, 2, 3)] * 20
    spread = spread_of(seeds)
    one = borrow(pair([1.0], [0.5]), spread, 0)
    assert one.pretrained.moves == pytest.approx(0)
    assert one.scratch.moves.std() == pytest.approx(np.sqrt(spread.covariance[0, 0]), rel=0.05)
    assert np.corrcoef(one.scratch.moves, borrow(pair([1.0], [0.5]), spread, 1).scratch.moves)[0, 1] < 0.1
    np.testing.assert_array_equal(one.scratch.moves, borrow(pair([1.0], [0.5]), spread, 0).scratch.moves)
    assert borrow(seeds[0], spread, 0) is seeds[0]
    bare = pair([1.0], [0.5])
    assert borrow(bare, None, 0) is bare
    few = borrow(bare, spread_of(seeds[:1]), 0)  # two degrees of freedom have long tails
    assert np.abs(few.scratch.moves).max() > 6 * np.sqrt(spread_of(seeds[:1]).covariance[0, 0])
    joint = borrow(bare, spread_of([pair([np.exp(0.1), 1.0], [np.exp(0.1), 1.0])]), 0)
    assert joint.scratch.moves == pytest.approx(joint.pretrained.moves)


def test_an_average_with_one_seed_is_wider_than_without_the_spread():
    several, one = pair([1.0, 1.2, 0.9], [0.5, 0.5, 0.5]), pair([1.0], [0.5])
    plain = estimate(gain, [*several.samples, *one.samples]).interval()
    carried = average([several, one])
    assert carried.value == plain.value
    assert carried.high - carried.low > 1.5 * (plain.high - plain.low)
    given = average([several, one], spread_of([pair([1.0, 1.0], [1.0, 1.0])]))
    assert given.high == pytest.approx(plain.high)


def test_numbers_of_seeds_alone_have_no_draws():
    seeds = Sample.of_seeds(np.array([1.0, 2.0, 4.0]))
    assert seeds.centre == pytest.approx(7 / 3)
    assert widening(seeds.molecules) == 1
    whole = estimate(lambda e: e[0], [seeds])
    assert np.median(whole.replicates) == pytest.approx(7 / 3, rel=0.02)
    ends, half = whole.interval(), 4.303 * np.std(np.log([1.0, 2, 4]), ddof=1) / np.sqrt(3)
    assert np.log(ends.high / ends.low) == pytest.approx(2 * half, rel=0.1)
    one = Sample.of_seeds(np.array([3.0]))
    assert estimate(lambda e: e[0], [one]).interval().high == 3


def test_means_over_networks_follow_students_t():
    from scipy.stats import t

    values = np.array([0.3, 0.5, 0.4, 0.6])
    whole = mean_of(values, np.repeat(values[:, None], REPLICATES, axis=1), 40)
    half = t.ppf(0.975, 3) * values.std(ddof=1) / 2
    assert whole.value == pytest.approx(0.45)
    assert (whole.interval().high - whole.interval().low) / 2 == pytest.approx(half, rel=0.1)
    drawn = 0.45 + 0.1 * np.random.default_rng(0).standard_normal((1, REPLICATES))
    one = mean_of(np.array([0.45]), drawn, 10).interval()
    assert (one.high - one.low) / 2 == pytest.approx(0.196 * widening(10), rel=0.1)
    assert (one.high + one.low) / 2 == pytest.approx(0.45, abs=0.02)


def test_seeds_may_test_other_molecules():
    """What any seed tests is drawn; each is scored on its own molecules."""
    first = Errors(np.array([0, 1]), np.array([1.0, 1.0]), np.array([1.0, 1.0]), np.ones(2))
    second = Errors(np.array([1, 4]), np.array([9.0, 9.0]), np.array([3.0, 3.0]), np.ones(2))
    arm = sample([first, second], "mae")
    assert arm.by_seed.tolist() == [1, 3]
    assert arm.molecules == 3
    assert np.isnan(arm.draws).any(1).all()  # a draw may leave a seed nothing
    ends = estimate(lambda e: e[0], [arm]).interval()
    assert ends.low < 2 < ends.high


def test_widening_is_students_t_over_the_normal_distributions_quantile():
    assert widening(8) == pytest.approx(np.sqrt(8 / 7) * 2.3646 / 1.95996, rel=1e-4)
    assert widening(2) == pytest.approx(np.sqrt(2) * 12.7062 / 1.95996, rel=1e-4)
    assert widening(1) == 1
    assert widening(10_000) == pytest.approx(1, abs=1e-3)


def test_both_arms_need_the_same_test_conformations():
    with pytest.raises(ValueError, match="2 and 1 runs: both arms need the same seeds and test conformations"):
        compare([errors(0), errors(1)], [errors(0)], "mae")
    fewer = errors(0, each=9)
    with pytest.raises(ValueError, match="same seeds and test conformations"):
        compare([errors(0)], [fewer], "mae")
    with pytest.raises(ValueError, match="same seeds and test conformations"):
        compare([errors(0), errors(1)], [errors(0), fewer], "mae")  # of every seed, not of some
    other = Errors.of(np.repeat(np.arange(1, 41), 10), np.ones(400))  # as many of each, of other molecules
    with pytest.raises(ValueError, match="same seeds and test conformations"):
        compare([errors(0)], [other], "mae")


def test_a_comparison_has_intervals_of_both_arms_and_of_their_improvement():
    arms = compare([errors(k) for k in range(3)], [errors(k, 0.5) for k in range(3)], "rmse", 3)
    scratch, tuned, better = arms.intervals()
    assert (scratch.value, tuned.value) == pytest.approx((arms.scratch.centre, arms.pretrained.centre))
    assert tuned.high == pytest.approx(scratch.high / 2)
    assert better.value == pytest.approx(50)
    assert arms.samples == (arms.scratch, arms.pretrained)
