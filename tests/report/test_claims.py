"""The ledger: claims name rules and cases that exist, count what is missing, are held against the paper's numbers."""

from dataclasses import replace
from itertools import product

import numpy as np
import pandas as pd
import pytest
from synthetic import case

from lib.data.datasets import FAMILIES, MD22_SYSTEMS
from lib.report import claims, evidence, ledger, tables
from lib.report.claims import cases_of, decide
from lib.report.evidence import OF_TRIALS, PARTS
from lib.report.pseudoforce import ITEM
from lib.report.rules import RULES
from lib.report.statistics import REPLICATES, Comparison
from lib.report.verdicts import AGAINST, CERTAIN, LIKELY, NO_EVIDENCE, SEEN_ONCE, SIGNS, UNLIKELY, UNTESTED, sign_of
from lib.study.equilibrium import MANY, MANY_RELAXED, equilibrium_trial
from lib.study.matrix import SHARES, SIGMAS
from lib.study.scales import get_scale
from lib.study.trials import TrialArm

CLAIMS = {claim.claim: claim for claim in claims.load_claims()}
NARROW = 0.002
PAPER_MODELS = ("SchNet", "SE(3)-Transformer", "EGNN", "TorchMD-Net")


def sign(name, cases, whole=True):
    return sign_of(decide(CLAIMS[name], cases, whole=whole))


def test_every_claim_names_cases_that_exist():
    known = {
        "item": {*PARTS, *OF_TRIALS, "Cost", "Denoising", ITEM},
        "dataset": {family.label for family in FAMILIES.values()},
        "system": set(MD22_SYSTEMS),
        "metric": {"rmse", "mae"},
        "share": {f"{s:g}" for s in SHARES},
    }
    for claim in CLAIMS.values():
        for key, names in known.items():
            assert set(claim.select[key]) <= names, (claim.claim, key)
        assert set(claim.models) <= set(PAPER_MODELS)
        assert claim.rule in RULES.values()
        assert claim.place
        assert claim.finding
        if claim.rule.of_size and claim.rule.name != "average_gain":
            assert claim.threshold
    assert len(CLAIMS) == len(claims.load_claims())
    assert {0.01, 0.2, 0.5, 1.0} <= set(SIGMAS)


def test_what_cannot_be_decided_is_listed_with_its_reason():
    table = claims.load_undecided()
    assert list(table.columns) == ["place", "statement", "reason"]
    assert (table.map(len) > 5).all(axis=None)


def test_the_sixteen_improvements_are_eight_findings():
    cells = [c for c in CLAIMS.values() if c.note.startswith("recomputed")]
    assert len(cells) == 16
    assert len({c.finding for c in cells}) == 8
    one = CLAIMS["table2-egnn-ani-1x-mae"]
    assert one.number == 34.2
    assert one.statement == "Pre-training lowers MAE of EGNN on ANI-1x by 34.2 %"
    own = [case(), case(metric="rmse"), case(model="SchNet"), case(dataset="ANI-1"), case(item="Figure 5")]
    assert cases_of(one, own) == own[:1]
    assert len({c.finding for c in CLAIMS.values() if c.claim.startswith("table2-average")}) == 1


def test_without_runs_every_claim_is_untested():
    table = ledger.ledger(get_scale("smoke"), pd.DataFrame(), [])
    assert set(table["sign"]) == {UNTESTED}
    assert len(table) == len(CLAIMS)
    assert table["q"].isna().all()
    summary = ledger.summary(table)
    assert summary.loc[UNTESTED, "rows"] == len(CLAIMS)
    assert summary.loc[UNTESTED, "findings"] == len({c.finding for c in CLAIMS.values()})
    assert summary["stand"].sum() == 0


def test_a_part_of_the_matrix_is_not_the_whole():
    """Three models of four: at best likely; one of them: nothing to say; a counterexample suffices."""
    cells = [case(30, NARROW, model=m) for m in PAPER_MODELS]
    for models, expected in ((4, CERTAIN), (3, LIKELY), (2, LIKELY), (1, UNTESTED)):
        assert sign("table2-average-ani1x-mae", cells[:models]) == expected
    assert sign("table2-average-ani1x-mae", cells[:1], whole=False) == CERTAIN
    assert decide(CLAIMS["table2-average-ani1x-mae"], cells[:3]).why.endswith("3 of 4 cells count")
    systems = [
        case(30, NARROW, item="Figure 3", dataset="MD22", system=s, model=m) for m in PAPER_MODELS for s in MD22_SYSTEMS
    ]
    assert sign("md22-every-system", systems) == CERTAIN
    assert sign("md22-every-system", systems[:14]) == LIKELY
    assert sign("md22-every-system", systems[:13]) == UNTESTED
    bad = replace(systems[0], comparison=case(-30, NARROW).comparison)
    assert sign("md22-every-system", [bad, *systems[1:14]]) == "against"


