"""Words of a verdict: what p-values, intervals and seeds earn them, and false discoveries."""

from dataclasses import replace

import numpy as np
import pytest

from lib.report import verdicts
from lib.report.figures.ledger import SIGN_COLOURS
from lib.report.ledger import WEAKEST_FIRST
from lib.report.verdicts import Outcome, adjusted, sign_of, size_above, size_of


@pytest.mark.parametrize(
    ("p_for", "p_against", "word"),
    [
        (0.025, 0.976, "certain"),
        (0.0251, 0.976, "likely"),
        (0.1, 0.91, "likely"),
        (0.101, 0.9, "unknown"),
        (0.9, 0.101, "unknown"),
        (0.91, 0.1, "unlikely"),
        (0.976, 0.0251, "unlikely"),
        (0.976, 0.025, "against"),
    ],
)
def test_signs_are_earned_by_two_sided_p_values_in_both_directions(p_for, p_against, word):
    outcome = Outcome(p_for=p_for, p_against=p_against, n_seeds=3)
    assert sign_of(outcome) == word
    assert outcome.p == pytest.approx(min(1, 2 * min(p_for, p_against)))


def test_nothing_is_certain_from_one_seed_nor_while_cases_are_missing():
    sure = {"p_for": 0.001, "p_against": 1.0}
    assert sign_of(Outcome(**sure, n_seeds=1)) == verdicts.SEEN_ONCE
    assert np.isnan(Outcome(**sure, n_seeds=1).p)
    assert sign_of(Outcome(**sure, n_seeds=2)) == verdicts.CERTAIN
    assert sign_of(Outcome(**sure, n_seeds=3, complete=False)) == verdicts.LIKELY
    refuted = Outcome(p_for=1.0, p_against=0.001, n_seeds=3)
    assert sign_of(refuted) == verdicts.AGAINST
    assert sign_of(replace(refuted, complete=False)) == verdicts.UNLIKELY  # a mean of all might be another
    assert sign_of(replace(refuted, complete=False, of_every=True)) == verdicts.AGAINST  # a counterexample suffices
    assert sign_of(Outcome(**sure, n_seeds=3, word=verdicts.NO_EVIDENCE)) == verdicts.NO_EVIDENCE
    assert np.isnan(Outcome(**sure, n_seeds=3, word=verdicts.NO_EVIDENCE).p)
    assert Outcome(p_for=0.6, p_against=0.7, n_seeds=3).p == 1


def test_nothing_is_certain_either_way_where_most_cases_borrow_their_spread():
    sure = Outcome(p_for=0.001, p_against=1.0, n_seeds=3, borrowed=True)
    assert sign_of(sure) == verdicts.LIKELY
    assert sign_of(replace(sure, p_for=1.0, p_against=0.001, of_every=True)) == verdicts.UNLIKELY


def test_a_multiplied_p_value_has_a_multiplied_standard_error():
    """0.02 is ten times 0.002, which 2000 draws know to 0.001: within two of its errors it might be 0.04."""
    outcome = Outcome(p_for=0.98, p_against=0.02, n_seeds=3)
    assert verdicts.other_signs(outcome, 2000) == ("unlikely",)
    far = replace(outcome, p_against=0.012)
    assert verdicts.other_signs(far, 2000) == ()
    assert verdicts.other_signs(replace(far, comparisons=10), 2000) == ("unlikely",)


