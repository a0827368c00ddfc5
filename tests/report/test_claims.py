"""The ledger: each rule says yes, partly and no where it should; claims name rules and rows that exist."""

import numpy as np
import pandas as pd
import pytest

from lib.data.datasets import FAMILIES, MD22_SYSTEMS
from lib.models import MODELS, PAPER_MODELS
from lib.report import claims, tables
from lib.report.rules import DIRECTION, FAILED, NO_EVIDENCE, REPRODUCED, RULES, UNDECIDED, UNTESTED, VERDICTS
from lib.study.matrix import SHARES, SIGMAS

CLAIMS = claims.load_claims().set_index("claim", drop=False)


def gain(value, low=None, high=None, **more):
    """An improvement in per cent, and its two errors."""
    base = {"item": "Table 2", "dataset": "ANI-1x", "system": "", "subset": "", "model": "EGNN", "metric": "mae",
            "share": 1.0, "sigma": 0.2, "evidence": "yes", "n_models": 1, "n_seeds": 3} | more  # fmt: skip
    interval = {"low": value - 1 if low is None else low, "high": value + 1 if high is None else high}
    error = 1 - value / 100
    return [
        base | {"pretrained": "no", "value": 1.0, "low": 0.99, "high": 1.01},
        base | {"pretrained": "yes", "value": error, "low": error - 0.01, "high": error + 0.01},
        base | {"pretrained": "improvement", "value": value, **interval},
    ]


def verdict(name, *groups, whole=False):
    """Of what is there; ``whole``: of what the paper has."""
    rows = pd.DataFrame([row for group in groups for row in group])
    return claims.decide(CLAIMS.loc[name], rows, None if whole else rows).verdict


def test_every_claim_is_decided_by_a_rule_from_rows_that_exist():
    labels = {family.label for family in FAMILIES.values()}
    known = {"dataset": labels, "system": set(MD22_SYSTEMS), "metric": {"rmse", "mae", "correlation"},
             "model": {MODELS[name].label for name in PAPER_MODELS}, "share": {f"{s:g}" for s in SHARES}}  # fmt: skip
    for _, claim in CLAIMS.iterrows():
        assert claim["test"] in RULES, claim["claim"]
        for key, names in known.items():
            assert {w for w in claim[key].split("|") if w} <= names, (claim["claim"], key)
    assert CLAIMS["claim"].is_unique
    assert {0.2, 0.5, 1.0} <= set(SIGMAS)


def test_without_rows_every_claim_is_untested():
    ledger = claims.ledger(claims.read_rows([]))
    assert set(ledger["verdict"]) == {UNTESTED}
    assert len(ledger) == len(CLAIMS)


def test_average_gain():
    name, average = "table2-average-ani1x-mae", {"model": "average"}  # 30.9 %
    assert verdict(name, gain(40, 25, 50, **average)) == REPRODUCED
    assert verdict(name, gain(30, 28, 31, **average)) == REPRODUCED
    assert verdict(name, gain(40, **average)) == DIRECTION  # certainly more than printed
    assert verdict(name, gain(10, 8, 12, **average)) == DIRECTION  # certainly less
    assert verdict(name, gain(10, 1, 90, **average)) == DIRECTION  # a third of it, however wide the interval
    for sign in (-1, 1):
        assert verdict(name, gain(sign, -30, 30, **average)) == UNDECIDED
    assert verdict(name, gain(-10, **average)) == FAILED
    assert verdict(name, gain(40)) == UNTESTED  # of one model: no average


def test_the_size_of_a_gain_needs_both_arms():
    average = {"model": "average", "evidence": "one arm"}
    assert verdict("table2-average-ani1x-mae", gain(30.9, **average)) == DIRECTION
    assert verdict("model-agnostic", gain(30.9, evidence="one arm")) == REPRODUCED  # a sign has no size
    where = {"item": "Figure 4", "dataset": "MD22", "system": "buckyball-catcher"}
    assert verdict("catcher-68", gain(75, **where, evidence="one arm")) == DIRECTION


def test_every_gain():
    name = "ani1x-more-than-32"
    models = ("SchNet", "EGNN", "TorchMD-Net")
    assert verdict(name, *(gain(40, model=m) for m in models)) == REPRODUCED
    assert verdict(name, *(gain(40 - 5 * k, 20, 50, model=m) for k, m in enumerate(models))) == DIRECTION
    assert verdict(name, *(gain(40 - 15 * k, model=m) for k, m in enumerate(models))) == FAILED  # 25 is not 32
    assert verdict(name, *(gain(40 - 5 * k, -5, 50, model=m) for k, m in enumerate(models))) == UNDECIDED
    others = gain(-50, model="SE(3)-Transformer"), gain(-50, dataset="ANI-1"), gain(-50, model="average")
    assert verdict(name, *(gain(40, model=m) for m in models), *others) == REPRODUCED  # no business of this claim