def test_a_claim_about_some_models_expects_their_cells_alone():
    """Three models on ANI-1x, one with four data sets at four shares; what is expected is the paper's own matrix."""
    assert {cell[2] for cell in claims._paper_cells(CLAIMS["ani1x-more-than-32"])} == {"SchNet", "EGNN", "TorchMD-Net"}
    assert len(claims._paper_cells(CLAIMS["ani1x-more-than-32"])) == 3
    assert len(claims._paper_cells(CLAIMS["egnn-gains-most"])) == 8  # it is compared with all
    assert len(claims._paper_cells(CLAIMS["efficiency-every-share"])) == 16
    assert len(claims._paper_cells(CLAIMS["sigma-best"])) == len(SIGMAS) - 1
    cells = [case(40, NARROW, model=m) for m in ("SchNet", "EGNN", "TorchMD-Net")]
    assert sign("ani1x-more-than-32", cells) == CERTAIN
    assert sign("ani1x-more-than-32", cells[:2]) == LIKELY
    assert decide(CLAIMS["ani1x-more-than-32"], cells[:2]).why.endswith("2 of 3 cells count")
    assert sign("ani1x-more-than-32", cells[:1]) == UNTESTED


def test_cases_where_nothing_was_learnt_do_not_count():
    systems = [
        case(30, NARROW, item="Figure 3", dataset="MD22", system=s, model=m) for m in PAPER_MODELS for s in MD22_SYSTEMS
    ]
    blank = [replace(c, learnt=(False, False)) for c in systems]
    assert sign("md22-every-system", blank) == NO_EVIDENCE
    assert sign("md22-every-system", [*systems[:27], blank[27]]) == LIKELY
    where = {"item": "Figure 4", "dataset": "MD22", "system": "buckyball-catcher"}
    curve = [case(0, NARROW, share=s, learnt=(False, False), **where) for s in SHARES]
    assert sign("catcher-scratch-flat", curve) == CERTAIN  # that nothing is learnt is what it says
    assert sign("catcher-5-percent-poor", curve) == CERTAIN
    assert sign("catcher-tuned-improves", curve) == NO_EVIDENCE
    three = [case(30, NARROW, model=m) for m in PAPER_MODELS[:3]]
    bounded = decide(
        CLAIMS["table2-average-ani1x-mae"], [*three, case(0, NARROW, model="TorchMD-Net", learnt=(False, False))]
    )
    assert sign_of(bounded) == CERTAIN  # put in as the worst of the others
    assert "TorchMD-Net learnt nothing" in bounded.why


def test_a_rule_that_compares_models_is_given_all_of_them():
    cases = [case(40, NARROW, model=m) for m in PAPER_MODELS]
    assert len(cases_of(CLAIMS["egnn-gains-most"], cases)) == 4
    assert len(cases_of(CLAIMS["ani1x-more-than-32"], cases)) == 3
    assert len(cases_of(CLAIMS["model-agnostic"], cases)) == 4