@pytest.mark.parametrize(
    ("p_for", "others"),
    [(0.018, ()), (0.022, ("likely",)), (0.027, ("certain",)), (0.05, ()), (0.095, ("unknown",)), (0.11, ("likely",))],
)
def test_a_p_value_at_the_edge_of_a_word_is_told(p_for, others):
    """Of 2000 draws a share of 0.025 has a standard error of 0.0035, one of 0.1 of 0.0067."""
    outcome = Outcome(p_for=p_for, p_against=1 - p_for, n_seeds=3)
    assert verdicts.other_signs(outcome, 2000) == others
    mirrored = {"certain": "against", "likely": "unlikely", "unknown": "unknown"}
    against = Outcome(p_for=1 - p_for, p_against=p_for, n_seeds=3)
    assert verdicts.other_signs(against, 2000) == tuple(mirrored[word] for word in others)
    assert verdicts.other_signs(outcome, 10**8) == ()  # with many draws only the level itself would be an edge
    assert verdicts.other_signs(replace(outcome, n_seeds=1), 2000) == ()
    assert verdicts.other_signs(replace(outcome, word=verdicts.NO_EVIDENCE), 2000) == ()


def test_nothing_is_at_the_edge_of_certain_while_cases_are_missing():
    outcome = Outcome(p_for=0.027, p_against=0.97, n_seeds=3, complete=False)
    assert verdicts.other_signs(outcome, 2000) == ()


def test_sizes_agree_within_the_margin_alone():
    assert size_of(22, 41, 31.9) == verdicts.AGREES
    assert size_of(21.8, 41, 31.9) == verdicts.SIZE_UNKNOWN  # too wide below
    assert size_of(22, 42, 31.9) == verdicts.SIZE_UNKNOWN  # too wide above
    assert size_of(10, 37, 31.9) == verdicts.SIZE_UNKNOWN  # holds the printed number, and much else
    assert size_of(10, 31, 31.9) == verdicts.SMALLER
    assert size_of(25, 31, 31.9) == verdicts.AGREES  # below it, but by less than what matters
    assert size_of(33, 60, 31.9) == verdicts.LARGER
    assert size_of(21.9, 41.9, 31.9) == verdicts.AGREES
    assert size_of(0, 31.9, 31.9) == verdicts.SIZE_UNKNOWN
    assert size_of(31.9, 70, 31.9) == verdicts.SIZE_UNKNOWN
    assert size_of(0, 50, float("nan")) == ""
    assert size_of(0, 50, 30, margin=30) == verdicts.AGREES


def test_sizes_of_more_than():
    assert size_above(69, 80, 68) == verdicts.AGREES
    assert size_above(50, 67, 68) == verdicts.SMALLER
    assert size_above(50, 80, 68) == size_above(68, 80, 68) == size_above(50, 68, 68) == verdicts.SIZE_UNKNOWN


def test_false_discovery_rates_are_those_of_benjamini_and_hochberg():
    """Against scipy's, and by hand: p = 0.01, 0.02, 0.03 of four tests."""
    assert adjusted([0.02, 0.01, 0.03, 0.9]).tolist() == pytest.approx([0.04, 0.04, 0.04, 0.9])
    with_gap = adjusted([0.01, float("nan"), 0.04])
    assert with_gap[[0, 2]].tolist() == pytest.approx([0.02, 0.04])
    assert np.isnan(with_gap[1])
    assert len(adjusted([])) == 0
    assert np.isnan(adjusted([float("nan")])).all()


def test_few_of_many_discoveries_are_false():
    """At a rate of 5 %, with 30 true nulls beside 20 real effects: on average at most 5 % of what stands."""
    rng, shares = np.random.default_rng(1), []
    from scipy.stats import norm

    for _ in range(400):
        p = 2 * norm.sf(np.abs(rng.standard_normal(50) + np.repeat([0, 4], [30, 20])))
        stands = adjusted(p) <= verdicts.LEVEL
        shares.append(stands[:30].sum() / max(stands.sum(), 1))
    assert 0.01 < np.mean(shares) <= 0.05


def test_every_sign_has_a_colour_and_a_place_in_the_summary():
    assert set(SIGN_COLOURS) == set(WEAKEST_FIRST) == set(verdicts.SIGNS)
    assert len(set(verdicts.SIGNS)) == len(verdicts.SIGNS)
    assert len(set(SIGN_COLOURS.values())) == len(SIGN_COLOURS)