def test_one_certain_gain_of_four_decides_nothing():
    name, models = "model-agnostic", [MODELS[model].label for model in PAPER_MODELS]
    for certain, expected in ((1, UNDECIDED), (2, DIRECTION), (4, REPRODUCED)):
        cells = [gain(5, 1 if k < certain else -1, 9, model=m) for k, m in enumerate(models)]
        assert verdict(name, *cells) == expected
    assert verdict(name, *cells[:3], gain(-5, model=models[3])) == FAILED


def test_where_nothing_was_learnt_is_no_evidence():
    dull = {"item": "Figure 3", "dataset": "MD22", "system": "DHA", "evidence": "no"}
    assert verdict("md22-every-system", gain(40, **dull)) == NO_EVIDENCE
    good = dull | {"system": "AT-AT", "evidence": "yes"}
    both = gain(-40, **dull), gain(40, **good)
    assert verdict("md22-every-system", *both) == DIRECTION  # not in every case


def test_a_part_of_the_matrix_is_not_the_whole():
    """One model of four says nothing about every one; three of them, at best that it points there."""
    cells = [gain(40, model=MODELS[m].label, dataset=d) for m in PAPER_MODELS for d in ("ANI-1", "ANI-1x")]
    assert verdict("model-agnostic", *cells, whole=True) == REPRODUCED
    assert verdict("model-agnostic", *cells[:6], whole=True) == DIRECTION
    assert verdict("model-agnostic", *cells[:2], whole=True) == UNTESTED
    average = {"model": "average", "dataset": "ANI-1x"}
    for models, expected in ((4, REPRODUCED), (3, DIRECTION), (1, UNTESTED)):
        assert verdict("table2-average-ani1x-mae", gain(30.9, n_models=models, **average), whole=True) == expected
    worst = gain(-40, model="EGNN", dataset="ANI-1")
    assert verdict("model-agnostic", *cells[:3], worst, whole=True) == FAILED  # one counterexample suffices


def test_more_than():
    where = {"item": "Figure 4", "dataset": "MD22", "system": "buckyball-catcher"}
    assert verdict("catcher-68", gain(75, 70, 80, **where)) == REPRODUCED
    assert verdict("catcher-68", gain(30, 1, 70, **where)) == DIRECTION  # an interval that wide does not show it
    assert verdict("catcher-68", gain(30, -1, 70, **where)) == UNDECIDED
    assert verdict("catcher-68", gain(-2, **where)) == FAILED


def test_largest_gain():
    name = "md22-egnn-gains-most"
    where = {"item": "Figure 3", "dataset": "MD22", "system": "DHA"}
    assert verdict(name, gain(40, **where), gain(30, **where, model="SchNet")) == REPRODUCED
    assert verdict(name, gain(40, 20, 60, **where), gain(30, **where, model="SchNet")) == DIRECTION  # not certainly
    mixed = [gain(40, **where), gain(30, **where, model="SchNet")]
    mixed += [gain(9, **where | {"system": "AT-AT"}), gain(10, **where | {"system": "AT-AT"}, model="SchNet")]
    assert verdict(name, *mixed) == DIRECTION
    lonely = gain(90, **where | {"system": "stachyose"})  # no other model was there
    assert verdict(name, gain(20, **where), gain(30, **where, model="SchNet"), lonely) == FAILED
    assert verdict(name, gain(20, **where), gain(30, **where, model="SchNet")) == FAILED
    assert verdict(name, gain(20, **where)) == UNTESTED


def test_groups_of_models():
    name = "cheap-models-gain-most"
    assert verdict(name, gain(40), gain(39, model="SchNet"), gain(38, model="TorchMD-Net")) == REPRODUCED
    assert verdict(name, gain(40), gain(10, model="SchNet"), gain(12, model="TorchMD-Net")) == DIRECTION
    assert verdict(name, gain(1), gain(2, model="TorchMD-Net")) == FAILED
    name = "cheap-reaches-elaborate"
    assert verdict(name, gain(40), gain(5, model="TorchMD-Net")) == REPRODUCED
    assert verdict(name, gain(-40), gain(5, model="TorchMD-Net")) == FAILED


def shares(scratch, tuned, half=0.1):
    """Figure 4 with errors by share, intervals ``half`` to both sides."""
    rows = []
    for share in SHARES:
        base = {"item": "Figure 4", "dataset": "ANI-1x", "system": "", "subset": "", "model": "EGNN", "metric": "mae",
                "share": share, "sigma": 0.2, "evidence": "yes"}  # fmt: skip
        for kind, value in (("no", scratch[share]), ("yes", tuned[share])):
            rows.append(base | {"pretrained": kind, "value": value, "low": value - half, "high": value + half})
    return rows