def test_measured_rows_decide_equation_8_and_cost(tmp_path, monkeypatch):
    monkeypatch.setattr(ledger, "FIGURES", tmp_path)
    assert ledger.measured_rows("laptop").empty
    folder = tmp_path / "laptop"
    folder.mkdir()
    base = dict.fromkeys(tables.COLUMNS, "") | {"item": ITEM, "value": 0.5, "low": 0.4, "high": 0.6, "p_above": 0.001,
                                                "p_below": 1.0, "n_seeds": 4, "why": ""}  # fmt: skip
    rows = [base | {"subset": "clean, rank"}, base | {"subset": "clean, rank, by network", "model": "EGNN"}]
    pd.DataFrame(rows).to_csv(folder / "equation8.csv", index=False)
    pd.DataFrame(
        [(m, n, k + n) for k, m in enumerate(PAPER_MODELS) for n in (20, 60)],
        columns=["model", "atoms", "milliseconds"],
    ).to_csv(folder / "table_s4.csv", index=False)
    pd.DataFrame(
        [("SchNet", "energy", 2.0, 5.0), ("EGNN", "energy", 3.0, 4.0), ("TorchMD-Net", "energy", None, 4.5)],
        columns=["model", "task", "GPU-hours", "conformations/s, one thread"],
    ).to_csv(folder / "paper_cost.csv", index=False)
    measured = ledger.measured_rows("laptop")
    assert len(measured) == 2 + 8 + 2 + 3
    assert set(measured["subset"]) >= {"20 atoms on a CPU", "energy trained on a GPU", "energy trained on one thread"}
    clean = decide(CLAIMS["pseudo-force-clean"], [], measured)
    assert (clean.value, sign_of(clean), clean.n_seeds) == (0.5, CERTAIN, 4)
    assert sign_of(decide(CLAIMS["pseudo-force-far"], [], measured)) == UNTESTED
    assert decide(CLAIMS["pseudo-force-far"], [], measured).why == "not measured at this scale"
    cheap = decide(CLAIMS["cheap-models-cost-less"], [], measured)
    assert (sign_of(cheap), cheap.value) == ("one seed", pytest.approx(4 / 4.5))  # EGNN trains slower on one thread
    assert cheap.why.endswith("least: TorchMD-Net over EGNN, energy trained on one thread")
    table = ledger.ledger(get_scale("laptop"), measured, []).set_index("claim")
    assert table.loc["pseudo-force-clean", ["sign", "n_seeds"]].tolist() == [CERTAIN, 4]
    assert table.loc["pseudo-force-clean", "q"] == pytest.approx(0.002)


def test_a_finding_counts_once_with_the_weakest_of_its_rows():
    table = pd.DataFrame(
        {
            "finding": ["a", "a", "b", "c", "c", "d"],
            "q": [0.04, 0.04, 0.06, 0.01, 0.01, 0.001],
            "sign": [CERTAIN, CERTAIN, CERTAIN, CERTAIN, LIKELY, "against"],
        }
    )
    summary = ledger.summary(table)
    assert summary.loc[CERTAIN].tolist() == [2, 1, 4]
    assert summary.loc[LIKELY].tolist() == [1, 0, 1]
    assert summary.loc["against"].tolist() == [1, 1, 1]
    assert summary["findings"].sum() == 4
    assert list(summary.index) == list(SIGNS)
    for weak, strong in zip(ledger.WEAKEST_FIRST, ledger.WEAKEST_FIRST[1:], strict=False):
        pair = ledger.summary(pd.DataFrame({"finding": ["a"] * 2, "q": [1.0] * 2, "sign": [strong, weak]}))
        assert pair.loc[weak, "findings"] == 1


def test_false_discoveries_are_counted_over_findings():
    """RMSE and MAE of one finding are one test, with the larger p-value."""
    twin = [case(30, 0.03, metric=m) for m in ("rmse", "mae")]
    twin[1] = replace(twin[1], comparison=case(30, 0.05).comparison)
    table = ledger.ledger(get_scale("laptop"), pd.DataFrame(), twin).set_index("claim")
    rows = table.loc[["table2-egnn-ani-1x-rmse", "table2-egnn-ani-1x-mae"]]
    assert rows["printed"].tolist() == [32.8, 34.2]
    assert table.loc[["model-agnostic", "sigma-harms"], "printed"].isna().all()
    assert rows["n_seeds"].tolist() == [3, 3]
    assert rows["value"].tolist() == pytest.approx([30, 30])
    assert (rows["low"] < 30).all()
    assert (rows["high"] > 30).all()
    assert rows["p"].iloc[0] < rows["p"].iloc[1]
    assert rows["q"].iloc[0] == rows["q"].iloc[1]
    tested = table.groupby("finding")["p"].max().dropna()
    assert rows["q"].iloc[0] >= rows["p"].max()
    assert rows["q"].iloc[0] <= rows["p"].max() * len(tested)


def test_the_ledger_says_where_other_draws_might_say_another_word():
    """A one-sided p of 0.027 of ten thousand draws: likely, and close to certain."""
    one = case(30, NARROW)
    gains = np.full(REPLICATES, 0.7)
    gains[: round(0.027 * REPLICATES)] = 1.1
    tuned = replace(one.tuned, by_seed=np.full(3, 7.0), draws=np.tile(10 * gains, (3, 1)), molecules=1, moves=0 * gains)
    edge = replace(one, comparison=Comparison(one.scratch, tuned))
    table = ledger.ledger(get_scale("laptop"), pd.DataFrame(), [edge]).set_index("claim")
    row = table.loc["table2-egnn-ani-1x-mae"]
    assert row[["sign", "close to"]].tolist() == [LIKELY, CERTAIN]
    assert row["p"] == pytest.approx(0.054, abs=0.001)
    sure = ledger.ledger(get_scale("laptop"), pd.DataFrame(), [one]).set_index("claim")
    assert sure.loc["table2-egnn-ani-1x-mae", ["sign", "close to"]].tolist() == [CERTAIN, ""]


