"""Each rule says yes, no and cannot tell where it should, reports what decides, and looks at paired differences."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from synthetic import case, sample

from lib.report.evidence import gain_of
from lib.report.rules import RULES, Question
from lib.report.rules.gains import all_of
from lib.report.rules.rule import Part
from lib.report.statistics import REPLICATES, Comparison, Estimate
from lib.report.verdicts import sign_of

NAN = float("nan")
NARROW, WIDE = 0.002, 0.1  # spreads of seeds: an interval of about ± 0.5, and one that holds almost anything


def decide(rule, cases, threshold=NAN, models=()):
    return RULES[rule].decide(Question(tuple(models), threshold), cases)


def sign(*arguments, **more):
    return sign_of(decide(*arguments, **more))


def with_learnt(one, scratch, tuned):
    return replace(one, learnt=(scratch, tuned))


def test_rules_know_what_they_are():
    assert {r.name for r in RULES.values() if r.between_models} == {
        "gains_most", "group_gains_more", "cheap_reaches", "competitive", "cheaper",
    }  # fmt: skip
    assert {r.name for r in RULES.values() if r.of_size} == {"average_gain", "more_than", "every_more_than"}
    assert {r.name for r in RULES.values() if r.of_learning} == {"flat", "poor"}
    assert {r.name for r in RULES.values() if r.of_rows} == {"above", "cheaper"}
    assert {r.name for r in RULES.values() if r.bounded} == {"average_gain"}
    assert all(name == rule.name and rule.decide.__doc__ for name, rule in RULES.items())


def test_an_average_is_of_the_gains_and_its_interval_of_their_mean():
    models = [case(40, NARROW, model="EGNN"), case(20, NARROW, model="SchNet")]
    outcome = decide("average_gain", models, 31.9)
    assert outcome.value == pytest.approx(30)
    assert outcome.low < 30 < outcome.high
    assert (sign_of(outcome), outcome.size, outcome.n_seeds) == ("certain", "agrees", 3)
    assert outcome.low == gain_of(models).interval().low
    assert "30.0 % lower" in outcome.why
    assert sign("average_gain", [case(-30, NARROW)]) == "against"
    assert sign("average_gain", [case(2, WIDE)]) == "unknown"
    assert decide("average_gain", models).size == ""
    assert decide("average_gain", models, 50).size == "smaller"
    assert decide("average_gain", models, 10).size == "larger"
    assert decide("average_gain", [case(30, WIDE)], 31.9).size == "unknown"
    alone = [with_learnt(case(40, NARROW), False, True), case(20, NARROW, model="SchNet")]
    assert decide("average_gain", alone, 31.9).size == "only pre-trained learns"
    assert decide("average_gain", alone).size == ""
    assert (
        decide("average_gain", [with_learnt(case(-40, NARROW), True, False)], 31.9).size == "only from scratch learns"
    )


def test_a_model_without_evidence_bounds_an_average():
    """Three gain 10, 30 and 50 %; the fourth learnt nothing and counts as 10 in the worst case, as 50 in the best."""
    three = [case(g, NARROW, model=m) for g, m in ((10, "SchNet"), (30, "TorchMD-Net"), (50, "EGNN"))]
    blank = with_learnt(case(0, NARROW, model="SE(3)-Transformer"), False, False)
    outcome = decide("average_gain", [*three, blank], 47.3)
    assert outcome.value == pytest.approx(22.5)
    assert outcome.low == pytest.approx(25, abs=0.5)
    assert outcome.low < 25
    assert outcome.high == pytest.approx(35, abs=0.5)
    assert outcome.high > 35
    assert (sign_of(outcome), outcome.size) == ("certain", "smaller")
    assert "SE(3)-Transformer learnt nothing" in outcome.why
    assert "25.0 to 35.0 %" in outcome.why
    assert sign("average_gain", [blank, case(10)]) == "no evidence"
    assert sign("average_gain", [blank]) == "no evidence"
    mixed = [case(-40, NARROW, model="SchNet"), case(30, NARROW), case(30, NARROW, model="TorchMD-Net"), blank]
    assert sign("average_gain", mixed) == "unknown"  # against in the worst case, for it in the best


def test_models_with_one_seed_may_be_averaged_but_not_alone():
    several, one = case(30, NARROW), case(30, NARROW, seeds=1, model="SchNet")
    other = case(30, NARROW, model="TorchMD-Net")
    assert "1 of 3 cases have one seed" in decide("average_gain", [several, one, other]).why
    assert "have one seed" not in decide("average_gain", [one, one]).why
    assert sign("average_gain", [several, one, one]) == "likely"  # most of it borrows
    outcome = decide("average_gain", [several, one])
    assert sign_of(outcome) == "certain"
    assert "1 of 2 cases have one seed" in outcome.why
    assert sign("average_gain", [one]) == "one seed"
    assert "one seed" not in decide("average_gain", [several]).why


def test_more_than():
    assert decide("more_than", [case(75, NARROW)], 68).size == "agrees"
    assert decide("more_than", [case(30, NARROW)], 68).size == "smaller"
    assert decide("more_than", [case(60, 0.2)], 68).size == "unknown"
    assert sign("more_than", [case(75, NARROW)], 68) == "certain"
    assert sign("more_than", [case(30, NARROW)], 68) == "against"  # it gains, but not so much
    assert decide("more_than", [with_learnt(case(75, NARROW), False, True)], 68).size == "only pre-trained learns"
    assert decide("more_than", [with_learnt(case(30, NARROW), False, True)], 68).size == "smaller"  # all the more
    assert decide("more_than", [with_learnt(case(30, NARROW), True, False)], 68).size == "only from scratch learns"
    assert sign("more_than", [case(75, NARROW, seeds=1)], 68) == "one seed"


def test_every_gain_reports_the_case_that_decides():
    sure, least = case(40, NARROW), case(30, 0.15, model="SchNet")
    outcome = decide("every_gain", [sure, least])
    assert outcome.value == pytest.approx(30)  # not the smallest interval, but the least certain one
    assert "decided by SchNet ANI-1x MAE" in outcome.why
    assert outcome.p_for == pytest.approx(gain_of([least]).p_above())
    assert sign("every_gain", [sure, case(5, NARROW, model="SchNet")]) == "certain"
    refuted = decide("every_gain", [sure, case(10, WIDE, model="SchNet"), case(-20, NARROW, model="TorchMD-Net")])
    assert sign_of(refuted) == "against"
    assert refuted.value == pytest.approx(-20)
    assert "TorchMD-Net" in refuted.why
    assert "(p-value and interval corrected for 3 comparisons)" in refuted.why
    bad = gain_of([case(-20, NARROW, model="TorchMD-Net")])
    assert (refuted.low, refuted.high) == (bad.interval(0.05 / 3).low, bad.interval(0.05 / 3).high)
    assert refuted.low < bad.interval().low
    assert "2 of 3 above 0, 1 with the whole interval; 1 wholly below" in refuted.why


def test_what_speaks_against_every_case_counts_once_for_each_that_might_have():
    cases = [case(40, NARROW, model=m) for m in ("EGNN", "SchNet", "TorchMD-Net")]
    for spread in (0.02, 0.05):
        bad = case(-20, spread, model="SE(3)-Transformer")
        outcome = decide("every_gain", [*cases, bad])
        assert outcome.p_against == pytest.approx(min(1, 4 * gain_of([bad]).p_below()))
    outcome = decide("every_gain", [case(40, NARROW)] * 3)
    assert outcome.p_against == 1
    assert "3 of 3 above 0, 3 with the whole interval; 0 wholly below" in outcome.why


def test_one_seed_among_many_decides_as_one_seed_alone():
    sure, once = case(40, NARROW), case(5, NARROW, model="SchNet", seeds=1)
    assert sign("every_gain", [sure, once, case(4, WIDE, model="TorchMD-Net")]) == "unknown"
    wide = replace(once, comparison=Comparison(once.scratch, replace(once.tuned, moves=case(5, WIDE).tuned.moves)))
    assert sign("every_gain", [sure, wide]) == "one seed"


def test_every_more_than():
    models = ("SchNet", "EGNN", "TorchMD-Net")
    all_above = [case(40, NARROW, model=m) for m in models]
    assert decide("every_more_than", all_above, 32).size == "agrees"
    assert decide("every_more_than", [*all_above[:2], case(20, NARROW, model="TorchMD-Net")], 32).size == "smaller"
    unsure = decide("every_more_than", [*all_above[:2], case(40, 0.08, model="TorchMD-Net")], 32)
    assert unsure.size == "unknown"
    assert unsure.why.startswith("3 of 3 above 32, 2 with the whole interval; 0 wholly below")
    assert sign_of(unsure) in ("likely", "unknown")
    assert sign("every_more_than", all_above, 32) == "certain"
    assert sign("every_more_than", [*all_above[:2], case(20, NARROW, model="TorchMD-Net")], 32) == "against"
    alone = [with_learnt(c, False, True) for c in all_above]
    assert decide("every_more_than", alone, 32).size == "only pre-trained learns"


def test_every_model_speaks_of_models():
    """A model with one uncertain cell of two gains on average; a model that loses on average refutes."""
    cells = [case(30, NARROW, model=m, dataset=d, metric=k) for m in ("EGNN", "SchNet") for d in ("ANI-1", "ANI-1x")
             for k in ("rmse", "mae")]  # fmt: skip
    outcome = decide("every_model", cells)
    assert sign_of(outcome) == "certain"
    assert outcome.why.startswith("12 of 12 pairs of seeds gain in RMSE; 2 of 2 above 0")
    loses = [replace(c, comparison=case(-30, NARROW).comparison) if c.model == "SchNet" else c for c in cells]
    refuted = decide("every_model", loses)
    assert sign_of(refuted) == "against"
    assert "6 of 12 pairs" in refuted.why
    in_mae = [replace(c, comparison=case(-30, NARROW).comparison) if c.metric == "mae" else c for c in cells]
    assert decide("every_model", in_mae).why.startswith("12 of 12 pairs of seeds gain in RMSE")
    assert refuted.value == pytest.approx(-30)
    half = [replace(c, comparison=case(-5, NARROW).comparison)
            if c.model == "SchNet" and c.dataset == "ANI-1" else c for c in cells]  # fmt: skip
    assert sign("every_model", half) == "certain"  # by the mean over data sets
    assert sign("every_model", cells[:4]) == "not tested"
    assert (
        sign("every_model", [replace(c, comparison=case(30, NARROW, seeds=1).comparison) for c in cells]) == "one seed"
    )


def test_gains_most_is_a_paired_difference():
    """What seeds have in common cancels: both gains are uncertain, their difference is not."""
    common = [case(40, 0.1), case(20, 0.1, model="SchNet")]
    assert gain_of(common[1:]).interval().low < 0
    outcome = decide("gains_most", common, models=["EGNN"])
    assert outcome.value == pytest.approx(20)
    assert sign_of(outcome) in ("certain", "likely")
    assert "gains most: EGNN on ANI-1x (40 %)" in outcome.why
    tight = [case(40, NARROW), case(20, NARROW, model="SchNet")]
    assert sign("gains_most", tight, models=["EGNN"]) == "certain"
    assert sign("gains_most", tight, models=["SchNet"]) == "against"
    assert sign("gains_most", tight, models=["TorchMD-Net"]) == sign("gains_most", tight[:1], models=["EGNN"])
    assert sign("gains_most", tight[:1], models=["EGNN"]) == "not tested"
    other = [case(10, NARROW, dataset="ANI-1"), case(20, NARROW, dataset="ANI-1", model="SchNet")]
    both = decide("gains_most", tight + other, models=["EGNN"])  # on both data sets
    assert sign_of(both) == "against"
    assert "EGNN over SchNet on ANI-1" in both.why
    assert both.value == pytest.approx(-10)
    once = [tight[0], case(20, NARROW, model="SchNet", seeds=1)]
    assert sign("gains_most", once, models=["EGNN"]) == "likely"  # one of the two borrows its spread
    both_once = [case(g, NARROW, model=m, seeds=1) for g, m in ((40, "EGNN"), (20, "SchNet"))]
    assert sign("gains_most", both_once, models=["EGNN"]) == "one seed"


def test_models_are_compared_where_all_of_them_were_run():
    first, second = {"system": "DHA"}, {"system": "AT-AT"}
    cases = [case(40, NARROW, **first), case(20, NARROW, model="SchNet", **first), case(-90, NARROW, **second)]
    assert decide("gains_most", cases, models=["EGNN"]).value == pytest.approx(20)
    group = decide("group_gains_more", cases, models=["EGNN"])
    assert group.value == pytest.approx(20)


def test_groups_of_models():
    cases = [case(g, NARROW, model=m) for g, m in ((50, "EGNN"), (10, "SchNet"), (20, "TorchMD-Net"))]
    outcome = decide("group_gains_more", cases, models=["EGNN", "SchNet"])
    assert outcome.value == pytest.approx(10)
    assert sign_of(outcome) == "certain"
    assert "least of all gains SchNet on ANI-1x" in outcome.why
    assert "10.0 [" in outcome.why
    assert sign("group_gains_more", cases, models=["SchNet"]) == "against"
    assert sign("group_gains_more", cases[:2], models=["EGNN", "SchNet"]) == "not tested"
    assert sign("group_gains_more", cases[2:], models=["EGNN", "SchNet"]) == "not tested"


def test_cheap_models_reach_others_from_scratch():
    """The best of the group, pre-trained, against the best other one from scratch."""
    own = [case(40, NARROW, model="EGNN", scratch=10), case(0, NARROW, model="SchNet", scratch=20)]
    reached = decide(
        "cheap_reaches", [*own, case(50, NARROW, model="TorchMD-Net", scratch=8)], models=["EGNN", "SchNet"]
    )
    assert reached.value == pytest.approx(25)  # 6 against 8
    assert sign_of(reached) == "certain"
    missed = [
        *own,
        case(50, NARROW, model="TorchMD-Net", scratch=8),
        case(0, NARROW, model="SE(3)-Transformer", scratch=5),
    ]
    assert decide("cheap_reaches", missed, models=["EGNN", "SchNet"]).value == pytest.approx(-20)
    assert sign("cheap_reaches", missed, models=["EGNN", "SchNet"]) == "against"
    assert sign("cheap_reaches", own, models=["EGNN", "SchNet"]) == "not tested"


def test_competitive_is_within_a_margin_of_the_best_pre_trained():
    own, other = case(40, NARROW, scratch=10), case(50, NARROW, model="TorchMD-Net", scratch=11)
    outcome = decide("competitive", [own, other], 20, models=["EGNN"])
    assert outcome.value == pytest.approx(20 - 100 * (6 / 5.5 - 1))
    assert sign_of(outcome) == "certain"
    better = case(80, NARROW, model="SchNet", scratch=10)
    assert sign("competitive", [own, other, better], 20, models=["EGNN"]) == "against"
    systems = [replace(c, system=s) for s in ("DHA", "AT-AT") for c in (own, other)]
    systems[2] = replace(case(70, NARROW, scratch=10), system="AT-AT")
    mean = 20 - 100 * (math.sqrt(6 * 3) / 5.5 - 1)  # geometric
    assert decide("competitive", systems, 20, models=["EGNN"]).value == pytest.approx(mean)


def shares(tuned=(7, 3, 2, 1), scratch=(9, 6, 4, 3), spread=NARROW, **facts):
    """Cases of 5, 20, 50 and 100 % of the data with these errors."""
    return [case(100 * (1 - b / a), spread, scratch=a, share=s, **facts)
            for a, b, s in zip(scratch, tuned, (0.05, 0.2, 0.5, 1.0), strict=True)]  # fmt: skip


def test_less_data_compares_errors_at_different_shares():
    outcome = decide("less_data", shares(tuned=(3, 3, 2, 1)))
    assert outcome.value == pytest.approx(25)  # 3 against 4
    assert sign_of(outcome) == "certain"
    assert (
        outcome.why
        == "3.00 pre-trained with 5 %; from scratch 9.00 with 5 %, 6.00 with 20 %, 4.00 with 50 %, 3.00 with 100 %"
    )
    assert sign("less_data", shares(tuned=(5, 3, 2, 1))) == "against"
    assert sign("less_data", shares(tuned=(4, 3, 2, 1))) == "unknown"
    assert sign("less_data", shares()[1:]) == sign("less_data", [*shares()[:2], shares()[3]]) == "not tested"
    once = [*shares(tuned=(3, 3, 2, 1))[:2], *shares(seeds=1)[2:]]
    assert sign("less_data", once) == "one seed"


def test_flat_and_improving_curves():
    falls = decide("flat", shares(), 20)
    assert falls.value == pytest.approx(100 * (1 - 3 / 9))
    assert sign_of(falls) == "against"
    assert falls.why == "9.00 with 5 %, 3.00 with 100 % of the data"
    level = decide("flat", shares(scratch=(9, 9, 9, 8.5))[::-1], 20)  # in any order
    assert level.value == pytest.approx(100 * (1 - 8.5 / 9))
    assert sign_of(level) == "certain"
    better = decide("more_data_helps", shares())
    assert better.value == pytest.approx(100 * (1 - 1 / 7))
    assert (sign_of(better), better.why) == ("certain", "7.00 with 5 %, 1.00 with 100 % of the data")
    assert sign("more_data_helps", shares(tuned=(1, 1, 1, 2))) == "against"
    for rule in ("flat", "more_data_helps"):
        assert sign(rule, shares()[:1], 20) == "not tested"
        assert sign(rule, [shares()[0], shares(seeds=1)[3]], 20) == "one seed"


def test_poor():
    blank = [with_learnt(case(), False, False)]
    assert sign("poor", blank, 0.3) == "certain"
    assert sign("poor", [*blank, with_learnt(case(), False, True)], 0.3) == "against"
    assert sign("poor", [with_learnt(case(seeds=1), False, False)], 0.3) == "one seed"
    assert decide("poor", blank, 0.3).why == "an arm reaches R² 0.3: no"
    assert decide("poor", [case()], 0.3).why.endswith("yes")


def sigmas(gains, spread=NARROW, **facts):
    return [case(g, spread, sigma=s, metric=m, **facts) for s, g in gains.items() for m in ("rmse", "mae")]


def test_the_best_sigma_is_better_than_every_other_one():
    good = {0.1: 20, 0.2: 30, 0.5: 10}
    outcome = decide("best_sigma", sigmas(good), 0.2)
    assert outcome.value == pytest.approx(100 * (1 - 70 / 80))  # against 0.1, the nearest
    assert sign_of(outcome) == "certain"
    assert "mae: 0.2 Å, rmse: 0.2 Å" in outcome.why
    refuted = decide("best_sigma", sigmas(good | {0.1: 40}), 0.2)
    assert refuted.value == pytest.approx(100 * (1 - 70 / 60))
    assert sign_of(refuted) == "against"
    assert "decided by σ = 0.1 Å" in refuted.why
    assert sign("best_sigma", sigmas({0.2: 30}), 0.2) == sign("best_sigma", sigmas({0.1: 30}), 0.2) == "not tested"
    assert sign("best_sigma", sigmas(good, seeds=1), 0.2) == "one seed"
    one_seed_at = [*sigmas({0.2: 30, 0.5: 10}), *sigmas({0.1: 20}, seeds=1)]  # of what decides, the fewest count
    assert decide("best_sigma", one_seed_at, 0.2).n_seeds == 1
    assert decide("best_sigma", [*sigmas({0.2: 30}, seeds=1), *sigmas({0.1: 20})], 0.2).n_seeds == 1


def test_sigmas_help_and_harm():
    good = {0.1: 20, 0.2: 30, 0.5: 10, 1.0: -5}
    helps = decide("sigma_gain", sigmas(good), 0.5)
    assert sign_of(helps) == "certain"
    assert helps.why.startswith("3 of 3 above 0")
    assert sign("sigma_gain", sigmas(good), 1.0) == "against"
    assert sign("sigma_gain", sigmas(good), 0.05) == "not tested"
    harms = decide("sigma_harm", sigmas(good), 1.0)
    assert harms.value == pytest.approx(5)
    assert sign_of(harms) == "certain"
    assert "5.0 % (RMSE), 5.0 % (MAE)" in harms.why
    assert sign("sigma_harm", sigmas(good), 0.5) == "against"
    assert sign("sigma_harm", sigmas(good), 2.0) == "not tested"
    mixed = [case(-5, NARROW, sigma=1.0, metric="rmse"), case(5, NARROW, sigma=1.0, metric="mae")]
    assert sign("sigma_harm", mixed, 1.0) == "against"  # in every metric


def test_measured_rows():
    row = {"value": 0.5, "low": 0.4, "high": 0.6, "p_above": 0.001, "p_below": 1.0, "n_seeds": 4, "why": "mean"}
    outcome = decide("above", pd.DataFrame([row]))
    assert (outcome.value, outcome.low, outcome.high, outcome.n_seeds, outcome.why) == (0.5, 0.4, 0.6, 4, "mean")
    assert sign_of(outcome) == "certain"
    assert sign_of(decide("above", pd.DataFrame([row | {"p_above": 1.0, "p_below": 0.001}]))) == "against"
    assert sign_of(decide("above", pd.DataFrame([row] * 2))) == "not tested"


def test_cheaper_reports_the_smallest_ratio():
    costs = {"EGNN": (2, 4), "SchNet": (1, 3), "TorchMD-Net": (5, 6), "SE(3)-Transformer": (20, 7)}
    rows = pd.DataFrame([{"model": m, "subset": f"place {k}", "value": v[k]} for m, v in costs.items() for k in (0, 1)])
    outcome = decide("cheaper", rows, models=["EGNN", "SchNet"])
    assert outcome.value == pytest.approx(1.5)
    assert outcome.why == "8 of 8 ratios above 1; least: TorchMD-Net over EGNN, place 1"
    assert sign_of(outcome) == "one seed"
    assert sign_of(decide("cheaper", rows, models=list(costs))) == "not tested"
    assert sign_of(decide("cheaper", rows, models=["DimeNet"])) == "not tested"


def test_all_of_takes_the_least_certain_part_and_of_equals_the_smallest():
    def part(value, share_below):
        replicates = np.full(REPLICATES, float(value))
        replicates[: int(share_below * REPLICATES)] = -1.0
        return Estimate(float(value), replicates)

    outcome = all_of([Part("a", part(5, 0.0), 3), Part("b", part(3, 0.0), 2), Part("c", part(4, 0.0), 3)])
    assert (outcome.value, outcome.n_seeds) == (3, 2)
    assert "decided by b" in outcome.why
    outcome = all_of([Part("a", part(5, 0.1), 3), Part("b", part(3, 0.0), 3)])
    assert outcome.value == 5
    assert outcome.p_for == pytest.approx((1 + 0.1 * REPLICATES) / (1 + REPLICATES))
    assert "decided" not in all_of([Part("a", part(5, 0.1), 3)]).why
    small = all_of([Part("a", part(0.5, 0.0), 3), Part("b", part(-0.5, 0.0), 3)])  # counted from zero on, however small
    assert small.why.startswith("1 of 2 above 0, 1 with the whole interval; 1 wholly below")


def test_a_sample_has_the_mean_that_it_is_made_for():
    assert sample(7.0, 0.1).centre == pytest.approx(7)
    assert case(30, 0.1).name == "EGNN ANI-1x MAE"
    assert case(30, share=0.05, sigma=0.5, system="DHA").name == "EGNN ANI-1x DHA MAE 5 % σ = 0.5 Å"


def test_above_compares_with_zero_alone():
    rows = pd.DataFrame(
        [{"value": 0.5, "low": 0.4, "high": 0.6, "p_above": 0.0, "p_below": 1.0, "n_seeds": 3, "why": ""}]
    )
    assert decide("above", rows).value == 0.5
    with pytest.raises(ValueError, match=r"compares with zero, not with a threshold \(0.6\)"):
        decide("above", rows, 0.6)