def test_less_data():
    scratch = dict(zip(SHARES, (9.0, 6.0, 4.0, 3.0), strict=True))
    cases = (3.0, 0.1, REPRODUCED), (4.1, 0.1, DIRECTION), (7.0, 0.1, FAILED), (5.0, 0.1, FAILED), (3.5, 2.0, UNDECIDED)
    for first, half, expected in cases:
        tuned = dict.fromkeys(SHARES, 1.0) | {0.05: first}
        assert verdict("efficiency-ten-times", shares(scratch, tuned, half)) == expected, (first, half)
        without = [row for row in shares(scratch, tuned, half) if row["share"] != 0.5]
        assert verdict("efficiency-ten-times", without) == UNTESTED


def test_catcher_is_flat_or_not():
    for last, expected in ((8.0, REPRODUCED), (4.0, FAILED)):
        scratch = dict(zip(SHARES, (9.0, 8.5, 8.2, last), strict=True))
        rows = pd.DataFrame(shares(scratch, scratch)).assign(dataset="MD22", system="buckyball-catcher")
        assert claims.decide(CLAIMS.loc["catcher-scratch-flat"], rows, rows).verdict == expected
        poor = rows.assign(evidence="no")
        assert claims.decide(CLAIMS.loc["catcher-5-percent-poor"], poor).verdict == REPRODUCED
        assert claims.decide(CLAIMS.loc["catcher-5-percent-poor"], rows).verdict == FAILED


def sigmas(errors):
    return [
        {**row, "item": "Figure 5", "model": "TorchMD-Net", "sigma": sigma, "metric": metric}
        for sigma, value in errors.items()
        for metric in ("rmse", "mae")
        for row in gain(value)
    ]


def test_sigma():
    good = dict.fromkeys(SIGMAS[1:], 10.0) | {0.2: 30.0, 1.0: -5.0}
    assert verdict("sigma-best", sigmas(good)) == REPRODUCED
    assert verdict("sigma-helps", sigmas(good)) == REPRODUCED
    assert verdict("sigma-harms", sigmas(good)) == REPRODUCED
    assert verdict("sigma-best", sigmas(good | {0.1: 30.5})) == DIRECTION
    assert verdict("sigma-best", sigmas(good | {0.01: 30.5})) == UNDECIDED  # not told from the best, nor beside it
    assert verdict("sigma-best", sigmas(good | {0.01: 45.0})) == FAILED
    assert verdict("sigma-helps", sigmas(good | {0.01: -3.0})) == FAILED
    assert verdict("sigma-harms", sigmas(good | {1.0: -0.5})) == UNDECIDED
    assert verdict("sigma-harms", sigmas(good | {1.0: 5.0})) == FAILED


def test_the_papers_own_numbers():
    """SchNet gains more than EGNN on ANI-1x in the paper's Table 2, against its text; the averages are right."""
    printed = claims.paper_rows()
    found = {name: claims.consistent(claim, printed) for name, claim in CLAIMS.iterrows()}
    assert all(found[name] == "yes" for name in found if name.startswith("table2-average"))
    assert found["ani1x-more-than-32"] == "yes, within rounding"
    assert found["egnn-gains-most"].startswith("no: first in 2 of 4")
    assert found["model-agnostic"] == "yes"
    assert found["sigma-best"] == "not printed"
    wrong = CLAIMS.loc["table2-average-ani1-mae"].copy()
    wrong["threshold"] = "23.5"
    assert claims.consistent(wrong, printed).startswith("no: 21.2")


def test_printed_numbers_are_where_the_tables_look_for_them():
    paper = tables.paper_numbers().set_index(tables.PAPER_KEY)["value"]
    assert paper.index.is_unique
    assert paper["Figure 3", "MD22", "buckyball-catcher", "average", "improvement", "mae", 1.0] == 39.3
    assert np.isfinite(paper).all()


def test_rows_are_read_from_the_tables_that_are_there(tmp_path):
    pd.DataFrame(gain(40)).to_csv(tmp_path / "a.csv", index=False)
    rows = claims.read_rows([tmp_path / "a.csv", tmp_path / "missing.csv"])
    assert len(rows) == 3
    assert rows["system"].tolist() == [""] * 3
    renamed = claims.with_paper_names(rows.assign(dataset="mini ANI-1x (GFN2-xTB)"), "mini")
    assert set(renamed["dataset"]) == {"ANI-1x"}


def test_a_notebook_shows_the_verdicts_on_its_own_claims():
    rows = pd.DataFrame(gain(30.9, model="average", n_models=4)).assign(dataset="mini ANI-1x (GFN2-xTB)")
    found = claims.verdicts(rows, "mini")
    expected = CLAIMS[CLAIMS["item"] == "Table 2"]["statement"]
    assert list(found.index) == list(expected)
    assert found["verdict"][CLAIMS.loc["table2-average-ani1x-mae", "statement"]] == REPRODUCED


@pytest.mark.parametrize("colour", VERDICTS)
def test_every_verdict_has_a_colour(colour):
    from lib.report.figures.ledger import VERDICT_COLOURS

    assert colour in VERDICT_COLOURS