def test_the_papers_own_numbers():
    """SchNet gains more than EGNN on ANI-1x in the paper's Table 2, against its text; the averages are right."""
    printed = ledger.paper_cases()
    assert len(printed) == 16
    own = {name: ledger.consistent(claim, printed) for name, claim in CLAIMS.items()}
    averages = [name for name in own if name.startswith("table2-average")]
    assert all(own[name] == "yes" for name in averages)
    models = [name for name in own if name.startswith("table2-") and name not in averages]
    assert (len(averages), len(models)) == (4, 16)
    assert {own[name] for name in models} == {ledger.BY_CONSTRUCTION}  # they are made of the printed errors
    assert own["ani1x-more-than-32"] == "yes, within rounding"
    assert own["egnn-gains-most"].startswith("no: gains most: EGNN on ANI-1 (30 %), SchNet on ANI-1x (38 %)")
    assert own["model-agnostic"] == own["cheap-models-gain-most"] == "yes"
    assert own["sigma-best"] == own["noise-raises-energy"] == "not printed"
    assert own["cheap-reaches-elaborate"] == "not claimed"
    wrong = replace(CLAIMS["table2-average-ani1-mae"], threshold="23.5")
    assert ledger.consistent(wrong, printed).startswith("no: 21.2")
    assert ledger.consistent(replace(wrong, threshold="21.3"), printed) == "yes"  # 21.2 to 21.4 before rounding
    more = replace(CLAIMS["ani1x-more-than-32"], threshold="36")
    assert ledger.consistent(more, printed).startswith("no: ")
    assert ledger.consistent(replace(more, threshold="30"), printed) == "yes"


def test_rounding_is_a_number_of_its_own():
    """A pair trained again: errors in kcal/mol, the improvement in points, beside the interval over seeds."""
    repeated = pd.DataFrame([
        {"model": "EGNN", "dataset": "mini ANI-1x (GFN2-xTB)", "metric": "test_mae", "pretrained": arm, "recorded": a,
         "here": b} for arm, a, b in (("no", 10.0, 16.0), ("yes", 7.0, 7.0))
    ])  # fmt: skip
    table = ledger.rounding(repeated, [case(30, NARROW)], "mini").set_index("pretrained")
    assert table["difference"].tolist() == pytest.approx([6, 0, 100 * (7 / 10 - 7 / 16)])
    assert table["within the interval"].tolist() == [False, True, False]
    assert table.loc["improvement", ["recorded", "here"]].tolist() == pytest.approx([30, 56.25])
    assert table["unit"].tolist() == ["kcal/mol", "kcal/mol", "%"]
    assert ledger.rounding(repeated, [], "mini").empty
    assert ledger.rounding(repeated[:1], [case(30, NARROW)], "mini").empty


def test_printed_numbers_are_where_the_tables_look_for_them():
    paper = tables.paper_numbers().set_index(tables.PAPER_KEY)["value"]
    assert paper.index.is_unique
    assert paper["Figure 3", "MD22", "buckyball-catcher", "average", "improvement", "mae", 1.0] == 39.3
    assert np.isfinite(paper).all()


def test_a_notebook_shows_the_verdicts_on_its_own_claims(monkeypatch):
    monkeypatch.setattr(ledger, "gather", lambda *_: [case(30, NARROW, model=m) for m in PAPER_MODELS])
    shown = ledger.verdicts("smoke", ["Table 2"])
    expected = [c.statement for c in CLAIMS.values() if c.select["item"] == ("Table 2",)]
    assert list(shown.index) == expected
    assert shown.loc[CLAIMS["table2-average-ani1x-mae"].statement, "sign"] == CERTAIN


def test_evidence_is_gathered_from_recorded_runs():
    """One item of the laptop scale: pairs by the paper's names, all seeds, other models' spread where there is one."""
    scale = replace(get_scale("laptop"), systems=("DHA",))
    cases = evidence._of_item(scale, "Figure 3")
    assert {c.model for c in cases} == set(PAPER_MODELS)
    assert {(c.dataset, c.system, c.metric, c.share, c.sigma) for c in cases} == {("MD22", "DHA", "mae", 1.0, 0.2)}
    assert {c.model: c.n_seeds for c in cases} == {m: 3 if m == "EGNN" else 1 for m in PAPER_MODELS}
    assert all(c.tuned.moves.std() > 0 for c in cases)
    assert next(c for c in cases if c.model == "EGNN").learnt == (False, True)
    small = evidence._denoising(get_scale("laptop"))
    assert {(c.item, c.model, c.n_seeds) for c in small} == {("Denoising", "TorchMD-Net", 3)}
    assert {c.sigma for c in small} == set(SIGMAS) - {0.0, 0.2}
    assert {c.learnt for c in small} == {(True, True)}
    trivial = decide(CLAIMS["sigma-small-trivial"], small)
    assert sign_of(trivial) == "against"
    assert -160 < trivial.value < -135  # 0.96 against 0.39


TITLE = "nonequilibrium-beats-equilibrium"


def of_title(**facts):
    """The cases of the title: both models, both data sets, the same molecules relaxed and displaced."""
    places = product(("ANI-1x", "ANI-1"), ("EGNN", "TorchMD-Net"))
    return [case(item="Equilibrium", dataset=d, model=m, subset="the same molecules", **facts) for d, m in places]


def test_the_title_is_decided_by_the_mean_over_models_and_data_sets():
    cases = of_title(gain=20, spread=NARROW)
    assert sign(TITLE, cases) == CERTAIN
    assert sign(TITLE, [*cases[:-1], case(**FACTS_OF_LOSS, gain=-20, spread=NARROW)]) == CERTAIN
    assert sign(TITLE, of_title(gain=-20, spread=NARROW)) == AGAINST
    assert sign(TITLE, of_title(gain=-20, spread=NARROW)[:-1]) == UNLIKELY
    assert sign(TITLE, of_title(gain=20, spread=NARROW, seeds=1)) == SEEN_ONCE
    assert sign(TITLE, of_title(gain=20, spread=NARROW, learnt=(False, False))) == NO_EVIDENCE


FACTS_OF_LOSS = {"item": "Equilibrium", "dataset": "ANI-1", "model": "TorchMD-Net", "subset": "the same molecules"}


def test_each_sign_of_the_head_is_a_claim_of_its_own():
    cases = [case(item="Head", model="SchNet", subset=subset, gain=gain, spread=NARROW)
             for subset, gain in (("as it is", 20), ("sign turned", -20))]  # fmt: skip
    assert sign("head-as-it-is", cases, whole=False) == CERTAIN
    assert sign("head-sign-turned", cases, whole=False) == AGAINST


def test_what_the_trials_ask_and_nobody_ran_makes_nothing_certain():
    """Of published ANI-1 any of four models says something; all of them make it certain; a counterexample suffices."""
    where = {"item": "Published data", "dataset": "ANI-1", "subset": "published geometries"}
    cells = [case(30, NARROW, model=m, **where) for m in PAPER_MODELS]
    for models, expected in ((4, CERTAIN), (3, LIKELY), (1, LIKELY)):
        assert sign("published-ani1", cells[:models]) == expected
    assert decide(CLAIMS["published-ani1"], cells[:2]).why.endswith("2 of 4 cells count")
    assert sign("published-ani1", [case(-30, NARROW, model="EGNN", **where)]) == AGAINST
    title = of_title(gain=20, spread=NARROW)
    assert sign(TITLE, title[:-1]) == LIKELY


@pytest.mark.parametrize("item", OF_TRIALS)
def test_the_arms_that_are_compared_are_those_of_the_trials(item):
    trials, pairs = OF_TRIALS[item]
    for trial in trials(get_scale("laptop")):
        assert {name for pair in pairs.values() for name in pair} <= set(trial.arms)


def test_cases_of_trials_go_by_the_papers_names(monkeypatch):
    trial = equilibrium_trial(get_scale("laptop"), "egnn", "ani1")
    known = {name: TrialArm(name, 1e-3, False, {0: name}) for name in (MANY_RELAXED, MANY)}
    monkeypatch.setattr(evidence, "arms_of", lambda *_: known)
    monkeypatch.setattr(evidence, "comparison_of", lambda before, after, _: (before.name, after.name))
    monkeypatch.setattr(evidence, "learnt_of", lambda *_: (True, True))
    made = [c for subset, pair in OF_TRIALS["Equilibrium"][1].items()
            for c in evidence._of_trial(get_scale("laptop"), "Equilibrium", trial, subset, pair)]  # fmt: skip
    assert {(c.dataset, c.system, c.subset, c.model) for c in made} == {
        ("ANI-1", "", "relaxed end, the same molecules", "EGNN")
    }
    assert {c.comparison for c in made} == {(MANY_RELAXED, MANY)}
